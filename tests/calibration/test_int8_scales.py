"""Scales, the thresholds of histograms, and weights in INT8."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tweenrt.calibration.int8.scales import Histogram, Method, int8_weights, scale_of, threshold

SMALLEST = 2.0**-14
BINS = 2048


def histogram(values: NDArray[np.float64], bins: int = BINS) -> Histogram:
    size = np.abs(values)
    counts, _ = np.histogram(size, bins, (0.0, size.max()))
    return Histogram(counts.astype(np.int64), float(size.max()))


@pytest.mark.parametrize("limit", [0.01, 0.3, 1.0, 6.0, 127.0, 1e3, 3e5])
def test_a_scale_is_an_fp16_number_with_which_the_limit_becomes_127(limit: float) -> None:
    scale = scale_of(limit)
    assert float(np.float16(scale)) == scale
    assert round(limit / scale) == 127
    assert scale == pytest.approx(limit / 127, rel=2**-11)


@pytest.mark.parametrize("limit", [0.0, 1e-9, 127 * SMALLEST / 2, 127 * SMALLEST])
def test_no_scale_is_below_the_smallest_normal_number(limit: float) -> None:
    assert scale_of(limit) == SMALLEST


@pytest.mark.parametrize("limit", [1e9, float("inf")])
def test_no_scale_is_beyond_the_largest_number(limit: float) -> None:
    assert scale_of(limit) == 65504


def test_max_keeps_what_was_seen() -> None:
    assert threshold(Histogram(np.array([9, 0, 0, 1]), 3.5), Method.MAX) == 3.5


@pytest.mark.parametrize("method", Method)
def test_without_values_nothing_is_clipped(method: Method) -> None:
    assert threshold(Histogram(np.zeros(BINS, np.int64), 2.0), method) == 2.0


@pytest.mark.parametrize(("beyond", "kept"), [(0, 50), (1, 50), (2, 101)])
def test_the_percentile_is_the_end_of_the_bin_that_reaches_9999_of_10000(beyond: int, kept: int) -> None:
    counts = np.zeros(200, np.int64)
    counts[49], counts[100] = 10_000 - beyond, beyond
    assert threshold(Histogram(counts, 20.0), Method.PERCENTILE) == pytest.approx(kept * 0.1)


def test_the_percentile_of_many_values_is_numpys() -> None:
    values = np.random.default_rng(0).standard_normal(200_000)
    found = threshold(histogram(values), Method.PERCENTILE)
    assert found == pytest.approx(np.quantile(np.abs(values), 0.9999), abs=2 * np.abs(values).max() / BINS)


def error_of(values: NDArray[np.float64], limit: float) -> float:
    scale = limit / 127
    return float(np.mean((values - scale * np.clip(np.rint(values / scale), -127, 127)) ** 2))


@pytest.mark.parametrize("seed", range(3))
def test_the_mean_squared_error_is_the_least_of_a_search_on_the_values_themselves(seed: int) -> None:
    values = np.random.default_rng(seed).laplace(size=50_000)
    largest = float(np.abs(values).max())
    errors = {limit: error_of(values, limit) for limit in largest * np.arange(1, 101) / 100}
    found = threshold(histogram(values), Method.MSE)
    assert found < 0.95 * largest, "something is clipped"
    assert error_of(values, found) <= 1.01 * min(errors.values())
    assert found == pytest.approx(min(errors, key=lambda limit: errors[limit]), abs=0.021 * largest)


def test_the_mean_squared_error_clips_nothing_of_an_even_distribution() -> None:
    assert threshold(Histogram(np.full(BINS, 1000), 4.0), Method.MSE) == pytest.approx(4.0, rel=0.011)


def test_entropy_keeps_an_even_histogram_whole() -> None:
    assert threshold(Histogram(np.full(BINS, 1000), 4.0), Method.ENTROPY) == 4.0


def test_entropy_clips_what_is_far_away() -> None:
    values = np.append(np.abs(np.random.default_rng(1).standard_normal(100_000)), 40.0)
    found = threshold(histogram(values), Method.ENTROPY)
    assert 2.0 < found < 6.0


@pytest.mark.parametrize("method", Method)
@pytest.mark.parametrize("seed", range(3))
def test_every_threshold_is_within_what_was_seen(method: Method, seed: int) -> None:
    found = histogram(np.random.default_rng(seed).standard_normal(20_000) ** 3)
    assert 0 < threshold(found, method) <= found.largest


def test_entropy_does_not_count_zeros() -> None:
    """ReLU makes most values 0, which every scale represents: they must not draw the threshold towards 0."""
    values = np.abs(np.random.default_rng(2).standard_normal(50_000))
    without = threshold(histogram(values), Method.ENTROPY)
    with_zeros = threshold(histogram(np.append(values, np.zeros(5_000_000))), Method.ENTROPY)
    assert with_zeros == pytest.approx(without, rel=0.05)


WEIGHTS = {"Conv": (0, (8, 4, 3, 3)), "ConvTranspose": (1, (6, 5, 4, 4)), "MatMul": (1, (32, 24))}


@pytest.mark.parametrize(("axis", "shape"), WEIGHTS.values(), ids=WEIGHTS)
def test_weights_come_back_to_half_a_scale_of_their_channel(axis: int, shape: tuple[int, ...]) -> None:
    channels = np.arange(1, shape[axis] + 1, dtype=np.float32) ** 3
    by_channel = channels.reshape([-1 if k == axis else 1 for k in range(len(shape))])
    exact = np.random.default_rng(0).standard_normal(shape).astype(np.float32) * by_channel
    found = int8_weights(exact, axis)
    assert (found.values.dtype, found.values.shape) == (np.int8, shape)
    assert (found.scales.dtype, found.scales.shape) == (np.float32, (shape[axis],))
    scales = found.scales.reshape(by_channel.shape)
    assert (np.abs(found.values * scales - exact) <= 0.5001 * scales).all()
    others = tuple(k for k in range(len(shape)) if k != axis)
    assert (np.abs(found.values.astype(int)).max(axis=others) == 127).all(), "each channel uses all its levels"
    np.testing.assert_array_equal(int8_weights(-exact, axis).values, -found.values)


def test_no_weight_is_minus_128() -> None:
    """A scale is an FP16 number, so the largest weight may be more than 127 of it."""
    for largest in (*np.linspace(0.1, 0.2, 100), 1e8):
        values = int8_weights(np.array([[[[largest]], [[-largest]]]], np.float32), 0).values
        assert values.ravel().tolist() == [127, -127]


def test_a_channel_of_zeros_stays_so() -> None:
    found = int8_weights(np.zeros((2, 3, 1, 1), np.float32), 0)
    assert found.scales.tolist() == [SMALLEST, SMALLEST]
    assert not found.values.any()
