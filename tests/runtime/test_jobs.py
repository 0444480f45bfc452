"""Videos joined from jobs: the bytes of a run without jobs, whatever happens on the way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from support.clips import Blend, Clip, moving
from support.crews import REPRODUCIBLE, Around, crew_of

from tweenrt.errors import BackendError, OutputError, UsageError, VideoError
from tweenrt.runtime.jobs.crew import Crew
from tweenrt.runtime.jobs.distribute import distribute
from tweenrt.runtime.jobs.job import Done, Job, do
from tweenrt.runtime.jobs.orders import Order, orders_for
from tweenrt.runtime.pipeline import PipelineOptions, Summary, interpolate_video
from tweenrt.runtime.progress import Progress
from tweenrt.runtime.scene import Duplicates
from tweenrt.runtime.timeline import ByFactor, ToRate
from tweenrt.runtime.video import EncodingOptions

RATE = Fraction(1, 25)
JOB = 100_000
TRIPLE = ByFactor(3)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    images = [*moving(9), *[255 - image for image in moving(5, seed=5)]]
    return Clip([*images, images[-1], *images[:4]], time_base=RATE, audio=0.7).write(tmp_path / "in.mp4")


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def in_one_process(options: PipelineOptions, drawer: type[Blend] = Blend) -> tuple[Summary, bytes]:
    summary = interpolate_video(options, drawer())
    content = options.target.read_bytes()
    options.target.unlink()
    return summary, content


def wanted(source: Path, target: Path, **options: Any) -> PipelineOptions:
    return PipelineOptions(source, target, **{"retiming": TRIPLE, "encoding": REPRODUCIBLE, **options})


def joined(options: PipelineOptions, crew: Crew, **more: Any) -> Summary:
    order = Order(options, options.target.with_name("jobs"))
    (summary,) = distribute([order], crew, **{"job_bytes": JOB, **more})
    assert not order.folder.exists()
    return summary


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"retiming": ToRate(Fraction(60))},
        {"duplicates": Duplicates.RETIME},
        {"duplicates": Duplicates.DRAW, "cut_threshold": None},
        {"encoding": EncodingOptions(lossless=True)},
    ],
    ids=lambda o: "-".join(o) or "plain",
)
def test_the_joined_video_is_that_of_one_process(clip: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    chosen = wanted(clip, tmp_path / "out.mp4", **options)
    summary, content = in_one_process(chosen)
    with crew_of() as crew:
        found = joined(chosen, crew)
    assert chosen.target.read_bytes() == content
    assert (found.drawn_frames, found.cuts, found.duplicates) == (
        summary.drawn_frames,
        summary.cuts,
        summary.duplicates,
    )
    assert summary.drawn_frames > 20


def test_networks_of_four_frames(clip: Path, tmp_path: Path) -> None:
    chosen = wanted(clip, tmp_path / "out.mp4")
    _, content = in_one_process(chosen, Around)
    with crew_of(Around) as crew:
        joined(chosen, crew)
    assert chosen.target.read_bytes() == content
    chosen.target.unlink()
    assert in_one_process(chosen)[1] != content


def test_sixteen_bits(tmp_path: Path) -> None:
    clip = Clip(moving(6), time_base=RATE, codec="ffv1", pix_fmt="yuv444p10le", options={}).write(tmp_path / "in.mkv")
    chosen = wanted(clip, tmp_path / "out.mp4", encoding=EncodingOptions(lossless=True))
    _, content = in_one_process(chosen)
    with crew_of() as crew:
        joined(chosen, crew)
    assert chosen.target.read_bytes() == content


def test_image_folders(clip: Path, tmp_path: Path) -> None:
    images = PipelineOptions(clip, tmp_path / "images", ByFactor(1))
    interpolate_video(images, Blend())
    options = PipelineOptions(tmp_path / "images", tmp_path / "more", TRIPLE, input_rate=Fraction(25))
    interpolate_video(options, Blend())
    known = {path.name: path.read_bytes() for path in options.target.iterdir()}
    for path in options.target.iterdir():
        path.unlink()
    with crew_of() as crew:
        joined(options, crew)
    assert {path.name: path.read_bytes() for path in options.target.iterdir()} == known


def test_a_run_that_failed_goes_on_where_it_was(clip: Path, tmp_path: Path) -> None:
    chosen = wanted(clip, tmp_path / "out.mp4")
    _, content = in_one_process(chosen)
    done: list[int] = []

    def fails(job: Job) -> Done:
        if job.number == 4:
            raise BackendError("the power went")
        done.append(job.number)
        return do(job, Blend())

    order = Order(chosen, tmp_path / "jobs")
    with crew_of(work=fails, threads=1) as crew, pytest.raises(BackendError, match="the power went"):
        list(distribute([order], crew, job_bytes=JOB))
    assert not chosen.target.exists()
    kept = len(list((tmp_path / "jobs").glob("*.nut")))
    assert kept == len(done) == 4
    again: list[int] = []

    def works(job: Job) -> Done:
        again.append(job.number)
        return do(job, Blend())

    with crew_of(work=works) as crew:
        joined(chosen, crew)
    assert chosen.target.read_bytes() == content
    assert not set(again) & set(done)
    assert 4 in again


def test_ctrl_c_keeps_what_was_done_and_leaves_no_output(clip: Path, tmp_path: Path) -> None:
    def stop(event: Progress) -> None:
        if event.drawn == 8:
            raise KeyboardInterrupt

    order = Order(wanted(clip, tmp_path / "out.mp4"), tmp_path / "jobs")
    with crew_of() as crew, pytest.raises(KeyboardInterrupt):
        list(distribute([order], crew, stop, job_bytes=JOB))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.mp4", "jobs"]
    assert any((tmp_path / "jobs").glob("*.nut"))


def test_jobs_end_in_any_order(clip: Path, tmp_path: Path) -> None:
    """The first job of a clip ends last of the four that are under way."""
    chosen = wanted(clip, tmp_path / "out.mp4")
    _, content = in_one_process(chosen)
    others = threading.Semaphore(0)
    order: list[int] = []

    def work(job: Job) -> Done:
        if job.number == 0:
            for _ in range(3):
                assert others.acquire(timeout=30)
        done = do(job, Blend())
        order.append(job.number)
        others.release()
        return done

    with crew_of(work=work) as crew:
        joined(chosen, crew)
    assert order.index(0) == 3
    assert chosen.target.read_bytes() == content


class Patient:
    """An executor that ends the first of its jobs as soon as the fourth is there."""

    def __init__(self) -> None:
        self.waiting: list[Future[Any]] = []
        self.most = 0

    def submit(self, work: Any, job: Any) -> Future[Any]:
        self.waiting.append(Future())
        self.most = max(self.most, len(self.waiting))
        if len(self.waiting) == 4:
            self.waiting.pop(0).set_result(job)
        return self.waiting[-1]


def test_two_jobs_for_each_worker_are_under_way() -> None:
    executor, stop = Patient(), threading.Event()
    crew = Crew(executor, None, lambda: 2, neighbours=False, drawn_by="")  # type: ignore[arg-type]
    found = crew.finished(range(9), stop)  # type: ignore[arg-type]
    assert len([next(found) for _ in range(6)]) == 6
    assert executor.most == 4
    stop.set()
    assert list(found) == []
    assert all(future.cancelled() for future in executor.waiting)


def test_several_videos_share_the_crew(clip: Path, tmp_path: Path) -> None:
    other = Clip(moving(7, seed=3), time_base=RATE).write(tmp_path / "other.mp4")
    common = wanted(clip, clip)
    contents = [in_one_process(wanted(s, tmp_path / "one.mp4"))[1] for s in (clip, other)]
    orders = orders_for([clip, other], tmp_path / "out", common)
    assert [order.folder.name for order in orders] == ["in.mp4.jobs", "other.mp4.jobs"]
    started: list[str] = []
    with crew_of() as crew:
        done = distribute(orders, crew, started=lambda order: started.append(order.options.source.name))
        started.extend(f"{summary.target.name} is done" for summary in done)
    assert started == ["in.mp4", "in.mp4 is done", "other.mp4", "other.mp4 is done"]
    assert [(tmp_path / "out" / name).read_bytes() for name in ("in.mp4", "other.mp4")] == contents
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["in.mp4", "other.mp4"]


def test_orders_are_checked(clip: Path, tmp_path: Path) -> None:
    common = wanted(clip, clip)
    with pytest.raises(UsageError, match="have the same name"):
        orders_for([clip, tmp_path / "b" / clip.name], tmp_path / "out", common)
    with pytest.raises(UsageError, match="expected a folder for 2 videos"):
        orders_for([clip, tmp_path / "b.mp4"], clip, common)
    with pytest.raises(OutputError, match="cannot be made"):
        orders_for([clip, tmp_path / "b.mp4"], Path("/proc/out"), common)
    (order,) = orders_for([clip], tmp_path / "x.mp4", common, tmp_path / "kept")
    assert (order.options.target, order.folder) == (tmp_path / "x.mp4", tmp_path / "kept")


def test_a_source_that_cannot_be_read_is_an_error(clip: Path, tmp_path: Path) -> None:
    common = wanted(clip, clip)
    orders = orders_for([clip, tmp_path / "no.mp4"], tmp_path / "out", common)
    with crew_of() as crew, pytest.raises(VideoError, match="no such file"):
        list(distribute(orders, crew, job_bytes=JOB))
