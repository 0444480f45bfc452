"""Means over the rows of an evaluation."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from tweenrt.runtime.evaluate.metrics import Metric
from tweenrt.runtime.evaluate.run import Row


@dataclass(frozen=True)
class Means:
    """What came out over one part of a dataset.

    Attributes:
        group: the part; empty for all of it.
        count: frames.
        identical: how many of them equal the truth. Their PSNR is infinite, so it is left out of its mean.
        values: metric → mean over the frames; infinite where all are.
        seconds: in the network for a frame, the median.
    """

    group: str
    count: int
    identical: int
    values: dict[Metric, float]
    seconds: float


def summarise(rows: Sequence[Row], groups: Sequence[str]) -> list[Means]:
    """The means of each group that has rows; then, if that are several, of all rows.

    Means are over frames, as in the papers: of each frame's PSNR, not the PSNR of a mean error.

    Args:
        rows: at least one.
        groups: in the order that is wanted.
    """
    members = {group: [row for row in rows if row.group == group] for group in groups}
    found = [_means(group, several) for group, several in members.items() if several]
    return found if len(found) == 1 else [*found, _means("", rows)]


def _means(group: str, rows: Sequence[Row]) -> Means:
    values = {metric: _mean([row.values[metric] for row in rows]) for metric in rows[0].values}
    identical = sum(math.inf in row.values.values() for row in rows)
    return Means(group, len(rows), identical, values, statistics.median(row.seconds for row in rows))


def _mean(values: Sequence[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return statistics.fmean(finite) if finite else math.inf


def worst(rows: Sequence[Row], count: int) -> list[Row]:
    """The `count` rows that are worst by their first metric, the worst first.

    Args:
        rows: at least one.
        count: how many to give at most.
    """
    first = next(iter(rows[0].values))
    return sorted(rows, key=lambda row: row.values[first], reverse=first.is_error)[:count]
