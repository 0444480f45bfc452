"""Finished jobs on the disk, and on their way to who joins them."""

from __future__ import annotations

import json
import threading
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from support.clips import moving

from tweenrt.errors import BackendError, OutputError, UsageError, VideoError
from tweenrt.runtime.jobs.arrivals import Arrivals
from tweenrt.runtime.jobs.folder import MANIFEST, JobFolder
from tweenrt.runtime.jobs.job import Call, Done, Job
from tweenrt.runtime.jobs.packing import pack
from tweenrt.runtime.jobs.stored import StoredFrames

HALF = (Fraction(1, 2),)


def job(number: int = 0, seed: int = 0) -> Job:
    return Job(0, number, moving(2, seed=seed), [Call(0, 1, HALF)])


def test_what_was_kept_is_found_by_the_next_run(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path / "a" / "jobs", "x")
    file = folder.keep(folder.key(job()), Done(0, 0, b"frames"))
    assert file.read_bytes() == b"frames"
    folder.close()
    again = JobFolder(tmp_path / "a" / "jobs", "x")
    assert again.find(again.key(job())) == file
    assert again.find(again.key(job(seed=1))) is None
    lines = [json.loads(line) for line in (tmp_path / "a" / "jobs" / MANIFEST).read_text().splitlines()]
    assert lines[0] == {"tweenrt jobs": 1}
    assert [(entry["job"], entry["bytes"]) for entry in lines[1:]] == [(0, 6)]
    again.close()


def test_another_network_finds_nothing(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path / "jobs", "x")
    folder.keep(folder.key(job()), Done(0, 0, b"frames"))
    folder.close()
    other = JobFolder(tmp_path / "jobs", "y")
    assert other.find(other.key(job())) is None
    other.close()


@pytest.mark.parametrize("damage", ["changed", "gone", "unlisted", "cut"])
def test_what_is_not_whole_is_done_again(tmp_path: Path, damage: str) -> None:
    folder = JobFolder(tmp_path / "jobs", "x")
    keys = [folder.key(job(n, seed=n)) for n in (0, 1)]
    files = [folder.keep(key, Done(0, n, b"frames")) for n, key in enumerate(keys)]
    folder.close()
    manifest = tmp_path / "jobs" / MANIFEST
    text = manifest.read_text()
    if damage == "changed":
        files[1].write_bytes(b"Frames")
    elif damage == "gone":
        files[1].unlink()
    else:
        lines = text.splitlines(keepends=True)
        manifest.write_text("".join(lines[:2]) + ("" if damage == "unlisted" else lines[2][:20]))
    again = JobFolder(tmp_path / "jobs", "x")
    assert [again.find(key) for key in keys] == [files[0], None]
    again.keep(keys[1], Done(0, 1, b"frames"))
    again.close()
    assert manifest.read_text().count("\n") >= 3
    once_more = JobFolder(tmp_path / "jobs", "x")
    assert [once_more.find(key) for key in keys] == files
    once_more.close()


def test_unfinished_files_are_swept_out(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path / "jobs", "x")
    folder.keep("k", Done(0, 0, b"frames"))
    folder.close()
    (tmp_path / "jobs" / "half.part").write_bytes(b"fra")
    JobFolder(tmp_path / "jobs", "x").close()
    assert sorted(p.name for p in (tmp_path / "jobs").iterdir()) == ["k.nut", MANIFEST]


def test_an_empty_folder_goes_when_it_is_closed(tmp_path: Path) -> None:
    JobFolder(tmp_path / "jobs", "x").close()
    assert list(tmp_path.iterdir()) == []


def test_removing_leaves_what_is_not_ours(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path / "jobs", "x")
    folder.keep("k", Done(0, 0, b"frames"))
    (tmp_path / "jobs" / "notes.txt").write_text("mine")
    folder.remove()
    assert [p.name for p in (tmp_path / "jobs").iterdir()] == ["notes.txt"]


def test_one_run_at_a_time(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path / "jobs", "x")
    folder.keep("k", Done(0, 0, b"frames"))
    with pytest.raises(UsageError, match="another run works in this folder"):
        JobFolder(tmp_path / "jobs", "x")
    folder.close()
    JobFolder(tmp_path / "jobs", "x").close()


def test_folders_and_files_of_others_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="this is a file"):
        JobFolder(tmp_path / "file", "x")
    with pytest.raises(UsageError, match="holds other files"):
        JobFolder(tmp_path, "x")
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / MANIFEST).write_text('{"something": "else"}\n')
    with pytest.raises(UsageError, match="expected the list of finished jobs"):
        JobFolder(tmp_path / "jobs", "x")
    assert (tmp_path / "jobs" / MANIFEST).read_text() == '{"something": "else"}\n'
    with pytest.raises(OutputError, match="cannot be written"):
        JobFolder(Path("/proc/jobs"), "x")


def test_a_job_is_taken_as_soon_as_it_is_there() -> None:
    arrivals = Arrivals()
    late = threading.Thread(target=lambda: arrivals.put(0, 1, Path("b")))
    arrivals.put(0, 0, Path("a"))
    assert arrivals.take(0, 0) == Path("a")
    late.start()
    assert arrivals.take(0, 1) == Path("b")
    late.join()
    arrivals.end(0, 2)
    assert arrivals.take(0, 2) is None


def test_a_failure_ends_the_waiting_but_not_before_what_was_done() -> None:
    arrivals = Arrivals()
    arrivals.put(0, 0, Path("a"))
    arrivals.fail(BackendError("broken"))
    assert arrivals.take(0, 0) == Path("a")
    with pytest.raises(BackendError, match="broken"):
        arrivals.take(0, 1)


def test_stored_frames_come_in_order_whatever_order_they_came_in(tmp_path: Path) -> None:
    frames, arrivals = moving(5), Arrivals()
    for number, part in ((1, frames[2:]), (0, frames[:2])):
        (tmp_path / str(number)).write_bytes(pack(part))
        arrivals.put(0, number, tmp_path / str(number))
    arrivals.end(0, 2)
    stored = StoredFrames(arrivals, 0, neighbours=False)
    drawn = [frame for count in (1, 3, 1) for frame in stored.between(frames[0], frames[0], HALF * count)]
    assert all(np.array_equal(a, b) for a, b in zip(frames, drawn, strict=True))
    with pytest.raises(VideoError, match="changed while it was worked on"):
        stored.between(frames[0], frames[0], HALF)
