"""The portable body of WarpResize against PyTorch and against plain arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper
from support.op_models import op_model, run_op

from tweenrt.contract import OP_DOMAIN, OP_VERSION
from tweenrt.export.passes.attach_bodies import attach_bodies
from tweenrt.plugins.warp_resize import function
from tweenrt.plugins.warp_resize.reference import warp_resize

Array = NDArray[Any]
# A position in 0..1280 is known to about 1e-7 of it, and neighbours of normal noise differ by up to 6.
ROUNDING = 1e-4
SHAPES = [(1, 3, 1, 1, 2), (2, 7, 3, 5, 2), (1, 7, 3, 5, 4), (3, 1, 9, 1, 8), (1, 2, 1, 4, 16), (1, 10, 24, 20, 4)]
"""[N,C,rows of cells,columns of cells] and shrink."""


def noise(shape: tuple[int, ...], size: float = 1.0, seed: int = 0) -> Array:
    return (np.random.default_rng(seed).standard_normal(shape) * size).astype(np.float32)


def example(n: int, channels: int, rows: int, columns: int, shrink: int, motion: float = 3.0) -> dict[str, Array]:
    height, width = rows * shrink, columns * shrink
    return {"x": noise((n, channels, height, width)), "flow": noise((n, 2, height, width), motion, seed=1)}


def expected(inputs: dict[str, Array], shrink: int) -> Array:
    return warp_resize(*(torch.from_numpy(v) for v in inputs.values()), shrink).numpy()


@pytest.mark.parametrize("motion", [0.4, 5.0, 1e4])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_body_is_the_reference(shape: tuple[int, int, int, int, int], motion: float) -> None:
    inputs, shrink = example(*shape, motion), shape[-1]
    result = run_op("WarpResize", inputs, {"shrink": shrink})
    np.testing.assert_allclose(result, expected(inputs, shrink), rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("strips", [1, 2, 8])
@pytest.mark.parametrize("rows", [1, 3, 20])
def test_strips_change_no_bit(rows: int, strips: int, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = example(2, 3, rows, 5, 4)
    before = run_op("WarpResize", inputs, {"shrink": 4})
    monkeypatch.setattr(function, "strips_for", lambda _: strips)
    model = op_model("WarpResize", inputs, {"shrink": 4})
    assert sum(n.op_type == "GridSample" for n in model.functions[0].node) == strips
    np.testing.assert_array_equal(run_op("WarpResize", inputs, {"shrink": 4}), before)


def test_the_mean_of_the_middle_of_each_cell() -> None:
    """A shift by whole pixels, and then the four pixels in the middle: nothing of the rest of a cell shows."""
    x = noise((1, 2, 16, 24))
    flow = np.zeros((1, 2, 16, 24), np.float32)
    flow[:, 0], flow[:, 1] = 2.0, -1.0
    result = run_op("WarpResize", {"x": x, "flow": flow}, {"shrink": 8})
    moved = x[:, :, np.clip(np.arange(16) - 1, 0, 15)][:, :, :, np.clip(np.arange(24) + 2, 0, 23)]
    cells = moved.reshape(1, 2, 2, 8, 3, 8)[:, :, :, 3:5, :, 3:5]
    np.testing.assert_allclose(result, cells.mean(axis=(3, 5)), rtol=0, atol=1e-5)


def test_flow_elsewhere_in_a_cell_is_not_read() -> None:
    inputs = example(1, 3, 2, 3, 8)
    before = run_op("WarpResize", inputs, {"shrink": 8})
    near = np.zeros((16, 24), bool)
    near.reshape(2, 8, 3, 8)[:, 3:5, :, 3:5] = True
    inputs["flow"] = np.where(near, inputs["flow"], np.nan)
    np.testing.assert_array_equal(run_op("WarpResize", inputs, {"shrink": 8}), before)


def test_half_precision_image_keeps_its_type_and_exact_positions() -> None:
    """At column 3000 half precision knows whole pixels only; the flow and the coordinates stay FP32."""
    inputs = example(1, 3, 1, 1500, 2, 0.5)
    inputs["x"] = inputs["x"].astype(np.float16)
    result = run_op("WarpResize", inputs, {"shrink": 2})
    assert result.dtype == np.float16
    np.testing.assert_allclose(result, expected(inputs, 2), rtol=2e-3, atol=5e-3)


def two_sizes(height: int, width: int) -> ModelProto:
    """The same frame warped onto grids 8 and 4 times coarser."""
    nodes = [helper.make_node("WarpResize", ["x", "flow"], [f"y{s}"], domain=OP_DOMAIN, shrink=s) for s in (8, 4)]
    sizes = {"x": (1, 3, height, width), "flow": (1, 2, height, width)}
    made = {f"y{s}": (1, 3, height // s, width // s) for s in (8, 4)}
    values = {k: helper.make_tensor_value_info(k, TensorProto.FLOAT, v) for k, v in (sizes | made).items()}
    graph = helper.make_graph(nodes, "g", [values[k] for k in sizes], [values[k] for k in made])
    imports = [helper.make_opsetid("", 18), helper.make_opsetid(OP_DOMAIN, OP_VERSION)]
    model = attach_bodies(helper.make_model(graph, opset_imports=imports, ir_version=10))
    onnx.checker.check_model(model, full_check=True)
    return model


def test_one_body_serves_every_shrink_and_is_cut_for_the_largest_result() -> None:
    model = two_sizes(768, 1280)
    assert [f.name for f in model.functions] == ["WarpResize"]
    samples = sum(n.op_type == "GridSample" for n in model.functions[0].node)
    assert samples == function.strips_for((1, 2, 2 * 768 // 4, 2 * 1280 // 4)) == 2
