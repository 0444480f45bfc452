"""A clock for tests of threads: time passes only when every thread waits, and then at once."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass

_FOREVER = float("inf")
_HUNG = 60.0


@dataclass(eq=False)
class _Waiter:
    changed: threading.Condition
    until: float
    woken: bool = False


class FakeClock:
    """A `tweenrt.runtime.live.Clock`. The thread that makes it takes part, and those that it starts.

    When all of them wait, the next thing happens: a planned event, or somebody's time is up.
    """

    def __init__(self) -> None:
        self._state = threading.RLock()
        self._time = 0.0
        self._running = 1
        self._waiting: list[_Waiter] = []
        self._planned: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()

    def now(self) -> float:
        return self._time

    def plan(self, time: float, event: Callable[[], None]) -> None:
        """Let `event` happen at `time`; it does one thing to one queue."""
        heapq.heappush(self._planned, (time, next(self._number), event))

    def spend(self, seconds: float) -> None:
        """Work for so long."""
        until, alone = self._time + seconds, threading.Condition()
        with alone:
            while self._time < until:
                self.wait(alone, until - self._time)

    def wait(self, changed: threading.Condition, seconds: float | None) -> None:
        waiter = _Waiter(changed, _FOREVER if seconds is None else self._time + seconds)
        with self._state:
            self._waiting.append(waiter)
            self._stop_running()
        while not waiter.woken:
            assert changed.wait(_HUNG), "all threads wait for one another"

    def notify(self, changed: threading.Condition) -> None:
        with self._state:
            for waiter in [w for w in self._waiting if w.changed is changed]:
                self._wake(waiter)
        changed.notify_all()

    def start(self, work: Callable[[], None]) -> None:
        def run() -> None:
            work()
            with self._state:
                self._stop_running()

        with self._state:
            self._running += 1
        threading.Thread(target=run, daemon=True).start()

    def _stop_running(self) -> None:
        self._running -= 1
        while not self._running and (self._waiting or self._planned):
            self._next()

    def _wake(self, waiter: _Waiter) -> None:
        self._waiting.remove(waiter)
        waiter.woken = True
        self._running += 1

    def _next(self) -> None:
        waiter = min(self._waiting, key=lambda w: w.until, default=None)
        if self._planned and (waiter is None or self._planned[0][0] <= waiter.until):
            time, _, event = heapq.heappop(self._planned)
            self._time = max(self._time, time)
            self._running += 1
            event()
            self._running -= 1
            return
        assert waiter is not None
        assert waiter.until < _FOREVER, "nothing will ever happen"
        self._time = max(self._time, waiter.until)
        self._wake(waiter)
        with waiter.changed:
            waiter.changed.notify_all()
