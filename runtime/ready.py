"""What the pipeline needs of an interpolator, and the few frames that it keeps ready for it."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Generic, Protocol, TypeVar

from tweenrt.runtime.frames import Frame

PreparedT = TypeVar("PreparedT")


class HasPixels(Protocol):
    """A frame of a clip."""

    @property
    def rgb(self) -> Frame:
        """[H,W,3] RGB, uint8 (0..255) or uint16 (0..65535)."""


class FrameDrawer(Protocol[PreparedT]):
    """Draws frames between frames; `tweenrt.runtime.Interpolator` is one."""

    @property
    def neighbours(self) -> bool:
        """Whether `before` and `after` make a difference."""

    def prepare(self, frame: Frame) -> PreparedT:
        """Make a frame [H,W,3] ready, once for all pairs that it is part of."""

    def between(
        self,
        frame0: PreparedT,
        frame1: PreparedT,
        times: Sequence[Fraction],
        *,
        before: PreparedT | None = None,
        after: PreparedT | None = None,
    ) -> list[Frame]:
        """Draw the frames at `times`, each strictly between 0 and 1; see `Interpolator.between`."""


class ReadyFrames(Generic[PreparedT]):
    """Draws between two frames of a clip at a time, and prepares each frame once.

    Only the frames of the last call are kept, so that memory does not grow.
    """

    def __init__(self, interpolator: FrameDrawer[PreparedT]) -> None:
        self._interpolator = interpolator
        self._ready: list[tuple[HasPixels, PreparedT]] = []

    def draw(
        self,
        first: HasPixels,
        second: HasPixels,
        times: Sequence[Fraction],
        before: HasPixels | None = None,
        after: HasPixels | None = None,
    ) -> list[Frame]:
        """Draw the frames at `times` between `first` and `second`; see `Interpolator.between`."""
        frames = (before, first, second, after) if self._interpolator.neighbours else (None, first, second, None)
        ready = [None if frame is None else self._prepared(frame) for frame in frames]
        self._ready = [(f, p) for f, p in zip(frames, ready, strict=True) if f is not None and p is not None]
        earlier, one, two, later = ready
        assert one is not None
        assert two is not None
        return self._interpolator.between(one, two, times, before=earlier, after=later)

    def _prepared(self, frame: HasPixels) -> PreparedT:
        for known, prepared in self._ready:
            if known is frame:
                return prepared
        return self._interpolator.prepare(frame.rgb)
