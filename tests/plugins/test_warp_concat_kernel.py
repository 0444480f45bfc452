"""The kernel of WarpConcat on the emulated GPU: every format against the reference, borders, and faults put in."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support.kernels import Kernels, Output, max_error, pack_hwc8, unpack_hwc8

from tweenrt.plugins.warp_concat.reference import warp_concat

Array = NDArray[Any]

FLOAT, HALF, HALF_HWC8 = 0, 1, 2
FORMATS = [FLOAT, HALF, HALF_HWC8]
FLOW_FORMATS = [FLOAT, HALF]


class Case(NamedTuple):
    """Sizes: samples, channels of the warped features and of the other, rows, columns; and pixels of motion."""

    n: int = 2
    c: int = 16
    f: int = 8
    h: int = 10
    w: int = 18
    motion: float = 3.0


CASES = [
    pytest.param(Case(), id="whole-groups"),
    pytest.param(Case(1, 36, 36, 6, 10), id="straddling"),
    pytest.param(Case(1, 54, 54, 2, 12), id="straddling-by-six"),
    pytest.param(Case(1, 3, 1, 8, 8), id="less-than-a-group"),
    pytest.param(Case(1, 16, 5, 4, 8), id="warps-begin-within-a-group"),
    pytest.param(Case(2, 8, 24, 2, 2), id="smallest"),
    pytest.param(Case(1, 8, 8, 18, 2, 3000.0), id="far-outside"),
]


class Tensors(NamedTuple):
    """What the op takes, in its order."""

    feature0: Array
    feature1: Array
    feature: Array
    step: Array
    coarse: Array


def tensors(case: Case, form: int, flow_form: int) -> Tensors:
    """Features of normal noise (range ±4), flows in pixels."""
    rng = np.random.default_rng(3)
    kind, flow_kind = (np.float32 if k == FLOAT else np.float16 for k in (form, flow_form))
    n, c, f, h, w, motion = case
    shapes = [(n, c, h, w), (n, c, h, w), (n, f, h, w), (n, 4, h, w), (n, 4, h // 2, w // 2)]
    noise = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    return Tensors(*(x.astype(kind) for x in noise[:3]), *((x * motion).astype(flow_kind) for x in noise[3:]))


def on_the_gpu(kernels: Kernels, given: Tensors, form: int, feature_first: bool = True) -> tuple[Array, Array]:
    """(seen, flow) as [N,·,H,W]; `form` is that of the features, that of the flow is in its type."""
    (n, c, h, w), f = given.feature0.shape, given.feature.shape[1]
    features = [pack_hwc8(x) if form == HALF_HWC8 else x for x in given[:3]]
    channels = f + 2 * c + 4
    shape = (n, h, w, -(-channels // 8) * 8) if form == HALF_HWC8 else (n, channels, h, w)
    flow_form = HALF if given.step.dtype == np.float16 else FLOAT
    outputs = Output(shape, features[0].dtype), Output(given.step.shape, given.step.dtype)
    sizes = (n, c, h, w, f, int(feature_first))
    seen, flow = kernels.run(form, flow_form, *sizes, *features, given.step, given.coarse, *outputs)
    return (unpack_hwc8(seen, channels) if form == HALF_HWC8 else seen), flow


def in_the_reference(given: Tensors, feature_first: bool = True) -> tuple[Array, Array]:
    """(seen, flow) in FP32."""
    seen, flow = warp_concat(*(torch.from_numpy(x).float() for x in given), feature_first=feature_first)
    return seen.numpy(), flow.numpy()


def assert_close(got: Array, expected: Array, span: float) -> None:
    """FP32: 1e-5 of the values' range. FP16: besides, twice the rounding of the exact result, 2^-11 of it."""
    rounding = 2 * 2.0**-11 if got.dtype == np.float16 else 0.0
    assert got.shape == expected.shape
    assert np.all(np.abs(got - expected) <= 1e-5 * span + rounding * np.abs(expected)), max_error(got, expected)


