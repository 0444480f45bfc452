"""Timeline and scene together: for every output moment, which source frame is shown or which pair is drawn from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Generic, Protocol, TypeVar

from tweenrt.runtime.scene import Between, Duplicates, SceneJudge, Thumbnail
from tweenrt.runtime.timeline import Interval, Moment, Retiming, Timed, intervals

# Animation is drawn on twos to fours, so a frame repeats up to three times. A longer rest is meant as a rest, and
# drawing across it would turn it into a slow morph.
LONGEST_GAP = 4

_HALF = Fraction(1, 2)


class Seen(Timed, Protocol):
    """A timed frame with a thumbnail."""

    @property
    def thumbnail(self) -> Thumbnail:
        """See `tweenrt.runtime.scene.thumbnail`."""


SeenT = TypeVar("SeenT", bound=Seen)


@dataclass(frozen=True)
class Segment(Interval[SeenT], Generic[SeenT]):
    """An interval with its verdict.

    Attributes:
        between: what lies between its two frames; STILL where there is no second one.
    """

    between: Between = Between.STILL

    def shown(self, moment: Moment) -> SeenT | None:
        """The source frame to show at `moment`; None where a frame is to be drawn.

        A moment at a source frame shows that frame. Across a cut the nearer frame in time is shown: the first one
        before the middle of the interval, the second one from the middle on.
        """
        position = self.position(moment)
        if position == 0 or self.second is None or self.between is Between.STILL:
            return self.first
        if self.between is Between.CUT:
            return self.first if position < _HALF else self.second
        return None


def schedule(
    frames: Iterable[SeenT], retiming: Retiming, judge: SceneJudge, duplicates: Duplicates = Duplicates.HOLD
) -> Iterator[Segment[SeenT]]:
    """Lay output moments over source frames and decide what each interval needs.

    Args:
        frames: source frames in order of time.
        retiming: where output frames lie.
        judge: tells cuts and duplicates from motion.
        duplicates: what to do about frames that repeat the one before and that `judge` finds.

    Yields:
        Segments in order; together they hold every output moment once.
    """
    judged = (_judged(interval, judge) for interval in intervals(frames, retiming))
    return _bridged(judged) if duplicates is Duplicates.RETIME else judged


def _judged(interval: Interval[SeenT], judge: SceneJudge) -> Segment[SeenT]:
    first, second = interval.first, interval.second
    between = Between.STILL
    if second is not None:
        between = judge.judge(first.thumbnail, second.thumbnail)
    return Segment(first, second, interval.moments, between)


def _bridged(segments: Iterable[Segment[SeenT]]) -> Iterator[Segment[SeenT]]:
    """Join up to `LONGEST_GAP` still segments with the motion after them, so that it starts at the first repeat."""
    still: list[Segment[SeenT]] = []
    resting = False
    for segment in segments:
        if segment.between is Between.STILL and segment.second is not None and not resting:
            still.append(segment)
            if len(still) > LONGEST_GAP:
                yield from still
                still, resting = [], True
            continue
        resting = resting and segment.between is Between.STILL
        if still and segment.between is Between.MOTION:
            yield _joined(still, segment)
        else:
            yield from still
            yield segment
        still = []


def _joined(still: list[Segment[SeenT]], motion: Segment[SeenT]) -> Segment[SeenT]:
    moments = tuple(moment for segment in [*still, motion] for moment in segment.moments)
    return Segment(still[0].first, motion.second, moments, Between.MOTION)
