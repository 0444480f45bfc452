"""Write a graph in two precisions: each node in the type that was decided for it, and a cast where types meet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from tweenrt.calibration.bodies import take_two_types
from tweenrt.calibration.halves import TYPED_BY_ATTRIBUTE, half_input, half_output
from tweenrt.calibration.policy import Decision, Precision
from tweenrt.calibration.view import FLOAT, FLOAT16, GraphView
from tweenrt.contract import PREFIX

_SUFFIX = {FLOAT: "fp32", FLOAT16: "fp16"}


def in_two_precisions(view: GraphView, decisions: Sequence[Decision]) -> ModelProto:
    """The graph of `view` with FP16 where `decisions` say so, strongly typed.

    Inputs and outputs keep their types. A tensor is cast at most once for each type that its readers want, and
    weights are stored in that type.

    Args:
        view: an FP32 graph.
        decisions: one for each node, in their order; see `tweenrt.calibration.policy.decide`.

    Returns:
        A new model; `view` is left alone.
    """
    model = ModelProto()
    model.CopyFrom(view.model)
    writer = _Writer(view)
    for decision in decisions:
        writer.write(decision)
    del model.graph.node[:]
    model.graph.node.extend(writer.nodes)
    weights = [i for i in model.graph.initializer if i.name not in view.weights] + writer.weights
    del model.graph.initializer[:]
    model.graph.initializer.extend(weights)
    for value in model.graph.value_info:
        if value.name in writer.halves:
            value.type.tensor_type.elem_type = FLOAT16
    take_two_types(model)
    _note_precision(model)
    return model


class _Writer:
    """Writes node after node.

    Attributes:
        nodes: what is written, casts included.
        weights: the initializers that are read, in the types in which they are.
        halves: the tensors that are FP16 under their own name.
    """

    def __init__(self, view: GraphView) -> None:
        self._view = view
        self._names: dict[tuple[str, int], str] = {}  # (tensor, type) → what it is called in this type
        self._made = dict.fromkeys(view.inputs, FLOAT)  # tensor → the type in which it is made
        self.nodes: list[NodeProto] = []
        self.weights: list[TensorProto] = []
        self.halves: set[str] = set()

    def write(self, decision: Decision) -> None:
        """Append the decided node, after the casts that it needs."""
        node, opset = NodeProto(), self._view.opset
        node.CopyFrom(decision.node)
        for place, name in enumerate(node.input):
            if name:
                node.input[place] = self._read(name, self._wanted(decision, place, name))
        self.nodes.append(node)
        is_half = decision.precision is Precision.FP16
        for place, name in self._view.float_outputs(decision.node):
            self._make(node, place, name, FLOAT16 if is_half and half_output(decision.node, place, opset) else FLOAT)

    def _wanted(self, decision: Decision, place: int, tensor: str) -> int:
        """The type in which a decided node reads `tensor`."""
        if not self._view.is_float(tensor):
            return self._view.types[tensor]
        if decision.precision is Precision.NONE:
            return self._made.get(tensor, FLOAT)
        is_half = decision.precision is Precision.FP16
        return FLOAT16 if is_half and half_input(decision.node, place, self._view.opset) else FLOAT

    def _read(self, tensor: str, wanted: int) -> str:
        """What `tensor` is called in the type `wanted`; it is cast if it was made in the other."""
        if (tensor, wanted) not in self._names:
            self._names[tensor, wanted] = self._provide(tensor, wanted)
        return self._names[tensor, wanted]

    def _provide(self, tensor: str, wanted: int) -> str:
        if tensor in self._view.weights:
            return self._weight(tensor, wanted)
        if not self._view.is_float(tensor) or self._made[tensor] == wanted:
            return tensor
        return self._cast(tensor, f"{tensor}/{_SUFFIX[wanted]}", wanted)

    def _weight(self, name: str, wanted: int) -> str:
        weight = self._view.weights[name]
        if weight.data_type == wanted:
            self.weights.append(weight)
            return name
        called = f"{name}/{_SUFFIX[wanted]}"
        self.weights.append(numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float16), called))
        return called

    def _make(self, node: NodeProto, place: int, tensor: str, kind: int) -> None:
        """Note the type in which `node` makes `tensor`; outputs of the graph are FP32 whoever makes them."""
        self._made[tensor] = kind
        if kind == FLOAT:
            return
        if node.op_type in TYPED_BY_ATTRIBUTE:
            _type_by_attribute(node)
        if tensor not in self._view.outputs:
            self.halves.add(tensor)
            return
        node.output[place] = self._names[tensor, FLOAT16] = f"{tensor}/{_SUFFIX[FLOAT16]}"
        self._names[tensor, FLOAT] = self._cast(node.output[place], tensor, FLOAT)

    def _cast(self, source: str, result: str, kind: int) -> str:
        self.nodes.append(helper.make_node("Cast", [source], [result], f"{result}/cast", to=kind))
        return result


def _type_by_attribute(node: NodeProto) -> None:
    """Let an operator whose result has the type that an attribute names make FP16."""
    old = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    del node.attribute[:]
    if node.op_type == "Cast":
        new = {"to": FLOAT16}
    else:
        value = numpy_helper.to_array(old["value"]) if "value" in old else np.zeros(1)
        new = {"value": numpy_helper.from_array(value.astype(np.float16))}
    node.attribute.extend(helper.make_attribute(k, v) for k, v in (old | new).items())


def _note_precision(model: ModelProto) -> None:
    properties = {p.key: p.value for p in model.metadata_props}
    helper.set_model_props(model, properties | {f"{PREFIX}precision": Precision.FP16.value})
