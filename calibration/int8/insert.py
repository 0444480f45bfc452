"""Write a graph with Q/DQ nodes around the layers that compute in INT8."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from tweenrt.calibration.int8.candidates import CHANNEL_AXIS
from tweenrt.calibration.int8.scales import Int8Weights
from tweenrt.calibration.roles import is_standard
from tweenrt.calibration.view import FLOAT16, GraphView, key
from tweenrt.contract import PREFIX

OPSET = 19
"""The first in which Q/DQ nodes take FP16; what else changed since 18 concerns no operator that is exported."""


@dataclass(frozen=True)
class Int8Layer:
    """What a layer needs to compute in INT8.

    Attributes:
        scale: of what it reads.
        weights: its weights, divided by `factors`.
        factors: [channels], what each is multiplied by before it is quantised; None for 1. The same for all layers
            that read a tensor.
    """

    scale: float
    weights: Int8Weights
    factors: NDArray[np.float32] | None = None


def insert(model: ModelProto, layers: Mapping[str, Int8Layer]) -> ModelProto:
    """A copy of `model` in which some layers read INT8.

    What a layer reads passes through QuantizeLinear and DequantizeLinear, once for all layers that read it; weights are
    stored as INT8 and pass through DequantizeLinear, with a scale for each output channel. Zero points are 0, biases
    stay floats: the form that TensorRT fuses.

    Args:
        model: a graph in FP32, or in two precisions.
        layers: `tweenrt.calibration.view.key` of a node in the FP32 graph → what it needs.
    """
    result = ModelProto()
    result.CopyFrom(model)
    for imported in (*result.opset_import, *(o for f in result.functions for o in f.opset_import)):
        if imported.domain in ("", "ai.onnx"):
            imported.version = max(imported.version, OPSET)
    writer = _Writer(GraphView(model))
    for node in model.graph.node:
        writer.write(node, layers.get(_key_in_fp32(node)) if is_standard(node, CHANNEL_AXIS) else None)
    del result.graph.node[:], result.graph.initializer[:]
    result.graph.node.extend(writer.nodes)
    read = {name for node in writer.nodes for name in node.input} | {o.name for o in result.graph.output}
    held = {i.name for i in result.graph.input}
    result.graph.initializer.extend(
        i for i in (*model.graph.initializer, *writer.weights.values()) if i.name in read or i.name in held
    )
    properties = {p.key: p.value for p in model.metadata_props}
    if layers:
        helper.set_model_props(result, properties | {f"{PREFIX}precision": "int8"})
    return result


class _Writer:
    """Writes node after node.

    Attributes:
        nodes: what is written.
        weights: the new initializers by name.
    """

    def __init__(self, view: GraphView) -> None:
        self._view = view
        self._done: set[str] = set()  # tensors that are quantised already
        self.nodes: list[NodeProto] = []
        self.weights: dict[str, TensorProto] = {}

    def write(self, node: NodeProto, layer: Int8Layer | None) -> None:
        """Append a node, after what it needs to read INT8 where it is to."""
        copy = NodeProto()
        copy.CopyFrom(node)
        if layer is not None:
            kind = self._view.types[node.input[0]]
            copy.input[0] = self._quantised(node.input[0], layer, kind)
            copy.input[1] = self._stored(node, layer, kind)
        self.nodes.append(copy)

    def _quantised(self, tensor: str, layer: Int8Layer, kind: int) -> str:
        """`tensor` after it was INT8."""
        back = f"{tensor}/dequantized"
        if tensor not in self._done:
            self._done.add(tensor)
            source = tensor if layer.factors is None else self._balanced(tensor, layer.factors, kind)
            parts = [
                self._constant(f"{tensor}/scale", _typed(np.array(layer.scale, np.float32), kind)),
                self._constant("int8/zero", np.zeros((), np.int8)),
            ]
            whole = f"{tensor}/int8"
            self.nodes.append(helper.make_node("QuantizeLinear", [source, *parts], [whole], f"{tensor}/quantize"))
            self.nodes.append(helper.make_node("DequantizeLinear", [whole, *parts], [back], f"{tensor}/dequantize"))
        return back

    def _balanced(self, tensor: str, factors: NDArray[np.float32], kind: int) -> str:
        balanced = f"{tensor}/balanced"
        by = self._constant(f"{tensor}/factors", _typed(factors.reshape(1, -1, 1, 1), kind))
        self.nodes.append(helper.make_node("Mul", [tensor, by], [balanced], f"{tensor}/balance"))
        return balanced

    def _stored(self, node: NodeProto, layer: Int8Layer, kind: int) -> str:
        """The weights, from INT8. Layers that share them still do, unless each divided them by its own factors."""
        name = node.input[1] if layer.factors is None else f"{node.input[1]}/{node.input[0]}"
        back, weights = f"{name}/dequantized", layer.weights
        if f"{name}/int8" not in self.weights:
            parts = [
                self._constant(f"{name}/int8", weights.values),
                self._constant(f"{name}/scale", _typed(weights.scales, kind)),
                self._constant(f"int8/zeros{len(weights.scales)}", np.zeros(len(weights.scales), np.int8)),
            ]
            axis = CHANNEL_AXIS[node.op_type]
            self.nodes.append(helper.make_node("DequantizeLinear", parts, [back], f"{name}/dequantize", axis=axis))
        return back

    def _constant(self, name: str, value: NDArray[np.generic]) -> str:
        self.weights.setdefault(name, numpy_helper.from_array(np.asarray(value), name))
        return name


def _key_in_fp32(node: NodeProto) -> str:
    """In two precisions what leaves the graph is a cast, and its maker's output has a longer name."""
    return key(node).removesuffix("/fp16")


def _typed(values: NDArray[np.float32], kind: int) -> NDArray[np.generic]:
    return values.astype(np.float16 if kind == FLOAT16 else np.float32)
