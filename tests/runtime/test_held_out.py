"""Held-out frames are re-created from their neighbours and scored beside the plain mean."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.clips import Blend, Clip, moving

from tweenrt.errors import VideoError
from tweenrt.runtime.held_out import evaluate_held_out, mean_of
from tweenrt.runtime.quality import psnr, ssim
from tweenrt.runtime.video import open_source


class Oracle(Blend):
    """Knows that everything moves two pixels a frame."""

    def between(self, frame0: np.ndarray, frame1: np.ndarray, times: list[Fraction], **around: Any) -> list[np.ndarray]:
        self.around.append((around["before"], around["after"]))
        assert times == [Fraction(1, 2)]
        return [np.roll(frame0, 2, axis=1)]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return Clip(moving(9), codec="ffv1", pix_fmt="bgr0", options={}).write(tmp_path / "in.mkv")


def test_rows_are_the_odd_frames(clip: Path) -> None:
    network = Oracle()
    rows = list(evaluate_held_out(clip, network))
    frames = [f.rgb for f in open_source(clip).frames()]
    assert [row.number for row in rows] == [1, 3, 5, 7]
    assert network.prepared == 5
    for row in rows:
        left, truth, right = frames[row.number - 1 : row.number + 2]
        average = mean_of(left, right)
        assert (row.average_psnr, row.average_ssim) == (psnr(average, truth), ssim(average, truth))
        assert row.psnr == float("inf")
        assert row.ssim == pytest.approx(1)
        assert row.seconds >= 0


def test_a_window_of_the_clip(clip: Path) -> None:
    assert [row.number for row in evaluate_held_out(clip, Oracle(), 2, first=3)] == [4, 6]


def test_networks_of_four_frames_get_the_even_frames_around(clip: Path) -> None:
    network = Oracle()
    network.neighbours = True
    list(evaluate_held_out(clip, network, 3))
    frames = [f.rgb for f in open_source(clip).frames()]
    expected = [(None, 4), (0, 6), (2, 8)]
    for (before, after), (earlier, later) in zip(network.around, expected, strict=True):
        assert (before is None) == (earlier is None)
        assert earlier is None or np.array_equal(before, frames[earlier])
        assert np.array_equal(after, frames[later])
    assert network.prepared == 5


def test_a_clip_that_is_too_short(clip: Path) -> None:
    with pytest.raises(VideoError, match="at least 3 frames from frame 7 on"):
        list(evaluate_held_out(clip, Oracle(), first=7))


def test_halves_are_rounded_up() -> None:
    a, b = np.array([[[0, 1, 254]]], np.uint8), np.array([[[1, 1, 255]]], np.uint8)
    assert mean_of(a, b).tolist() == [[[1, 1, 255]]]
