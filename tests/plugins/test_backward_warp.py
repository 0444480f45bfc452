"""The portable body of BackwardWarp against PyTorch and against plain arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper

from tweenrt.contract import OP_DOMAIN, OP_VERSION
from tweenrt.export.passes.attach_bodies import attach_bodies
from tweenrt.plugins.backward_warp import function
from tweenrt.plugins.backward_warp.reference import backward_warp

Array = NDArray[Any]
Sizes = tuple[int | str | None, ...]

ODD = (1, 3, 17, 23)
SHAPES = [ODD, (2, 7, 1, 9), (3, 1, 9, 1), (1, 2, 1, 1), (2, 32, 8, 12), (1, 36, 30, 20)]
# A position in 0..1280 is known to about 1e-7 of it, and neighbours of normal noise differ by up to 6.
ROUNDING = 1e-4


def warp_model(sizes: Sizes, padding: str = "border", kind: int = TensorProto.FLOAT, opset: int = 18) -> ModelProto:
    """One BackwardWarp; `sizes` is [N,C,H,W], where a name or None leaves a size open."""
    node = helper.make_node("BackwardWarp", ["x", "flow"], ["y"], domain=OP_DOMAIN, padding=padding)
    return model_of([node], {"x": sizes, "flow": (sizes[0], 2, *sizes[2:])}, {"y": sizes}, kind, opset)


def model_of(
    nodes: list[NodeProto],
    inputs: dict[str, Sizes],
    outputs: dict[str, Sizes],
    kind: int = TensorProto.FLOAT,
    opset: int = 18,
) -> ModelProto:
    def declare(name: str, sizes: Sizes) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT if "flow" in name else kind, sizes)

    graph = helper.make_graph(nodes, "g", [declare(*i) for i in inputs.items()], [declare(*o) for o in outputs.items()])
    imports = [helper.make_opsetid("", opset), helper.make_opsetid(OP_DOMAIN, OP_VERSION)]
    model = attach_bodies(helper.make_model(graph, opset_imports=imports, ir_version=10))
    onnx.checker.check_model(model, full_check=True)
    return model


def run(model: ModelProto, **feeds: Array) -> list[Array]:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    results: list[Array] = session.run(None, feeds)
    return results


def noise(shape: tuple[int, ...], size: float = 1.0, seed: int = 0) -> Array:
    return (np.random.default_rng(seed).standard_normal(shape) * size).astype(np.float32)


def example(shape: tuple[int, int, int, int], motion: float = 3.0) -> tuple[Array, Array]:
    n, _, height, width = shape
    return noise(shape), noise((n, 2, height, width), motion, seed=1)


def expected(x: Array, flow: Array, padding: str) -> Array:
    return backward_warp(torch.from_numpy(x), torch.from_numpy(flow), padding).numpy()


@pytest.mark.parametrize("static", [True, False], ids=["static", "dynamic"])
@pytest.mark.parametrize("motion", [0.4, 5.0, 1e4])
@pytest.mark.parametrize("padding", ["border", "zeros"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_body_is_the_reference(shape: tuple[int, int, int, int], padding: str, motion: float, static: bool) -> None:
    x, flow = example(shape, motion)
    (y,) = run(warp_model(shape if static else ("N", shape[1], "H", "W"), padding), x=x, flow=flow)
    np.testing.assert_allclose(y, expected(x, flow, padding), rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("padding", ["border", "zeros"])
def test_half_precision_image_keeps_its_type_and_exact_positions(padding: str) -> None:
    """At column 3000 half precision knows whole pixels only; the flow and the coordinates stay FP32."""
    x, flow = example((1, 3, 2, 3000), 0.5)
    half = x.astype(np.float16)
    (y,) = run(warp_model(("N", 3, "H", "W"), padding, TensorProto.FLOAT16), x=half, flow=flow)
    assert y.dtype == np.float16
    np.testing.assert_allclose(y, expected(half, flow, padding), rtol=2e-3, atol=5e-3)


def half_pixel_error() -> float:
    """How far a shift by half a pixel to the right is from the mean of two neighbours."""
    x = noise(ODD)
    flow = np.zeros((1, 2, *ODD[2:]), np.float32)
    flow[:, 0] = 0.5
    (y,) = run(warp_model(ODD), x=x, flow=flow)
    return float(np.abs(y[..., :-1] - (x[..., :-1] + x[..., 1:]) / 2).max())


def test_half_a_pixel_is_the_mean_of_neighbours() -> None:
    assert half_pixel_error() < 1e-5


def test_a_sampler_of_nearest_pixels_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(function, "_SAMPLE", function._SAMPLE.replace("bilinear", "nearest"))
    assert half_pixel_error() > 0.1


def test_x_comes_before_y() -> None:
    x = noise(ODD)
    flow = np.zeros((1, 2, *ODD[2:]), np.float32)
    flow[:, 0], flow[:, 1] = 2.0, -1.0
    (y,) = run(warp_model(ODD), x=x, flow=flow)
    np.testing.assert_allclose(y[..., 1:, :-2], x[..., :-1, 2:], rtol=0, atol=1e-5)


@pytest.mark.parametrize("opset", [18, 19])
def test_positions_are_as_exact_as_those_of_pytorch(opset: int) -> None:
    """A ramp shows positions as values: at most two roundings of a position's last bit."""
    height, width = 270, 1920
    x = np.broadcast_to(np.arange(width, dtype=np.float32), (1, 1, height, width)).copy()
    flow = noise((1, 2, height, width), 30.0)
    (y,) = run(warp_model((1, 1, height, width), opset=opset), x=x, flow=flow)
    exact = np.clip(np.arange(width) + flow[:, :1].astype(np.float64), 0, width - 1)
    assert (
        np.abs(y - exact).max() <= 2 * np.spacing(np.float32(width)) + np.abs(expected(x, flow, "border") - exact).max()
    )


