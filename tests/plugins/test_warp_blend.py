"""The portable body of WarpBlend against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from support.op_models import op_model, run_op

from tweenrt.export.passes.attach_bodies import attach_bodies
from tweenrt.plugins.backward_warp import function
from tweenrt.plugins.warp_blend.reference import warp_blend

Array = NDArray[Any]
# Two warps whose positions are rounded differently, of noise between 0 and 1.
ROUNDING = 2e-5


def example(n: int, height: int, width: int, motion: float = 4.0) -> dict[str, Array]:
    rng = np.random.default_rng(0)
    unit = {k: rng.random((n, c, height, width)) for k, c in (("frame0", 3), ("frame1", 3), ("mask", 1))}
    flows = {k: rng.standard_normal((n, 2, height, width)) * motion for k in ("flow0", "flow1")}
    order = ("frame0", "frame1", "flow0", "flow1", "mask")
    inputs = {k: (unit | flows)[k].astype(np.float32) for k in order}
    return inputs | {"residual": (rng.standard_normal((n, 3, height, width)) * 0.1).astype(np.float32)}


def expected(inputs: dict[str, Array]) -> Array:
    return warp_blend(*(torch.from_numpy(v) for v in inputs.values())).numpy()


@pytest.mark.parametrize("motion", [0.4, 5.0, 1e4])
@pytest.mark.parametrize("size", [(1, 17, 23), (3, 1, 9), (2, 9, 1), (1, 1, 1), (2, 40, 64)], ids=str)
def test_body_is_the_reference(size: tuple[int, int, int], motion: float) -> None:
    inputs = example(*size, motion)
    np.testing.assert_allclose(run_op("WarpBlend", inputs), expected(inputs), rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 1, 1), (2, 1, 12, 20)], ids=str)
def test_residual_may_be_smaller(shape: tuple[int, ...]) -> None:
    inputs = example(2, 12, 20) | {"residual": np.full(shape, 0.25, np.float32)}
    np.testing.assert_allclose(run_op("WarpBlend", inputs), expected(inputs), rtol=0, atol=ROUNDING)


def test_mask_weighs_the_earlier_frame() -> None:
    inputs = example(1, 12, 20, motion=0.0) | {"residual": np.zeros((1, 1, 1, 1), np.float32)}
    for mask, frame in ((1.0, "frame0"), (0.0, "frame1")):
        inputs["mask"] = np.full((1, 1, 12, 20), mask, np.float32)
        np.testing.assert_allclose(run_op("WarpBlend", inputs), inputs[frame], rtol=0, atol=ROUNDING)


def test_half_precision_frames_keep_their_type() -> None:
    inputs = example(1, 16, 24)
    half = {k: v if "flow" in k else v.astype(np.float16) for k, v in inputs.items()}
    result = run_op("WarpBlend", half)
    assert result.dtype == np.float16
    np.testing.assert_allclose(result, expected(half), rtol=0, atol=4e-3)


def test_the_warps_inside_are_cut_for_the_frames_outside() -> None:
    inputs = example(1, 300, 900)
    model = op_model("WarpBlend", inputs)
    for value in model.graph.input:
        value.CopyFrom(onnx.helper.make_tensor_value_info(value.name, onnx.TensorProto.FLOAT, inputs[value.name].shape))
    del model.functions[:]
    bodies = {f.name: f for f in attach_bodies(model).functions}
    assert set(bodies) == {"WarpBlend", "BackwardWarp"}
    samples = sum(n.op_type == "GridSample" for n in bodies["BackwardWarp"].node)
    assert samples == function.strips_for((1, 2, 300, 900)) + 1 == 4
