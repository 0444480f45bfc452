"""An FP32 graph that computes what a mixed one computes on a GPU: every FP16 tensor is rounded to FP16.

ONNX Runtime has hardly any FP16 kernels for CPUs. It computes such nodes in FP32 and drops the casts between them, so
that neither rounding nor overflow shows: values of 90 000 pass from one FP16 convolution to the next. It keeps casts
that an FP32 graph spells out, and so here each FP16 tensor becomes FP32 through FP16. Sums inside a node are FP32, as
in tensor cores.
"""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from tweenrt.calibration.bodies import inlined
from tweenrt.calibration.roles import MOVES, is_standard
from tweenrt.calibration.view import FLOAT, FLOAT16, GraphView


def rounded(model: ModelProto) -> ModelProto:
    """The FP32 graph that rounds as the mixed graph `model` does; it takes and gives the same, without custom ops."""
    flat = inlined(model)
    view = GraphView(flat)
    nodes = [copy for node in view.nodes for copy in _rounded(node, view)]
    weights = [_widened(i) for i in flat.graph.initializer]
    del flat.graph.node[:], flat.graph.initializer[:], flat.graph.value_info[:]
    flat.graph.node.extend(nodes)
    flat.graph.initializer.extend(weights)
    return flat


def _rounded(node: NodeProto, view: GraphView) -> list[NodeProto]:
    """The node in FP32, and the casts that round its outputs where they were FP16."""
    copy = NodeProto()
    copy.CopyFrom(node)
    for attribute in copy.attribute:
        if attribute.name == "to" and attribute.i == FLOAT16:
            attribute.i = FLOAT
        if attribute.HasField("t"):
            attribute.t.CopyFrom(_widened(attribute.t))
    if is_standard(node, MOVES):
        return [copy]
    casts = []
    halves = [(place, name) for place, name in enumerate(node.output) if view.types.get(name) == FLOAT16]
    for place, name in halves:
        exact, half = f"{name}@exact", f"{name}@half"
        copy.output[place] = exact
        casts.append(helper.make_node("Cast", [exact], [half], to=FLOAT16))
        casts.append(helper.make_node("Cast", [half], [name], to=FLOAT))
    return [copy, *casts]


def _widened(tensor: TensorProto) -> TensorProto:
    if tensor.data_type != FLOAT16:
        return tensor
    return numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name)
