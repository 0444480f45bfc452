"""How far a run is: events for whoever draws a progress bar."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """One progress event.

    Attributes:
        done: output frames handed to the encoder so far.
        total: output frames expected; None where the source does not say how long it is.
        drawn: how many of `done` the network drew.
        elapsed: seconds since the start.
        fps: output frames a second so far; 0 before the first.
        eta: seconds to go at that speed; None where it cannot be known.
    """

    done: int
    total: int | None
    drawn: int
    elapsed: float
    fps: float
    eta: float | None


ProgressCallback = Callable[[Progress], None]


class Meter:
    """Counts output frames and reports each.

    Args:
        total: output frames expected, if known.
        report: called with every event, in the thread that counts; None reports nothing.
        clock: seconds, monotonic.
    """

    def __init__(
        self, total: int | None, report: ProgressCallback | None = None, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._total, self._report, self._clock = total, report, clock
        self._start = clock()
        self.done = 0
        self.drawn = 0

    def count(self, *, drawn: bool) -> None:
        """One more output frame is on its way."""
        self.done += 1
        self.drawn += drawn
        if self._report is not None:
            self._report(self.state())

    @property
    def elapsed(self) -> float:
        """Seconds since the meter was made."""
        return self._clock() - self._start

    def state(self) -> Progress:
        """The event for now."""
        elapsed = self.elapsed
        fps = self.done / elapsed if elapsed > 0 else 0.0
        eta = None
        if self._total is not None and fps > 0:
            eta = max(0, self._total - self.done) / fps
        return Progress(self.done, self._total, self.drawn, elapsed, fps, eta)
