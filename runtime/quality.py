"""PSNR, SSIM and interpolation error between two images, in each of the ways that papers compute them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tweenrt.errors import UsageError
from tweenrt.runtime.frames import Frame

_RADIUS = 5
_SIGMA = 1.5
_BOX_RADIUS = 3
_C1, _C2 = 0.01**2, 0.03**2
_STRIP = 64  # rows taken at a time, so that the maps in between stay in the processor's cache
Planes = NDArray[np.float64]
Blur = Callable[[Planes], Planes]


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


def interpolation_error(image: Frame, reference: Frame) -> float:
    """The mean difference over all channels in levels of 255, both images rounded to 8 bits: "IE" of the papers.

    The Middlebury benchmark itself takes the root of the mean square; the papers since RIFE take the mean.

    Args:
        image: [H,W,3] RGB; uint8, uint16 or float (0..1).
        reference: of the same shape and dtype.

    Raises:
        UsageError: shapes or dtypes differ.
    """
    a, b = _unit(image, reference)
    return float(np.mean(np.abs(np.rint(a * 255) - np.rint(b * 255))))


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
    return _mean_ssim(*_unit(image, reference), _RADIUS, lambda x: _slide(x, _gaussian()))


def ssim_matlab(image: Frame, reference: Frame) -> float:
    """Structural similarity as RIFE, IFRNet, EMA-VFI and others publish it; they call it `ssim_matlab`.

    The window of `ssim` has a third axis of 11 across the channels, and the outermost pixels and channels are
    repeated beyond the border, so that every value of the image counts. It is the same for RGB and BGR.

    Args:
        image: [H,W,3] RGB of at least 11×11 pixels; uint8, uint16 or float (0..1).
        reference: of the same shape and dtype.

    Raises:
        UsageError: shapes or dtypes differ, or the images are too small.
    """
    a, b = _unit(image, reference)
    _expect_room(a, _RADIUS)
    border = ((_RADIUS, _RADIUS), (_RADIUS, _RADIUS), (0, 0))
    across = _across_channels()
    one, other = (np.pad(x, border, mode="edge") for x in (a, b))
    return _mean_ssim(one, other, _RADIUS, lambda x: _slide(x, _gaussian()) @ across)


def ssim_uniform(image: Frame, reference: Frame) -> float:
    """Structural similarity as SoftSplat's evaluation on Xiph takes it, the mean over the three channels.

    A window of 7×7 equal weights that lies inside the image, and sample (co)variances, divided by 48: the defaults of
    `structural_similarity` in scikit-image.

    Args:
        image: [H,W,3] RGB of at least 7×7 pixels; uint8, uint16 or float (0..1).
        reference: of the same shape and dtype.

    Raises:
        UsageError: shapes or dtypes differ, or the images are too small.
    """
    size = 2 * _BOX_RADIUS + 1
    window = np.full(size, 1 / size)
    sample = size**2 / (size**2 - 1)
    return _mean_ssim(*_unit(image, reference), _BOX_RADIUS, lambda x: _slide(x, window), sample)


def _unit(image: Frame, reference: Frame) -> tuple[Planes, Planes]:
    """Both images as float64, 0..1."""
    if image.shape != reference.shape or image.dtype != reference.dtype or image.ndim != 3:
        raise UsageError(
            f"expected two [H,W,3] images of one shape and dtype, got {image.shape} {image.dtype} "
            f"and {reference.shape} {reference.dtype}"
        )
    peak = float(np.iinfo(image.dtype).max) if image.dtype.kind == "u" else 1.0
    return image.astype(np.float64) / peak, reference.astype(np.float64) / peak


def _expect_room(image: Planes, radius: int) -> None:
    size = 2 * radius + 1
    if min(image.shape[:2]) < size:
        raise UsageError(
            f"expected images of at least {size}x{size} pixels for SSIM, got {image.shape[0]}x{image.shape[1]}"
        )


def _mean_ssim(a: Planes, b: Planes, radius: int, blur: Blur, sample: float = 1.0) -> float:
    """The mean of the similarity wherever the window lies inside [H,W,C].

    Args:
        a: one image.
        b: the other one.
        radius: of the window of `blur`, which leaves that much of the border out.
        blur: the weighted mean in the window around each pixel.
        sample: what the variances are multiplied by.
    """
    _expect_room(a, radius)
    height = a.shape[0] - 2 * radius
    total, count = 0.0, 0
    for top in range(0, height, _STRIP):
        rows = slice(top, min(top + _STRIP, height) + 2 * radius)
        found = _similarity(a[rows], b[rows], blur, sample)
        total, count = total + float(found.sum()), count + found.size
    return total / count


def _similarity(a: Planes, b: Planes, blur: Blur, sample: float) -> Planes:
    mean_a, mean_b = blur(a), blur(b)
    var_a = sample * (blur(a * a) - mean_a**2)
    var_b = sample * (blur(b * b) - mean_b**2)
    cov = sample * (blur(a * b) - mean_a * mean_b)
    likeness: Planes = (2 * mean_a * mean_b + _C1) * (2 * cov + _C2)
    likeness /= (mean_a**2 + mean_b**2 + _C1) * (var_a + var_b + _C2)
    return likeness


def _gaussian() -> Planes:
    offsets = np.arange(-_RADIUS, _RADIUS + 1)
    window: Planes = np.exp(-(offsets**2) / (2 * _SIGMA**2))
    window /= window.sum()
    return window


def _across_channels() -> Planes:
    """[3,3]: how much of each input channel (row) the window across the channels gives to each output channel."""
    across = np.zeros((3, 3))
    for out in range(3):
        sources = np.clip(np.arange(out - _RADIUS, out + _RADIUS + 1), 0, 2)
        np.add.at(across[:, out], sources, _gaussian())
    return across


def _slide(image: Planes, window: Planes) -> Planes:
    """The mean of [H,W,C] with the symmetric weights `window` along both axes, without the border it cannot cover."""
    return _slide_rows(_slide_rows(image, window).swapaxes(0, 1), window).swapaxes(0, 1)


def _slide_rows(image: Planes, window: Planes) -> Planes:
    radius = len(window) // 2
    height = image.shape[0] - 2 * radius
    mean: Planes = window[radius] * image[radius : radius + height]
    for k in range(radius):
        mean += window[k] * (image[k : k + height] + image[2 * radius - k : 2 * radius - k + height])
    return mean
