"""Percentiles by nearest rank, and the rest of a spread, against figures worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tweenrt.runtime.profiling.spread import Spread, percentile


def test_a_spread_by_hand() -> None:
    spread = Spread.of([4.0, 1.0, 3.0, 2.0])
    assert (spread.count, spread.mean, spread.minimum, spread.maximum) == (4, 2.5, 1.0, 4.0)
    assert spread.std == pytest.approx((5 / 3) ** 0.5)  # 1.5² + 0.5² twice, over 3
    assert (spread.p50, spread.p90, spread.p99) == (2.0, 4.0, 4.0)  # ranks 2, 4, 4


def test_percentiles_of_a_hundred() -> None:
    values = [float(k) for k in range(100, 0, -1)]
    assert [percentile(values, p) for p in (0, 1, 50, 90, 99, 100)] == [1, 1, 50, 90, 99, 100]
    assert percentile(values[:10], 90) == 99  # 91..100: the ninth


def test_it_is_numpy_s_inverted_cdf() -> None:
    values = np.random.default_rng(1).random(37).tolist()
    for percent in (1, 10, 33, 50, 90, 99):
        assert percentile(values, percent) == np.percentile(values, percent, method="inverted_cdf")


def test_one_measurement() -> None:
    assert Spread.of([7.0]) == Spread(1, 7.0, 0.0, 7.0, 7.0, 7.0, 7.0, 7.0)
