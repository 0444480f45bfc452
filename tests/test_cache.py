"""The cache folder: made once, complete or absent, safe for several at a time."""

from __future__ import annotations

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
