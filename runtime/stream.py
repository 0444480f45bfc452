"""Frames in, more frames out, one at a time as they are asked for: the pull side of the Python interface."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import Any, TypeVar, cast

import numpy as np

from tweenrt.errors import UsageError
from tweenrt.runtime.device_memory import on_device
from tweenrt.runtime.frames import Frame, FrameFormat, on_host
from tweenrt.runtime.lent import Lent
from tweenrt.runtime.plan import Draw, Show, steps
from tweenrt.runtime.ready import FrameDrawer, PreparedT, ReadyFrames
from tweenrt.runtime.scene import Duplicates, SceneJudge, Thumbnail, thumbnail
from tweenrt.runtime.timeline import Moment, Retiming, ToRate

_ONLY_FRAME = Fraction(1, 25)
"""How long the only frame of a stream is shown, in seconds, where it does not say."""

_MICROSECOND = Fraction(1, 1_000_000)
_NO_THUMBNAIL: Thumbnail = np.zeros((1, 1, 3), np.float32)


class Origin(str, Enum):
    """Where the picture of an output frame comes from."""

    SOURCE = "source"  # it was given
    DRAWN = "drawn"  # the network has drawn it
    REPEATED = "repeated"  # it was given, and stands for one that could not be drawn in time


@dataclass(frozen=True)
class TimedFrame:
    """A frame and when it is shown.

    Attributes:
        frame: the picture; see `tweenrt.runtime.Interpolator.prepare`.
        pts: when it is shown first, in seconds.
        duration: how long, in seconds. Of source frames only the last one's counts; None for as long as the one before.
        origin: where it comes from; of no account in what is given.
    """

    frame: Frame
    pts: Fraction
    duration: Fraction | None = None
    origin: Origin = Origin.SOURCE


StreamedT = TypeVar("StreamedT", Frame, TimedFrame)


class Held:
    """A source frame under way; `tweenrt.runtime.schedule.Seen` and `tweenrt.runtime.ready.HasPixels`.

    Args:
        frame: the picture, which its caller may not change before it has been shown and drawn from.
        pts: when it is shown first, in seconds.
        duration: how long.
        judged: whether somebody looks at its thumbnail.

    Raises:
        UsageError: it is no frame, or is judged and lies in GPU memory.
    """

    def __init__(self, frame: Any, pts: Fraction, duration: Fraction, *, judged: bool) -> None:
        self.pts, self.duration = pts, duration
        self._frame = frame
        self._lent = None if on_device(frame) else Lent(on_host(frame))
        self.thumbnail = _thumbnail(frame) if judged else _NO_THUMBNAIL

    @property
    def rgb(self) -> Frame:
        """The picture, as it was given.

        Raises:
            UsageError: it was changed since.
        """
        if self._lent is not None:
            self._lent.check()
        return cast("Frame", self._frame)


def stream(
    drawer: FrameDrawer[PreparedT], frames: Iterable[StreamedT], retiming: Retiming, judge: SceneJudge | None = None
) -> Iterator[StreamedT]:
    """Draw between the frames of a stream; see `tweenrt.runtime.Interpolator.stream`."""
    ready = ReadyFrames(drawer)
    sources = _Sources(frames, retiming, judged=judge is not None)
    plan = steps(sources, retiming, judge or SceneJudge(None, None), Duplicates.HOLD, neighbours=drawer.neighbours)
    for step in plan:
        if isinstance(step, Show):
            yield sources.out(step.frame.rgb, step.moment, Origin.SOURCE)
        else:
            for frame, moment in zip(_drawn(ready, step), step.moments, strict=True):
                yield sources.out(frame, moment, Origin.DRAWN)


def _drawn(ready: ReadyFrames[PreparedT], step: Draw[Held]) -> list[Frame]:
    return ready.draw(*step.pair, step.times, step.place.before, step.place.after)


class _Sources:
    """The frames of a stream with their times; they come out in the form that the first one has."""

    def __init__(self, frames: Iterable[Any], retiming: Retiming, *, judged: bool) -> None:
        self._frames, self._retiming, self._judged = frames, retiming, judged
        self._timed = False

    def __iter__(self) -> Iterator[Held]:
        times = Times()
        for number, item in enumerate(self._frames):
            timed = isinstance(item, TimedFrame)
            self._check_form(number, timed=timed)
            given = item if timed else TimedFrame(item, Fraction(number), Fraction(1))
            pts = Fraction(given.pts)
            yield Held(given.frame, pts, times.duration(pts, given.duration), judged=self._judged)

    def out(self, frame: Frame, moment: Moment, origin: Origin) -> Any:
        """One output frame, with its time where the sources have one."""
        return TimedFrame(frame, moment.pts, moment.duration, origin) if self._timed else frame

    def _check_form(self, number: int, *, timed: bool) -> None:
        if number == 0:
            self._timed = timed
        if timed != self._timed:
            raise UsageError("expected all frames with their times (TimedFrame) or none, got both")
        if not timed and isinstance(self._retiming, ToRate):
            raise UsageError("a rate needs to know when each frame is shown; give TimedFrame(frame, pts), or a factor")


class Times:
    """How long frames are shown, as far as it is known when they come."""

    def __init__(self) -> None:
        self._last: Fraction | None = None
        self._step = _ONLY_FRAME

    def stamp(self, seconds: float) -> Fraction:
        """The time of a frame that comes now, in whole microseconds; after the last one even on a coarse clock."""
        now = Fraction(round(seconds * 1e6)) * _MICROSECOND
        return now if self._last is None else max(now, self._last + _MICROSECOND)

    def duration(self, pts: Fraction, own: Fraction | None) -> Fraction:
        """Of the frame at `pts`: its `own`, or as long as the one before.

        Raises:
            UsageError: it is not after the frame before it.
        """
        if self._last is not None:
            if pts <= self._last:
                raise UsageError(
                    f"expected frames in order of time, got {float(pts):.6f} s after {float(self._last):.6f} s"
                )
            self._step = pts - self._last
        self._last = pts
        return Fraction(own) if own is not None else self._step


def _thumbnail(frame: Any) -> Thumbnail:
    """See `tweenrt.runtime.scene.thumbnail`; of a frame in any format."""
    if on_device(frame):
        raise UsageError(
            "cuts are looked for in frames in memory of the CPU, got one in GPU memory; leave the judge out"
        )
    pixels = on_host(frame)
    form = FrameFormat.of(pixels)
    last = pixels if form.channels_last else np.moveaxis(pixels, 0, 2)
    return thumbnail(last if form.dtype.kind == "u" else (np.clip(last, 0, 1) * 255).astype(np.uint8))


__all__ = ["Held", "Origin", "StreamedT", "TimedFrame", "Times", "stream"]
