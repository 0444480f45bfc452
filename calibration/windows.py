"""The frames that a graph is tried on: neighbouring pairs, each with a frame before and after it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from tweenrt.contract import FrameIO
from tweenrt.errors import VideoError, require
from tweenrt.runtime.frames import Frame
from tweenrt.runtime.onnx_file import OnnxFile

_ANY_RATE = Fraction(25)  # a folder of images has no rate, and nothing here depends on it
_USUAL_SIZE = (256, 448)


class Window(NamedTuple):
    """A pair of neighbouring frames, [H,W,3] RGB; uint8, uint16, or float32 in 0..1.

    Attributes:
        first: the earlier frame.
        second: the later frame.
        before: the frame before the pair, for networks that look at four; None at the start of a clip.
        after: the frame after it, likewise.
    """

    first: Frame
    second: Frame
    before: Frame | None = None
    after: Frame | None = None


def windows_of(frames: Sequence[Frame]) -> list[Window]:
    """Every pair of neighbours in a sequence."""
    around = [None, *frames, None]
    return [Window(frames[k], frames[k + 1], around[k], around[k + 3]) for k in range(len(frames) - 1)]


def read_windows(path: Path, pairs: int) -> list[Window]:
    """The first pairs of neighbouring frames of a clip.

    Args:
        path: a video, or a folder of images.
        pairs: how many at most.

    Raises:
        VideoError: it cannot be read, or has no two frames.
        MissingExtraError: the package ``av`` is not installed.
    """
    require("av", extra="video", why="Reading frames")
    found = windows_of(list(islice(_frames(path), pairs + 2)))[:pairs]
    if not found:
        raise VideoError(f"{path}: expected two frames or more; give a longer clip")
    return found


def frame_size(graph: OnnxFile) -> tuple[int, int]:
    """H and W of frames that `graph` takes: its own where they are fixed, else 256 and 448 pixels."""
    axes = next(axes for name, axes in graph.inputs.items() if name.startswith("frame"))
    height, width = axes[1:3] if graph.info.io is FrameIO.UINT8 else axes[2:4]
    return (
        height if isinstance(height, int) else _USUAL_SIZE[0],
        width if isinstance(width, int) else _USUAL_SIZE[1],
    )


def _frames(path: Path) -> Iterator[Frame]:
    from tweenrt.runtime.video import open_source

    source = open_source(path, rate=_ANY_RATE if path.is_dir() else None)
    try:
        for frame in source.frames():
            yield frame.rgb
    finally:
        source.close()
