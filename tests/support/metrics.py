"""The metrics of the papers once more, window by window and without a shortcut, to hold ours against."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[Any]
_GAUSS = [math.exp(-((i - 5) ** 2) / (2 * 1.5**2)) for i in range(11)]
GAUSS = np.array(_GAUSS) / math.fsum(_GAUSS)


def psnr(a: Image, b: Image) -> float:
    """Of integers 0..255 or of floats 0..1; dB."""
    peak = 255.0 if a.dtype == np.uint8 else 1.0
    squares = [((float(x) - float(y)) / peak) ** 2 for x, y in zip(a.flat, b.flat, strict=True)]
    mean = math.fsum(squares) / len(squares)
    return math.inf if mean == 0 else 10 * math.log10(1 / mean)


def error(a: Image, b: Image) -> float:
    """Mean difference of integers 0..255."""
    return math.fsum(abs(int(x) - int(y)) for x, y in zip(a.flat, b.flat, strict=True)) / a.size


def ssim(a: Image, b: Image) -> float:
    """Each channel by itself, 11×11 windows that lie inside; images 0..1."""
    weight = GAUSS[:, None] * GAUSS
    found = []
    for c in range(3):
        for y in range(a.shape[0] - 10):
            for x in range(a.shape[1] - 10):
                here = (slice(y, y + 11), slice(x, x + 11), c)
                found.append(_window(a[here], b[here], weight))
    return math.fsum(found) / len(found)


def ssim_matlab(a: Image, b: Image) -> float:
    """11×11×11 windows around every value, the border repeated; images 0..1."""
    weight = GAUSS[:, None, None] * GAUSS[:, None] * GAUSS
    found = []
    for place in np.ndindex(a.shape):
        axes = (np.clip(np.arange(p - 5, p + 6), 0, size - 1) for p, size in zip(place, a.shape, strict=True))
        here = np.ix_(*axes)
        found.append(_window(a[here], b[here], weight))
    return math.fsum(found) / len(found)


def ssim_uniform(a: Image, b: Image) -> float:
    """Each channel by itself, 7×7 windows that lie inside, sample variances; images 0..1."""
    found = []
    for c in range(3):
        for y in range(a.shape[0] - 6):
            for x in range(a.shape[1] - 6):
                p, q = (image[y : y + 7, x : x + 7, c].ravel() for image in (a, b))
                (vp, cov), (_, vq) = np.cov(p, q)
                found.append(_similarity(p.mean(), q.mean(), vp, vq, cov))
    return math.fsum(found) / len(found)


def _window(p: Image, q: Image, weight: Image) -> float:
    mp, mq = (weight * p).sum(), (weight * q).sum()
    vp, vq = (weight * (p - mp) ** 2).sum(), (weight * (q - mq) ** 2).sum()
    return _similarity(mp, mq, vp, vq, (weight * (p - mp) * (q - mq)).sum())


def _similarity(mp: float, mq: float, vp: float, vq: float, cov: float) -> float:
    luminance = (2 * mp * mq + 0.0001) / (mp * mp + mq * mq + 0.0001)
    return float(luminance * (2 * cov + 0.0009) / (vp + vq + 0.0009))
