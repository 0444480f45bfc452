"""Every metric against its definition, window by window."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support import metrics as plain

from tweenrt.errors import UsageError
from tweenrt.runtime import quality
from tweenrt.runtime.evaluate.metrics import Metric, measure
from tweenrt.runtime.evaluate.pixels import centre, halved, halved_unit, rounded, unit


def pair(height: int = 13, width: int = 16, noise: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Two uint8 pictures, the second one the first with noise; no channel like another."""
    rng = np.random.default_rng(3)
    rows = np.linspace(0, 200, height)[:, None, None] * np.array([1.0, 0.5, 0.2])
    a = rows + rng.integers(0, 30, (height, width, 3))
    b = a + rng.integers(-noise, noise, a.shape)
    return np.clip(a, 0, 255).astype(np.uint8), np.clip(b, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", ["ssim", "ssim_matlab", "ssim_uniform"])
def test_ssim_follows_its_definition(name: str) -> None:
    a, b = pair()
    expected = getattr(plain, name)(a / 255, b / 255)
    assert getattr(quality, name)(a, b) == pytest.approx(expected, abs=1e-12)
    assert getattr(quality, name)(a / 255, b / 255) == pytest.approx(expected, abs=1e-12)


def test_the_variants_of_ssim_differ_by_more_than_rounding() -> None:
    a, b = pair()
    found = sorted(f(a, b) for f in (quality.ssim, quality.ssim_matlab, quality.ssim_uniform))
    assert min(np.diff(found)) > 1e-3


def test_strips_do_not_show() -> None:
    """A picture of more rows than are taken at a time."""
    a, b = pair(height=90, width=12)
    assert quality.ssim(a, b) == pytest.approx(plain.ssim(a / 255, b / 255), abs=1e-12)
    assert quality.ssim_uniform(a, b) == pytest.approx(plain.ssim_uniform(a / 255, b / 255), abs=1e-12)


def test_flat_pictures_have_a_known_similarity() -> None:
    """Without structure only the means count: (2ab + C1) / (a² + b² + C1)."""
    a, b = (np.full((12, 12, 3), value) for value in (0.5, 0.25))
    expected = (2 * 0.125 + 1e-4) / (0.25 + 0.0625 + 1e-4)
    for function in (quality.ssim, quality.ssim_matlab, quality.ssim_uniform):
        assert function(a, b) == pytest.approx(expected, abs=1e-12)


def test_ssim_matlab_is_the_same_for_rgb_and_bgr() -> None:
    a, b = pair()
    assert quality.ssim_matlab(a[..., ::-1], b[..., ::-1]) == pytest.approx(quality.ssim_matlab(a, b), abs=1e-12)


@pytest.mark.parametrize(("name", "size"), [("ssim", 11), ("ssim_matlab", 11), ("ssim_uniform", 7)])
def test_pictures_smaller_than_the_window_are_refused(name: str, size: int) -> None:
    small = np.zeros((size - 1, 20, 3), np.uint8)
    with pytest.raises(UsageError, match=f"at least {size}x{size} pixels for SSIM, got {size - 1}x20"):
        getattr(quality, name)(small, small)


def test_interpolation_error_is_the_mean_of_levels() -> None:
    a, b = pair()
    assert quality.interpolation_error(a, b) == pytest.approx(plain.error(a, b), abs=1e-12)
    off = a.astype(np.float32) / 255 + np.float32(0.3 / 255)
    assert quality.interpolation_error(off, a.astype(np.float32) / 255) == 0, "both are rounded to 8 bits first"


def test_rounded_and_unrounded_figures() -> None:
    truth, other = pair()
    drawn = (other / 255 + 0.3 / 255).clip(0, 1).astype(np.float32)
    found = measure(drawn, truth, tuple(Metric))
    assert found[Metric.PSNR] == pytest.approx(plain.psnr(other, truth), abs=1e-9)
    assert found[Metric.PSNR_FLOAT] == pytest.approx(plain.psnr(drawn, truth / 255), abs=1e-9)
    assert found[Metric.SSIM] == pytest.approx(plain.ssim(other / 255, truth / 255), abs=1e-12)
    assert found[Metric.SSIM_MATLAB] == pytest.approx(plain.ssim_matlab(other / 255, truth / 255), abs=1e-12)
    exact = plain.ssim_matlab(drawn.astype(np.float64), truth / 255)
    assert found[Metric.SSIM_MATLAB_FLOAT] == pytest.approx(exact, abs=1e-12)
    assert found[Metric.SSIM_UNIFORM] == pytest.approx(plain.ssim_uniform(other / 255, truth / 255), abs=1e-12)
    assert found[Metric.IE] == pytest.approx(plain.error(other, truth), abs=1e-9)
    assert abs(found[Metric.PSNR] - found[Metric.PSNR_FLOAT]) > 1e-3
    assert abs(found[Metric.SSIM_MATLAB] - found[Metric.SSIM_MATLAB_FLOAT]) > 1e-7


def test_known_psnr() -> None:
    truth = np.full((4, 4, 3), 100, np.uint8)
    assert measure(truth + 10, truth, [Metric.PSNR])[Metric.PSNR] == pytest.approx(20 * math.log10(25.5), abs=1e-12)
    assert measure(truth, truth, [Metric.PSNR])[Metric.PSNR] == math.inf


def test_the_truth_says_how_fine_the_rounding_is() -> None:
    drawn = np.full((4, 4, 3), 0.5, np.float32)
    deep = measure(drawn, np.full((4, 4, 3), 32768, np.uint16), [Metric.PSNR])
    assert deep[Metric.PSNR] == math.inf, "0.5 of 65535 is 32767.5, halves to even"
    coarse = measure(drawn, np.full((4, 4, 3), 0.5, np.float32), [Metric.PSNR])
    assert coarse[Metric.PSNR] == pytest.approx(20 * math.log10(255 / 0.5), abs=1e-6), "128 of 255 is half a level off"


def test_halving_rounds_halves_up_and_halving_in_float_does_not_round() -> None:
    blocks = np.array([[[0], [1], [3]], [[1], [0], [3]]], np.uint8).repeat(3, 2)[:, [0, 1, 2, 2]]
    assert halved(blocks)[0, :, 0].tolist() == [1, 3]
    assert halved_unit(blocks)[0, :, 0] == pytest.approx([0.5 / 255, 3 / 255], abs=1e-9)
    assert halved_unit(blocks).dtype == np.float32
    with pytest.raises(UsageError, match="even sides to be halved, got 3x4"):
        halved(np.zeros((3, 4, 3), np.uint8))


def test_the_centre_is_the_middle_half_of_each_side() -> None:
    frame = np.arange(8 * 12 * 3).reshape(8, 12, 3)
    assert np.array_equal(centre(frame), frame[2:6, 3:9])


def test_integers_and_floats() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, 2)
    assert np.array_equal(rounded(unit(levels)), levels)
    assert rounded(levels) is levels
    assert unit(np.array([65535, 0], np.uint16)).tolist() == [1, 0]
