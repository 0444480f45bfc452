"""Give every custom op in a model its portable body, so that any runtime can execute the file."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import onnx
from onnx import FunctionProto, ModelProto, NodeProto

from tweenrt.contract import OP_DOMAIN, OP_VERSION
from tweenrt.plugins import OPS

Shapes = dict[str, tuple[int | None, ...]]


def attach_bodies(model: ModelProto, chosen: Mapping[str, FunctionProto] | None = None) -> ModelProto:
    """Append the function bodies in place, import their domain, and return `model`.

    An op gets one body for the whole model, the one that suits its largest node: `FunctionProto.overload` would
    allow one a node, but ONNX Runtime (1.32) loses the overload of a node inside a function when it inlines that.
    Done after the export on purpose: a function that the torch exporter knows about is inlined by it, and the
    node is lost.

    Args:
        model: as exported.
        chosen: op → the body to use instead of the one that suits it best everywhere.

    Raises:
        ValueError: two nodes of one op need bodies that compute something else.
    """
    chosen = chosen or {}
    opset = next(o.version for o in model.opset_import if o.domain == "")
    present = {f.name for f in model.functions}
    for op, calls in _calls(model, opset).items():
        if op not in present:
            _check_one_body_serves_all(op, calls, opset)
            largest = max(calls, key=_Call.pixels)
            model.functions.append(chosen.get(op) or OPS[op].body(opset, largest.node, largest.shapes))
    if model.functions and not any(o.domain == OP_DOMAIN for o in model.opset_import):
        model.opset_import.append(onnx.helper.make_opsetid(OP_DOMAIN, OP_VERSION))
    return model


def known_shapes(model: ModelProto) -> Shapes:
    """Shape of every value that the model declares, None where an axis is dynamic."""
    values = (*model.graph.input, *model.graph.output, *model.graph.value_info)
    shapes: Shapes = {
        v.name: tuple(d.dim_value if d.HasField("dim_value") else None for d in v.type.tensor_type.shape.dim)
        for v in values
    }
    return shapes | {i.name: tuple(i.dims) for i in model.graph.initializer}


@dataclass(frozen=True)
class _Call:
    """A node of ours, in the graph or in the body of another, and the shapes known where it stands."""

    node: NodeProto
    shapes: Shapes

    def pixels(self) -> tuple[float, float]:
        """H·W of the largest input and of the largest output; infinite where a size is open or no shape is known."""
        return self._largest(self.node.input), self._largest(self.node.output)

    def _largest(self, names: Iterable[str]) -> float:
        sizes = [self.shapes[name][2:] for name in names if name in self.shapes]
        areas = (math.prod(math.inf if side is None else side for side in size) for size in sizes)
        return max(areas, default=math.inf)

    def inside(self, opset: int) -> list[_Call]:
        """The calls that this one's body makes."""
        body = OPS[self.node.op_type].body(opset, self.node, self.shapes)
        names = zip(body.input, self.node.input, strict=False)  # optional inputs at the end may be left out
        shapes = {inner: self.shapes[outer] for inner, outer in names if outer in self.shapes}
        return [_Call(node, shapes) for node in body.node if node.domain == OP_DOMAIN]


def _calls(model: ModelProto, opset: int) -> dict[str, list[_Call]]:
    """Op → its calls, those inside bodies included."""
    shapes = known_shapes(model)
    pending = [_Call(node, shapes) for node in model.graph.node if node.domain == OP_DOMAIN]
    calls: dict[str, list[_Call]] = defaultdict(list)
    while pending:
        call = pending.pop()
        calls[call.node.op_type].append(call)
        pending += call.inside(opset)
    return calls


def _check_one_body_serves_all(op: str, calls: list[_Call], opset: int) -> None:
    """Bodies may differ where shapes do, for speed; with the shapes hidden they must be the same."""
    bodies = {OPS[op].body(opset, call.node, {}).SerializeToString() for call in calls}
    if len(bodies) > 1:
        raise ValueError(f"a model holds one body of {op}, but its nodes have attributes that need {len(bodies)}")
