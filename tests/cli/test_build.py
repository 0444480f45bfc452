"""`tweenrt build` and `tweenrt cache`, as a user calls them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from support.cli import run
from support.engines import INFO, use_plugin_library, write_graph

from tweenrt import cache
from tweenrt.cli import progress
from tweenrt.runtime.engines.engine_file import read_info

WARP = (
    "g (float[1,4,16,24] x, float[1,2,16,24] flow) => "
    "(float[1,4,16,24] y) { w = tweenrt.BackwardWarp (x, flow)\n y = Relu (w) }"
)
OPEN = "g (float[N,4,H,W] x) => (float[N,4,H,W] y) { y = Relu (x) }"
FRAMES = "g (float[N,3,H,W] frame0) => (float[N,3,H,W] y) { y = Relu (frame0) }"
ONE_SIZE = "g (float[N,3,32,48] frame0) => (float[N,3,32,48] y) { y = Relu (frame0) }"
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


def by_16(folder: Path, text: str) -> Path:
    """A graph of a network that takes multiples of 16."""
    path = write_graph(folder, text)
    model = onnx.load(path)
    onnx.helper.set_model_props(model, replace(INFO, divisor=16).to_metadata())
    onnx.save(model, path)
    return path


def test_sizes_are_those_of_the_frames(tmp_path: Path) -> None:
    graph, engine = by_16(tmp_path, FRAMES), tmp_path / "x.engine"
    done = run("build", graph, "-o", engine, *RTX, "--size", "1080x1920")
    assert done.exit_code == 0, done.stderr
    said = [line for line in done.stderr.splitlines() if "padded" in line]
    assert said == ["• graph.onnx takes multiples of 16, so that frames are padded: 1080x1920 to 1088x1920"]
    assert read_info(engine).inputs["frame0"] == [[[1, 3, 1088, 1920]] * 3]
    done = run("build", graph, "-o", engine, *RTX, "--min", "100x100", "--opt", "128x256", "--max", "250x500")
    assert "100x100 to 112x112, 250x500 to 256x512" in done.stderr
    assert read_info(engine).inputs["frame0"] == [[[1, 3, 112, 112], [1, 3, 128, 256], [1, 3, 256, 512]]]
    done = run("build", graph, "-o", engine, *RTX, "--size", "1088x1920")
    assert "padded" not in done.stderr


def test_a_graph_of_one_size_needs_none_and_takes_no_other(tmp_path: Path) -> None:
    graph, engine = by_16(tmp_path, ONE_SIZE), tmp_path / "x.engine"
    assert run("build", graph, "-o", engine, *RTX).exit_code == 0
    assert read_info(engine).inputs["frame0"] == [[[1, 3, 32, 48]] * 3]
    assert run("build", graph, "-o", engine, *RTX, "--batch", "4").exit_code == 0
    assert read_info(engine).inputs["frame0"] == [[[1, 3, 32, 48], [4, 3, 32, 48], [4, 3, 32, 48]]]
    engine.unlink()
    done = run("build", graph, "-o", engine, *RTX, "--size", "720x1280")
    assert done.exit_code == 2
    assert "is for frames of 32x48 only, asked for 720x1280" in done.stderr
    assert not engine.exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--portable",), "targets (sm86, sm120) and portable exclude each other"),
        (("--device", "0"), "leave --device or --target out"),
    ],
)
def test_options_that_exclude_each_other_are_refused(options: tuple[str, ...], says: str, tmp_path: Path) -> None:
    done = run("build", write_graph(tmp_path, WARP), "-o", tmp_path / "x.engine", *RTX, *options)
    assert done.exit_code == 2
    assert says in done.stderr


def test_without_a_terminal_a_line_tells_now_and_then_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, engine = write_graph(tmp_path, WARP), tmp_path / "x.engine"
    assert "steps" not in run("build", graph, "-o", engine, *RTX).stderr
    run("cache", "prune")
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.0)
    said = run("build", graph, "-o", engine, *RTX).stderr
    assert re.search(r"• Building engine: 1 of \d+ steps, 0:0\d so far", said)


def test_the_cache_makes_room(tmp_path: Path) -> None:
    graph, engine = write_graph(tmp_path, WARP), tmp_path / "x.engine"
    assert run("build", graph, "-o", engine, *RTX).exit_code == 0
    (tmp_path / "cache" / "engines" / ".making-killed-abcd_123").mkdir()
    said = run("cache", "prune", "--older-than", "1").stderr
    assert "removed 0 engines, 0 files of timings and compiled kernels, 1 unfinished results" in said
    (listed,) = json.loads(run("cache", "list", "--json").stdout)
    assert listed["used"] == Path(listed["path"]).stat().st_mtime
