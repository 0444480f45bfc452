"""The cache folder: made once, complete or absent, safe for several at a time."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tweenrt import cache
from tweenrt.errors import OutputError


def test_the_folder_is_the_user_s_or_the_named_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "mine"))
    assert cache.root() == tmp_path / "mine"
    monkeypatch.delenv(cache.VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.root() == tmp_path / "xdg" / "tweenrt"


def test_of_several_at_a_time_one_makes_it(tmp_path: Path) -> None:
    target, made = tmp_path / "cache" / "thing", []

    def make(path: Path) -> None:
        made.append(path)
        time.sleep(0.05)
        path.write_text("done")

    workers = [threading.Thread(target=cache.make_once, args=(target, make)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(made) == 1
    assert target.read_text() == "done"


def test_a_failure_leaves_nothing_and_can_be_repeated(tmp_path: Path) -> None:
    target = tmp_path / "cache" / "thing"

    def fail(path: Path) -> None:
        path.mkdir()
        (path / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.make_once(target, fail)
    assert [p.name for p in target.parent.iterdir()] == [".thing.lock"]
    cache.make_once(target, Path.touch)
    assert target.is_file()


def test_what_is_not_valid_is_replaced_even_a_folder(tmp_path: Path) -> None:
    target = tmp_path / "thing"
    target.mkdir()
    (target / "old").touch()
    cache.make_once(target, lambda path: path.write_text("new"), Path.is_file)
    assert target.read_text() == "new"


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=cache.VARIABLE):
        cache.make_once(tmp_path / "file" / "thing", Path.touch)


MAKER = """
import sys, time
from pathlib import Path
from tweenrt import cache
def make(path):
    path.write_bytes(b"half")
    print("making", flush=True)
    sys.stdin.readline()
    path.write_bytes(b"whole")
cache.make_once(cache.root() / "things" / "a-thing", make)
"""


def start_maker() -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", MAKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"making\n"
    return process


def test_what_a_killed_process_left_is_swept_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path))
    with start_maker() as process:
        process.send_signal(signal.SIGKILL)
    (left,) = (tmp_path / "things").glob(".making-*")
    assert cache.sweep() == {left: 4}
    assert list((tmp_path / "things").iterdir()) == []
    assert cache.sweep() == {}


def test_what_a_living_process_is_making_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path))
    with start_maker() as process:
        before = sorted(tmp_path.rglob("*"))
        assert len(before) == 4
        assert cache.sweep() == {}
        assert sorted(tmp_path.rglob("*")) == before
        process.communicate(b"go\n")
    assert (tmp_path / "things" / "a-thing").read_bytes() == b"whole"
    assert cache.sweep() == {}
    assert [path.name for path in (tmp_path / "things").iterdir()] == ["a-thing"]


def test_what_older_versions_left_is_swept_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path))
    (tmp_path / "engines" / ".making-abcd_123").mkdir(parents=True)
    (tmp_path / "engines" / "an-engine").touch()
    assert list(cache.sweep()) == [tmp_path / "engines" / ".making-abcd_123"]
    assert [path.name for path in (tmp_path / "engines").iterdir()] == ["an-engine"]


def test_a_lock_that_was_swept_away_keeps_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waited for a lock file that is gone must not go on beside who has made a new one."""
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path))
    target, lock = tmp_path / "thing", tmp_path / ".thing.lock"
    real, asked = fcntl.flock, list[int]()

    def swept_meanwhile(handle: object, how: int) -> None:
        asked.append(how)
        real(handle, how)  # type: ignore[arg-type]
        if len(asked) == 1:
            lock.unlink()

    monkeypatch.setattr(fcntl, "flock", swept_meanwhile)
    cache.make_once(target, lambda path: path.write_text(str(lock.stat().st_ino)))
    assert len(asked) == 2
    assert target.read_text() == str(lock.stat().st_ino)


def test_use_is_noted_where_it_can_be(tmp_path: Path) -> None:
    target = tmp_path / "thing"
    target.touch()
    os.utime(target, (0, 0))
    cache.touch(target)
    assert target.stat().st_mtime > time.time() - 60
    cache.touch(tmp_path / "absent")
