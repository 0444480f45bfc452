"""Power while something runs: sampled beside it, and made into energy.

Two kinds of sources are known. Those that say the power now are read often, and their energy is the integral of the
power over time by trapezoids. Those that count energy need only the difference between the last reading and the first.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise
from types import TracebackType
from typing import NamedTuple

SAMPLE_SECONDS = 0.05
"""Between two readings. A sensor on the I2C bus of a Jetson takes about half a millisecond for each register."""


class Unit(Enum):
    """What a source says."""

    WATTS = "power now"
    JOULES = "energy so far"


class Unavailable(Exception):  # noqa: N818  (no error of the program; it becomes a sentence in the report)
    """A source that cannot be read here; the message says why, and what would help."""


@dataclass(frozen=True)
class PowerSource:
    """Something that measures electrical power.

    Attributes:
        name: as the report calls it.
        covers: what part of the machine it measures, in words.
        unit: what `read` gives.
        total: the rails that add up to what it covers; the others are parts of these.
        read: gives rail → watts or joules now; raises Unavailable if it cannot be read any more.
        turns_over: rail → joules at which a counter starts again from 0; empty where it does not.
    """

    name: str
    covers: str
    unit: Unit
    total: tuple[str, ...]
    read: Callable[[], dict[str, float]]
    turns_over: Mapping[str, float] = field(default_factory=dict)


class Reading(NamedTuple):
    """One look at a source: seconds on a monotonic clock, and rail → watts or joules."""

    seconds: float
    values: Mapping[str, float]


@dataclass(frozen=True)
class Energy:
    """What one source measured during the runs. Nothing is taken off for what the machine draws when idle.

    Attributes:
        source: its name.
        covers: what part of the machine it measures; empty where there is no such source.
        reason: why there are no figures; None where there are.
        seconds: how long it was measured.
        samples: readings.
        watts: mean power.
        joules: energy.
        joules_per_frame: the same for each frame that was drawn meanwhile.
        rails: rail → joules, of everything that the source tells apart.
    """

    source: str
    covers: str = ""
    reason: str | None = None
    seconds: float | None = None
    samples: int = 0
    watts: float | None = None
    joules: float | None = None
    joules_per_frame: float | None = None
    rails: dict[str, float] = field(default_factory=dict)


def joules_by_rail(readings: Sequence[Reading], source: PowerSource) -> dict[str, float]:
    """Energy of every rail between the first and the last of `readings`, in joules."""
    rails = readings[0].values
    return {rail: sum(_step(a, b, rail, source) for a, b in pairwise(readings)) for rail in rails}


def _step(a: Reading, b: Reading, rail: str, source: PowerSource) -> float:
    """Joules from one reading to the next."""
    before, after = a.values[rail], b.values[rail]
    if source.unit is Unit.WATTS:
        return (before + after) / 2 * (b.seconds - a.seconds)
    return after - before if after >= before else after - before + source.turns_over.get(rail, 0.0)


class PowerMeter:
    """Reads all sources in a thread of its own while the block runs.

    Args:
        sources: what to read.
        clock: seconds, monotonic.
        pause: seconds between two readings.

    Example:
        >>> with PowerMeter(sources) as meter:  # doctest: +SKIP
        ...     draw()
        >>> meter.energies(frames=10)  # doctest: +SKIP
    """

    def __init__(
        self,
        sources: Sequence[PowerSource],
        clock: Callable[[], float] = time.perf_counter,
        pause: float = SAMPLE_SECONDS,
    ) -> None:
        self._sources = list(sources)
        self._readings: list[list[Reading]] = [[] for _ in sources]
        self._failures: dict[int, str] = {}
        self._clock = clock
        self._pause = pause
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="power", daemon=True)

    def __enter__(self) -> PowerMeter:  # noqa: PYI034  (typing.Self needs Python 3.11)
        self.read()
        if self._sources:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._sources:
            self._thread.join()
        self.read()

    def read(self) -> None:
        """Read every source once; one that fails is not asked again."""
        for number, source in enumerate(self._sources):
            if number not in self._failures:
                try:
                    self._readings[number].append(Reading(self._clock(), source.read()))
                except Unavailable as error:
                    self._failures[number] = str(error)

    def energies(self, frames: int) -> list[Energy]:
        """What every source measured; `frames` is how many were drawn meanwhile."""
        return [self._energy(number, frames) for number in range(len(self._sources))]

    def _sample(self) -> None:
        while not self._over.wait(self._pause):
            self.read()

    def _energy(self, number: int, frames: int) -> Energy:
        source, readings = self._sources[number], self._readings[number]
        if number in self._failures:
            return Energy(source.name, source.covers, self._failures[number])
        rails = joules_by_rail(readings, source)
        joules = sum(rails[rail] for rail in source.total)
        seconds = readings[-1].seconds - readings[0].seconds
        watts = joules / seconds if seconds else 0.0
        return Energy(
            source.name, source.covers, None, seconds, len(readings), watts, joules, joules / max(frames, 1), rails
        )


__all__ = ["Energy", "PowerMeter", "PowerSource", "Reading", "Unavailable", "Unit", "joules_by_rail"]
