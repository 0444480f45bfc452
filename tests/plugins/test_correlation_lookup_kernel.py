"""The CUDA kernels of CorrelationLookup against its reference."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support.kernels import KernelError, Kernels, Output, max_error, pack_hwc8, unpack_hwc8

from tweenrt.plugins.correlation_lookup.reference import correlation_lookup

Array = NDArray[Any]

FORMATS = FLOAT, HALF, HWC8 = range(3)


class Case(NamedTuple):
    """Sizes of one lookup: images, the grid of queries, one query's map, and half the window's side."""

    batch: int
    grid: tuple[int, int]
    level: tuple[int, int]
    radius: int


# A block takes 32 queries: 35, 33 and 45 are no multiple. Maps are larger than the patch, smaller, and of one pixel.
SHAPES = [
    Case(2, (5, 7), (13, 18), 4),
    Case(1, (3, 11), (9, 12), 3),
    Case(1, (5, 9), (3, 2), 3),
    Case(2, (2, 3), (1, 1), 4),
    Case(1, (2, 3), (1, 5), 1),
    Case(1, (1, 2), (4, 1), 0),
    Case(1, (1, 2), (21, 23), 8),
]
CASES = list(itertools.product(FORMATS, (FLOAT, HALF), SHAPES))

# The reference normalises positions, which moves them by up to 2e-6 pixels here; samples differ by at most 8 a pixel.
ACCUMULATION = 2e-5


def inputs(case: Case) -> tuple[Array, Array]:
    """Maps, and coordinates inside them, around their borders and far outside; some exactly on a pixel."""
    rng = np.random.default_rng(sum(case.grid + case.level))
    rows, columns = case.grid
    corr = rng.standard_normal((case.batch * rows * columns, 1, *case.level)).astype(np.float16).astype(np.float32)
    reach = np.array(case.level[::-1], np.float32)[:, None, None] + case.radius + 1
    coords = rng.uniform(-0.5, 1.0, (case.batch, 2, rows, columns)).astype(np.float32) * reach
    whole = rng.random((case.batch, 1, rows, columns)) < 0.2
    coords = np.where(whole, np.floor(coords), coords)
    coords[rng.random(coords.shape) < 0.03] *= np.float32(3000)
    return corr, coords


def run(kernels: Kernels, fmt: int, radius: int, corr: Array, coords: Array) -> Array:
    """The kernel's y as NCHW, in the type that it wrote."""
    n, _, h, w = coords.shape
    dtype = np.float32 if fmt == FLOAT else np.float16
    coords_format = HALF if coords.dtype == np.float16 else FLOAT
    shape = (n, (2 * radius + 1) ** 2, h, w)
    output = Output(pack_hwc8(np.zeros(shape)).shape if fmt == HWC8 else shape, dtype)
    (y,) = kernels.run(fmt, coords_format, n, h, w, *corr.shape[2:], radius, corr.astype(dtype), coords, output)
    return unpack_hwc8(y, shape[1]) if fmt == HWC8 else y


def check_parity(kernels: Kernels, fmt: int, coords_format: int, case: Case) -> None:
    corr, coords = inputs(case)
    coords = coords.astype(np.float16) if coords_format == HALF else coords
    y = run(kernels, fmt, case.radius, corr, coords)
    exact = correlation_lookup(torch.from_numpy(corr), torch.from_numpy(coords).float(), case.radius).numpy()
    # Results of FP16 are the exact ones rounded once: half of the distance to the next number.
    rounding = 0.5 * np.spacing(np.abs(y)).astype(np.float32) if fmt != FLOAT else np.zeros_like(exact)
    error = np.abs(y.astype(np.float32) - exact)
    assert np.all(error <= rounding + ACCUMULATION), f"off by {max_error(y, exact)}"


def check_no_number(kernels: Kernels, fmt: int) -> None:
    """A query whose coordinates are no finite numbers, or are far outside, sees zeros; the others do not change."""
    case = SHAPES[0]
    corr, coords = inputs(case)
    coords[:, 0], coords[:, 1] = 6.5, 4.25
    strange = coords.copy()
    for k, value in enumerate((np.nan, np.inf, -np.inf, 3e38, -3e38, 2.0**31)):
        strange[:, k % 2, :, k] = value
    expected = run(kernels, fmt, case.radius, corr, coords)
    assert np.all(np.any(expected, axis=1))
    expected[..., :6] = 0
    np.testing.assert_array_equal(run(kernels, fmt, case.radius, corr, strange), expected)


@pytest.mark.parametrize(("fmt", "coords_format", "case"), CASES)
def test_parity(device: str, fmt: int, coords_format: int, case: Case) -> None:
    check_parity(Kernels("correlation_lookup", device=device), fmt, coords_format, case)


@pytest.mark.parametrize("fmt", FORMATS)
def test_coordinates_that_are_no_numbers(device: str, fmt: int) -> None:
    check_no_number(Kernels("correlation_lookup", device=device), fmt)


@pytest.mark.parametrize("radius", [-1, 9])
def test_a_radius_out_of_range_is_refused(device: str, radius: int) -> None:
    corr, coords = inputs(SHAPES[-1])
    with pytest.raises(KernelError, match="CUDA error 1"):
        run(Kernels("correlation_lookup", device=device), FLOAT, radius, corr, coords)


MUTATIONS = {
    "barrier missing": ("__syncthreads();", ""),
    "window transposed": ("column * side + row]", "row * side + column]"),
    "patches overlap": ("patch_side(radius) | 1", "patch_side(radius) - 1"),
    "rows left out": ("row += rows)", "row += rows + 1)"),
    "queries left out": ("i < kQueriesPerWarp", "i < kQueriesPerWarp - 1"),
    "map of the query before": (
        "static_cast<size_t>(query) * size.map_h",
        "static_cast<size_t>(first_query) * size.map_h",
    ),
    "maps of the first image": ("corr += blockIdx.y * queries * size.map_h * size.map_w;", ""),
    "coordinates of the first image": ("coords += blockIdx.y * queries * 2;", ""),
    "all images into the first": ("y += blockIdx.y * image_stride;", ""),
    "no zeros left of a map": ("x >= 0 && ", ""),
    "no zeros below a map": (" && y < size.map_h", ""),
    "last block not cut": ("min(first_query + first_slot + i, queries - 1)", "(first_query + first_slot + i)"),
    "clamped too early": ("-radius - 2", "-radius"),
    "clamped too late": ("size + radius)", "size + radius - 1)"),
    "NaN reads the other end": (
        "fminf(fmaxf(position, static_cast<float>(-radius - 2)), static_cast<float>(size + radius))",
        "position",
    ),
    "blend transposed": ("share_x * nw[side])", "share_x * nw[1])"),
    "planes: samples left out": ("k += kWarps)", "k += kWarps + 1)"),
    "HWC8: column of the next sample": ("if (k == (column + 1) * window)", "if (k + 1 == (column + 1) * window)"),
    "HWC8: padding not cleared": ("column < window ?", "true ?"),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_mutation_is_noticed(name: str) -> None:
    kernels = Kernels("correlation_lookup", patch=MUTATIONS[name])
    with pytest.raises(AssertionError):
        check_all(kernels)


def check_all(kernels: Kernels) -> None:
    for fmt in FORMATS:
        check_no_number(kernels, fmt)
    for case in CASES:
        check_parity(kernels, *case)
