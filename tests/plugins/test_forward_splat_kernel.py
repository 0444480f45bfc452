"""The CUDA kernels of ForwardSplat against its reference."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support.kernels import Kernels, Output, Scratch, max_error, pack_hwc8, unpack_hwc8

from tweenrt.plugins.forward_splat.reference import forward_splat

Array = NDArray[Any]
Sizes = tuple[int, int, int, int]

FORMATS = FLOAT, HALF, HWC8 = range(3)
# A block takes 64 pixels: 117, 70, 72 and 70 are no whole number of blocks.
SIZES: list[Sizes] = [(2, 3, 9, 13), (1, 36, 5, 14), (1, 8, 9, 8), (2, 1, 1, 70), (1, 9, 70, 1), (3, 3, 1, 1)]
CASES = list(itertools.product(FORMATS, (FLOAT, HALF), SIZES))

# FP32 sums in another order, of values of at most about 4 on either side: 1e-5 of that range.
ACCUMULATION = 8e-5


def inputs(sizes: Sizes, speed: float = 3.0) -> tuple[Array, Array]:
    """Features, and flows of up to `speed` pixels along each axis; a few leave the image by far."""
    n, _, h, w = sizes
    rng = np.random.default_rng(sum(sizes))
    x = rng.standard_normal(sizes).astype(np.float16).astype(np.float32)
    flow = rng.uniform(-speed, speed, (n, 2, h, w)).astype(np.float32)
    flow[rng.random(flow.shape) < 0.03] *= np.float32(3000)
    return x, flow


def run(kernels: Kernels, fmt: int, x: Array, flow: Array) -> Array:
    """The kernel's y as NCHW, in the type that it wrote."""
    n, c, h, w = x.shape
    stored = pack_hwc8(x) if fmt == HWC8 else x.astype(np.float16 if fmt == HALF else np.float32)
    flow_format = HALF if flow.dtype == np.float16 else FLOAT
    outputs = Output(stored.shape, stored.dtype), Scratch((n, h, w, c + 1), np.float32)
    (y,) = kernels.run(fmt, flow_format, n, c, h, w, stored, flow, *outputs, exact=False)
    return unpack_hwc8(y, c) if fmt == HWC8 else y


def reference(x: Array, flow: Array) -> Array:
    return forward_splat(torch.from_numpy(x), torch.from_numpy(flow)).numpy()


def assert_equal_but_for_rounding(y: Array, exact: Array) -> None:
    # Results of FP16 are the exact ones rounded once: half of the distance to the next number.
    rounding = 0.5 * np.spacing(np.abs(y)).astype(np.float32) if y.dtype == np.float16 else np.zeros_like(exact)
    error = np.abs(y.astype(np.float32) - exact)
    assert np.all(error <= rounding + ACCUMULATION), f"off by {max_error(y, exact)}"


def check_parity(kernels: Kernels, fmt: int, flow_format: int, sizes: Sizes) -> None:
    x, flow = inputs(sizes)
    flow = flow.astype(np.float16) if flow_format == HALF else flow
    assert_equal_but_for_rounding(run(kernels, fmt, x, flow), reference(x, flow.astype(np.float32)))


def check_no_number(kernels: Kernels, fmt: int) -> None:
    """Pixels whose flow is no finite number are lost like those whose flow leads far away, whatever they hold."""
    x, flow = inputs((2, 3, 9, 13))
    odd, far = flow.copy(), flow.copy()
    for k, strange in enumerate((np.nan, np.inf, -np.inf, 3e38)):
        odd[:, k % 2, k::4, ::2] = strange
        far[:, k % 2, k::4, ::2] = 1e6
    expected = reference(x, far)
    x[:, :, 0, 0] = np.nan  # its flow is NaN
    assert_equal_but_for_rounding(run(kernels, fmt, x, odd), expected)


