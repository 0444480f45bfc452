"""The shape of every tensor of a graph for frames of one size, without running the graph.

ONNX's own shape inference, which also looks into the bodies of our ops. It stops where a size is computed by a
division, so the arithmetic on sizes is worked out here and inference goes on from the result, until nothing is new.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tweenrt.contract import OP_DOMAIN
from tweenrt.errors import UsageError, require
from tweenrt.runtime.onnx_file import OnnxFile

Shape = tuple[int, ...]
_FLOAT = 1  # ONNX's number of the type
_MOST_NUMBERS = 64  # what is computed on is a handful of sizes
_ELEMENTWISE = ("Add", "Cast", "Ceil", "Div", "Equal", "Floor", "Max", "Min", "Mod", "Mul", "Neg", "Sub", "Where")
_MOVES = ("Concat", "Constant", "Gather", "Identity", "Reshape", "Slice", "Squeeze", "Unsqueeze")
_ARITHMETIC = frozenset((*_ELEMENTWISE, *_MOVES))


def shapes_of(graph: OnnxFile, size: tuple[int, int]) -> dict[str, Shape]:
    """The shapes for one frame of `size` = (H, W) pixels, by the names of the tensors.

    Sizes that follow from the content of tensors cannot be known; such tensors are left out.

    Raises:
        UsageError: the graph is for frames of another size only.
        MissingExtraError: the package ``onnx`` is not installed.
    """
    onnx = require("onnx", extra="report", why="Estimating a graph")
    model = type(graph.model)()
    model.CopyFrom(graph.model)
    del model.graph.value_info[:]
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    _fix_inputs(graph, model, {"N": 1, "H": size[0], "W": size[1]})
    for node in model.graph.node:
        if node.domain == OP_DOMAIN and node.op_type in _STAND_INS:
            _STAND_INS[node.op_type](onnx.helper, model.graph, node)
    found: dict[str, Shape] = {}
    while True:
        found |= _inferred(onnx, model)
        if not _compute_sizes(onnx, model.graph, found):
            return found


def _fix_inputs(graph: OnnxFile, model: Any, letters: Mapping[str, int]) -> None:
    """Replace the open sizes of the inputs of `model`."""
    inputs = {i.name: i.type.tensor_type.shape.dim for i in model.graph.input}
    for name, axes in graph.open_inputs.items():
        for dim, axis in zip(inputs[name], axes, strict=True):
            dim.dim_value = graph.size_of(axis, letters)
    have = graph.frame_size
    if have is not None and have != (letters["H"], letters["W"]):
        raise UsageError(
            f"{graph.path} is for frames of {have[0]}x{have[1]} only, asked for {letters['H']}x{letters['W']}; "
            f"estimate with --size {have[0]}x{have[1]}, or export the graph with --dynamic"
        )


def _lookup_as_convolution(helper: Any, graph: Any, node: Any) -> None:
    """Of the body of a lookup, inference cannot tell how many channels come out."""
    samples = (2 * helper.get_node_attr_value(node, "radius") + 1) ** 2
    weight = f"{node.output[0]}.samples"
    graph.input.append(helper.make_tensor_value_info(weight, _FLOAT, (samples, 2, 1, 1)))
    node.CopyFrom(helper.make_node("Conv", [node.input[1], weight], node.output))


def _resized_warp_as_pool(helper: Any, _: Any, node: Any) -> None:
    """The body of a warp that shrinks works with sizes that were divided."""
    cell = [helper.get_node_attr_value(node, "shrink")] * 2
    node.CopyFrom(helper.make_node("MaxPool", node.input[:1], node.output, kernel_shape=cell, strides=cell))


_STAND_INS = {"CorrelationLookup": _lookup_as_convolution, "WarpResize": _resized_warp_as_pool}
"""Ops whose place a standard operator with the same result shape takes, since inference fails in their bodies."""


def _inferred(onnx: Any, model: Any) -> dict[str, Shape]:
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    found = {i.name: tuple(i.dims) for i in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        tensor = value.type.tensor_type
        if tensor.HasField("shape") and all(d.HasField("dim_value") for d in tensor.shape.dim):
            found[value.name] = tuple(d.dim_value for d in tensor.shape.dim)
    return found


def _compute_sizes(onnx: Any, graph: Any, shapes: Mapping[str, Shape]) -> bool:
    """Replace the nodes of `graph` that compute known sizes by their results; whether there were any."""
    known = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer if math.prod(i.dims) <= _MOST_NUMBERS}
    kept = []
    for node in graph.node:
        value = _value(node, shapes, known)
        if value is None:
            kept.append(node)
        else:
            known[node.output[0]] = value
            graph.initializer.append(onnx.numpy_helper.from_array(value, node.output[0]))
    computed = len(kept) < len(graph.node)
    del graph.node[:]
    graph.node.extend(kept)
    return computed


def _value(node: Any, shapes: Mapping[str, Shape], known: Mapping[str, Any]) -> Any:
    """What `node` gives if it is a size or arithmetic on sizes, else None."""
    if node.op_type == "Shape" and node.input[0] in shapes:
        feed = {node.input[0]: known.get(node.input[0], _blank(shapes[node.input[0]]))}
    elif node.domain == "" and node.op_type in _ARITHMETIC and all(name in known for name in node.input if name):
        feed = {name: known[name] for name in node.input if name}
    else:
        return None
    from onnx.reference import ReferenceEvaluator

    evaluator: Any = ReferenceEvaluator(node)
    (value,) = evaluator.run(None, feed)
    return value if value.size <= _MOST_NUMBERS else None


def _blank(shape: Shape) -> Any:
    """An array of this shape that takes no memory."""
    import numpy as np

    return np.broadcast_to(np.float32(0), shape)
