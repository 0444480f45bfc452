"""A network that takes its time, for tests of live runs."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from support.fake_clock import FakeClock

Array = np.ndarray[Any, Any]


class SlowDrawer:
    """Draws the mean, and takes its time."""

    neighbours = False

    def __init__(self, clock: FakeClock, *costs: float) -> None:
        self._clock, self._costs = clock, list(costs)
        self.calls = 0
        self.busy = False

    def prepare(self, frame: Array) -> Array:
        return frame

    def between(
        self, frame0: Array, frame1: Array, times: Sequence[Fraction], *, before: Any = None, after: Any = None
    ) -> list[Array]:
        self.calls += 1
        self.busy = True
        self._clock.spend(len(times) * (self._costs.pop(0) if len(self._costs) > 1 else self._costs[0]))
        self.busy = False
        return [(frame0 * (1 - float(t)) + frame1 * float(t)).astype(np.uint8) for t in times]


def flat(level: int) -> Array:
    return np.full((4, 4, 3), level % 256, np.uint8)
