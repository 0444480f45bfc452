"""The CUDA kernels of DeformConv2d against its reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support.kernels import Kernels, Output, Scratch, max_error, pack_hwc8, unpack_hwc8

from tweenrt.plugins.deform_conv2d.reference import deform_conv2d

Array = NDArray[Any]

FLOAT, HALF, HWC8 = range(3)
FLOAT_BOUND = 1e-5  # of the largest result: FP32 positions and sums, in another order
ACCUMULATION = 1e-5  # of the sum of magnitudes: the same, where results are FP16
HALF_ULP = 2.0**-11  # what rounding a number to FP16 may change of it


@dataclass(frozen=True)
class Case:
    """Sizes: `g` groups of the `c` channels share taps."""

    n: int
    c: int
    g: int
    d: int
    h: int
    w: int
    offset: int = FLOAT
    mask: int = FLOAT


CASES = [
    Case(2, 36, 1, 20, 11, 9),  # neither channels nor pixels fill tiles
    Case(1, 32, 2, 24, 7, 17, HALF, FLOAT),
    Case(1, 24, 3, 136, 6, 5, FLOAT, HALF),  # eight channels a group; two blocks of outputs
    Case(1, 128, 8, 100, 5, 8, HALF, HALF),  # the groups of CSPA
    Case(2, 12, 3, 68, 5, 9),  # groups that are no multiple of eight channels
    Case(2, 8, 1, 8, 1, 9),
    Case(1, 16, 1, 5, 9, 1),
    Case(2, 3, 3, 3, 1, 1),
]


def inputs(case: Case) -> tuple[Array, ...]:
    """x, offset, mask, weight and bias; all are FP16 numbers. Some taps lie far outside."""
    rng = np.random.default_rng(case.c + case.w)
    x = rng.standard_normal((case.n, case.c, case.h, case.w))
    offset = 2 * rng.standard_normal((case.n, case.g * 18, case.h, case.w))
    offset[rng.random(offset.shape) < 0.05] *= 3000
    offset[rng.random(offset.shape) < 0.1] = 0
    mask = rng.random((case.n, case.g * 9, case.h, case.w))
    weight = rng.standard_normal((case.d, case.c, 3, 3)) / np.sqrt(9 * case.c)
    bias = rng.standard_normal(case.d)
    return tuple(v.astype(np.float16).astype(np.float32) for v in (x, offset, mask, weight, bias))


def workspace_of(fmt: int, case: Case) -> int:
    """Bytes: packed weights, nine taps of each group filled up to a multiple of 32, and the outputs' bias and slope."""
    channels = case.c // case.g
    if fmt != HWC8 or (case.g > 1 and channels % 8 != 0):
        return 0
    block = 128 if case.d > 64 else 64
    columns = -(-case.d // block) * block
    depth = case.g * -(-9 * (-(-channels // 8) * 8) // 32) * 32
    return (depth * 2 + 8) * columns


def run(kernels: Kernels, fmt: int, case: Case, values: tuple[Array, ...]) -> Array:
    """The kernel's y as NCHW, in the type that it wrote."""
    dtype = np.float32 if fmt == FLOAT else np.float16
    x, offset, mask, weight, bias = values
    taps = [v.astype(np.float16 if f == HALF else np.float32) for v, f in ((offset, case.offset), (mask, case.mask))]
    packed = pack_hwc8(x) if fmt == HWC8 else x.astype(dtype)
    shape = (case.n, case.h, case.w, -(-case.d // 8) * 8) if fmt == HWC8 else (case.n, case.d, case.h, case.w)
    workspace = workspace_of(fmt, case)
    sizes = (case.n, case.c, case.h, case.w, case.g, case.d)
    arrays = (packed, *taps, weight.astype(dtype), bias.astype(dtype), Output(shape, dtype))
    scratch = Scratch((workspace // 2,), np.float16) if workspace else None
    (y,) = kernels.run(fmt, case.offset, case.mask, *sizes, *arrays, scratch, workspace)
    return unpack_hwc8(y, case.d) if fmt == HWC8 else y


def exact_of(values: tuple[Array, ...]) -> Array:
    return deform_conv2d(*(torch.from_numpy(v.astype(np.float64)) for v in values)).numpy()


def bound(fmt: int, values: tuple[Array, ...], exact: Array) -> Array:
    """How far a result may be off."""
    if fmt == FLOAT:
        return np.full_like(exact, FLOAT_BOUND * np.abs(exact).max())
    x, offset, mask, weight, bias = values
    magnitudes = exact_of((np.abs(x), offset, mask, np.abs(weight), np.abs(bias)))
    # The tensor cores take FP16: every sample is rounded once. So is the result.
    samples = HALF_ULP if fmt == HWC8 else 0.0
    result = 0.5 * np.spacing(np.abs(exact).astype(np.float16)).astype(np.float64)
    return np.asarray(result + (samples + ACCUMULATION) * magnitudes)


def check_parity(kernels: Kernels, fmt: int, case: Case) -> None:
    values = inputs(case)
    y = run(kernels, fmt, case, values)
    exact = exact_of(values)
    assert np.all(np.abs(y - exact) <= bound(fmt, values, exact)), f"off by {max_error(y, exact)}"


def check_no_number(kernels: Kernels, fmt: int, case: Case) -> None:
    """Offsets that are no finite numbers read like offsets far outside."""
    values = inputs(case)
    odd, far = values[1].copy(), values[1].copy()
    for k, (strange, plain) in enumerate(((np.nan, -1e6), (np.inf, 1e6), (-np.inf, -1e6), (3e38, 1e6))):
        odd[:, k::5, k::4, ::2] = strange
        far[:, k::5, k::4, ::2] = plain
    y = [run(kernels, fmt, case, (values[0], offset, *values[2:])) for offset in (odd, far)]
    assert max_error(y[0], y[1]) == 0


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("fmt", [FLOAT, HALF, HWC8])
def test_parity(device: str, fmt: int, case: Case) -> None:
    check_parity(Kernels("deform_conv2d", device=device), fmt, case)


@pytest.mark.parametrize("fmt", [FLOAT, HWC8])
def test_offsets_that_are_no_numbers(device: str, fmt: int) -> None:
    check_no_number(Kernels("deform_conv2d", device=device), fmt, CASES[0])


MUTATIONS = {
    "pixel outside": ("max(0, min(static_cast<int>(floorf(p)), size - 2))", "static_cast<int>(floorf(p))"),
    "neighbour of a single pixel": ("size > 1 ? fmaxf(", "true ? fmaxf("),
    "x before y": ("(2 * plane + 1) * pixels", "2 * plane * pixels"),
    "mask of another tap": ("taps.mask_format, plane * pixels + pixel", "taps.mask_format, pixel"),
    "corner twice": ("sw[0], sw[to.right * row]}", "sw[0], sw[0]}"),
    "padding not cleared": ("if (fetched.eight * 8 + 8 > size.c) clear_padding", "if (false) clear_padding"),
    "samples of the other group": ("out.sample = group % 2 * kSamples +", "out.sample ="),
    "samples of the next group too early": ("int const first = group % 2 * kSamples;", "int const first = 0;"),
    "samples not awaited": ("sampler.prepare(0);\n    __syncthreads();", "sampler.prepare(0);"),
    "steps run into each other": ("copies_wait<0>();\n        __syncthreads();", "copies_wait<0>();"),
    "weights not awaited": ("copies_wait<0>();", "copies_wait<1>();"),
    "half of a step left out": ("if (half * 16 < depth)", "if (half == 0)"),
    "results over the last inputs": (
        "matrices);\n    __syncthreads();\n    int const warp",
        "matrices);\n    int const warp",
    ),
    "results not awaited": ("first_chunk * 8);\n    __syncthreads();", "first_chunk * 8);"),
    "pixels outside stored": ("if (tile.has(size, pixel) && chunk < chunks)", "if (chunk < chunks)"),
    "plain: padding": ("output < outputs ? sum + to_float(bias[output]) : 0.0f", "sum"),
    "plain: taps of the first group": ("group = channel / (size.c / taps.groups)", "group = 0"),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_mutation_is_noticed(name: str) -> None:
    kernels = Kernels("deform_conv2d", patch=MUTATIONS[name])
    with pytest.raises(AssertionError):
        check_all(kernels)


def check_all(kernels: Kernels) -> None:
    for fmt in (HWC8, FLOAT):
        for case in CASES:
            check_parity(kernels, fmt, case)
        check_no_number(kernels, fmt, CASES[0])
