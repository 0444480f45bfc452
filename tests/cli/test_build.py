"""`tweenrt build` and `tweenrt cache`, as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.cli import run
from support.engines import use_plugin_library, write_graph

from tweenrt import cache
from tweenrt.runtime.engines.engine_file import read_info

WARP = (
    "g (float[1,4,16,24] x, float[1,2,16,24] flow) => "
    "(float[1,4,16,24] y) { w = tweenrt.BackwardWarp (x, flow)\n y = Relu (w) }"
)
OPEN = "g (float[N,4,H,W] x) => (float[N,4,H,W] y) { y = Relu (x) }"
RTX = ("--flavour", "tensorrt-rtx", "--target", "sm86,sm120")


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_plugin_library(monkeypatch)
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))


def test_a_graph_becomes_an_engine_and_stays_in_the_cache(tmp_path: Path) -> None:
    graph, engine = write_graph(tmp_path, WARP), tmp_path / "out" / "x.engine"
    done = run("build", graph, "-o", engine, *RTX)
    assert done.exit_code == 0, done.stderr
    assert read_info(engine).targets == ("sm86", "sm120")
    (listed,) = json.loads(run("cache", "list", "--json").stdout)
    assert Path(listed["path"]).read_bytes() == engine.read_bytes()
    assert "sm86 sm120" in run("cache", "list").stdout
    assert "removed 1 engines" in run("cache", "prune").stderr
    assert json.loads(run("cache", "list", "--json").stdout) == []
    assert run("cache", "path").stdout.strip() == str(tmp_path / "cache")


def test_a_folder_of_graphs_becomes_a_folder_of_engines(tmp_path: Path) -> None:
    graphs = tmp_path / "graphs"
    graphs.mkdir()
    write_graph(graphs, WARP).rename(graphs / "encoder.onnx")
    write_graph(graphs, OPEN).rename(graphs / "synthesis.onnx")
    done = run("build", graphs, "-o", tmp_path / "engines", *RTX, "--size", "16x24", "--size", "32x48", "--batch", "2")
    assert done.exit_code == 0, done.stderr
    assert sorted(p.name for p in (tmp_path / "engines").iterdir()) == ["encoder.engine", "synthesis.engine"]
    ranges = read_info(tmp_path / "engines" / "synthesis.engine").inputs["x"]
    assert ranges == [
        [[1, 4, 16, 24], [2, 4, 16, 24], [2, 4, 16, 24]],
        [[1, 4, 32, 48], [2, 4, 32, 48], [2, 4, 32, 48]],
    ]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--min", "16x16"), "all three of --min, --opt and --max"),
        (("--min", "16x16", "--opt", "64x16", "--max", "32x32"), "expected --min ≤ --opt ≤ --max"),
        (("--size", "big"), "expected HEIGHTxWIDTH"),
        ((), "leaves H, N, W open"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(options: tuple[str, ...], says: str, tmp_path: Path) -> None:
    done = run("build", write_graph(tmp_path, OPEN), "-o", tmp_path / "x.engine", *RTX, *options)
    assert done.exit_code == 2
    assert says in done.stderr
    assert not (tmp_path / "x.engine").exists()


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    done = run("build", tmp_path / "absent.onnx", "-o", tmp_path / "x.engine", *RTX)
    assert (done.exit_code, "no such graph" in done.stderr) == (2, True)
    (tmp_path / "empty").mkdir()
    done = run("build", tmp_path / "empty", "-o", tmp_path / "engines", *RTX)
    assert (done.exit_code, "no graphs in this folder" in done.stderr) == (2, True)
    done = run("build", write_graph(tmp_path, WARP), "-o", tmp_path / "x.engine")
    assert (done.exit_code, "tweenrt[tensorrt]" in done.stderr) == (2, True)


def test_an_engine_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.engine").mkdir()
    done = run("build", write_graph(tmp_path, WARP), "-o", tmp_path / "x.engine", *RTX)
    assert done.exit_code == 1
    assert "cannot write the engine" in done.stderr
    assert not list(tmp_path.glob(".tweenrt-*"))
