"""Time, and what takes its time: waiting for it, and working beside others."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Condition, Thread
from typing import Protocol


class Clock(Protocol):
    """What a live run asks of time and threads; a test has its own."""

    def now(self) -> float:
        """Seconds since some moment; never less than before."""

    def wait(self, changed: Condition, seconds: float | None) -> None:
        """Wait, holding `changed`, until it is notified or `seconds` have passed; it may also return sooner."""

    def notify(self, changed: Condition) -> None:
        """Wake all who wait for `changed`, which the caller holds."""

    def start(self, work: Callable[[], None]) -> None:
        """Do `work` in a thread of its own."""


class SteadyClock:
    """The machine's."""

    def now(self) -> float:
        """See `Clock.now`."""
        return time.monotonic()

    def wait(self, changed: Condition, seconds: float | None) -> None:
        """See `Clock.wait`."""
        changed.wait(seconds)

    def notify(self, changed: Condition) -> None:
        """See `Clock.notify`."""
        changed.notify_all()

    def start(self, work: Callable[[], None]) -> None:
        """See `Clock.start`."""
        Thread(target=work, name="tweenrt-live", daemon=True).start()


__all__ = ["Clock", "SteadyClock"]
