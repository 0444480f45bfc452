"""PSNR and SSIM against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support.clips import texture

from tweenrt.errors import UsageError
from tweenrt.runtime.quality import psnr, ssim


def test_equal_images() -> None:
    image = texture()
    assert psnr(image, image) == math.inf
    assert ssim(image, image) == pytest.approx(1.0, abs=1e-12)


def test_psnr_is_relative_to_the_peak_of_the_dtype() -> None:
    a = np.full((8, 8, 3), 100, np.uint8)
    assert psnr(a, a + 10) == pytest.approx(20 * math.log10(255 / 10))
    deep = a.astype(np.uint16) * 257
    assert psnr(deep, deep + 2570) == pytest.approx(20 * math.log10(255 / 10))
    real = a.astype(np.float32) / 255
    assert psnr(real, real + np.float32(10 / 255)) == pytest.approx(20 * math.log10(255 / 10), abs=1e-4)


def test_ssim_follows_its_definition_in_one_window() -> None:
    rng = np.random.default_rng(1)
    a, b = (rng.integers(0, 256, (11, 11, 3), dtype=np.uint8) for _ in range(2))
    offsets = np.arange(-5, 6)
    weight = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * 1.5**2))
    weight /= weight.sum()
    expected = []
    for c in range(3):
        x, y = a[..., c] / 255, b[..., c] / 255
        mx, my = (weight * x).sum(), (weight * y).sum()
        vx, vy = (weight * x * x).sum() - mx * mx, (weight * y * y).sum() - my * my
        cov = (weight * x * y).sum() - mx * my
        top = (2 * mx * my + 1e-4) * (2 * cov + 9e-4)
        expected.append(top / ((mx * mx + my * my + 1e-4) * (vx + vy + 9e-4)))
    assert ssim(a, b) == pytest.approx(np.mean(expected), rel=1e-10)


def test_blur_costs_structure_more_than_a_shift_in_brightness() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(40, 200, (40, 40, 3), dtype=np.uint8)
    assert ssim(image + 5, image) > 0.98 > ssim(np.full_like(image, 120), image)


def test_what_cannot_be_compared_is_refused() -> None:
    image = texture()
    with pytest.raises(UsageError, match="one shape"):
        psnr(image, image[1:])
    with pytest.raises(UsageError, match="11x11"):
        ssim(image[:10], image[:10])
