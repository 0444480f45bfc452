"""Frames that behave like camera frames, made from a seed: smooth structure, fine texture, motion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def moving_frames(height: int, width: int, count: int = 2, seed: int = 0, speed: float = 6.0) -> NDArray[np.float32]:
    """A short sequence of a textured scene that pans, with a disc that moves against it.

    Args:
        height: rows of each frame, in pixels.
        width: columns.
        count: how many frames.
        seed: which scene.
        speed: motion from frame to frame, in pixels.

    Returns:
        [count,3,H,W] RGB, 0..1. The spectrum falls with frequency as in photographs (1/f amplitude).
    """
    rng = np.random.default_rng(seed)
    margin = int(np.ceil(abs(speed) * count)) + 2
    scene = _texture(rng, height + 2 * margin, width + 2 * margin)
    disc = _texture(rng, height, width)
    frames = np.empty((count, 3, height, width), np.float32)
    ys, xs = np.mgrid[:height, :width]
    for k in range(count):
        shift = round(speed * k)
        frame = scene[:, margin // 2 : margin // 2 + height, margin + shift : margin + shift + width].copy()
        centre_y, centre_x = height * 0.5 + 0.5 * speed * k, width * 0.4 - speed * k
        inside = (ys - centre_y) ** 2 + (xs - centre_x) ** 2 < (min(height, width) * 0.2) ** 2
        frame[:, inside] = np.roll(disc, -shift, axis=2)[:, inside]
        frames[k] = frame
    return frames


def through_a_lens(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Blur [N,3,H,W] as a lens and a sensor do: two passes of (1, 2, 1)/4 along each side.

    `moving_frames` has detail up to single pixels and hard edges, which no camera resolves. There a trained network
    turns the rounding of its sampling positions into differences of 1e-3 between two correct FP32 runs (RIFE 4.25,
    192×256); blurred like this they agree to 2e-5, as on camera frames.
    """
    for axis in (2, 3, 2, 3):
        before, after = (np.take(frames, index, axis) for index in _neighbours(frames.shape[axis]))
        frames = 0.25 * before + 0.5 * frames + 0.25 * after
    return frames.astype(np.float32)


def _neighbours(size: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of the pixel before and after each; the outermost pixel is its own neighbour."""
    index = np.arange(size)
    return np.maximum(index - 1, 0), np.minimum(index + 1, size - 1)


def _texture(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """1/f noise in three correlated channels, [3,H,W], 0..1."""
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    amplitude = 1.0 / np.maximum(np.hypot(fy, fx), 1.0 / max(height, width))
    planes = []
    for _ in range(3):
        phase = np.exp(2j * np.pi * rng.random((height, fx.shape[1])))
        planes.append(np.fft.irfft2(amplitude * phase, s=(height, width)))
    base = np.stack(planes)
    base = 0.7 * base[:1] + 0.3 * base
    base = (base - base.mean()) / (4.0 * base.std()) + 0.5
    texture: NDArray[np.float32] = np.clip(base, 0.0, 1.0).astype(np.float32)
    return texture
