"""Crews of threads that draw with a stand-in for a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from numpy.typing import NDArray

from support.clips import Blend
from tweenrt.runtime.jobs.crew import Crew
from tweenrt.runtime.jobs.job import Done, Job, do
from tweenrt.runtime.video import EncodingOptions

REPRODUCIBLE = EncodingOptions(preset="ultrafast")
"""x264's default settings (its mbtree) may encode the same frames differently from run to run."""


class Around(Blend):
    """Draws from four frames: half of the blend of the pair, a quarter of each neighbour."""

    neighbours = True

    def between(self, frame0: NDArray[Any], frame1: NDArray[Any], times: Any, **around: Any) -> list[NDArray[Any]]:
        frames = [frame0 if around["before"] is None else around["before"]]
        frames.append(frame1 if around["after"] is None else around["after"])
        drawn = super().between(frame0, frame1, times, **around)
        return [picture // 2 + frames[0] // 4 + frames[1] // 4 for picture in drawn]


@contextmanager
def crew_of(
    drawer: type[Blend] = Blend, *, threads: int = 2, work: Callable[[Job], Done] | None = None, drawn_by: str = "blend"
) -> Iterator[Crew]:
    """Workers that draw with a `drawer` each, or do `work`."""
    with ThreadPoolExecutor(threads) as executor:
        yield Crew(executor, work or (lambda job: do(job, drawer())), lambda: threads, drawer.neighbours, drawn_by)
