"""From what was measured to INT8: q = round(x / scale), clipped to -127..127, zero point 0.

Every scale is a number that FP16 holds exactly and not below FP16's smallest normal number. So a graph with features in
FP16 and one in FP32 quantise alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

LEVELS = 127
"""The largest INT8 number in use; -128 is left out, so that the range is symmetric."""

_FP16 = np.finfo(np.float16)
_BINS_OF_INT8 = 128
_PERCENT = 99.99
_MSE_STEPS = 100

Counts = NDArray[np.int64]


class Method(str, Enum):
    """How the largest number that INT8 represents is chosen for a tensor; what is larger is clipped to it."""

    MAX = "max"  # the largest value that was seen: nothing is clipped
    ENTROPY = "entropy"  # the least Kullback-Leibler divergence between the histogram and the quantised one
    PERCENTILE = "percentile"  # 99.99 % of the values lie within
    MSE = "mse"  # the least mean squared error


@dataclass(frozen=True)
class Histogram:
    """How often absolute values of a tensor were seen.

    Attributes:
        counts: [bins], of equal width from 0 to `largest`.
        largest: the largest absolute value.
    """

    counts: Counts
    largest: float

    @property
    def centres(self) -> NDArray[np.float64]:
        """[bins], the value in the middle of each."""
        bins = len(self.counts)
        return (np.arange(bins, dtype=np.float64) + 0.5) * (self.largest / bins)


def scale_of(threshold: float) -> float:
    """The scale with which `threshold` becomes 127."""
    exact = float(np.float16(min(threshold / LEVELS, float(_FP16.max))))
    return max(exact, float(_FP16.smallest_normal))


def threshold(found: Histogram, method: Method) -> float:
    """The largest absolute value that is to be represented.

    Source: Migacz, "8-bit inference with TensorRT", GTC 2017 (entropy); Wu et al., "Integer quantization for deep
    learning inference", arXiv:2004.09602 (max, percentile); Choukroun et al., arXiv:1902.06822 (mean squared error).
    """
    if method is Method.MAX or not found.counts.sum():
        return found.largest
    return {Method.ENTROPY: _entropy, Method.PERCENTILE: _percentile, Method.MSE: _mse}[method](found)


def _percentile(found: Histogram) -> float:
    shares = np.cumsum(found.counts) / found.counts.sum()
    last = int(np.searchsorted(shares, _PERCENT / 100))
    return min(found.largest, (last + 1) * found.largest / len(found.counts))


def _mse(found: Histogram) -> float:
    """Try thresholds at equal steps. Within a bin the error of rounding is scale²/12, as for an even distribution."""
    values, counts = found.centres, found.counts
    tried = found.largest * np.arange(1, _MSE_STEPS + 1) / _MSE_STEPS
    errors = []
    for limit in tried:
        clipped = np.where(values > limit, (values - limit) ** 2, (limit / LEVELS) ** 2 / 12)
        errors.append(float((clipped * counts).sum()))
    return float(tried[int(np.argmin(errors))])


def _entropy(found: Histogram) -> float:
    """Try every number of bins from 128 on, with what is beyond added to the last bin."""
    counts = found.counts.astype(np.float64)
    counts[0] = counts[1] if len(counts) > 1 else counts[0]  # zeros of ReLU and padding are exact in any scale
    best, bins = np.inf, len(counts)
    for used in range(_BINS_OF_INT8, len(counts) + 1, 4):
        divergence = _divergence(counts, used)
        if divergence < best:
            best, bins = divergence, used
    return bins * found.largest / len(counts)


def _divergence(counts: NDArray[np.float64], used: int) -> float:
    kept = counts[:used].copy()
    seen = kept > 0
    edges = np.arange(used) * _BINS_OF_INT8 // used
    totals = np.bincount(edges, kept, _BINS_OF_INT8)
    filled = np.bincount(edges, seen, _BINS_OF_INT8)
    quantised = np.where(seen, (totals / np.maximum(filled, 1))[edges], 0.0)
    kept[-1] += counts[used:].sum()
    p, q = kept / kept.sum(), quantised / max(quantised.sum(), 1e-300)
    both = (p > 0) & (q > 0)
    lost = p[(p > 0) & (q <= 0)].sum()
    return float((p[both] * np.log(p[both] / q[both])).sum()) + (np.inf if lost > 1e-3 else 0.0)


@dataclass(frozen=True)
class Int8Weights:
    """Weights in INT8.

    Attributes:
        values: int8, of the shape of the weights.
        scales: [channels] float32.
    """

    values: NDArray[np.int8]
    scales: NDArray[np.float32]


def int8_weights(weights: NDArray[np.float32], axis: int) -> Int8Weights:
    """Quantise weights with a scale of its own for each channel along `axis`: the largest weight becomes 127."""
    others = tuple(k for k in range(weights.ndim) if k != axis)
    largest = np.abs(weights).max(axis=others, initial=0.0)
    scales = np.array([scale_of(float(value)) for value in largest], np.float32)
    shape = [-1 if k == axis else 1 for k in range(weights.ndim)]
    values = np.clip(np.rint(weights / scales.reshape(shape)), -LEVELS, LEVELS).astype(np.int8)
    return Int8Weights(values, scales)
