"""The CUDA kernels of BackwardWarp against its reference."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support.kernels import Kernels, Output, max_error, pack_hwc8, unpack_hwc8

from tweenrt.plugins.backward_warp.reference import backward_warp

Array = NDArray[Any]
Sizes = tuple[int, int, int, int]

FLOAT, HALF, HWC8 = range(3)
BORDERS = ("border", "zeros")
SIZES: list[Sizes] = [(2, 36, 17, 23), (1, 54, 9, 8), (1, 3, 13, 30), (2, 8, 1, 9), (1, 24, 9, 1), (2, 3, 1, 1)]
CASES = list(itertools.product((FLOAT, HALF, HWC8), (FLOAT, HALF), (0, 1), SIZES))

# A few roundings of the position and of the blend, of values of at most about 5.
ACCUMULATION = 5e-5


def inputs(sizes: Sizes, flow_format: int) -> tuple[Array, Array]:
    """A feature map and a flow that leaves it on every side, somewhere by far."""
    n, _, h, w = sizes
    rng = np.random.default_rng(sum(sizes))
    x = rng.standard_normal(sizes).astype(np.float16).astype(np.float32)
    flow = (4 * rng.standard_normal((n, 2, h, w))).astype(np.float32)
    far = rng.random(flow.shape) < 0.03
    flow[far] *= np.float32(3000)
    return x, flow.astype(np.float16) if flow_format == HALF else flow


def run(kernels: Kernels, fmt: int, border: int, x: Array, flow: Array) -> Array:
    """The kernel's y as NCHW, in the type that it wrote."""
    n, c, h, w = x.shape
    flow_format = HALF if flow.dtype == np.float16 else FLOAT
    if fmt == HWC8:
        packed = pack_hwc8(x)
        (y,) = kernels.run(fmt, flow_format, n, c, h, w, border, packed, flow, Output(packed.shape, np.float16))
        return unpack_hwc8(y, c)
    dtype = np.float16 if fmt == HALF else np.float32
    (y,) = kernels.run(fmt, flow_format, n, c, h, w, border, x.astype(dtype), flow, Output(x.shape, dtype))
    return y


def check_parity(kernels: Kernels, fmt: int, flow_format: int, border: int, sizes: Sizes) -> None:
    x, flow = inputs(sizes, flow_format)
    y = run(kernels, fmt, border, x, flow)
    exact = backward_warp(torch.from_numpy(x), torch.from_numpy(flow.astype(np.float32)), BORDERS[border]).numpy()
    # Results of FP16 are the exact ones rounded once: half of the distance to the next number.
    rounding = 0.5 * np.spacing(np.abs(y)).astype(np.float32) if fmt != FLOAT else np.zeros_like(exact)
    error = np.abs(y.astype(np.float32) - exact)
    assert np.all(error <= rounding + ACCUMULATION), f"off by {max_error(y, exact)}"


def check_no_number(kernels: Kernels, fmt: int, border: int) -> None:
    """Flows that are no finite numbers read like flows far outside; NaN reads like one to the left or above."""
    x, flow = inputs((1, 12, 9, 11), FLOAT)
    odd, far = flow.copy(), flow.copy()
    for k, (strange, plain) in enumerate(((np.nan, -1e6), (np.inf, 1e6), (-np.inf, -1e6), (3e38, 1e6))):
        odd[:, k % 2, k::4, ::2] = strange
        far[:, k % 2, k::4, ::2] = plain
    assert max_error(run(kernels, fmt, border, x, odd), run(kernels, fmt, border, x, far)) == 0


@pytest.mark.parametrize(("fmt", "flow_format", "border", "sizes"), CASES)
def test_parity(device: str, fmt: int, flow_format: int, border: int, sizes: Sizes) -> None:
    check_parity(Kernels("backward_warp", device=device), fmt, flow_format, border, sizes)


@pytest.mark.parametrize("border", [0, 1])
@pytest.mark.parametrize("fmt", [FLOAT, HALF, HWC8])
def test_flows_that_are_no_numbers(device: str, fmt: int, border: int) -> None:
    check_no_number(Kernels("backward_warp", device=device), fmt, border)


MUTATIONS = {
    "padding not cleared": ("clear_padding(out, group * 8, size.c);", ""),
    "tile not cut": ("if (column >= size.w || row >= size.h) continue;", ""),
    "flow of the wrong direction": ("row + to_float(flow[pixels + pixel])", "row + to_float(flow[pixel])"),
    "all images into the first": ("y += static_cast<size_t>(image) * pixels * groups;", ""),
    "every second item": ("groups; item += kThreads", "groups; item += 2 * kThreads"),
    "last block of the planes not cut": ("if (pixel >= pixels) return;", ""),
    "planes of the first image": ("static_cast<size_t>(blockIdx.y) * size.c * pixels", "0"),
    "neighbour not clamped": ("if (out.second >= size)", "if (out.second > size)"),
    "NaN reads the other end": (
        "fminf(fmaxf(position, -slack), last + slack)",
        "fmaxf(fminf(position, last + slack), -slack)",
    ),
    "zeros beside one pixel": ("kBorder == Border::kZeros && size > 1 ?", "kBorder == Border::kZeros ?"),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_mutation_is_noticed(name: str) -> None:
    kernels = Kernels("backward_warp", patch=MUTATIONS[name])
    with pytest.raises(AssertionError):
        check_all(kernels)


def check_all(kernels: Kernels) -> None:
    for case in CASES:
        check_parity(kernels, *case)
    for fmt, border in itertools.product((FLOAT, HALF, HWC8), (0, 1)):
        check_no_number(kernels, fmt, border)
