"""What stands between an interpolator and its sessions while they are measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tweenrt.runtime.profiling.spread import Spread
from tweenrt.runtime.session import executing, open_session
from tweenrt.runtime.timing import TimesRuns

Clock = Callable[[], float]


@dataclass(frozen=True)
class PartTime:
    """What one graph takes. All times in milliseconds for one run.

    Attributes:
        part: which: ``pair``, ``encoder``, ``synthesis``, ``flow`` or ``refine``.
        runs_per_interval: how often it ran for each interval of the clip.
        host: from the call to its return, or to the result where `alone`.
        device: of that, what the GPU worked; None where the CPU does the work.
        alone: whether it was measured by itself, after the clip; else as it ran for the clip.
        device_bytes: GPU memory that its session holds; of halves that share memory, each counts what is shared. None
            on a CPU.
    """

    part: str
    runs_per_interval: float
    host: Spread
    device: Spread | None
    alone: bool
    device_bytes: int | None

    @property
    def mean(self) -> float:
        """Mean milliseconds of a run: of the device where there is one, else of the host."""
        return (self.device or self.host).mean


class WatchedSession:
    """A session that notes how long its runs take; in everything else it is the session.

    Attributes:
        host_ms: milliseconds of every run since `forget`.
        feeds: what the last run before `forget` got; the last of all if there was none before it.
    """

    def __init__(self, session: Any, clock: Clock = time.perf_counter) -> None:
        self._opened = session
        self.host_ms: list[float] = []
        self.feeds: Mapping[str, Any] = {}
        self._clock = clock
        self._keeps_feeds = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._opened, name)

    @property
    def session(self) -> Any:
        """The session itself; ``Backend.AUTO`` may take another one when the first frames come."""
        return executing(self._opened)

    @property
    def part(self) -> str:
        """What part of the network it is."""
        return str(self.session.info.kind.value)

    def run(self, feeds: Mapping[str, Any], **how: Any) -> dict[str, Any]:
        """See `tweenrt.runtime.session.Session.run`."""
        if self._keeps_feeds:
            self.feeds = dict(feeds)
        start = self._clock()
        results: dict[str, Any] = self._opened.run(feeds, **how)
        self.host_ms.append((self._clock() - start) * 1000)
        return results

    def forget(self) -> None:
        """The warm-up is over: drop what was noted, keep the inputs of its last run."""
        self.host_ms.clear()
        self._keeps_feeds = not self.feeds

    def timed(self, intervals: int) -> PartTime | None:
        """What its runs took for that many intervals; None if there were none.

        A session that knows what its GPU does runs by itself again: in the clip it may return before its work is done.
        """
        count = len(self.host_ms)
        if not count:
            return None
        host, device = self.host_ms, None
        alone = isinstance(self.session, TimesRuns)
        if isinstance(self.session, TimesRuns):
            runs = [self.session.run_timed(self.feeds) for _ in range(count)]
            host = [run.host_ms for run in runs]
            on_device = [run.device_ms for run in runs if run.device_ms is not None]
            device = Spread.of(on_device) if on_device else None
        held = getattr(self.session, "device_memory", None)
        return PartTime(self.part, count / intervals, Spread.of(host), device, alone, held)


@dataclass
class Watch:
    """Opens sessions for an interpolator and keeps them at hand.

    Attributes:
        sessions: in the order in which they were opened.
    """

    clock: Clock = time.perf_counter
    open_session: Callable[..., Any] = open_session
    sessions: list[WatchedSession] = field(default_factory=list)

    def open(self, path: Path, *how: Any) -> Any:
        """See `tweenrt.runtime.session.open_session`."""
        self.sessions.append(WatchedSession(self.open_session(path, *how), self.clock))
        return self.sessions[-1]

    def forget(self) -> None:
        """The warm-up is over; see `WatchedSession.forget`."""
        for session in self.sessions:
            session.forget()

    def timed(self, intervals: int) -> tuple[PartTime, ...]:
        """See `WatchedSession.timed`."""
        return tuple(part for session in self.sessions if (part := session.timed(intervals)))

    @property
    def titles(self) -> str:
        """What kinds of sessions there are, such as ``"OnnxRuntime"``."""
        names = (type(session.session).__name__.removesuffix("Session") for session in self.sessions)
        return ", ".join(dict.fromkeys(names))


__all__ = ["PartTime", "Watch", "WatchedSession"]
