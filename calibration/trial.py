"""Draw frames with a graph, or with the graphs of a folder, through sessions of one's own making."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np

from tweenrt.calibration.windows import Window
from tweenrt.contract import FrameIO, Kind, TimeInput
from tweenrt.errors import UsageError
from tweenrt.runtime.frames import Frame, FrameFormat, pad
from tweenrt.runtime.interpolator import Interpolator
from tweenrt.runtime.onnx_file import OnnxFile
from tweenrt.runtime.session import Array, Session

Opener = Callable[[Path], Session]

_MOMENTS = (Fraction(1, 2), Fraction(1, 4), Fraction(3, 4))


class Trial(Protocol):
    """Runs on one window of frames after the other."""

    def run(self, window: Window, number: int) -> list[Array]:
        """What comes out for one window: the new frame, [H,W,3] float32 0..1 or uint8, or all outputs as they are.

        Args:
            window: the frames.
            number: which window it is; networks that take t get another moment for each of three.
        """

    def close(self) -> None:
        """Free what was opened."""


def open_trial(source: Path, opener: Opener) -> Trial:
    """A trial of a graph, or of the graphs of a split export.

    Args:
        source: an ONNX file of ours, or a folder.
        opener: makes the session for each file.

    Raises:
        GraphError: a file is missing, damaged or not ours.
        UsageError: the graph needs what another graph computes; the message says what to give.
    """
    kind = Kind.PAIR if source.is_dir() else OnnxFile.load(source, extra="export", why="Trying a graph").info.kind
    if kind is Kind.PAIR:
        return _Drawing(source, opener)
    if kind in (Kind.SYNTHESIS, Kind.REFINE):
        raise UsageError(
            f"{source}: a '{kind.value}' graph reads what another graph computes; give the folder that holds both"
        )
    return _Running(opener(source))


class _Drawing:
    """Draws the new frame, as `Interpolator` does."""

    def __init__(self, source: Path, opener: Opener) -> None:
        self._interpolator = Interpolator.open(source, opener=lambda path, *_: opener(path))
        self.close = self._interpolator.close

    def run(self, window: Window, number: int) -> list[Array]:
        info = self._interpolator.info
        convert = to_bytes if info.io is FrameIO.UINT8 else to_floats
        before, after = (None if frame is None else convert(frame) for frame in (window.before, window.after))
        moments = _MOMENTS[:1] if info.t is TimeInput.FIXED else _MOMENTS
        return self._interpolator.between(
            convert(window.first),
            convert(window.second),
            [moments[number % len(moments)]],
            before=before,
            after=after,
        )


class _Running:
    """Runs a graph that reads frames alone."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.close = session.close

    def run(self, window: Window, number: int) -> list[Array]:
        del number
        given = {
            "frame": window.first,
            "frame0": window.first,
            "frame1": window.second,
            "frame_prev": window.first if window.before is None else window.before,
            "frame_next": window.second if window.after is None else window.after,
        }
        return list(self._session.run({name: self._feed(given[name]) for name in self._session.inputs}).values())

    def _feed(self, frame: Frame) -> Array:
        info = self._session.info
        if info.io is FrameIO.UINT8:
            return to_bytes(frame)[None]
        return pad(FrameFormat.of(frame).to_planar(frame), info.padding, info.divisor)


def to_floats(frame: Frame) -> Frame:
    """A frame as [H,W,3] float32, 0..1."""
    planar = FrameFormat.of(frame).to_planar(frame)
    return np.ascontiguousarray(np.moveaxis(planar[0], 0, 2))


def to_bytes(frame: Frame) -> Frame:
    """A frame as [H,W,3] uint8, rounded half to even."""
    if frame.dtype == np.uint8:
        return np.ascontiguousarray(frame)
    rounded: Frame = np.rint(to_floats(frame) * 255).astype(np.uint8)
    return rounded
