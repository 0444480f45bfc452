"""What becomes of frames that would be late, and how it went."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum

from tweenrt.runtime.profiling.spread import Spread
from tweenrt.runtime.stream import Origin

_LATENCIES = 4096


class Deadline(str, Enum):
    """What to do with a frame that cannot be drawn until it is due."""

    WAIT = "wait"  # draw it all the same; `push` waits where frames come faster than they are drawn
    SKIP = "skip"  # leave it out; what is shown before it stays longer
    REPEAT = "repeat"  # hand over the source frame before it again, so that as many frames come out


@dataclass(frozen=True)
class LiveReport:
    """What a live run has done so far.

    Attributes:
        received: source frames that were pushed.
        dropped: how many of them were let go before they were looked at, because newer ones had come.
        source: source frames that were handed over, each as often as it was shown.
        drawn: drawn frames that were handed over.
        skipped: frames left out because they were or would have been late, or their consumer came too late.
        repeated: frames in whose place a source frame was handed over.
        latency: milliseconds of the last 4096 frames from the moment that they show to when they were handed over; None
            before the first. A source frame shows the moment of its `push`, a drawn one a moment between two of them.
    """

    received: int
    dropped: int
    source: int
    drawn: int
    skipped: int
    repeated: int
    latency: Spread | None


@dataclass
class Tally:
    """The numbers of a `LiveReport` while they grow."""

    received: int = 0
    source: int = 0
    drawn: int = 0
    skipped: int = 0
    repeated: int = 0
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=_LATENCIES))

    def note(self, origin: Origin, milliseconds: float) -> None:
        """A frame was handed over, so long after the moment that it shows."""
        self.source += origin is Origin.SOURCE
        self.drawn += origin is Origin.DRAWN
        self.repeated += origin is Origin.REPEATED
        self.latencies.append(milliseconds)

    def report(self, dropped: int, left_out: int) -> LiveReport:
        """The numbers as they are now, with source and output frames that were let go elsewhere."""
        seen = list(self.latencies)
        return LiveReport(
            self.received,
            dropped,
            self.source,
            self.drawn,
            self.skipped + left_out,
            self.repeated,
            Spread.of(seen) if seen else None,
        )


class DrawingTime:
    """How long it takes to draw a frame, as far as one can tell from the last times.

    A guess that is too high would never be corrected, since nothing is drawn any more. So it shrinks by a tenth each
    time that it kept a frame from being drawn.
    """

    _NEWEST = 0.25

    def __init__(self) -> None:
        self._seconds: float | None = None

    def expect(self, count: int) -> float:
        """Seconds for `count` frames; 0 before the first were drawn."""
        return count * (self._seconds or 0.0)

    def note(self, seconds: float, count: int) -> None:
        """`count` frames took `seconds`."""
        each = seconds / count
        self._seconds = each if self._seconds is None else self._seconds + self._NEWEST * (each - self._seconds)

    def refused(self) -> None:
        """A frame was not drawn because of it."""
        if self._seconds is not None:
            self._seconds *= 0.9


__all__ = ["Deadline", "DrawingTime", "LiveReport", "Tally"]
