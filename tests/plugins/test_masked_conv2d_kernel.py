"""The CUDA kernels of MaskedConv2d against its reference, with the list of tiles that MaskTiles' reference makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support.kernels import Kernels, Output, Scratch, max_error, pack_hwc8, unpack_hwc8

from tweenrt.plugins.mask_tiles.reference import mask_tiles
from tweenrt.plugins.masked_conv2d.reference import masked_conv2d

Array = NDArray[Any]

FLOAT, HALF, HWC8 = range(3)
FLOAT_BOUND = 1e-5  # of the largest result: FP32 sums in another order
ACCUMULATION = 1e-5  # of the sum of magnitudes: what adding a few hundred products in FP32 may lose


@dataclass(frozen=True)
class Case:
    """Sizes, and which pixels are set."""

    n: int
    c: int
    d: int
    h: int
    w: int
    mask: str = "blob"


CASES = [
    Case(2, 36, 54, 17, 23),  # neither channels nor pixels fill tiles; two slices of channels
    Case(1, 72, 12, 9, 8, "scattered"),  # three slices
    Case(1, 3, 5, 13, 30),
    Case(1, 8, 100, 8, 12, "all"),  # two blocks of outputs
    Case(1, 16, 8, 24, 25, "corner"),  # more tiles without a pixel than with one
    Case(1, 8, 12, 10, 17, "none"),
    Case(2, 8, 8, 1, 9),
    Case(1, 24, 16, 9, 1, "all"),
    Case(2, 3, 3, 1, 1, "all"),
]


def mask_of(case: Case) -> Array:
    """A mask [N,1,H,W] of zeros and ones."""
    rng = np.random.default_rng(case.h)
    mask = np.zeros((case.n, 1, case.h, case.w), np.float32)
    if case.mask == "all":
        mask[...] = 1
    elif case.mask == "corner":
        mask[..., -5:, -3:] = 1
    elif case.mask == "scattered":
        mask[rng.random(mask.shape) < 0.1] = 1
    elif case.mask == "blob":
        mask[..., case.h // 3 :, : case.w // 2 + 1] = 1
        mask[-1, :, : case.h // 2, -1] = 1
    return mask


def inputs(case: Case) -> tuple[Array, ...]:
    """x, mask, weight, bias and slope, all of them FP16 numbers; the tiles."""
    rng = np.random.default_rng(case.c + case.w)
    x = rng.standard_normal((case.n, case.c, case.h, case.w))
    weight = rng.standard_normal((case.d, case.c, 3, 3)) / np.sqrt(9 * case.c)
    bias, slope = rng.standard_normal(case.d), rng.uniform(-0.5, 1.5, case.d)
    rounded = tuple(v.astype(np.float16).astype(np.float32) for v in (x, weight, bias, slope))
    mask = mask_of(case)
    return rounded[0], mask, *rounded[1:], mask_tiles(torch.from_numpy(mask)).numpy()


def workspace_of(fmt: int, case: Case) -> int:
    """Bytes: the packed weights, a multiple of 32 channels by one of 64 outputs, and the outputs' bias and slope."""
    columns = -(-case.d // 64) * 64
    return (-(-case.c // 32) * 32 * 9 * 2 + 8) * columns if fmt == HWC8 else 0


def run(kernels: Kernels, fmt: int, case: Case, values: tuple[Array, ...]) -> Array:
    """The kernel's y as NCHW, in the type that it wrote."""
    x, _, *rest, tiles = values
    dtype = np.float32 if fmt == FLOAT else np.float16
    weight, bias, slope = (v.astype(dtype) for v in rest)
    shape = (case.n, case.h, case.w, -(-case.d // 8) * 8) if fmt == HWC8 else (case.n, case.d, case.h, case.w)
    packed = pack_hwc8(x) if fmt == HWC8 else x.astype(dtype)
    sizes = (case.n, case.c, case.h, case.w, case.d)
    workspace = workspace_of(fmt, case)
    scratch = Scratch((workspace // 2,), np.float16) if workspace else None
    tail = (tiles.nbytes, workspace)
    (y,) = kernels.run(fmt, *sizes, packed, tiles, weight, bias, slope, Output(shape, dtype), scratch, *tail)
    return unpack_hwc8(y, case.d) if fmt == HWC8 else y


def exact_of(values: tuple[Array, ...]) -> Array:
    """The result in FP64."""
    *floats, tiles = values
    wide = (torch.from_numpy(v.astype(np.float64)) for v in floats)
    return np.asarray(masked_conv2d(*wide, tiles=torch.from_numpy(tiles)))


def bound(fmt: int, values: tuple[Array, ...], exact: Array) -> Array:
    """How far a result may be off."""
    if fmt == FLOAT:
        return np.full_like(exact, FLOAT_BOUND * np.abs(exact).max())
    magnitudes = exact_of(tuple(np.abs(v) for v in values[:-1]) + values[-1:])
    # The product of rounded inputs is exact; the sum is rounded to FP16 once.
    return np.asarray(0.5 * np.spacing(np.abs(exact).astype(np.float16)).astype(np.float64) + ACCUMULATION * magnitudes)


def check_parity(kernels: Kernels, fmt: int, case: Case) -> None:
    values = inputs(case)
    y = run(kernels, fmt, case, values)
    exact = exact_of(values)
    assert np.all(np.abs(y - exact) <= bound(fmt, values, exact)), f"off by {max_error(y, exact)}"
    assert not np.any(y[np.broadcast_to(values[1] == 0, y.shape)]), "not exactly zero outside of the mask"


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("fmt", [FLOAT, HALF, HWC8])
def test_parity(device: str, fmt: int, case: Case) -> None:
    check_parity(Kernels("masked_conv2d", device=device), fmt, case)


def test_values_outside_of_the_mask_do_not_count(device: str) -> None:
    """Whatever lies further than one pixel from a set one, even NaN, leaves the result as it is."""
    case = Case(1, 8, 8, 9, 17, "corner")
    values = inputs(case)
    odd = values[0].copy()
    odd[..., : case.h - 6, :] = np.nan
    kernels = Kernels("masked_conv2d", device=device)
    for fmt in (FLOAT, HALF, HWC8):
        assert max_error(run(kernels, fmt, case, (odd, *values[1:])), run(kernels, fmt, case, values)) == 0


def check_padding(kernels: Kernels) -> None:
    """An infinite feature stays out of the channels that only fill up to eight: `run` looks at them."""
    case = Case(1, 8, 4, 8, 8, "all")
    values = inputs(case)
    values[0][0, 3, 4, 4] = np.inf
    run(kernels, HWC8, case, values)


def test_infinite_features_stay_out_of_the_padding(device: str) -> None:
    check_padding(Kernels("masked_conv2d", device=device))


MUTATIONS = {
    "tiles: upper halves for both": ("__ldg(tiles + count + tile)", "__ldg(tiles + tile)"),
    "padding not cleared": ("clear_padding(eight, group * 8, channels);", ""),
    "halo: no zeros outside": ("source >= 0 && group < groups", "group < groups"),
    "halo: one for both slices": ("index % 2 * kHaloItems", "0"),
    "steps run into each other": (
        "copies_wait<kStages - 2>();\n        __syncthreads();",
        "copies_wait<kStages - 2>();",
    ),
    "weights not awaited": ("copies_wait<kStages - 2>();", "copies_wait<kStages - 1>();"),
    "half a tile left out": ("warp == 0 ? set.x : warp == 1 ? set.y", "warp == 0 ? set.y : warp == 1 ? set.x"),
    "results over the last inputs": ("__syncthreads();\n        product.finish", "product.finish"),
    "results not awaited": ("ends + first_chunk * 8);\n        __syncthreads();", "ends + first_chunk * 8);"),
    "rows outside stored": ("row >= grid.h || column >= grid.w || first_chunk", "first_chunk"),
    "second block of outputs": ("blockIdx.x % blocks * kChunks", "0"),
    "matrix: left and right": ("{b[0], b[1]}", "{b[2], b[1]}"),
    "matrix: padding kept": ("column < outputs ? 0x0000ffffu : 0u", "0xffffffffu"),
    "pack: channels that are none": ("wanted && slot < packing.group_channels && channel < packing.channels", "wanted"),
    "plain: no zeros outside": ("return inside ? to_float(x", "return true ? to_float(x"),
    "plain: matrices overwritten": (
        "right[k * kPitch + row + 16 * j];\n        __syncthreads();",
        "right[k * kPitch + row + 16 * j];",
    ),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_mutation_is_noticed(name: str) -> None:
    kernels = Kernels("masked_conv2d", patch=MUTATIONS[name])
    with pytest.raises(AssertionError):
        check_all(kernels)


def check_all(kernels: Kernels) -> None:
    check_padding(kernels)
    for fmt in (HWC8, FLOAT):
        for case in CASES:
            check_parity(kernels, fmt, case)
