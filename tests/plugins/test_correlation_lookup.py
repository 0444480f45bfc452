"""CorrelationLookup: reference against a loop over samples, body against reference."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support.op_models import run_op

from tweenrt.plugins.correlation_lookup.reference import correlation_lookup

Array = NDArray[np.float32]


def sample(plane: Array, x: float, y: float) -> float:
    """Bilinear, zero outside; no grid, no normalisation."""
    total = 0.0
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < plane.shape[0] and 0 <= column < plane.shape[1]:
                total += (1 - abs(x - column)) * (1 - abs(y - row)) * float(plane[row, column])
    return total


def by_loop(corr: Array, coords: Array, radius: int) -> Array:
    batch, _, rows, columns = coords.shape
    side = 2 * radius + 1
    out = np.zeros((batch, side * side, rows, columns), np.float32)
    for b, row, column in np.ndindex(batch, rows, columns):
        plane = corr[(b * rows + row) * columns + column, 0]
        x, y = (float(v) for v in coords[b, :, row, column])
        for i, j in np.ndindex(side, side):
            out[b, i * side + j, row, column] = sample(plane, x + i - radius, y + j - radius)
    return out


def case(batch: int, grid: tuple[int, int], level: tuple[int, int]) -> tuple[Array, Array]:
    """Maps and coordinates, some of them far outside and some exactly on a pixel."""
    rng = np.random.default_rng(5)
    rows, columns = grid
    corr = rng.standard_normal((batch * rows * columns, 1, *level)).astype(np.float32)
    coords = rng.uniform(-4.0, max(level) + 4.0, (batch, 2, rows, columns)).astype(np.float32)
    coords[:, :, 0, 0] = 1.0
    coords[:, :, -1, -1] = -100.0
    return corr, coords


@pytest.mark.parametrize("radius", [1, 3, 4])
@pytest.mark.parametrize("level", [(6, 9), (2, 3), (1, 1), (1, 5)])
def test_reference_is_a_plain_loop(radius: int, level: tuple[int, int]) -> None:
    corr, coords = case(2, (3, 4), level)
    got = correlation_lookup(torch.from_numpy(corr), torch.from_numpy(coords), radius)
    np.testing.assert_allclose(got.numpy(), by_loop(corr, coords, radius), rtol=0, atol=1e-5)


def test_x_runs_slowest() -> None:
    corr = torch.zeros(1, 1, 5, 5)
    corr[0, 0, 2, 3] = 1.0  # one pixel to the right of the centre
    window = correlation_lookup(corr, torch.full((1, 2, 1, 1), 2.0), 1).flatten()
    assert window.argmax() == 2 * 3 + 1


@pytest.mark.parametrize("radius", [3, 4])
@pytest.mark.parametrize("level", [(6, 9), (1, 1)])
def test_body_is_the_reference(radius: int, level: tuple[int, int]) -> None:
    corr, coords = case(2, (3, 4), level)
    got = run_op("CorrelationLookup", {"corr": corr, "coords": coords}, {"radius": radius})
    expected = correlation_lookup(torch.from_numpy(corr), torch.from_numpy(coords), radius).numpy()
    np.testing.assert_allclose(got, expected, rtol=0, atol=2e-6)


def test_half_precision_maps_are_sampled_at_full_precision() -> None:
    corr, coords = case(1, (3, 4), (6, 9))
    half = corr.astype(np.float16)
    got = run_op("CorrelationLookup", {"corr": half, "coords": coords}, {"radius": 2})
    expected = by_loop(half.astype(np.float32), coords, 2).astype(np.float16)
    assert got.dtype == np.float16
    np.testing.assert_allclose(got.astype(np.float32), expected.astype(np.float32), rtol=0, atol=2e-3)