def test_large_frames_are_sampled_in_strips() -> None:
    assert function.strips_for((1, 2, 256, 448)) == 1
    assert function.strips_for((1, 2, 512, 896)) == 4
    assert function.strips_for((1, 2, 768, 1280)) == 8
    assert function.strips_for((1, 2, 2160, 3840)) == function.MOST_STRIPS
    assert function.strips_for((1, 2, 1, 1_000_000)) == 1
    assert function.strips_for((None, 2, 256, 448)) == 1
    assert function.strips_for((1, 2, None, None)) == function.strips_for(()) == function.STRIPS_OF_OPEN_SIZE


@pytest.mark.parametrize("height", [1, 5, 16, 37])
@pytest.mark.parametrize("strips", [2, 8, 16])
def test_strips_change_no_bit(strips: int, height: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shape = (2, 3, height, 11)
    x, flow = example(shape)
    whole = run(warp_model(shape), x=x, flow=flow)
    monkeypatch.setattr(function, "strips_for", lambda _: strips)
    model = warp_model(("N", 3, "H", "W"))
    assert sum(n.op_type == "GridSample" for n in model.functions[0].node) == strips + 1
    np.testing.assert_array_equal(run(model, x=x, flow=flow), whole)


@pytest.mark.parametrize("strips", [1, 4])
def test_shape_inference_sees_through_the_body(strips: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(function, "strips_for", lambda _: strips)
    for sizes in ((2, 3, 20, 30), ("N", 3, "H", "W")):
        model = warp_model(sizes)
        del model.graph.output[0].type.tensor_type.shape.dim[:]
        model.graph.output[0].type.tensor_type.ClearField("shape")
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        dims = inferred.graph.output[0].type.tensor_type.shape.dim
        assert tuple(d.dim_value or d.dim_param for d in dims) == sizes


def test_one_body_serves_both_paddings_and_every_size() -> None:
    """The body is chosen for the largest node of the model, and holds for the small one with the other padding."""
    small, large = (1, 3, 6, 7), (1, 3, 300, 900)
    nodes = [
        helper.make_node("BackwardWarp", ["x", "flow"], ["y"], domain=OP_DOMAIN, padding="zeros"),
        helper.make_node("BackwardWarp", ["large_x", "large_flow"], ["large_y"], domain=OP_DOMAIN),
    ]
    inputs: dict[str, Sizes] = {"x": small, "flow": (1, 2, 6, 7), "large_x": large, "large_flow": (1, 2, 300, 900)}
    model = model_of(nodes, inputs, {"y": small, "large_y": large})
    assert [f.name for f in model.functions] == ["BackwardWarp"]
    assert sum(n.op_type == "GridSample" for n in model.functions[0].node) == function.strips_for(large) + 1 == 4
    x, flow = example(small)
    large_x, large_flow = example(large)
    y, large_y = run(model, x=x, flow=flow, large_x=large_x, large_flow=large_flow)
    np.testing.assert_allclose(y, expected(x, flow, "zeros"), rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(large_y, expected(large_x, large_flow, "border"), rtol=0, atol=10 * ROUNDING)


def test_a_body_that_is_there_already_is_kept() -> None:
    model = warp_model(("N", 3, "H", "W"))
    before = model.SerializeToString(deterministic=True)
    assert attach_bodies(model).SerializeToString(deterministic=True) == before
