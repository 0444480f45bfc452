"""Give every custom op in a model its portable body, so that any runtime can execute the file."""

from __future__ import annotations

import onnx
from onnx import FunctionProto, ModelProto

from tweenrt.contract import OP_DOMAIN, OP_VERSION
from tweenrt.plugins import OPS

Shapes = dict[str, tuple[int | None, ...]]


def attach_bodies(model: ModelProto) -> ModelProto:
    """Append the function bodies in place, import their domain, and return `model`.

    Done after the export on purpose: a function that the torch exporter knows about is inlined by it, and the
    node is lost.
    """
    opset = next(o.version for o in model.opset_import if o.domain == "")
    shapes = known_shapes(model)
    present = {f.name for f in model.functions}
    pending = [n for n in model.graph.node if n.domain == OP_DOMAIN]
    while pending:
        node = pending.pop()
        if node.op_type in present:
            continue
        body: FunctionProto = OPS[node.op_type].body(opset, node, shapes)
        model.functions.append(body)
        present.add(node.op_type)
        pending += [n for n in body.node if n.domain == OP_DOMAIN]
    if present and not any(o.domain == OP_DOMAIN for o in model.opset_import):
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
