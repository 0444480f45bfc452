"""Put the ops ``WarpConcat`` and ``WarpBlend`` where a traced network spells them out in warps and standard operators.

Two places are worth a kernel of their own, because there a warped tensor is written only to be read once:

- a decoder level, which adds its step to twice the coarser flow, warps the features of both frames, and concatenates
  what the next convolution sees;
- the end, which warps both frames, blends them, and adds a residual.

A warp whose result is read elsewhere as well stays: it has to be written anyway, and fusing would sample it twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from tweenrt.contract import OP_DOMAIN

_IMAGE, _FLOW = 3, 4


def fuse_warps(model: ir.Model) -> ir.Model:
    """Fuse in place and return `model`.

    What becomes a ``WarpConcat``: ``Concat(feature, w0, w1, flow)`` or ``Concat(w0, w1, feature, flow)`` over the
    channels, where w0 and w1 are warps by the halves of ``flow`` with border padding. The flow is ``Add(step,
    Mul(Resize(coarse), 2))`` or, with a coarser flow of zeros, anything. One model holds one of the two orders,
    that of its first level, because it holds one body of the op.

    What becomes a ``WarpBlend``: ``mask * w0 + (1 - mask) * w1``, and where that is added to a tensor, the sum.

    Args:
        model: as traced, with the shapes of its values. Where a shape is not known, nothing is fused.
    """
    feature_first: bool | None = None
    for node in tuple(model.graph):
        level = _Level.ending_in(node)
        if level and feature_first in (None, level.feature_first):
            feature_first = level.feature_first
            _fuse_level(model.graph, level)
        blend = _Blend.starting_in(node)
        if blend:
            _fuse_blend(model.graph, blend)
    model.graph.sort()
    RemoveUnusedNodesPass()(model)
    return model


@dataclass(frozen=True)
class _Warp:
    """A ``BackwardWarp`` with border padding whose result is read once.

    Attributes:
        image: what is warped, [N,C,H,W].
        flow: by which flow, [N,2,H,W].
    """

    image: ir.Value
    flow: ir.Value

    @classmethod
    def making(cls, value: ir.Value | None) -> _Warp | None:
        """The warp that makes `value`."""
        node = _made_by(value, "BackwardWarp", OP_DOMAIN)
        if node is None or not _reader(value) or _text(node, "padding", "border") != "border":
            return None
        image, flow = node.inputs
        return cls(image, flow) if image and flow else None


@dataclass(frozen=True)
class _Level:
    """A decoder level; see `fuse_warps`.

    Attributes:
        seen: the concatenated tensor.
        warps: of the features of the earlier and of the later frame.
        feature: of the new frame.
        flow: the sum, [N,4,H,W].
        feature_first: the order in which the level concatenates.
    """

    seen: ir.Value
    warps: tuple[_Warp, _Warp]
    feature: ir.Value
    flow: ir.Value
    feature_first: bool

    @classmethod
    def ending_in(cls, node: ir.Node) -> _Level | None:
        """The level whose last node is `node`."""
        if (node.domain, node.op_type) != ("", "Concat") or _int(node, "axis", 0) != 1 or len(node.inputs) != 4:
            return None
        first, second, third, flow = node.inputs
        for feature, value0, value1 in ((first, second, third), (third, first, second)):
            warp0, warp1 = _Warp.making(value0), _Warp.making(value1)
            if not (feature and flow and warp0 and warp1 and _alike(warp0.image, warp1.image)):
                continue
            if _is_half(warp0.flow, 0, flow) and _is_half(warp1.flow, 1, flow) and _even(flow):
                return cls(node.outputs[0], (warp0, warp1), feature, flow, feature is first)
        return None

    def step_and_coarse(self) -> tuple[ir.Value, ir.Value | None]:
        """The two that the flow is made of; (the flow, None) where it is not such a sum."""
        others = (self.feature, *(warp.image for warp in self.warps))
        for step, doubled in _operands(_made_by(self.flow, "Add")):
            coarse = _doubled(doubled)
            # The sum is to come out of the same node as `seen`, so nothing that this node reads may need it.
            if coarse and _alike(step, self.flow) and not any(_needs(other, self.flow) for other in others):
                return step, coarse
        return self.flow, None


@dataclass(frozen=True)
class _Blend:
    """The end of a network; see `fuse_warps`.

    Attributes:
        drawn: the result.
        warps: of the frame that the mask weighs, and of the other.
        mask: [N,1,H,W].
        residual: None where nothing is added.
    """

    drawn: ir.Value
    warps: tuple[_Warp, _Warp]
    mask: ir.Value
    residual: ir.Value | None

    @classmethod
    def starting_in(cls, node: ir.Node) -> _Blend | None:
        """The blend whose weighted sum is `node`."""
        for part0, part1 in _operands(_made_by(node.outputs[0], "Add")):
            mask, warp0 = _weighted(part0)
            rest, warp1 = _weighted(part1)
            if mask and rest and warp0 and warp1 and _sums_to_one(mask, rest):
                if not (_is_frame(warp0.image, mask) and _is_frame(warp1.image, mask)):
                    continue
                drawn, residual = _with_residual(node.outputs[0])
                return cls(drawn, (warp0, warp1), mask, residual)
        return None


def _fuse_level(graph: ir.Graph, level: _Level) -> None:
    step, coarse = level.step_and_coarse()
    zeros = () if coarse else _zeros_of_half_size(step)
    earlier, later = level.warps
    node = ir.node(
        "WarpConcat",
        [earlier.image, later.image, level.feature, step, coarse or zeros[-1].outputs[0]],
        {"feature_first": int(level.feature_first)},
        domain=OP_DOMAIN,
        num_outputs=2,
    )
    _insert(graph, level.seen, [*zeros, node])
    _replace(level.seen, node.outputs[0])
    if coarse:
        _replace(level.flow, node.outputs[1])


def _fuse_blend(graph: ir.Graph, blend: _Blend) -> None:
    (first, second), residual = blend.warps, blend.residual
    nothing = ir.node("Constant", [], {"value": ir.tensor(np.zeros((1, 1, 1, 1), _dtype(blend.mask).numpy()))})
    inputs = [first.image, second.image, first.flow, second.flow, blend.mask, residual or nothing.outputs[0]]
    node = ir.node("WarpBlend", inputs, domain=OP_DOMAIN)
    _insert(graph, blend.drawn, [node] if residual else [nothing, node])
    _replace(blend.drawn, node.outputs[0])


def _zeros_of_half_size(flow: ir.Value) -> Sequence[ir.Node]:
    """Nodes, the last of which makes a flow of zeros [N,4,H/2,W/2] for a flow [N,4,H,W]."""
    size = ir.node("Shape", [flow])
    divisors = ir.node("Constant", [], {"value_ints": [1, 1, 2, 2]})
    half = ir.node("Div", [size.outputs[0], divisors.outputs[0]])
    zero = ir.tensor(np.zeros(1, _dtype(flow).numpy()))
    return size, divisors, half, ir.node("ConstantOfShape", [half.outputs[0]], {"value": zero})


def _insert(graph: ir.Graph, before: ir.Value, nodes: Sequence[ir.Node]) -> None:
    """Put nodes before the one that makes `before`, with its notes on the module that it comes from."""
    producer = before.producer()
    assert producer is not None
    for node in nodes:
        node.metadata_props.update(producer.metadata_props)
    graph.insert_before(producer, nodes)


def _replace(old: ir.Value, new: ir.Value) -> None:
    """Let `new` be read under the name of `old` wherever `old` was."""
    new.name, new.shape, new.type = old.name, old.shape, old.type
    ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)


def _made_by(value: ir.Value | None, op: str, domain: str = "") -> ir.Node | None:
    """The node that makes `value` where it is an `op`."""
    node = value.producer() if value else None
    return node if node and (node.domain, node.op_type) == (domain, op) else None


def _reader(value: ir.Value | None) -> ir.Node | None:
    """The only node that reads `value`; None where there are more or a caller reads it."""
    uses = tuple(value.uses()) if value else ()
    return uses[0].node if value and len(uses) == 1 and not value.is_graph_output() else None


def _operands(node: ir.Node | None) -> list[tuple[ir.Value, ir.Value]]:
    """Both orders of the two inputs of a commutative node."""
    first, second = node.inputs if node else (None, None)
    return [(first, second), (second, first)] if first and second else []


def _needs(value: ir.Value, other: ir.Value) -> bool:
    """Whether `value` is computed from `other`, or is it."""
    pending, seen = [value], set()
    while pending:
        current = pending.pop()
        if current is other:
            return True
        node = current.producer()
        if node and node not in seen:
            seen.add(node)
            pending += [x for x in node.inputs if x]
    return False


def _is_half(part: ir.Value, index: int, flow: ir.Value) -> bool:
    """Whether `part`, of two channels, is the first (index 0) or the second half of the four channels of `flow`."""
    node = part.producer()
    if node is None or node.inputs[0] is not flow or _sizes(flow)[1:2] != (_FLOW,):
        return False
    if node.op_type == "Split":
        return len(node.outputs) == 2 and part.index() == index
    if node.op_type != "Slice" or len(node.inputs) < 4:
        return False
    start, axis = _numbers(node.inputs[1]), _numbers(node.inputs[3])
    step = _numbers(node.inputs[4]) if len(node.inputs) > 4 else [1]
    return (start, axis, step) == ([2 * index], [1], [1])


def _doubled(value: ir.Value) -> ir.Value | None:
    """The flow that `value` is at twice the resolution and in its smaller pixels."""
    for resized, factor in _operands(_made_by(value, "Mul")):
        node = _made_by(resized, "Resize")
        if node and _numbers(factor) in (2.0, [2.0]) and _doubles_size(node):
            return node.inputs[0]
    return None


def _doubles_size(node: ir.Node) -> bool:
    """Whether a ``Resize`` is bilinear to twice the size, with pixel centres kept."""
    linear = _text(node, "mode", "nearest") == "linear"
    centred = _text(node, "coordinate_transformation_mode", "half_pixel") in ("half_pixel", "pytorch_half_pixel")
    return linear and centred and _numbers(node.inputs[2]) == [1.0, 1.0, 2.0, 2.0]


def _weighted(value: ir.Value) -> tuple[ir.Value, _Warp] | tuple[None, None]:
    """The weight and the warp whose product is `value`."""
    for weight, factor in _operands(_made_by(value, "Mul")):
        warp = _Warp.making(factor)
        if warp and _reader(value):
            return weight, warp
    return None, None


def _sums_to_one(mask: ir.Value, rest: ir.Value) -> bool:
    """Whether `rest` is 1 - `mask`."""
    node = _made_by(rest, "Sub")
    return node is not None and node.inputs[1] is mask and _numbers(node.inputs[0]) in (1.0, [1.0])


def _is_frame(image: ir.Value, mask: ir.Value) -> bool:
    """Whether `image` is [N,3,H,W] and `mask` [N,1,H,W]."""
    sizes, wanted = _sizes(image), _sizes(mask)
    return sizes[1:2] == (_IMAGE,) and wanted == (*sizes[:1], 1, *sizes[2:])


def _with_residual(merged: ir.Value) -> tuple[ir.Value, ir.Value | None]:
    """The sum of `merged` and what is added to it, and that; (`merged`, None) where nothing of four axes is."""
    node = _reader(merged)
    added = _made_by(node.outputs[0], "Add") if node else None
    for residual, other in _operands(added):
        if added and other is merged and len(_sizes(residual)) == 4 and _alike(added.outputs[0], merged):
            return added.outputs[0], residual
    return merged, None


def _sizes(value: ir.Value) -> tuple[int | None, ...]:
    """The shape, None for an open size; empty where it is not known."""
    return tuple(size if isinstance(size, int) else None for size in value.shape or ())


def _alike(first: ir.Value, second: ir.Value) -> bool:
    """Whether two shapes are the same as far as they are known. Sizes that are open in both count as the same."""
    return _sizes(first) == _sizes(second) != ()


def _even(flow: ir.Value) -> bool:
    """Whether H and W can be halved."""
    return all(size is None or size % 2 == 0 for size in _sizes(flow)[2:])


def _dtype(value: ir.Value) -> ir.DataType:
    return value.dtype or ir.DataType.FLOAT


def _numbers(value: ir.Value | None) -> object:
    """What a constant holds, as a number or lists of numbers; None where `value` is no constant."""
    tensor = ir.convenience.get_const_tensor(value) if value else None
    return tensor.numpy().tolist() if tensor else None


def _text(node: ir.Node, name: str, default: str) -> str:
    found = node.attributes.get(name)
    return found.as_string() if found else default


def _int(node: ir.Node, name: str, default: int) -> int:
    found = node.attributes.get(name)
    return found.as_int() if found else default
