"""Making room: by use, not by age, and what builds that were killed have left behind."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from support import fake_tensorrt
from support.engines import write_graph

from tweenrt import cache
from tweenrt.runtime.engines import engine_cache
from tweenrt.runtime.engines.builder import BuildOptions
from tweenrt.runtime.engines.cache_pruning import prune
from tweenrt.runtime.engines.engine_cache import engine_for, read_timings, write_timings

GRAPH = "g (float[1,4] x) => (float[1,4] y) { y = Relu (x) }"
DAY = 86400


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An engine that was built long ago."""
    fake_tensorrt.install(monkeypatch, tmp_path / "cache")
    built = engine_for(write_graph(tmp_path, GRAPH), BuildOptions())
    age(built)
    return built


def age(*paths: Path) -> None:
    for path in paths:
        os.utime(path, (0, 0))


def test_what_was_not_used_for_long_goes(engine: Path) -> None:
    (engine.parent / "bad.engine").write_bytes(b"nothing")
    young = engine.with_name("young.engine")
    young.write_bytes(engine.read_bytes())
    size = engine.stat().st_size
    gone = prune(1.0, time.time())
    assert {path.name for path in gone.engines} == {engine.name, "bad.engine"}
    assert gone.bytes == size + len(b"nothing")
    assert list(engine.parent.iterdir()) == [young]


def test_what_is_used_again_stays(engine: Path, tmp_path: Path) -> None:
    assert engine_for(tmp_path / "graph.onnx", BuildOptions()) == engine
    assert prune(1.0, time.time()).engines == ()
    assert engine.exists()
    assert prune(None, time.time()).engines == (engine,)


def test_timings_and_compiled_kernels_go_with_the_engines(engine: Path) -> None:
    timings, kernels, used = (
        cache.root() / place for place in ("timings/a.cache", "kernels/b.cache", "kernels/c.cache")
    )
    for path in (timings, kernels, used):
        write_timings(path, b"something")
        age(path)
    assert read_timings(used) == b"something"
    sizes = [path.stat().st_size for path in (engine, timings, kernels)]
    gone = prune(1.0, time.time())
    assert (gone.caches, gone.bytes) == (2, sum(sizes))
    assert [path for path in cache.root().rglob("*") if path.is_file()] == [used]
    assert prune(None, time.time()).caches == 1


def test_a_hit_that_cannot_be_noted_is_one_all_the_same(
    engine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "utime", refused)
    assert engine_for(tmp_path / "graph.onnx", BuildOptions()) == engine


def test_listing_reads_no_more_than_the_headers(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def whole(path: Path) -> bytes:
        raise AssertionError(f"{path} is read to its end")

    monkeypatch.setattr(Path, "read_bytes", whole)
    assert [entry.path for entry in engine_cache.entries()] == [engine]


def test_unfinished_results_go_whatever_their_age(engine: Path) -> None:
    left = engine.parent / f".making-{engine.name}-abcd_123"
    left.mkdir()
    (left / engine.name).write_bytes(b"half")
    gone = prune(1e6, time.time())
    assert (gone.engines, gone.abandoned, gone.bytes) == ((), 1, 4)
    assert list(engine.parent.iterdir()) == [engine]
