"""How repeated measurements spread: percentiles that were really observed, mean and standard deviation."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """Repeated measurements of one thing, all in one unit (milliseconds unless it is said otherwise).

    Attributes:
        count: how many.
        mean: their mean.
        std: standard deviation of the sample (divided by count - 1); 0 for one measurement.
        minimum: the least.
        p50: see `percentile`.
        p90: likewise.
        p99: likewise; of fewer than 100 measurements, the largest.
        maximum: the largest.
    """

    count: int
    mean: float
    std: float
    minimum: float
    p50: float
    p90: float
    p99: float
    maximum: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of one or more `values`."""
        return cls(
            count=len(values),
            mean=statistics.fmean(values),
            std=statistics.stdev(values) if len(values) > 1 else 0.0,
            minimum=min(values),
            p50=percentile(values, 50),
            p90=percentile(values, 90),
            p99=percentile(values, 99),
            maximum=max(values),
        )


def percentile(values: Sequence[float], percent: float) -> float:
    """The least of `values` that at least `percent` per cent of them do not exceed.

    This is the nearest-rank definition (the inverted empirical distribution): the value at rank
    ceil(percent / 100 * n). Nothing is interpolated, so the result was really measured.
    """
    rank = math.ceil(percent * len(values) / 100)
    return sorted(values)[max(rank, 1) - 1]
