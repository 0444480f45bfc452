"""The frames that are measured with."""

from __future__ import annotations

from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.clips import Clip, moving

from tweenrt.errors import UsageError, VideoError
from tweenrt.runtime.profiling.clip import FRAMES, read_frames, smooth_frames, there_and_back


def test_the_random_scene_is_smooth_moves_and_is_always_the_same() -> None:
    frames = smooth_frames(35, 50)
    assert [(f.shape, f.dtype) for f in frames] == [((35, 50, 3), np.uint8)] * FRAMES
    for one, other in pairwise(frames):
        assert np.array_equal(one[:, 4:], other[:, :-4])
    steps = np.abs(np.diff(frames[0].astype(int), axis=0))
    assert steps.max() <= 15  # 224 in 16 pixels, and one for rounding
    assert np.ptp(frames[0]) > 100
    assert np.array_equal(smooth_frames(35, 50)[3], frames[3])
    assert not np.array_equal(smooth_frames(35, 50, seed=1)[0], frames[0])


def test_there_and_back_in_new_objects() -> None:
    frames = [np.full((1, 1, 3), k, np.uint8) for k in range(3)]
    windows = list(islice(there_and_back(frames), 6))
    shown = [tuple(int(s.rgb[0, 0, 0]) for s in window) for window in windows]
    assert shown == [(0, 1, 2, 1), (1, 2, 1, 0), (2, 1, 0, 1), (1, 0, 1, 2), (0, 1, 2, 1), (1, 2, 1, 0)]
    for earlier, later in pairwise(windows):
        assert all(a is b for a, b in zip(earlier[1:], later[:3], strict=True))
        assert all(later[3] is not one for one in earlier)


def test_two_frames_are_enough() -> None:
    frames = [np.full((1, 1, 3), k, np.uint8) for k in range(2)]
    shown = [int(window[1].rgb[0, 0, 0]) for window in islice(there_and_back(frames), 4)]
    assert shown == [1, 0, 1, 0]


def test_frames_of_a_folder_are_cut_to_their_middle(tmp_path: Path) -> None:
    images = moving(3, 36, 54)
    for number, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    frames = read_frames(tmp_path, (32, 50))
    assert len(frames) == 3
    assert np.array_equal(frames[1], images[1][2:34, 2:52])
    assert read_frames(tmp_path)[0].shape == (36, 54, 3)
    with pytest.raises(UsageError, match="expected frames of 40x50 pixels or more, got 36x54"):
        read_frames(tmp_path, (40, 50))


def test_only_the_first_frames_of_a_video_are_kept(tmp_path: Path) -> None:
    path = Clip(moving(FRAMES + 3, 32, 48)).write(tmp_path / "in.mp4")
    assert len(read_frames(path)) == FRAMES
    with pytest.raises(VideoError, match="expected two frames or more"):
        read_frames(path, count=1)
