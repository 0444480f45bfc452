"""`tweenrt profile`: tables, files, exit codes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support import graphs
from support.cli import run
from support.clips import moving
from support.layered import layered
from typer.testing import Result

QUICK = ("--backend", "onnxruntime", "--threads", "1", "--runs", "3", "--seconds", "0", "--warmup", "1")


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    return layered(tmp_path / "layered.onnx")


def profile(*arguments: str | Path) -> Result:
    return run("profile", *arguments, *QUICK)


def test_tables_and_files(graph: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'tweenrt[report]'")
    told, page = tmp_path / "found.json", tmp_path / "found.html"
    result = profile(graph, "--size", "35x50", "--factor", "4", "--fps", "50", "--json", told, "--html", page)
    assert result.exit_code == 0, result.stderr
    found: Any = json.loads(told.read_text())
    lines = result.stdout.splitlines()
    assert lines[0] == "blend, fp32, 35x50, factor 4, OnnxRuntime, 1 thread"
    interval = next(line.split() for line in lines if "one interval, 3 new" in line)
    assert interval[4:] == [
        f"{found['interval'][k]:.2f}" if k != "count" else "3"
        for k in ("count", "p50", "p90", "p99", "minimum", "maximum", "mean", "std")
    ]
    assert "12.5 to 50 fps" in result.stdout
    assert "coarse.body/conv2d" in result.stdout
    assert "Power not measured: " in result.stdout or " J for each new frame" in result.stdout
    assert (found["schema"], found["threads"], found["rate"], len(found["samples"])) == (1, 1, 50.0, 3)
    assert json.dumps(found)[1:-1] in page.read_text().replace("\\u0026", "&").replace("\\u003c", "<").replace(
        "\\u003e", ">"
    )
    assert "of 3 intervals the 99th percentile" in result.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["found.html", "found.json", "layered.onnx"]


def test_frames_of_a_clip_give_the_size(graph: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number, image in enumerate(moving(3, 36, 54)):
        Image.fromarray(image).save(tmp_path / "in" / f"{number}.png")
    result = profile(graph, "--frames", tmp_path / "in", "--no-layers", "--json", tmp_path / "found.json")
    assert result.exit_code == 0, result.stderr
    found: Any = json.loads((tmp_path / "found.json").read_text())
    assert (found["size"], found["frames"], found["layers"]) == ([36, 54], str(tmp_path / "in"), None)
    refused = profile(graph, "--frames", tmp_path / "in", "--size", "64x64")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "expected frames of 64x64 pixels or more" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give --size HEIGHTxWIDTH"),
        (("--size", "720"), "--size: expected HEIGHTxWIDTH"),
        (("--size", "64x64", "--fps", "fast"), "--fps: expected a frame rate"),
        (("--size", "64x64", "--factor", "1"), "factor"),
        (("--size", "64x64", "--json", "/nowhere/found.json"), "there is no folder"),
        (("--size", "64x64", "--backend", "nonsense"), "backend"),
    ],
)
def test_wrong_usage_is_2(graph: Path, arguments: tuple[str, ...], message: str) -> None:
    result = run("profile", graph, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


def test_no_graph_is_2(tmp_path: Path) -> None:
    result = profile(tmp_path / "none.onnx", "--size", "64x64")
    assert result.exit_code == 2
    assert "no such graph" in result.stderr


def test_a_report_without_matplotlib_is_refused_before_anything_is_measured(
    graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = profile(graph, "--size", "64x64", "--html", tmp_path / "found.html")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "pip install 'tweenrt[report]'" in result.stderr
    assert "measuring" not in result.stderr


def test_nothing_is_left_where_it_cannot_be_written_or_is_interrupted(
    graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out" / "found.json"
    target.mkdir(parents=True)
    result = profile(graph, "--size", "64x64", "--no-layers", "--json", target)
    assert result.exit_code == 2
    assert f"{target}: expected a file name, but this is a folder" in result.stderr
    assert list(target.parent.iterdir()) == [target]

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tweenrt.runtime.profiling.profile.facts", interrupt)
    result = profile(graph, "--size", "64x64", "--no-layers", "--json", tmp_path / "found.json")
    assert result.exit_code == 130
    assert not list(tmp_path.glob("*found*"))


def test_a_disk_that_is_full_leaves_the_file_that_was_there(
    graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "found.json"
    target.write_text("before")
    plain = Path.write_bytes

    def half(path: Path, content: bytes) -> int:
        plain(path, content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    result = profile(graph, "--size", "64x64", "--no-layers", "--json", target)
    assert result.exit_code == 1
    assert "found.json: cannot be written (No space left on device)" in result.stderr
    assert target.read_text() == "before"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["found.json", "layered.onnx"]


def test_a_split_network(tmp_path: Path) -> None:
    result = profile(graphs.blend_halves(tmp_path / "halves"), "--size", "35x50")
    assert result.exit_code == 0, result.stderr
    assert "  encoder" in result.stdout
    assert "  synthesis" in result.stdout
    assert "Layers add up to, of a run without timing them: encoder" in result.stdout
