"""Histograms of tensors, counted while a graph runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.mixed import graph

from tweenrt.calibration.int8.histograms import BINS, HistogramSession, Watched, groups

TEXT = """
    g (float[1,3,H,W] frame0, float[1,2,H,W] flow) => (float[1,3,H,W] frame_t) {
        large = Mul (frame0, gain)
        warped = tweenrt.BackwardWarp (large, flow)
        frame_t = Neg (warped) }"""
RUNS = [np.random.default_rng(k).standard_normal((1, 3, 6 + 2 * k, 8)).astype("f4") for k in range(3)]


def session(folder: Path, *watched: Watched) -> HistogramSession:
    return HistogramSession(graph(TEXT, gain=[4.0]), watched, folder / "counting.onnx", 1)


def run(counting: HistogramSession, frames: list[NDArray[np.float32]]) -> None:
    for frame in frames:
        flow = np.zeros((1, 2, *frame.shape[2:]), np.float32)
        results = counting.run({"frame0": frame, "flow": flow})
        assert list(results) == ["frame_t"], "what is watched is no result"
        np.testing.assert_allclose(results["frame_t"], -4 * frame, atol=1e-5)


@pytest.mark.parametrize("name", ["frame0", "large", "warped", "frame_t"])
def test_the_counts_are_numpys_of_all_runs(name: str, tmp_path: Path) -> None:
    """A value at the border of two bins may fall to either side."""
    values = np.concatenate([np.abs(frame).ravel() for frame in RUNS]) * (1 if name == "frame0" else 4)
    counting = session(tmp_path, Watched(name, float(values.max())))
    run(counting, RUNS)
    found = counting.histograms()[name]
    expected, _ = np.histogram(values, BINS, (0, float(values.max())))
    assert found.largest == values.max()
    assert (found.counts.shape, found.counts.dtype) == ((BINS,), np.int64)
    assert found.counts.sum() == values.size
    assert np.abs(np.cumsum(found.counts) - np.cumsum(expected)).max() <= 1


def test_channels_are_multiplied_by_their_factors_first(tmp_path: Path) -> None:
    factors = np.array([4, 1, 0.25], np.float32)
    frame = np.ones((1, 3, 4, 4), np.float32) / factors.reshape(1, -1, 1, 1)
    counting = session(tmp_path, Watched("frame0", 2.0, factors))
    run(counting, [frame, -frame])
    counts = counting.histograms()["frame0"].counts
    assert counts[BINS // 2] == counts.sum() == 2 * frame.size


def test_what_is_larger_than_expected_falls_into_the_last_bin(tmp_path: Path) -> None:
    counting = session(tmp_path, Watched("frame0", 0.5))
    run(counting, [np.full((1, 3, 2, 2), 3.0, np.float32)])
    assert counting.histograms()["frame0"].counts[-1] == 12


def test_a_tensor_that_is_always_zero_counts_nothing(tmp_path: Path) -> None:
    counting = session(tmp_path, Watched("frame0", 0.0))
    run(counting, [np.zeros((1, 3, 2, 2), np.float32)])
    assert not counting.histograms()["frame0"].counts.any()


def test_without_tensors_it_just_runs(tmp_path: Path) -> None:
    counting = session(tmp_path)
    run(counting, RUNS)
    assert counting.histograms() == {}


SIZES = {"a": 4, "b": 4, "c": 9, "d": 1, "e": 1}


@pytest.mark.parametrize(
    ("names", "most", "expected"),
    [
        ("abcde", 8, ["ab", "c", "de"]),
        ("abcde", 100, ["abcde"]),
        ("abcde", 1, ["a", "b", "c", "d", "e"]),
        ("abcde", 10, ["ab", "cd", "e"]),
        ("axyz", 4, ["axyz"]),
        ("", 4, []),
    ],
)
def test_groups_take_no_more_bytes_than_allowed(names: str, most: int, expected: list[str]) -> None:
    found = ["".join(w.name for w in g) for g in groups([Watched(n, 1.0) for n in names], SIZES, most)]
    assert found == expected
