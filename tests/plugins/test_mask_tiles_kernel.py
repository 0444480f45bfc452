"""The CUDA kernels of MaskTiles against its reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support.kernels import Kernels, Output

from tweenrt.plugins.mask_tiles.reference import mask_tiles

Array = NDArray[Any]

# (N, H, W): partial tiles on both sides, a single pixel, more tiles than the block that orders them has threads.
SIZES = {"several images": (2, 17, 23), "one pixel": (2, 1, 1), "many tiles": (1, 9, 8 * 600)}


def mask_of(size: tuple[int, int, int], share: float = 0.01) -> Array:
    n, h, w = size
    return (np.random.default_rng(w).random((n, 1, h, w)) < share).astype(np.float32)


def check(kernels: Kernels, mask: Array) -> None:
    expected = mask_tiles(torch.from_numpy(mask)).numpy()
    n, _, h, w = mask.shape
    (tiles,) = kernels.run(int(mask.dtype == np.float16), n, h, w, mask, Output(expected.shape, np.int32))
    np.testing.assert_array_equal(tiles, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("size", SIZES)
def test_parity(device: str, size: str, dtype: type) -> None:
    check(Kernels("mask_tiles", device=device), mask_of(SIZES[size]).astype(dtype))


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_empty_and_full_masks(device: str, share: float) -> None:
    check(Kernels("mask_tiles", device=device), mask_of(SIZES["several images"], share))


MUTATIONS = {
    "pixels outside of the image": ("y < grid.h && column < grid.w &&", ""),
    "always the first image": ("mask += static_cast<size_t>(tile.image) * grid.h * grid.w;", ""),
    "halves swapped": ("lane == 0 ? upper : lower", "lane == 0 ? lower : upper"),
    "lower halves do not count": ("(pixels[tile] | pixels[tiles + tile])", "pixels[tile]"),
    "others forwards": ("tiles - 1 - (tile - before)", "before + tile"),
    "totals not awaited": (
        "totals[warp] = __popc(vote);\n        __syncthreads();",
        "totals[warp] = __popc(vote);",
    ),
    "totals overwritten": ("= tile;\n        __syncthreads();", "= tile;"),
    "earlier rounds forgotten": ("int before = listed + __popc", "int before = __popc"),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_mutation_is_noticed(name: str) -> None:
    kernels = Kernels("mask_tiles", patch=MUTATIONS[name])
    with pytest.raises(AssertionError):
        check_all(kernels)


def check_all(kernels: Kernels) -> None:
    for size in SIZES.values():
        check(kernels, mask_of(size))
