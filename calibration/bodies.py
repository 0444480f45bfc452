"""The bodies of custom ops in graphs of two precisions."""

from __future__ import annotations

import onnx
import onnx.inliner
from onnx import FunctionProto, ModelProto, NodeProto, helper

from tweenrt.contract import OP_DOMAIN
from tweenrt.plugins import OPS

COMPUTE_IN_OWN_TYPE = ("MaskedConv2d", "WindowAttention")
"""Ops whose bodies compute in the type of their features; the others widen them to FP32 first."""

_OF_ONE_TYPE = ("DeformConv2d",)
"""Ops whose body is a standard operator that wants all its inputs in one type, where the kernel does not."""


def inlined(model: ModelProto) -> ModelProto:
    """A copy without custom ops: in the place of each stands its body, the one that works densely where there are two.

    The tensors of the graph keep their names; those of bodies get new ones.
    """
    copy = ModelProto()
    copy.CopyFrom(model)
    calls = {n.op_type: n for n in copy.graph.node if n.domain == OP_DOMAIN}
    opset = next(o.version for o in copy.opset_import if o.domain == "")
    for function in copy.functions:
        if function.name in calls and _branches(function):
            function.CopyFrom(OPS[function.name].body(opset, calls[function.name], {}))
    _spell_out_defaults(copy)
    return onnx.inliner.inline_local_functions(copy)


def take_two_types(model: ModelProto) -> None:
    """Rewrite in place the bodies that want one type: they compute in FP32 and return the type of the first input."""
    for function in model.functions:
        if function.name in _OF_ONE_TYPE:
            _widen(function)


def _spell_out_defaults(model: ModelProto) -> None:
    """Give each call the attributes that it leaves to its function, because the inliner forgets their defaults."""
    functions = {f.name: f for f in model.functions}
    for node in (*model.graph.node, *(node for f in model.functions for node in f.node)):
        if node.domain == OP_DOMAIN and node.op_type in functions:
            given = {a.name for a in node.attribute}
            node.attribute.extend(a for a in functions[node.op_type].attribute_proto if a.name not in given)


def _branches(function: FunctionProto) -> bool:
    return any(node.op_type == "If" for node in function.node)


def _widen(function: FunctionProto) -> None:
    wide = {name: f"{name}_fp32" for name in function.input}
    made = {name: f"{name}_fp32" for name in function.output}
    body = [_renamed(node, wide, made) for node in function.node]
    widen = [helper.make_node("Cast", [name], [wide[name]], to=onnx.TensorProto.FLOAT) for name in function.input]
    narrow = [helper.make_node("CastLike", [made[name], function.input[0]], [name]) for name in function.output]
    del function.node[:]
    function.node.extend([*widen, *body, *narrow])


def _renamed(node: NodeProto, inputs: dict[str, str], outputs: dict[str, str]) -> NodeProto:
    copy = NodeProto()
    copy.CopyFrom(node)
    copy.input[:] = [inputs.get(name, name) for name in node.input]
    copy.output[:] = [outputs.get(name, name) for name in node.output]
    return copy
