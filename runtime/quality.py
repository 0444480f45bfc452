"""PSNR and SSIM between two images."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tweenrt.errors import UsageError
from tweenrt.runtime.frames import Frame

_RADIUS = 5
_SIGMA = 1.5
_C1, _C2 = 0.01**2, 0.03**2
Plane = NDArray[np.float64]


def psnr(image: Frame, reference: Frame) -> float:
    """Peak signal-to-noise ratio over all channels.

    Args:
        image: [H,W,3] RGB; uint8, uint16 or float (0..1).
        reference: of the same shape and dtype.

    Returns:
        dB; infinite for equal images.

    Raises:
        UsageError: shapes or dtypes differ.
    """
    a, b = _unit(image, reference)
    error = float(np.mean((a - b) ** 2))
    return math.inf if error == 0 else -10 * math.log10(error)


def ssim(image: Frame, reference: Frame) -> float:
    """Structural similarity, the mean over the three channels.

    Gaussian window of 11×11, σ 1.5, K1 0.01, K2 0.03, taken where the window lies inside the image (Wang, Bovik,
    Sheikh, Simoncelli: Image quality assessment, 2004, section III.C).

    Args:
        image: [H,W,3] RGB of at least 11×11 pixels; uint8, uint16 or float (0..1).
        reference: of the same shape and dtype.

    Raises:
        UsageError: shapes or dtypes differ, or the images are too small.
    """
    a, b = _unit(image, reference)
    if min(a.shape[:2]) < 2 * _RADIUS + 1:
        raise UsageError(f"expected images of at least 11x11 pixels for SSIM, got {a.shape[0]}x{a.shape[1]}")
    return float(np.mean([_ssim_plane(a[..., c], b[..., c]) for c in range(a.shape[2])]))


def _unit(image: Frame, reference: Frame) -> tuple[Plane, Plane]:
    """Both images as float64, 0..1."""
    if image.shape != reference.shape or image.dtype != reference.dtype or image.ndim != 3:
        raise UsageError(
            f"expected two [H,W,3] images of one shape and dtype, got {image.shape} {image.dtype} "
            f"and {reference.shape} {reference.dtype}"
        )
    peak = float(np.iinfo(image.dtype).max) if image.dtype.kind == "u" else 1.0
    return image.astype(np.float64) / peak, reference.astype(np.float64) / peak


def _ssim_plane(a: Plane, b: Plane) -> float:
    mean_a, mean_b = _blur(a), _blur(b)
    var_a = _blur(a * a) - mean_a**2
    var_b = _blur(b * b) - mean_b**2
    cov = _blur(a * b) - mean_a * mean_b
    likeness = (2 * mean_a * mean_b + _C1) * (2 * cov + _C2)
    return float(np.mean(likeness / ((mean_a**2 + mean_b**2 + _C1) * (var_a + var_b + _C2))))


def _blur(plane: Plane) -> Plane:
    """Gaussian blur of [H,W], without the border that the window does not cover."""
    offsets = np.arange(-_RADIUS, _RADIUS + 1)
    window = np.exp(-(offsets**2) / (2 * _SIGMA**2))
    window /= window.sum()
    rows = sum(w * plane[i : plane.shape[0] - 2 * _RADIUS + i] for i, w in enumerate(window))
    blurred: Plane = sum(w * rows[:, i : plane.shape[1] - 2 * _RADIUS + i] for i, w in enumerate(window))
    return blurred
