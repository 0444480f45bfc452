"""Factors that give the channels of a tensor more equal ranges."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tweenrt.calibration.int8.balance import factors

Floats = NDArray[np.float32]


def found(extents: list[float], *weights: list[float]) -> list[float]:
    """For weights with one number a channel."""
    return factors(np.array(extents, np.float32), [np.array(w, np.float32)[:, None] for w in weights]).tolist()


def test_a_large_channel_is_made_smaller_and_a_small_one_larger() -> None:
    assert found([16, 1], [1, 1]) == [0.5, 2]


def test_half_of_the_spread_goes_to_the_weights() -> None:
    """s_c = sqrt(x_c / w_c): values and weights end up with the same spread."""
    extents, largest = np.array([256, 4, 1], np.float32), np.array([1, 4, 1], np.float32)
    by = np.array(found(extents.tolist(), largest.tolist()))
    ratios = (extents * by) / (largest / by)
    np.testing.assert_allclose(ratios, ratios[0])


def test_even_channels_are_left_alone() -> None:
    assert found([3, 3, 3], [0.1, 0.1, 0.1]) == [1, 1, 1]


def test_the_largest_weight_of_all_readers_counts() -> None:
    assert found([1, 1], [1, 1], [-16, 0.5]) == found([1, 1], [16, 1]) == [2, 0.5]


def test_all_weights_of_a_channel_count() -> None:
    weights = np.zeros((2, 8, 3, 3), np.float32)
    weights[0, 5, 2, 1], weights[1, 0, 0, 0] = -16, 1
    assert factors(np.ones(2, np.float32), [weights]).tolist() == [2, 0.5]


@pytest.mark.parametrize("seed", range(5))
def test_factors_are_powers_of_two_around_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    extents, weights = np.exp(rng.normal(0, 3, 12)).astype("f4"), rng.standard_normal((12, 4, 3, 3)).astype("f4")
    by = factors(extents, [weights])
    assert (by.dtype, by.shape) == (np.float32, (12,))
    powers = np.log2(by)
    np.testing.assert_array_equal(powers, np.rint(powers))
    assert abs(powers.mean()) <= 0.5
    before, after = np.ptp(np.log2(extents)), np.ptp(np.log2(extents * by))
    assert after < before


@pytest.mark.parametrize("quiet", [0.0, 1e-30, 2.0**-10])
def test_a_channel_that_was_quiet_may_not_be_so_on_other_frames(quiet: float) -> None:
    """It counts as a thousandth of the largest, so it is not blown up without end."""
    assert found([1, quiet], [1, 1]) == [0.25, 4]


@pytest.mark.parametrize("extents", [[0, 0], [1, 1]])
def test_what_is_nothing_at_all_stays_finite(extents: list[float]) -> None:
    assert found(extents, [0, 0]) == [1, 1]
