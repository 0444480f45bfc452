"""What a run does, step by step: which source frame is shown when, and what the network is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Generic

from tweenrt.runtime.neighbours import Surrounded, surrounded
from tweenrt.runtime.scene import Duplicates, SceneJudge
from tweenrt.runtime.schedule import SeenT, schedule
from tweenrt.runtime.timeline import Moment, Retiming

_MOMENTS_A_CALL = 8


@dataclass(frozen=True)
class Show(Generic[SeenT]):
    """A source frame is shown.

    Attributes:
        frame: which one.
        moment: when.
    """

    frame: SeenT
    moment: Moment


@dataclass(frozen=True)
class Draw(Generic[SeenT]):
    """The network is called once, for frames that follow one another.

    Attributes:
        place: the pair to draw between, and its neighbours.
        moments: when the drawn frames are shown, in order; one at least.
    """

    place: Surrounded[SeenT]
    moments: tuple[Moment, ...]

    @property
    def pair(self) -> tuple[SeenT, SeenT]:
        """The two frames to draw between."""
        first, second = self.place.segment.first, self.place.segment.second
        assert second is not None
        return first, second

    @property
    def times(self) -> list[Fraction]:
        """Where the drawn frames lie in the pair, each strictly between 0 and 1."""
        return [self.place.segment.position(moment) for moment in self.moments]


Step = Show[SeenT] | Draw[SeenT]


def steps(
    frames: Iterable[SeenT], retiming: Retiming, judge: SceneJudge, duplicates: Duplicates, *, neighbours: bool
) -> Iterator[Step[SeenT]]:
    """Everything that a run does, in order of time. Two runs over the same frames ask a network for the same.

    Args:
        frames: source frames in order of time.
        retiming: where output frames lie.
        judge: tells cuts and duplicates from motion.
        duplicates: what to do about frames that repeat the one before.
        neighbours: whether the network looks at the frames around a pair. That takes one frame of lookahead, memory
            and delay, so it is left to the networks that need it.
    """
    segments = schedule(frames, retiming, judge, duplicates)
    for place in surrounded(segments) if neighbours else map(Surrounded[SeenT], segments):
        yield from _steps_of(place)


def _steps_of(place: Surrounded[SeenT]) -> Iterator[Step[SeenT]]:
    """What is shown lies at the start of an interval, or is all of it; the rest is drawn."""
    drawn: list[Moment] = []
    for moment in place.segment.moments:
        shown = place.segment.shown(moment)
        if shown is None:
            drawn.append(moment)
        else:
            yield Show(shown, moment)
    for start in range(0, len(drawn), _MOMENTS_A_CALL):
        yield Draw(place, tuple(drawn[start : start + _MOMENTS_A_CALL]))
