"""Small graphs in one and in two precisions, and what tests want to know of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import ModelProto, helper, numpy_helper, parser

from support import graphs
from tweenrt.calibration.bodies import inlined
from tweenrt.calibration.policy import Decision, Precision, decide
from tweenrt.calibration.ranges import Range
from tweenrt.calibration.roles import MOVES, Role, roles_of
from tweenrt.calibration.typed import in_two_precisions
from tweenrt.calibration.view import FLOAT, FLOAT16, GraphView, key
from tweenrt.export.passes.attach_bodies import attach_bodies

Array = NDArray[Any]


def graph(text: str, opset: int = 18, **weights: Any) -> ModelProto:
    """The graph `text` ("g (inputs) => (outputs) { nodes }") with bodies, metadata and float32 (or given) weights."""
    head = f'<ir_version: 10, opset_import: ["": {opset}, "tweenrt": 1]>'
    model = parser.parse_model(f"{head} {text}")
    for name, value in weights.items():
        array = np.asarray(value, None if isinstance(value, np.ndarray) else np.float32)
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    helper.set_model_props(model, graphs.INFO.to_metadata())
    return attach_bodies(model)


def roles(model: ModelProto) -> dict[str, Role]:
    """First output of every node → its role."""
    return roles_of(GraphView(model))


def decisions(model: ModelProto, ranges: Mapping[str, Range] | None = None) -> dict[str, Decision]:
    """First output of every node → what is decided for it."""
    return {key(d.node): d for d in decide(GraphView(model), ranges)}


def mixed(model: ModelProto, ranges: Mapping[str, Range] | None = None) -> ModelProto:
    """The graph in two precisions, checked."""
    view = GraphView(model)
    result = in_two_precisions(view, decide(view, ranges))
    onnx.checker.check_model(result, full_check=True)
    return result


def all_fp16(model: ModelProto) -> ModelProto:
    """The graph with every float in FP16, those in the bodies of our ops too: what a naive converter makes."""
    view = GraphView(inlined(model))
    return in_two_precisions(view, [_as_fp16(node, view) for node in view.nodes])


def _as_fp16(node: onnx.NodeProto, view: GraphView) -> Decision:
    has_floats = any((*view.float_inputs(node), *view.float_outputs(node)))
    return Decision(node, Role.FEATURE, Precision.FP16 if has_floats else Precision.NONE)


def types(model: ModelProto) -> dict[str, int]:
    """Tensor → its element type."""
    return GraphView(model).types


def casts(model: ModelProto) -> list[tuple[str, int]]:
    """(what is cast, to what type) of every cast between FP32 and FP16."""
    kinds = types(model)
    found = [(n.input[0], helper.get_node_attr_value(n, "to")) for n in model.graph.node if n.op_type == "Cast"]
    return [(name, to) for name, to in found if {kinds[name], to} <= {FLOAT, FLOAT16}]


def round_trips(model: ModelProto) -> list[str]:
    """FP32 tensors that were FP32 before, and in between only copied in FP16."""
    makers = {name: node for node in model.graph.node for name in node.output}
    narrowed = {name for name, to in casts(model) if to == FLOAT16}

    def comes_back(name: str) -> bool:
        node = makers.get(name)
        if node is None:
            return False
        if node.op_type == "Cast":
            return node.input[0] in narrowed and helper.get_node_attr_value(node, "to") == FLOAT16
        return node.domain == "" and node.op_type in MOVES and any(comes_back(source) for source in node.input)

    return [name for name, to in casts(model) if to == FLOAT and comes_back(name)]


def run(model: ModelProto, feeds: Mapping[str, Array]) -> list[Array]:
    """Run on ONNX Runtime's CPU provider, as our sessions do: its INT8 kernels saturate on CPUs without VNNI."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    results: list[Array] = session.run(None, dict(feeds))
    return results


def psnr(expected: Array, got: Array) -> float:
    """dB for a peak of 1."""
    error = float(np.mean((expected.astype(np.float64) - got) ** 2))
    return float("inf") if error == 0 else -10 * float(np.log10(error))


def save(path: Path, model: ModelProto) -> Path:
    """Write a graph that has its metadata already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def of(role: Role, found: Mapping[str, Role]) -> set[str]:
    """The outputs of the nodes with this role."""
    return {name for name, its in found.items() if its is role}
