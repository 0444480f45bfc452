"""Which inputs and outputs of an FP16 node are FP16."""

from __future__ import annotations

import onnx
from onnx import NodeProto

from tweenrt.calibration.roles import ASKED, MADE, Role, op_of

TYPED_BY_ATTRIBUTE = {"Cast", "ConstantOfShape"}
"""Operators whose output has the type that an attribute names."""

_ALWAYS_FP32 = (Role.FLOW, Role.COORDINATES)


def half_input(node: NodeProto, place: int, opset: int) -> bool:
    """Whether a float input of an FP16 node is FP16: flow and coordinates never are, and some ops take FP32 only."""
    if node.domain:
        return ASKED.get(op_of(node), {}).get(place) not in _ALWAYS_FP32
    formal, allowed = _formal(node, place, opset)
    return "tensor(float16)" in allowed.get(formal, [formal])


def half_output(node: NodeProto, place: int, opset: int) -> bool:
    """The same of an output: it has the type of the inputs that the operator ties it to."""
    if node.domain:
        return place not in MADE.get(op_of(node), {})
    if node.op_type in TYPED_BY_ATTRIBUTE:
        return True
    schema = onnx.defs.get_schema(node.op_type, opset)
    tied = schema.outputs[min(place, len(schema.outputs) - 1)].type_str
    places = (k for k, name in enumerate(node.input) if name)
    return any(_formal(node, k, opset)[0] == tied and half_input(node, k, opset) for k in places)


def _formal(node: NodeProto, place: int, opset: int) -> tuple[str, dict[str, list[str]]]:
    """The type of an input as its operator is defined: a letter or a type; and what each letter may be."""
    schema = onnx.defs.get_schema(node.op_type, opset)
    allowed = {c.type_param_str: list(c.allowed_type_strs) for c in schema.type_constraints}
    return schema.inputs[min(place, len(schema.inputs) - 1)].type_str, allowed
