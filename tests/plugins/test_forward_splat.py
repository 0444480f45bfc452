"""ForwardSplat: reference against a loop over pixels, body against reference, on any number of threads."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support.op_models import op_model, run_op

from tweenrt.plugins.forward_splat.reference import forward_splat

Array = NDArray[np.float32]


def by_loop(x: Array, flow: Array) -> Array:
    batch, channels, height, width = x.shape
    sums = np.zeros((batch, channels, height, width))
    weights = np.zeros((batch, 1, height, width))
    for n, row, column in np.ndindex(batch, height, width):
        px, py = column + float(flow[n, 0, row, column]), row + float(flow[n, 1, row, column])
        for r in (math.floor(py), math.floor(py) + 1):
            for c in (math.floor(px), math.floor(px) + 1):
                if 0 <= r < height and 0 <= c < width:
                    share = (1 - abs(px - c)) * (1 - abs(py - r))
                    sums[n, :, r, c] += share * x[n, :, row, column]
                    weights[n, 0, r, c] += share
    return (sums / np.where(weights == 0, 1, weights)).astype(np.float32)


def case(speed: float, channels: int = 3) -> tuple[Array, Array]:
    """Quarter-pixel flows, so that every weight is exact and rounding cannot decide whether a pixel is reached."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((2, channels, 9, 13)).astype(np.float32)
    flow = rng.integers(-4 * speed, 4 * speed + 1, (2, 2, 9, 13)).astype(np.float32) / 4
    return x, flow


@pytest.mark.parametrize("speed", [1, 5, 40])
def test_reference_is_a_plain_loop(speed: float) -> None:
    x, flow = case(speed)
    got = forward_splat(torch.from_numpy(x), torch.from_numpy(flow)).numpy()
    np.testing.assert_allclose(got, by_loop(x, flow), rtol=0, atol=2e-6)


def test_no_motion_changes_nothing() -> None:
    x, flow = case(0)
    np.testing.assert_array_equal(forward_splat(torch.from_numpy(x), torch.from_numpy(flow)).numpy(), x)


def test_what_nothing_reaches_is_zero() -> None:
    x = torch.ones(1, 1, 4, 6)
    flow = torch.zeros(1, 2, 4, 6)
    flow[:, 0] = 2.0
    assert forward_splat(x, flow)[0, 0, 0].tolist() == [0, 0, 1, 1, 1, 1]


def test_a_float16_image_is_summed_at_full_precision() -> None:
    x, flow = case(5)
    half = torch.from_numpy(x).half()
    got = forward_splat(half, torch.from_numpy(flow))
    assert got.dtype == torch.float16
    expected = forward_splat(half.float(), torch.from_numpy(flow))
    assert torch.equal(got, expected.half())
    body = run_op("ForwardSplat", {"x": half.numpy(), "flow": flow})
    np.testing.assert_array_equal(body, got.numpy())


@pytest.mark.parametrize("channels", [1, 3, 16])
@pytest.mark.parametrize("speed", [0, 1, 40])
def test_body_is_the_reference(speed: float, channels: int) -> None:
    x, flow = case(speed, channels)
    got = run_op("ForwardSplat", {"x": x, "flow": flow})
    expected = forward_splat(torch.from_numpy(x), torch.from_numpy(flow)).numpy()
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_no_addition_is_lost_where_all_land_on_one_pixel(threads: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 3, 128, 192)).astype(np.float32)
    rows, columns = np.mgrid[:128, :192].astype(np.float32)
    flow = np.stack((50 - columns, 70 - rows))[None]
    got = run_op("ForwardSplat", {"x": x, "flow": flow}, threads=threads)
    np.testing.assert_allclose(got[0, :, 70, 50], x.mean(axis=(0, 2, 3), dtype=np.float64), rtol=0, atol=1e-5)
    assert np.count_nonzero(got) == 3


def test_body_avoids_the_scatter_that_loses_additions() -> None:
    """ONNX Runtime's ScatterND adds from several threads without a lock; which additions are lost is chance."""
    x, flow = case(1)
    (body,) = op_model("ForwardSplat", {"x": x, "flow": flow}).functions
    assert "ScatterND" not in {node.op_type for node in body.node}
