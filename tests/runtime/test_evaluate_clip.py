"""A video as a dataset: what is kept, what is held out, and what happens at cuts."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from support import datasets
from support.clips import Clip, moving

from tweenrt.errors import VideoError
from tweenrt.runtime.evaluate.clip import open_clip
from tweenrt.runtime.evaluate.sample import Sample
from tweenrt.runtime.ready import HasPixels


def write(path: Path, images: list[np.ndarray]) -> Path:
    return Clip(images, codec="ffv1", pix_fmt="bgr0", options={}).write(path)


def numbers(sample: Sample, images: list[np.ndarray]) -> tuple[int | None, ...]:
    """The numbers in the clip of before, frame0, truth, frame1 and after."""
    frames = (sample.before, sample.frame0, sample.truth, sample.frame1, sample.after)
    return tuple(number(frame, images) for frame in frames)


def number(frame: HasPixels | None, images: list[np.ndarray]) -> int | None:
    if frame is None:
        return None
    (found,) = (n for n, image in enumerate(images) if np.array_equal(image, frame.rgb))
    return found


def test_every_second_frame(tmp_path: Path) -> None:
    images = moving(8)
    series = open_clip(write(tmp_path / "in.mkv", images))
    found = list(series.iterate())
    assert [s.name for s in found] == ["000001", "000003", "000005"]
    assert {s.t for s in found} == {Fraction(1, 2)}
    assert [numbers(s, images) for s in found] == [(None, 0, 1, 2, 4), (0, 2, 3, 4, 6), (2, 4, 5, 6, None)]
    assert found[0].frame1 is found[1].frame0
    assert not series.remarks


def test_all_but_one_of_four(tmp_path: Path) -> None:
    images = moving(10)
    series = open_clip(write(tmp_path / "in.mkv", images), every=4)
    found = list(series.iterate())
    assert [(s.name, s.t) for s in found] == [
        (f"{start + k:06d}", Fraction(k, 4)) for start in (0, 4) for k in (1, 2, 3)
    ]
    assert [numbers(s, images) for s in found[::3]] == [(None, 0, 1, 4, 8), (0, 4, 5, 8, None)]


def test_a_folder_of_images_and_its_size(tmp_path: Path) -> None:
    images = datasets.clip(tmp_path / "in", 12)
    series = open_clip(tmp_path / "in", every=3, first=2)
    found = list(series.iterate())
    assert series.sizes == {"": 6}
    assert len(found) == 6
    assert [numbers(s, images)[1:4] for s in found[:3]] == [(2, 3, 5), (2, 4, 5), (5, 6, 8)]
    assert open_clip(tmp_path / "in", first=99).sizes == {"": 0}


def test_nothing_is_held_out_across_a_cut(tmp_path: Path) -> None:
    images = [*moving(4, seed=1), *(255 - image // 2 for image in moving(6, seed=2))]
    path = write(tmp_path / "in.mkv", images)
    series = open_clip(path, every=3)
    found = list(series.iterate())
    assert [numbers(s, images) for s in found] == [
        (None, 0, 1, 3, None),
        (None, 0, 2, 3, None),
        (None, 6, 7, 9, None),
        (None, 6, 8, 9, None),
    ]
    assert series.remarks == ["left out 1 of 3 intervals, because the scene changes in them"]
    across = open_clip(path, every=3, across_cuts=True)
    assert [s.name for s in across.iterate()] == [f"{n:06d}" for n in (1, 2, 4, 5, 7, 8)]
    assert not across.remarks


def test_what_cannot_be_read(tmp_path: Path) -> None:
    short = write(tmp_path / "in.mkv", moving(4))
    with pytest.raises(VideoError, match="at least 5 frames from frame 0 on"):
        list(open_clip(short, every=4).iterate())
    with pytest.raises(VideoError):
        open_clip(tmp_path / "absent.mkv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(VideoError, match="expected images"):
        open_clip(tmp_path / "empty")
