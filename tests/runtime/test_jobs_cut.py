"""What goes into a job, where a clip is cut, and that nothing is lost on the way home."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.clips import Blend, Clip, moving
from support.crews import Around

from tweenrt.errors import OutputError
from tweenrt.runtime.jobs.cut import cut
from tweenrt.runtime.jobs.job import Call, Job, do
from tweenrt.runtime.jobs.packing import pack, unpack
from tweenrt.runtime.pipeline import PipelineOptions, interpolate_video
from tweenrt.runtime.plan import Draw, Show
from tweenrt.runtime.timeline import ByFactor
from tweenrt.runtime.video import SourceFrame, open_source

FRAME = 48 * 64 * 3
RATE = Fraction(1, 25)


def draws(path: Path, factor: int = 2, *, neighbours: bool = False) -> list[Draw[SourceFrame]]:
    options = PipelineOptions(path, path, ByFactor(factor))
    steps = options.steps(open_source(path).frames(), options.judge(), neighbours=neighbours)
    return [step for step in steps if isinstance(step, Draw)]


def written(tmp_path: Path, images: Any) -> Path:
    return Clip(images, time_base=RATE, codec="ffv1", pix_fmt="yuv444p", options={}).write(tmp_path / "in.mkv")


def sizes(jobs: list[Job]) -> list[tuple[int, int]]:
    """Frames and calls of each."""
    return [(len(job.frames), len(job.calls)) for job in jobs]


def test_a_plan_shows_every_source_frame_and_draws_between_them(tmp_path: Path) -> None:
    path = written(tmp_path, moving(3))
    options = PipelineOptions(path, path, ByFactor(12))
    steps = list(options.steps(open_source(path).frames(), options.judge(), neighbours=False))
    kinds = [len(step.moments) if isinstance(step, Draw) else "show" for step in steps]
    assert kinds == ["show", 8, 3, "show", 8, 3, *["show"] * 12]  # the last frame is held
    at = [m.pts for s in steps for m in ([s.moment] if isinstance(s, Show) else s.moments)]
    assert at == [Fraction(k, 300) for k in range(36)]
    first = next(step for step in steps if isinstance(step, Draw))
    assert first.times == [Fraction(k, 12) for k in range(1, 9)]


def test_a_full_job_ends_and_the_next_begins_with_its_last_frame(tmp_path: Path) -> None:
    jobs = list(cut(draws(written(tmp_path, moving(8))), most_bytes=7 * FRAME))
    assert sizes(jobs) == [(4, 3), (4, 3), (2, 1)]  # 4 frames sent and 3 drawn are 7
    assert [job.number for job in jobs] == [0, 1, 2]
    assert np.array_equal(jobs[0].frames[-1], jobs[1].frames[0])
    assert jobs[0].calls[1] == Call(1, 2, (Fraction(1, 2),))


def test_a_call_larger_than_a_job_has_one_to_itself(tmp_path: Path) -> None:
    jobs = list(cut(draws(written(tmp_path, moving(3))), clip=4, most_bytes=1))
    assert sizes(jobs) == [(2, 1), (2, 1)]
    assert {job.clip for job in jobs} == {4}


def test_a_scene_change_ends_a_job_that_is_half_full(tmp_path: Path) -> None:
    images = [*moving(4), *[255 - image for image in moving(4, seed=5)]]
    path = written(tmp_path, images)
    assert sizes(list(cut(draws(path), most_bytes=14 * FRAME))) == [(4, 3), (4, 3)]  # 7 of 14
    assert sizes(list(cut(draws(path), most_bytes=15 * FRAME))) == [(8, 6)]


def test_a_clip_without_motion_has_no_jobs(tmp_path: Path) -> None:
    assert list(cut(draws(written(tmp_path, moving(1) * 5)))) == []


def test_neighbours_go_with_the_pair(tmp_path: Path) -> None:
    (job,) = cut(draws(written(tmp_path, moving(4)), neighbours=True))
    around = [(call.before, call.first, call.second, call.after) for call in job.calls]
    assert around == [(None, 0, 1, 2), (0, 1, 2, 3), (1, 2, 3, None)]
    jobs = list(cut(draws(written(tmp_path, moving(6)), neighbours=True), most_bytes=6 * FRAME))
    assert sizes(jobs) == [(4, 2), (4, 1), (4, 2)]  # neighbours count, and are sent to both


@pytest.mark.parametrize("drawer", [Blend, Around])
def test_jobs_ask_for_what_a_pipeline_asks_for(tmp_path: Path, drawer: type[Blend]) -> None:
    images = [*moving(6), *[255 - image for image in moving(5, seed=5)]]
    path, whole, parts = written(tmp_path, images), drawer(), drawer()
    interpolate_video(PipelineOptions(path, tmp_path / "out.mkv", ByFactor(12)), whole)
    for job in cut(draws(path, 12, neighbours=drawer.neighbours), most_bytes=60 * FRAME):
        do(job, parts)
    assert parts.asked == whole.asked
    assert len(whole.asked) == 9 * 11


def test_a_digest_depends_on_pixels_shape_and_calls() -> None:
    frame = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    other = frame.copy()
    other[1, 2, 0] += 1
    calls = [Call(0, 1, (Fraction(1, 2),))]
    jobs = [
        Job(0, 0, [frame, other], calls),
        Job(0, 0, [frame, frame], calls),
        Job(0, 0, [f.reshape(4, 2, 3) for f in (frame, other)], calls),
        Job(0, 0, [frame, other], [Call(0, 1, (Fraction(1, 3),))]),
        Job(0, 0, [frame, other], [Call(1, 0, (Fraction(1, 2),))]),
    ]
    assert len({job.digest for job in jobs}) == 5
    assert Job(3, 7, [frame.copy(), other], tuple(calls)).digest == jobs[0].digest


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", [(48, 64), (35, 53), (1, 1)])
def test_packing_loses_nothing(dtype: Any, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    frames = [rng.integers(0, np.iinfo(dtype).max, (*size, 3), dtype, endpoint=True) for _ in range(3)]
    found = list(unpack(pack(frames), "a test"))
    assert [f.dtype for f in found] == [dtype] * 3
    assert all(np.array_equal(a, b) for a, b in zip(frames, found, strict=True))


def test_smooth_frames_become_smaller() -> None:
    frames = moving(4, 240, 320)
    assert len(pack(frames)) < 0.6 * sum(frame.nbytes for frame in frames)


def test_damaged_frames_are_refused() -> None:
    with pytest.raises(OutputError, match="job-7: the stored frames cannot be read"):
        list(unpack(b"nonsense" * 100, "job-7"))
