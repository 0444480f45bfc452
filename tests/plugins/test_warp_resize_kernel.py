"""The CUDA kernels of WarpResize against its reference."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support.kernels import Kernels, Output, max_error, pack_hwc8, unpack_hwc8

from tweenrt.plugins.warp_resize.reference import warp_resize

Array = NDArray[Any]
Sizes = tuple[int, int, int, int]

FLOAT, HALF, HWC8 = FORMATS = range(3)
# Sizes of x and shrink. 13x15 cells of 7 channels are no whole number of blocks, in planes as in groups of eight.
SIZES: list[tuple[Sizes, int]] = [
    ((2, 36, 10, 14), 2),
    ((1, 7, 52, 60), 4),
    ((2, 7, 24, 40), 8),
    ((1, 8, 48, 16), 16),
    ((1, 12, 6, 30), 6),
    ((1, 3, 2, 2), 2),
    ((3, 1, 16, 16), 16),
]
CASES = list(itertools.product(FORMATS, (FLOAT, HALF), SIZES))

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


def run(kernels: Kernels, fmt: int, shrink: int, x: Array, flow: Array) -> Array:
    """The kernel's y as NCHW, in the type that it wrote."""
    n, c, h, w = x.shape
    flow_format = HALF if flow.dtype == np.float16 else FLOAT
    side = (h // shrink, w // shrink)
    if fmt == HWC8:
        packed = pack_hwc8(x)
        output = Output((n, *side, packed.shape[3]), np.float16)
        (y,) = kernels.run(fmt, flow_format, n, c, h, w, shrink, packed, flow, output)
        return unpack_hwc8(y, c)
    dtype = np.float16 if fmt == HALF else np.float32
    output = Output((n, c, *side), dtype)
    (y,) = kernels.run(fmt, flow_format, n, c, h, w, shrink, x.astype(dtype), flow, output)
    return y


def check_parity(kernels: Kernels, fmt: int, flow_format: int, case: tuple[Sizes, int]) -> None:
    sizes, shrink = case
    x, flow = inputs(sizes, flow_format)
    y = run(kernels, fmt, shrink, x, flow)
    exact = warp_resize(torch.from_numpy(x), torch.from_numpy(flow.astype(np.float32)), shrink).numpy()
    # Results of FP16 are the exact ones rounded once: half of the distance to the next number.
    rounding = 0.5 * np.spacing(np.abs(y)).astype(np.float32) if fmt != FLOAT else np.zeros_like(exact)
    error = np.abs(y.astype(np.float32) - exact)
    assert np.all(error <= rounding + ACCUMULATION), f"off by {max_error(y, exact)}"


def check_no_number(kernels: Kernels, fmt: int) -> None:
    """Flows that are no finite numbers read like flows far outside; NaN reads like one to the left or above."""
    x, flow = inputs((1, 12, 8, 10), FLOAT)
    odd, far = flow.copy(), flow.copy()
    for k, (strange, plain) in enumerate(((np.nan, -1e6), (np.inf, 1e6), (-np.inf, -1e6), (3e38, 1e6))):
        odd[:, k % 2, k::4, ::2] = strange
        far[:, k % 2, k::4, ::2] = plain
    assert max_error(run(kernels, fmt, 2, x, odd), run(kernels, fmt, 2, x, far)) == 0


@pytest.mark.parametrize(("fmt", "flow_format", "case"), CASES)
def test_parity(device: str, fmt: int, flow_format: int, case: tuple[Sizes, int]) -> None:
    check_parity(Kernels("warp_resize", device=device), fmt, flow_format, case)


@pytest.mark.parametrize("fmt", FORMATS)
def test_flows_that_are_no_numbers(device: str, fmt: int) -> None:
    check_no_number(Kernels("warp_resize", device=device), fmt)


@pytest.mark.parametrize("fmt", FORMATS)
def test_only_the_middle_of_a_cell_counts(device: str, fmt: int) -> None:
    kernels = Kernels("warp_resize", device=device)
    x, flow = inputs((1, 7, 24, 40), FLOAT)
    elsewhere = np.full_like(flow, np.nan)
    for row, column in itertools.product((3, 4), repeat=2):
        elsewhere[..., row::8, column::8] = flow[..., row::8, column::8]
    assert max_error(run(kernels, fmt, 8, x, elsewhere), run(kernels, fmt, 8, x, flow)) == 0


MUTATIONS = {
    "padding not cleared": ("clear_padding(out, group * 8, size.c);", ""),
    "flow of the wrong direction": ("row + to_float(flow[pixels + pixel])", "row + to_float(flow[pixel])"),
    "flow in columns": ("column + to_float(flow[pixel])", "column - to_float(flow[pixel])"),
    "zeros outside": ("corners<Border::kEdge>", "corners<Border::kZeros>"),
    "cells as if square": ("cells_across = size.w / shrink", "cells_across = size.h / shrink"),
    "top of a cell": (
        "int const row = cell / cells_across * shrink + shrink / 2 - 1",
        "int const row = cell / cells_across * shrink",
    ),
    "right of the middle": (
        "column = cell % cells_across * shrink + shrink / 2 - 1",
        "column = cell % cells_across * shrink + shrink / 2",
    ),
    "top left alone": ("source(size, row, column + 1, flow)", "source(size, row, column, flow)"),
    "one sample twice": ("nw + ne + (sw + se)", "nw + ne + (sw + sw)"),
    "groups: a sample rounded before the mean": (
        "mean(nw.value[i],",
        "mean(to_float(from_float<__half>(nw.value[i])),",
    ),
    "planes: a sample rounded before the mean": (
        "mean(sample(x, 1, at.nw)",
        "mean(to_float(from_float<T>(sample(x, 1, at.nw)))",
    ),
    "groups: all images into the first": ("y += image * cells * groups;", ""),
    "groups: the first image's x": ("x += image * pixels * groups;", ""),
    "groups: the first image's flow": ("item / groups, flow + image * pixels * 2", "item / groups, flow"),
    "groups: last block not cut": ("if (item >= cells * groups) return;", ""),
    "groups: one group only": ("cells * (padded_channels(size.c) / 8)", "cells"),
    "planes: all images into the first": ("y += image * size.c * cells;", ""),
    "planes: the first image's x": ("x += image * size.c * pixels;", ""),
    "planes: the first image's flow": ("shrink, cell, flow + image * pixels * 2", "shrink, cell, flow"),
    "planes: last block not cut": ("if (cell >= cells) return;", ""),
    "planes: the first plane for all": ("++c, x += pixels, y += cells", "++c, y += cells"),
    "last block missing": ("ceil_div(items, kThreads)", "items > kThreads ? items / kThreads : 1"),
    "neighbour not clamped": ("if (out.second >= size)", "if (out.second > size)"),
    "NaN reads the other end": (
        "fminf(fmaxf(position, -slack), last + slack)",
        "fmaxf(fminf(position, last + slack), -slack)",
    ),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_mutation_is_noticed(name: str) -> None:
    kernels = Kernels("warp_resize", patch=MUTATIONS[name])
    with pytest.raises(AssertionError):
        check_all(kernels)


def check_all(kernels: Kernels) -> None:
    for case in CASES:
        check_parity(kernels, *case)
    for fmt in FORMATS:
        check_no_number(kernels, fmt)
