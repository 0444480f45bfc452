"""Frames to measure with: a smooth scene in motion that is the same every time, or frames of a clip of yours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from tweenrt.errors import UsageError, VideoError, require
from tweenrt.runtime.frames import Frame

FRAMES = 6
"""As many are kept; each is used again and again."""

_CELL = 16  # pixels between two random colours
_PIXELS_A_FRAME = 4
_ANY_RATE = Fraction(25)  # a folder of images has no rate, and nothing here depends on it


@dataclass(frozen=True, eq=False)
class Shown:
    """A frame at one moment of the clip; see `tweenrt.runtime.ready.HasPixels`.

    Attributes:
        rgb: [H,W,3] RGB, uint8 (0..255) or uint16 (0..65535).
    """

    rgb: Frame


Window = tuple[Shown, Shown, Shown, Shown]
"""The frame before a pair, the pair, the frame after it."""


def smooth_frames(height: int, width: int, count: int = FRAMES, seed: int = 0) -> list[Frame]:
    """A texture of random colours, interpolated between cells of 16 pixels, that moves by 4 pixels a frame.

    Returns:
        `count` frames [H,W,3] uint8 RGB, the same for the same `seed`.
    """
    rng = np.random.default_rng(seed)
    wide = width + _PIXELS_A_FRAME * (count - 1)
    colours = rng.integers(16, 240, (height // _CELL + 2, wide // _CELL + 2, 3)).astype(np.float32)
    scene = _stretched(_stretched(colours, height).swapaxes(0, 1), wide).swapaxes(0, 1)
    starts = (_PIXELS_A_FRAME * k for k in range(count))
    return [np.ascontiguousarray(scene[:, start : start + width].astype(np.uint8)) for start in starts]


def read_frames(path: Path, size: tuple[int, int] | None = None, count: int = FRAMES) -> list[Frame]:
    """The first frames of a video or of a folder of images, cut to their middle.

    Args:
        path: the video or folder.
        size: H and W to cut out; None takes all.
        count: how many at most.

    Returns:
        Two frames or more, [H,W,3] RGB, uint8 or uint16.

    Raises:
        VideoError: there are no two frames.
        UsageError: they are smaller than `size`.
        MissingExtraError: reading needs the extra ``video``.
    """
    require("av", extra="video", why="Reading frames")
    from tweenrt.runtime.video import open_source

    source = open_source(path, rate=_ANY_RATE if path.is_dir() else None)
    try:
        frames = [frame.rgb for frame in islice(source.frames(), count)]
    finally:
        source.close()
    if len(frames) < 2:
        raise VideoError(f"{path}: expected two frames or more; give a longer clip")
    return [_middle(frame, size, path) for frame in frames]


def there_and_back(frames: Sequence[Frame]) -> Iterator[Window]:
    """Go through `frames` from the first to the last, back, and so on without end, a pair at a time.

    Neighbours stay neighbours that way. Every step brings a new object, also for a frame that was there before, so that
    who encodes each frame once does so here as often as in a clip without repeats.
    """
    order = [*range(len(frames)), *range(len(frames) - 2, 0, -1)]
    shown = (Shown(frames[k]) for k in cycle(order))
    before, first, second = islice(shown, 3)
    for after in shown:
        yield before, first, second, after
        before, first, second = first, second, after


def _stretched(grid: Frame, length: int) -> Frame:
    """`grid` interpolated linearly along its first axis to `length` rows, `_CELL` rows between two of its own."""
    places = np.arange(length, dtype=np.float32) / _CELL
    low = places.astype(np.int64)
    share = (places - low)[:, None, None]
    return np.asarray(grid[low] * (1 - share) + grid[low + 1] * share)


def _middle(frame: Frame, size: tuple[int, int] | None, path: Path) -> Frame:
    height, width = size or frame.shape[:2]
    if frame.shape[0] < height or frame.shape[1] < width:
        raise UsageError(
            f"{path}: expected frames of {height}x{width} pixels or more, got {frame.shape[0]}x{frame.shape[1]}; give "
            "larger ones or a smaller --size"
        )
    top, left = (frame.shape[0] - height) // 2, (frame.shape[1] - width) // 2
    return np.ascontiguousarray(frame[top : top + height, left : left + width])


__all__ = ["FRAMES", "Shown", "Window", "read_frames", "smooth_frames", "there_and_back"]
