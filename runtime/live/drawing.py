"""The half of a live run that draws: source frames in, output frames with the time that they are due out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic

from tweenrt.runtime.frames import Frame
from tweenrt.runtime.live.clock import Clock
from tweenrt.runtime.live.report import Deadline, DrawingTime
from tweenrt.runtime.neighbours import Surrounded, surrounded
from tweenrt.runtime.ready import FrameDrawer, PreparedT, ReadyFrames
from tweenrt.runtime.scene import SceneJudge
from tweenrt.runtime.schedule import schedule
from tweenrt.runtime.stream import Held, Origin
from tweenrt.runtime.timeline import Moment, Retiming

_ROUNDING = 1e-9  # seconds; times are sums of floats


class Arrived(Held):
    """A source frame and when it was pushed, in seconds of the clock."""

    arrived: float


@dataclass(frozen=True)
class Output:
    """One output frame.

    Attributes:
        moment: where it lies in the source's time.
        happened: when that was, in seconds of the clock.
        due: when it is to be handed over.
        source: the source frame that is shown, or the one before the drawn frame.
        drawn: the drawn frame; None where none is needed, or there was no time for it.
        origin: `SOURCE` or `DRAWN`.
    """

    moment: Moment
    happened: float
    due: float
    source: Arrived
    origin: Origin
    drawn: Frame | None = None


@dataclass(frozen=True)
class Deadlines:
    """When frames are due, and what that means.

    Attributes:
        clock: tells the time.
        policy: what to do with a drawn frame that would be late.
        delay: from the moment that a frame shows to when it is due, in seconds.
    """

    clock: Clock
    policy: Deadline
    delay: float

    def is_late(self, due: float, after: float = 0.0) -> bool:
        """Whether it will be past `due` when `after` seconds have passed."""
        return self.clock.now() + after > due + _ROUNDING


class Drawing(Generic[PreparedT]):
    """Draws between frames as they come, as long as there is time for it.

    Args:
        interpolator: draws.
        retiming: where output frames lie.
        judge: tells cuts and repeats; None looks for neither.
        deadlines: when frames are due.
    """

    def __init__(
        self,
        interpolator: FrameDrawer[PreparedT],
        retiming: Retiming,
        judge: SceneJudge | None,
        deadlines: Deadlines,
    ) -> None:
        self._neighbours, self._ready = interpolator.neighbours, ReadyFrames(interpolator)
        self._retiming, self._judge, self._deadlines = retiming, judge or SceneJudge(None, None), deadlines
        self._time = DrawingTime()

    def outputs(self, frames: Iterable[Arrived]) -> Iterator[Output]:
        """Every output frame in order of time; source frames before the drawn ones of their interval are begun."""
        segments = schedule(frames, self._retiming, self._judge)
        for place in surrounded(segments) if self._neighbours else map(Surrounded[Arrived], segments):
            yield from self._interval(place)

    def _interval(self, place: Surrounded[Arrived]) -> Iterator[Output]:
        wanted = []
        for moment in place.segment.moments:
            shown = place.segment.shown(moment)
            happened = place.segment.first.arrived + float(moment.pts - place.segment.first.pts)
            due = happened + self._deadlines.delay
            if shown is None:
                wanted.append(Output(moment, happened, due, place.segment.first, Origin.DRAWN))
            else:
                yield Output(moment, happened, due, shown, Origin.SOURCE)
        if wanted:
            yield from self._drawn(place, wanted)

    def _drawn(self, place: Surrounded[Arrived], wanted: Sequence[Output]) -> Iterator[Output]:
        """`wanted`, with those drawn that can be in time; the others are the first."""
        count = len(wanted)
        if self._deadlines.policy is not Deadline.WAIT:
            while count and self._deadlines.is_late(wanted[-count].due, self._time.expect(count)):
                count -= 1
        if count < len(wanted):
            self._time.refused()
        left_out = len(wanted) - count
        yield from wanted[:left_out]
        if count:
            yield from self._draw(place, wanted[left_out:])

    def _draw(self, place: Surrounded[Arrived], wanted: Sequence[Output]) -> Iterator[Output]:
        segment, clock = place.segment, self._deadlines.clock
        assert segment.second is not None
        start = clock.now()
        times = [segment.position(output.moment) for output in wanted]
        drawn = self._ready.draw(segment.first, segment.second, times, place.before, place.after)
        self._time.note(clock.now() - start, len(drawn))
        for output, frame in zip(wanted, drawn, strict=True):
            yield Output(output.moment, output.happened, output.due, output.source, Origin.DRAWN, frame)


__all__ = ["Arrived", "Deadlines", "Drawing", "Output"]