def check_whole_pixels(kernels: Kernels, fmt: int) -> None:
    """Flows of whole pixels copy, to the bit; a column that nothing reaches is zero; one that leaves is lost."""
    x, _ = inputs((2, 11, 4, 17))
    for step in (0, 2, -3):
        flow = np.zeros((2, 2, 4, 17), np.float32)
        flow[:, 0] = step
        expected = np.zeros_like(x)
        expected[..., max(step, 0) : 17 + min(step, 0)] = x[..., max(-step, 0) : 17 - max(step, 0)]
        np.testing.assert_array_equal(run(kernels, fmt, x, flow), expected)


def check_many_on_one(kernels: Kernels, fmt: int) -> None:
    """All pixels of an image may land on one: it is their mean, and all others are zero."""
    x, _ = inputs((1, 3, 9, 13))
    x = np.abs(x)
    rows, columns = np.mgrid[:9, :13].astype(np.float32)
    expected = np.zeros_like(x)
    expected[0, :, 7, 5] = x.mean(axis=(0, 2, 3), dtype=np.float64)
    assert_equal_but_for_rounding(run(kernels, fmt, x, np.stack((5 - columns, 7 - rows))[None]), expected)


@pytest.mark.parametrize(("fmt", "flow_format", "sizes"), CASES)
def test_parity(device: str, fmt: int, flow_format: int, sizes: Sizes) -> None:
    check_parity(Kernels("forward_splat", device=device), fmt, flow_format, sizes)


@pytest.mark.parametrize("fmt", FORMATS)
def test_flows_that_are_no_numbers(device: str, fmt: int) -> None:
    check_no_number(Kernels("forward_splat", device=device), fmt)


@pytest.mark.parametrize("fmt", FORMATS)
def test_flows_of_whole_pixels(device: str, fmt: int) -> None:
    check_whole_pixels(Kernels("forward_splat", device=device), fmt)


@pytest.mark.parametrize("fmt", FORMATS)
def test_many_pixels_may_land_on_one(device: str, fmt: int) -> None:
    check_many_on_one(Kernels("forward_splat", device=device), fmt)


MUTATIONS = {
    "sums not cleared": ("cudaMemsetAsync(sums, 0, forward_splat_workspace(size), stream)", "cudaSuccess"),
    "not all sums cleared": ("(size.c + 1) * sizeof", "size.c * sizeof"),
    "one column too many": ("position < static_cast<float>(size)", "position <= static_cast<float>(size)"),
    "the pixel before the first": ("first < 0 ? 0.0f : ", ""),
    "the pixel after the last": ("first + 1 < size ?", "first + 1 <= size ?"),
    "no guard against NaN": (
        "!(position > -1.0f && position < static_cast<float>(size))",
        "position <= -1.0f || position >= static_cast<float>(size)",
    ),
    "shares swapped": (
        "corner % 2 ? across.share_next : across.share",
        "corner % 2 ? across.share : across.share_next",
    ),
    "flow of the wrong direction": ("pixel % size.w + to_float(flow[pixel])", "pixel % size.w + to_float(flow[0])"),
    "flow of the first image": ("flow += static_cast<size_t>(image) * pixels * 2;", ""),
    "all images into the first": ("y += static_cast<size_t>(image) * pixels * groups;", ""),
    "only the last one counts": (
        "atomicAdd(sums + static_cast<size_t>(row * size.w + column) * terms + channel, value * share)",
        "sums[static_cast<size_t>(row * size.w + column) * terms + channel] = value * share",
    ),
    "weight other than one": (": 1.0f;", ": 0.5f;"),
    "division by zero": ("weight == 0.0f ? 0.0f : ", ""),
    "padding not cleared": ("channel < size.c ? average(", "true ? average("),
    "last block not cut": ("if (pixel >= pixels) return;\n    for", "for"),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_mutation_is_noticed(name: str) -> None:
    kernels = Kernels("forward_splat", patch=MUTATIONS[name])
    with pytest.raises(AssertionError):
        check_all(kernels)


def check_all(kernels: Kernels) -> None:
    for fmt in FORMATS:
        check_whole_pixels(kernels, fmt)
        check_many_on_one(kernels, fmt)
        check_no_number(kernels, fmt)
    for case in CASES:
        check_parity(kernels, *case)
