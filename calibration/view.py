"""Who makes each tensor of a graph, who reads it, and what type it has."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import onnx
from onnx import ModelProto, NodeProto, TensorProto

from tweenrt.errors import GraphError

FLOAT, FLOAT16 = int(TensorProto.FLOAT), int(TensorProto.FLOAT16)


class Reader(NamedTuple):
    """One use of a tensor: the node that reads it, and as its how manieth input."""

    node: NodeProto
    place: int


class GraphView:
    """A model's main graph by tensors. It does not follow later changes of the model.

    Attributes:
        model: what is looked at.
        nodes: its nodes, each after the nodes whose outputs it reads.
        types: tensor → ONNX's number of its element type.
        makers: tensor → the node that makes it; inputs and initializers have none.
        readers: tensor → its uses.
        weights: initializer → its tensor; those that a caller may set are not among them.
        inputs: what a caller gives or may set.
        outputs: what comes out.
        opset: version of the standard operators.
    """

    def __init__(self, model: ModelProto) -> None:
        graph = model.graph
        self.model = model
        self.nodes: list[NodeProto] = list(graph.node)
        self.opset: int = next(o.version for o in model.opset_import if o.domain == "")
        self.inputs: list[str] = [i.name for i in graph.input]
        self.outputs: list[str] = [o.name for o in graph.output]
        self.weights = {i.name: i for i in graph.initializer if i.name not in self.inputs}
        self.types = _types(model)
        self.makers = {name: node for node in self.nodes for name in node.output if name}
        self.readers: dict[str, list[Reader]] = defaultdict(list)
        for node in self.nodes:
            _refuse_subgraphs(node)
            for place, name in enumerate(node.input):
                if name:
                    self.readers[name].append(Reader(node, place))

    def is_float(self, tensor: str) -> bool:
        """Whether `tensor` is FP32, the one type of floats in graphs before they are converted."""
        return self.types.get(tensor) == FLOAT

    def float_inputs(self, node: NodeProto) -> Iterator[tuple[int, str]]:
        """(place, tensor) of every FP32 input of `node`, weights included."""
        return ((place, name) for place, name in enumerate(node.input) if name and self.is_float(name))

    def float_outputs(self, node: NodeProto) -> Iterator[tuple[int, str]]:
        """(place, tensor) of every FP32 output of `node`."""
        return ((place, name) for place, name in enumerate(node.output) if name and self.is_float(name))


def key(node: NodeProto) -> str:
    """What a node is found by: the name of its first output, which no other node has."""
    return str(next(name for name in node.output if name))


def title(node: NodeProto) -> str:
    """How a node is called in messages."""
    return f"{node.op_type} ({node.name or key(node)})"


def _types(model: ModelProto) -> dict[str, int]:
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    types = {i.name: i.data_type for i in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        types[value.name] = value.type.tensor_type.elem_type
    for node in graph.node:
        for name in node.output:
            if name and not types.get(name):
                raise GraphError(
                    f"expected a graph whose tensors all have a type, found none for {name} of {title(node)}; "
                    "export the graph again with this version of tweenrt"
                )
    return types


def _refuse_subgraphs(node: NodeProto) -> None:
    if any(a.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for a in node.attribute):
        raise GraphError(
            f"expected a graph without branches and loops outside of op bodies, found {title(node)}; no network of "
            "tweenrt exports one, so export the graph again"
        )
