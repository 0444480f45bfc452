"""Which frames of a clip are held out: spread over time and over motion, the same for the same seed."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from support.clips import moving, texture
from support.quantized import clip

from tweenrt.calibration.int8.samples import Chosen, choose
from tweenrt.contract import TimeInput
from tweenrt.errors import VideoError
from tweenrt.runtime.evaluate.sample import Sample
from tweenrt.runtime.frames import Frame

STILL = texture(3)
SLOW, FAST = 1, 6


def panned(speeds: Sequence[int]) -> list[Frame]:
    """A texture that moves by so many pixels from frame to frame."""
    return [np.roll(STILL, int(x), axis=1) for x in np.cumsum([0, *speeds])]


def both(found: Chosen) -> list[Sample]:
    return [*found.calibration, *found.judging]


def names(found: Sequence[Sample]) -> list[tuple[str, Fraction]]:
    return [(s.name, s.t) for s in found]


def numbers(found: Chosen) -> list[int]:
    return sorted(int(s.name) for s in both(found))


def which(images: Sequence[Frame], frame: Frame) -> int:
    """The number of a frame in its clip."""
    return next(k for k, image in enumerate(images) if np.array_equal(image, frame))


def test_half_is_to_calibrate_on_and_none_of_it_to_judge_by(tmp_path: Path) -> None:
    found = choose([clip(tmp_path / "in.mkv", moving(41))], 16, TimeInput.INPUT)
    assert (len(found.calibration), len(found.judging)) == (8, 8)
    assert len({*names(found.calibration), *names(found.judging)}) == 16
    for part in (found.calibration, found.judging):
        assert {s.t for s in part} >= {Fraction(1, 2)}
        assert len({s.t for s in part}) > 1, "both halves have quarters"


@pytest.mark.parametrize("t", [TimeInput.INPUT, TimeInput.MAP])
def test_a_network_of_any_moment_sees_twice_the_motion_too(t: TimeInput, tmp_path: Path) -> None:
    images = panned([1] * 24)
    found = choose([clip(tmp_path / "in.mkv", images)], 12, t)
    gaps = {(which(images, s.frame1.rgb) - which(images, s.frame0.rgb), s.t) for s in both(found)}
    assert gaps == {(2, Fraction(1, 2)), (4, Fraction(1, 4)), (4, Fraction(3, 4))}
    for sample in both(found):
        first, last = (which(images, f.rgb) for f in (sample.frame0, sample.frame1))
        assert which(images, sample.truth.rgb) == int(sample.name) == first + (last - first) * sample.t


def test_a_network_of_midpoints_sees_midpoints(tmp_path: Path) -> None:
    found = choose([clip(tmp_path / "in.mkv", moving(21))], 8, TimeInput.FIXED)
    assert {s.t for s in both(found)} == {Fraction(1, 2)}
    assert all(number % 2 for number in numbers(found))


def test_the_seed_decides(tmp_path: Path) -> None:
    path = clip(tmp_path / "in.mkv", moving(41))
    found, again = (choose([path], 6, TimeInput.FIXED, 5) for _ in range(2))
    assert names(both(found)) == names(both(again))
    assert found.sha256 == again.sha256
    others = {tuple(numbers(choose([path], 6, TimeInput.FIXED, seed))) for seed in range(6)}
    assert len(others) > 3


def test_the_digest_is_of_the_pixels(tmp_path: Path) -> None:
    images = moving(9)
    changed = [*images[:4], images[4].copy(), *images[5:]]
    changed[4][0, 0, 0] += 1
    first, second = (
        choose([clip(tmp_path / f"{k}.mkv", i)], 4, TimeInput.FIXED) for k, i in enumerate((images, changed))
    )
    assert names(both(first)) == names(both(second))
    assert first.sha256 != second.sha256


@pytest.mark.parametrize("seed", range(8))
def test_samples_are_spread_over_time(seed: int, tmp_path: Path) -> None:
    """Nine samples of 30: three of each third."""
    found = choose([clip(tmp_path / "in.mkv", moving(61))], 9, TimeInput.FIXED, seed)
    assert [sum(20 * k <= n < 20 * (k + 1) for n in numbers(found)) for k in range(3)] == [3, 3, 3]


@pytest.mark.parametrize("seed", range(8))
def test_samples_are_spread_over_motion(seed: int, tmp_path: Path) -> None:
    """In each half of the clip half of the intervals are fast, and so is one sample of two."""
    speeds = [speed for _ in range(8) for speed in (SLOW, SLOW, FAST, FAST)]
    found = choose([clip(tmp_path / "in.mkv", panned(speeds))], 4, TimeInput.FIXED, seed)
    for start in (0, 16):
        here = [n for n in numbers(found) if start <= n < start + 16]
        assert sorted(speeds[n] for n in here) == [SLOW, FAST]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("missing", [0, 1, 3])
def test_as_many_are_found_as_were_asked_for(seed: int, missing: int, tmp_path: Path) -> None:
    found = choose([clip(tmp_path / "in.mkv", moving(29))], 14 - missing, TimeInput.FIXED, seed)
    assert len(set(numbers(found))) == 14 - missing


def test_a_clip_that_has_fewer_gives_what_it_has(tmp_path: Path) -> None:
    found = choose([clip(tmp_path / "in.mkv", moving(9))], 100, TimeInput.INPUT)
    assert sorted(names(both(found))) == sorted(
        [(f"{k:06d}", Fraction(1, 2)) for k in (1, 3, 5, 7)]
        + [(f"{k:06d}", Fraction(k % 4, 4)) for k in (1, 3, 5, 7)]
    )  # fmt: skip


@pytest.mark.parametrize("t", [TimeInput.FIXED, TimeInput.INPUT])
def test_intervals_with_a_cut_are_left_out(t: TimeInput, tmp_path: Path) -> None:
    """The scene changes between frame 9 and frame 10."""
    images = [*moving(10, seed=0), *(255 - image for image in moving(11, seed=9))]
    found = choose([clip(tmp_path / "in.mkv", images)], 100, t)
    for sample in both(found):
        first, last = (which(images, f.rgb) for f in (sample.frame0, sample.frame1))
        assert not first <= 9 < last, sample.name
    assert {n for n in numbers(found) if n > 10}, "what comes after is used"


def test_clips_share_the_samples(tmp_path: Path) -> None:
    first, second = moving(21, seed=0), moving(21, seed=1)
    paths = [clip(tmp_path / "a.mkv", first), clip(tmp_path / "b.mkv", second)]
    said: list[str] = []
    found = choose(paths, 7, TimeInput.FIXED, say=said.append)
    of_first = [s for s in both(found) if any(np.array_equal(s.truth.rgb, image) for image in first)]
    assert len(of_first) == 4
    assert len(both(found)) == 7
    assert [s.split(",")[0] for s in said] == ["looking for motion in a.mkv", "looking for motion in b.mkv"]


def test_with_more_clips_than_samples_the_last_are_not_opened(tmp_path: Path) -> None:
    paths = [clip(tmp_path / "a.mkv", moving(9)), clip(tmp_path / "b.mkv", moving(9)), tmp_path / "absent.mkv"]
    assert len(both(choose(paths, 2, TimeInput.FIXED))) == 2


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (moving(2), "expected at least 3 frames"),
        (moving(3), "expected at least two frames to hold out, found 1"),
        ([STILL, STILL, 255 - STILL, 255 - STILL, STILL], "found 0 that no scene cut is next to"),
    ],
    ids=["two frames", "three frames", "cuts alone"],
)
def test_a_clip_that_is_too_short_is_refused(images: Sequence[Frame], message: str, tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=message):
        choose([clip(tmp_path / "in.mkv", images)], 16, TimeInput.FIXED)
