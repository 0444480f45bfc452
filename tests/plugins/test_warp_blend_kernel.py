"""The kernel of WarpBlend on the emulated GPU: every format against the reference, borders, and faults put in."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support.kernels import Kernels, Output, max_error, pack_hwc8, unpack_hwc8

from tweenrt.plugins.warp_blend.reference import warp_blend

Array = NDArray[Any]
Shape = tuple[int, int, int, int]

FLOAT, HALF, HALF_HWC8 = 0, 1, 2
FORMATS = [FLOAT, HALF, HALF_HWC8]
FLOW_FORMATS = [FLOAT, HALF]
SIZES = [
    # 17x35 is no whole number of a block's 8x32.
    pytest.param((2, 17, 35), 4.0, id="several-blocks"),
    pytest.param((1, 1, 9), 3.0, id="one-row"),
    pytest.param((1, 9, 1), 3.0, id="one-column"),
    pytest.param((3, 1, 1), 0.4, id="one-pixel"),
    pytest.param((1, 9, 20), 3000.0, id="far-outside"),
]


class Tensors(NamedTuple):
    """What the op takes, in its order."""

    frame0: Array
    frame1: Array
    flow0: Array
    flow1: Array
    mask: Array
    residual: Array


def tensors(
    size: tuple[int, int, int], motion: float, form: int, flow_form: int, residual: Shape | None = None
) -> Tensors:
    """Frames and weights of 0..1, flows in pixels."""
    rng = np.random.default_rng(5)
    kind, flow_kind = (np.float32 if k == FLOAT else np.float16 for k in (form, flow_form))
    n, h, w = size
    frames = [rng.random((n, 3, h, w)).astype(kind) for _ in range(2)]
    flows = [(rng.standard_normal((n, 2, h, w)) * motion).astype(flow_kind) for _ in range(2)]
    mask = rng.random((n, 1, h, w)).astype(kind)
    return Tensors(*frames, *flows, mask, (rng.standard_normal(residual or (n, 3, h, w)) * 0.1).astype(kind))


def on_the_gpu(kernels: Kernels, given: Tensors, form: int) -> Array:
    """frame_t as [N,3,H,W]; `form` is that of the frames, that of the flows is in their type."""
    n, _, h, w = given.frame0.shape
    frames = [pack_hwc8(x) if form == HALF_HWC8 else x for x in given[:2]]
    flow_form = HALF if given.flow0.dtype == np.float16 else FLOAT
    sizes, output = given.residual.shape, Output(frames[0].shape, frames[0].dtype)
    (frame_t,) = kernels.run(form, flow_form, n, h, w, *frames, *given[2:], *sizes, output)
    return unpack_hwc8(frame_t, 3) if form == HALF_HWC8 else frame_t


def in_the_reference(given: Tensors) -> Array:
    """frame_t in FP32."""
    return warp_blend(*(torch.from_numpy(x).float() for x in given)).numpy()


def assert_close(got: Array, expected: Array) -> None:
    """FP32: 1e-5 of the values' range of 1. FP16: besides, twice the rounding of the exact result, 2^-11 of it."""
    rounding = 2 * 2.0**-11 if got.dtype == np.float16 else 0.0
    assert got.shape == expected.shape
    assert np.all(np.abs(got - expected) <= 1e-5 + rounding * np.abs(expected)), max_error(got, expected)


def check(kernels: Kernels, given: Tensors, form: int) -> None:
    assert_close(on_the_gpu(kernels, given, form), in_the_reference(given))


@pytest.fixture
def kernels(device: str) -> Kernels:
    return Kernels("warp_blend", device=device)


@pytest.mark.parametrize("flow_form", FLOW_FORMATS)
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(("size", "motion"), SIZES)
def test_kernel_is_the_reference(
    kernels: Kernels, size: tuple[int, int, int], motion: float, form: int, flow_form: int
) -> None:
    check(kernels, tensors(size, motion, form, flow_form), form)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 1, 1, 1), (1, 3, 1, 1), (1, 1, 5, 1), (2, 3, 1, 7), (1, 3, 5, 7)])
def test_residual_may_be_smaller(kernels: Kernels, shape: Shape, form: int) -> None:
    check(kernels, tensors((2, 5, 7), 2.0, form, FLOAT, shape), form)


@pytest.mark.parametrize("form", FORMATS)
def test_mask_weighs_the_earlier_frame(kernels: Kernels, form: int) -> None:
    given = tensors((1, 9, 12), 0.0, form, FLOAT, (1, 1, 1, 1))
    given.residual[:] = 0
    for weight, frame in ((1.0, given.frame0), (0.0, given.frame1)):
        given.mask[:] = weight
        np.testing.assert_array_equal(on_the_gpu(kernels, given, form), frame)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -1e30, 2.0**31])
def test_impossible_flows_stay_inside(kernels: Kernels, form: int, value: float) -> None:
    given = tensors((1, 9, 12), 2.0, form, FLOAT)
    given.flow0[:, 0, ::2, ::3] = value
    given.flow1[:, 1, ::3, ::2] = value
    assert np.isfinite(on_the_gpu(kernels, given, form)).all()


# name, what the kernel says, what it says after the fault
MUTATIONS = [
    ("the later frame by the earlier flow", "flow1 + 2 * image * pixels", "flow0 + 2 * image * pixels"),
    ("weights exchanged", "(1.0f - weight) * seen1", "weight * seen1"),
    ("every image takes the first one's mask", "mask[image * pixels + pixel]", "mask[pixel]"),
    ("every image takes the first one's flow", "flow0 + 2 * image * pixels", "flow0"),
    ("a residual of one row is read as many", "size.h == 1 ? 0 : row", "row"),
    ("a residual of one colour is read as three", "size.c == 1 ? 0 : plane", "plane"),
    ("beyond the last column", "if (column >= size.w || row >= size.h) return;", "if (row >= size.h) return;"),
    ("padding not cleared", "colours.value[2], 0.0f,", "colours.value[2], 1.0f,"),
    ("rows and columns of the tile exchanged", "threadIdx.x / kTileColumns", "threadIdx.x % kTileRows"),
]


def check_residuals(kernels: Kernels) -> None:
    for form in (HALF_HWC8, FLOAT):
        for residual in (None, (2, 3, 1, 1), (1, 1, 9, 35)):
            check(kernels, tensors((2, 9, 35), 3.0, form, FLOAT, residual), form)


@pytest.mark.parametrize(("old", "new"), [pytest.param(old, new, id=name) for name, old, new in MUTATIONS])
def test_mutation_is_noticed(old: str, new: str) -> None:
    with pytest.raises(AssertionError):
        check_residuals(Kernels("warp_blend", patch=(old, new)))
