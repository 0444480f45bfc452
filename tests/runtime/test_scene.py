"""Cuts, duplicates and motion are told apart, and each gets the frames it should."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from support.clips import moving, texture

from tweenrt.runtime.scene import Between, Duplicates, SceneJudge, Thumbnail, histogram_distance, thumbnail
from tweenrt.runtime.schedule import LONGEST_GAP, Segment, schedule
from tweenrt.runtime.timeline import ByFactor, Retiming, ToRate

HALF = Fraction(1, 2)


@dataclass(frozen=True)
class Shot:
    name: str
    pts: Fraction
    duration: Fraction
    thumbnail: Thumbnail


def shots(images: Sequence[np.ndarray], rate: int = 10) -> list[Shot]:
    return [Shot(f"{i}", Fraction(i, rate), Fraction(1, rate), thumbnail(x)) for i, x in enumerate(images)]


def verdicts(images: Sequence[np.ndarray]) -> list[Between]:
    judge = SceneJudge()
    small = [thumbnail(image) for image in images]
    return [judge.judge(a, b) for a, b in pairwise(small)]


def told(segments: Sequence[Segment[Shot]]) -> list[str]:
    """Every output frame as "3" (source frame 3 is shown) or "3-4@1/2" (drawn)."""
    out = []
    for segment in segments:
        for moment in segment.moments:
            shown = segment.shown(moment)
            drawn = f"{segment.first.name}-{segment.second and segment.second.name}@{segment.position(moment)}"
            out.append(drawn if shown is None else shown.name)
    return out


def run(images: Sequence[np.ndarray], retiming: Retiming, duplicates: Duplicates = Duplicates.HOLD) -> list[str]:
    return told(list(schedule(shots(images), retiming, SceneJudge(), duplicates)))


def test_thumbnail_is_the_block_mean() -> None:
    frame = np.arange(300 * 200 * 3, dtype=np.uint32).reshape(200, 300, 3) % 251
    small = thumbnail(frame.astype(np.uint8))
    assert small.shape == (100, 150, 3)
    assert np.allclose(small, frame.reshape(100, 2, 150, 2, 3).mean((1, 3)), atol=1e-4)
    deep = (frame * 257).astype(np.uint16)
    assert np.allclose(thumbnail(deep), small, atol=1e-3)


def test_motion_is_neither() -> None:
    assert set(verdicts(moving(8))) == {Between.MOTION}


def test_steady_fast_motion_is_no_cut() -> None:
    wide = texture(3, 64, 640)
    pan = [wide[:, 24 * i : 24 * i + 128] for i in range(8)]
    assert set(verdicts(pan)) == {Between.MOTION}


def test_a_pan_that_starts_abruptly_is_no_cut() -> None:
    wide = texture(3, 64, 640)
    pan = [wide[:, x : x + 128] for x in (0, 1, 2, 26, 50, 74)]
    assert set(verdicts(pan)) == {Between.MOTION}


def test_a_cut_is_found_at_the_right_pair() -> None:
    other = [255 - image for image in moving(4, seed=9)]
    found = verdicts([*moving(4), *other])
    assert found == [Between.MOTION] * 3 + [Between.CUT] + [Between.MOTION] * 3


def test_noise_on_a_repeat_is_a_duplicate_and_a_moving_corner_is_not() -> None:
    still = texture(1, 480, 640)
    noisy = np.clip(still + np.random.default_rng(0).integers(-1, 2, still.shape), 0, 255).astype(np.uint8)
    corner = still.copy()
    corner[200:220, 300:320] = 255 - corner[200:220, 300:320]
    assert verdicts([still, noisy]) == [Between.STILL]
    assert verdicts([still, corner]) == [Between.MOTION]


def test_judge_counts_and_can_be_told_not_to_look() -> None:
    a, b = thumbnail(texture(0)), thumbnail(255 - texture(5))
    judge = SceneJudge()
    assert [judge.judge(a, a), judge.judge(a, b)] == [Between.STILL, Between.CUT]
    assert (judge.duplicates, judge.cuts) == (1, 1)
    blind = SceneJudge(cut_threshold=None, duplicate_threshold=None)
    assert [blind.judge(a, a), blind.judge(a, b)] == [Between.MOTION, Between.MOTION]


def test_histogram_distance_is_a_share() -> None:
    a, b = np.zeros((4, 4, 3), np.float32), np.full((4, 4, 3), 255, np.float32)
    assert histogram_distance(a, a) == 0
    assert histogram_distance(a, b) == 1
    b[:1] = 0
    assert histogram_distance(a, b) == pytest.approx(0.75)


def test_across_a_cut_the_nearer_frame_is_shown() -> None:
    images = [*moving(2), 255 - texture(9)]
    assert run(images, ByFactor(4)) == ["0", "0-1@1/4", "0-1@1/2", "0-1@3/4", "1", "1", "2", "2", "2", "2", "2", "2"]


def test_a_repeat_is_held() -> None:
    a, b, c = moving(3)
    assert run([a, b, b, c], ByFactor(2)) == ["0", "0-1@1/2", "1", "1", "2", "2-3@1/2", "3", "3"]


def test_a_repeat_is_drawn_across_at_the_same_times() -> None:
    a, b, c = moving(3)
    plain = schedule(shots([a, b, b, c]), ByFactor(2), SceneJudge())
    bridged = list(schedule(shots([a, b, b, c]), ByFactor(2), SceneJudge(), Duplicates.RETIME))
    assert told(bridged) == ["0", "0-1@1/2", "1", "1-3@1/4", "1-3@1/2", "1-3@3/4", "3", "3"]
    assert [m for s in bridged for m in s.moments] == [m for s in plain for m in s.moments]


def test_a_long_rest_stays_a_rest() -> None:
    a, b = moving(2)
    images = [a] * (LONGEST_GAP + 2) + [b]
    out = run(images, ByFactor(2), Duplicates.RETIME)
    assert out[:2] == ["0", "0"]
    assert out[-4:] == [f"{LONGEST_GAP + 1}", f"{LONGEST_GAP + 1}-{LONGEST_GAP + 2}@1/2"] + [f"{LONGEST_GAP + 2}"] * 2


def test_a_repeat_before_a_cut_or_the_end_is_held() -> None:
    a = texture(0)
    assert run([a, a, 255 - texture(9)], ByFactor(2), Duplicates.RETIME) == ["0", "0", "1", "2", "2", "2"]
    assert run([a, a], ToRate(Fraction(20)), Duplicates.RETIME) == ["0", "0", "1", "1"]
