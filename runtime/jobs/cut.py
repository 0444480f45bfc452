"""A clip's calls of the network, cut into jobs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tweenrt.runtime.jobs.job import Call, Job
from tweenrt.runtime.plan import Draw
from tweenrt.runtime.video import SourceFrame

JOB_BYTES = 128 << 20
"""Frames of a job, sent and drawn together, before they are packed."""


def cut(draws: Iterable[Draw[SourceFrame]], clip: int = 0, most_bytes: int = JOB_BYTES) -> Iterator[Job]:
    """Put the calls of a clip into jobs.

    A job ends where it is full. From half of that on it ends where the next pair does not begin with the frame that the
    last one ended with, which is so after a scene change and after a rest: no frame is then sent, or encoded by the
    network, for two jobs.

    Args:
        draws: the calls, in order; see `tweenrt.runtime.plan.steps`.
        clip: number of the clip.
        most_bytes: size of a full job. A job holds one call at least, whatever its size.

    Yields:
        Jobs in order.
    """
    batch, number = _Batch(), 0
    for draw in draws:
        if batch.calls and batch.ends_before(draw, most_bytes):
            yield batch.job(clip, number)
            batch, number = _Batch(), number + 1
        batch.add(draw)
    if batch.calls:
        yield batch.job(clip, number)


class _Batch:
    """The job that is being filled."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._numbers: dict[SourceFrame, int] = {}
        self._bytes = 0
        self._end: SourceFrame | None = None

    def ends_before(self, draw: Draw[SourceFrame], most_bytes: int) -> bool:
        """Whether `draw` goes into another job."""
        full = self._bytes + self._growth(draw) > most_bytes
        return full or (self._end not in draw.pair and 2 * self._bytes >= most_bytes)

    def add(self, draw: Draw[SourceFrame]) -> None:
        """Put a call into the job."""
        self._bytes += self._growth(draw)
        self._end = draw.pair[1]
        first, second = (self._number(frame) for frame in draw.pair)
        before, after = (None if f is None else self._number(f) for f in (draw.place.before, draw.place.after))
        self.calls.append(Call(first, second, tuple(draw.times), before, after))

    def job(self, clip: int, number: int) -> Job:
        """What was put into it."""
        return Job(clip, number, [frame.rgb for frame in self._numbers], self.calls)

    def _growth(self, draw: Draw[SourceFrame]) -> int:
        seen = {*draw.pair, draw.place.before, draw.place.after} - {None}
        each: int = draw.pair[0].rgb.nbytes
        return (len(seen - self._numbers.keys()) + len(draw.moments)) * each

    def _number(self, frame: SourceFrame) -> int:
        return self._numbers.setdefault(frame, len(self._numbers))