def check(kernels: Kernels, case: Case, form: int, flow_form: int, feature_first: bool = True) -> None:
    given = tensors(case, form, flow_form)
    got, expected = on_the_gpu(kernels, given, form, feature_first), in_the_reference(given, feature_first)
    assert_close(got[0][:, :-4], expected[0][:, :-4], 8.0)
    assert_close(got[0][:, -4:], expected[0][:, -4:], 8.0 * case.motion)
    assert_close(got[1], expected[1], 8.0 * case.motion)


@pytest.fixture
def kernels(device: str) -> Kernels:
    return Kernels("warp_concat", device=device)


@pytest.mark.parametrize("flow_form", FLOW_FORMATS)
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("case", CASES)
def test_kernel_is_the_reference(kernels: Kernels, case: Case, form: int, flow_form: int) -> None:
    check(kernels, case, form, flow_form)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("case", [Case(), Case(1, 12, 20, 4, 6)], ids=["whole-groups", "straddling"])
def test_feature_may_come_after_the_warps(kernels: Kernels, case: Case, form: int) -> None:
    check(kernels, case, form, FLOAT, feature_first=False)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("c", [8, 12])
def test_without_motion_everything_is_copied(kernels: Kernels, c: int, form: int) -> None:
    given = tensors(Case(2, c, 8, 4, 10, 0.0), form, FLOAT)
    seen, flow = on_the_gpu(kernels, given, form)
    assert not flow.any()
    expected = np.concatenate((given.feature, given.feature0, given.feature1, flow.astype(seen.dtype)), axis=1)
    np.testing.assert_array_equal(seen, expected)


@pytest.mark.parametrize("form", FORMATS)
def test_flow_of_the_coarser_level_is_doubled_and_centred(kernels: Kernels, form: int) -> None:
    given = tensors(Case(1, 8, 8, 2, 4, 0.0), form, FLOAT)
    given.coarse[0, 0, 0] = [1.0, 2.0]
    _, flow = on_the_gpu(kernels, given, form)
    assert flow[0, 0].tolist() == [[2.0, 2.5, 3.5, 4.0]] * 2


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -1e30, 2.0**31])
def test_impossible_flows_stay_inside(kernels: Kernels, form: int, value: float) -> None:
    given = tensors(Case(1, 8, 12, 4, 10), form, FLOAT)
    given.step[:, :, ::2, ::3] = value
    seen, flow = on_the_gpu(kernels, given, form)
    assert np.isfinite(seen[:, :-4]).all(), "the features are finite, and so is every sample of them"
    np.testing.assert_array_equal(np.isnan(flow[:, :, ::2, ::3]), np.isnan(value))


# name, what the kernel says, what it says after the fault
MUTATIONS = [
    ("no barrier", "__syncthreads();", ""),
    ("the coarse flow is not centred", "0.5f * column - 0.25f", "0.5f * column"),
    ("the coarse flow is not doubled", "= to_float(step[y]) + 2.0f *", "= to_float(step[y]) +"),
    ("both frames are looked at by the flow of one", "first / 8, later ? aim1.at : aim0.at", "first / 8, aim0.at"),
    ("groups that begin within a group", "first % 8 == 0 && ", ""),
    ("groups that end in another part", " && first + 8 <= channels", " && first < channels"),
    ("padding not cleared", "if (flow < 0 || flow >= kFlow) return 0.0f;", ""),
    ("writes beyond the last column", "if (column >= size.w || row >= size.h) continue;", ""),
    ("the order of the parts", "feature_first ? features : 0", "features"),
    ("every image takes the first one's features", "size, parts, blockIdx.z)", "size, parts, 0)"),
]


def check_orders(kernels: Kernels) -> None:
    for feature_first in (True, False):
        check(kernels, Case(2, 12, 19, 4, 10), HALF_HWC8, FLOAT, feature_first)
        check(kernels, Case(2, 8, 8, 4, 10), HALF_HWC8, FLOAT, feature_first)


@pytest.mark.parametrize(("old", "new"), [pytest.param(old, new, id=name) for name, old, new in MUTATIONS])
def test_mutation_is_noticed(old: str, new: str) -> None:
    with pytest.raises(AssertionError):
        check_orders(Kernels("warp_concat", patch=(old, new)))
