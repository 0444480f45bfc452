"""Small graphs before and after warps are fused."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, parser

from tweenrt.contract import OP_DOMAIN
from tweenrt.export.passes.attach_bodies import attach_bodies
from tweenrt.export.passes.fuse_warps import fuse_warps

Array = NDArray[Any]
SAME = 1e-6  # the same sums in the same order
OPEN = {"N": 2, "H": 10, "W": 14, "h": 5, "w": 7}

INPUTS = {
    "f0": (1, 6, 8, 12),
    "f1": (1, 6, 8, 12),
    "feature": (1, 5, 8, 12),
    "step": (1, 4, 8, 12),
    "coarse": (1, 4, 4, 6),
    "frame0": (1, 3, 8, 12),
    "frame1": (1, 3, 8, 12),
    "mask": (1, 1, 8, 12),
    "residual": (1, 3, 8, 12),
}


def graph(text: str, *changes: tuple[str, str], outputs: str = "y", **sizes: tuple[int | str, ...]) -> ModelProto:
    """A model of the nodes in `text` after `changes`, with bodies and with the shapes of all values.

    Args:
        text: nodes that read `INPUTS` and make `outputs`.
        changes: old and new piece of the text; the old one occurs once.
        outputs: names of what a caller reads.
        sizes: other sizes of the inputs.
    """
    for old, new in changes:
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
        text = text.replace(old, new)
    shapes = INPUTS | sizes
    inputs = ", ".join(f"float[{','.join(map(str, shape))}] {name}" for name, shape in shapes.items())
    results = ", ".join(f"float[A_{name},B_{name},C_{name},D_{name}] {name}" for name in outputs.split())
    head = '<ir_version: 10, opset_import: ["": 18, "tweenrt": 1]>'
    model = attach_bodies(parser.parse_model(f"{head} g ({inputs}) => ({results}) {{ {text} }}"))
    return onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)


def fused(model: ModelProto) -> ModelProto:
    """`model` after the pass, with the bodies of the ops it has then."""
    result = ir.to_proto(fuse_warps(ir.from_proto(model)))
    del result.functions[:]
    return attach_bodies(result)


def ops(model: ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def assert_not_fused(model: ModelProto) -> None:
    """Nothing is gone but what nobody needed."""
    left = ops(fused(model))
    assert left["BackwardWarp"] == ops(model)["BackwardWarp"] == 2
    assert not set(left) & {"WarpConcat", "WarpBlend"}


def only(model: ModelProto, op: str) -> NodeProto:
    (node,) = (n for n in model.graph.node if n.op_type == op)
    assert node.domain == OP_DOMAIN
    return node


def run(model: ModelProto, feeds: dict[str, Array]) -> list[Array]:
    onnx.checker.check_model(model, full_check=True)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = {i.name for i in session.get_inputs()}
    results: list[Array] = session.run(None, {k: v for k, v in feeds.items() if k in names})
    return results


def noise(model: ModelProto) -> dict[str, Array]:
    """Inputs for `model`: features and frames between 0 and 1, flows of a few pixels."""
    rng = np.random.default_rng(7)
    feeds = {}
    for value in model.graph.input:
        shape = [d.dim_value or OPEN[d.dim_param] for d in value.type.tensor_type.shape.dim]
        is_flow = value.name in ("step", "coarse")
        feeds[value.name] = (rng.standard_normal(shape) * 2 if is_flow else rng.random(shape)).astype(np.float32)
    return feeds


def assert_same(before: ModelProto, after: ModelProto) -> None:
    """Both compute the same from noise."""
    feeds = noise(before)
    for old, new in zip(run(before, feeds), run(after, feeds), strict=True):
        assert np.abs(old).max() > 0.1, "zeros prove nothing"
        np.testing.assert_allclose(new, old, rtol=0, atol=SAME)
