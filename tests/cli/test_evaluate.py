"""`tweenrt evaluate`: table, JSON, record, resumption and exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
from support import datasets, graphs
from support import metrics as plain
from support.cli import run

from tweenrt.runtime.evaluate import run as running
from tweenrt.runtime.openvino_session import is_installed

ORT = ("--backend", "onnxruntime", "--threads", "1")


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """A blend that calls itself IFRNet with trained weights."""
    path = graphs.blend(tmp_path / "blend.onnx")
    info = replace(graphs.INFO, model="ifrnet", weights_sha256="ab12")
    return graphs.save_model(path, onnx.load(path), info)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the frames that are drawn, in order."""
    names: list[str] = []
    draw = running.draw

    def listen(samples: Any, network: Any, **options: Any) -> Iterator[Any]:
        for sample, *rest in draw(samples, network, **options):
            names.append(sample.name)
            yield sample, *rest

    monkeypatch.setattr(running, "draw", listen)
    return names


def strict(path: Path) -> Any:
    """JSON without the constants that are none, such as Infinity."""
    return json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_the_table_the_file_and_the_record(graph: Path, tmp_path: Path) -> None:
    triples = datasets.vimeo90k(tmp_path)
    out = tmp_path / "out.json"
    result = run("evaluate", graph, "--dataset", "vimeo90k", "--root", tmp_path, *ORT, "--json", out)
    assert result.exit_code == 0, result.stderr
    found = strict(out)
    expected = [plain.psnr((t.frame0 // 2 + t.frame1 // 2) / 255, t.truth / 255) for t in triples]
    assert [frame["psnr"] for frame in found["frames"]] == pytest.approx(expected, abs=1e-9)
    (summary,) = found["summary"]
    assert summary["psnr"] == pytest.approx(sum(expected) / 2, abs=1e-9)
    assert summary["published"]["psnr_float"] == 35.80
    head, _, line, *notes = [text for text in result.stdout.splitlines() if text.strip()]
    assert head.split() == [
        "subset",
        "frames",
        "psnr",
        "psnr_float",
        "published",
        "ssim_matlab_float",
        "published",
        "s/frame",
    ]
    assert line.split()[:2] == ["all", "2"]
    assert line.split()[2] == f"{summary['psnr']:.3f}"
    assert line.split()[4] == "35.800"
    assert notes == [
        "note: all: 2 of the 3782 frames that papers take the mean over",
        "published: IFRNet paper, Table 1",
    ]
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 4
    assert "evaluating ifrnet on vimeo90k (test triplets" in result.stderr


@pytest.mark.skipif(not is_installed(), reason="needs OpenVINO: pip install 'tweenrt[openvino]'")
def test_backends_agree(graph: Path, tmp_path: Path) -> None:
    datasets.middlebury(tmp_path)
    found = []
    for backend in ("onnxruntime", "openvino"):
        out = tmp_path / f"{backend}.json"
        arguments = ["evaluate", graph, "--dataset", "middlebury", "--root", tmp_path, "--json", out]
        assert run(*arguments, "--backend", backend, "--threads", "1").exit_code == 0
        found.append({k: v for k, v in strict(out)["summary"][0].items() if k != "seconds_per_frame"})
    assert found[0].pop("published") == found[1].pop("published") == {"ie": 1.95, "source": "EMA-VFI paper, table 1"}
    assert found[0] == pytest.approx(found[1], abs=1e-5)
    assert found[0]["psnr"] == found[1]["psnr"]


def test_it_goes_on_where_it_was_stopped(
    graph: Path, tmp_path: Path, drawn: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets.x4k(tmp_path)
    command = ["evaluate", graph, "--dataset", "x4k", "--root", tmp_path, *ORT, "--json", tmp_path / "out.json"]
    measure = running.measure
    count = iter(range(100))

    def stop_at_the_tenth(*arguments: Any) -> Any:
        if next(count) == 10:
            raise KeyboardInterrupt
        return measure(*arguments)

    monkeypatch.setattr(running, "measure", stop_at_the_tenth)
    stopped = run(*command)
    assert stopped.exit_code == 130
    assert "10 frames are done and recorded; the same command goes on from there" in stopped.stderr
    assert not (tmp_path / "out.json").exists()
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 12
    drawn.clear()
    monkeypatch.setattr(running, "measure", measure)
    again = run(*command)
    assert again.exit_code == 0, again.stderr
    assert "10 frames were done before" in again.stderr
    assert len(drawn) == 18
    resumed = strict(tmp_path / "out.json")
    whole = run(*command[:-1], tmp_path / "whole.json")
    assert whole.exit_code == 0
    for found in (resumed, reference := strict(tmp_path / "whole.json")):
        for entry in (*found["frames"], *found["summary"]):
            entry.pop("seconds", None)
            entry.pop("seconds_per_frame", None)
    assert resumed == reference
    drawn.clear()
    assert run(*command).exit_code == 0
    assert drawn == []


def test_another_graph_is_refused(graph: Path, tmp_path: Path) -> None:
    datasets.ucf101(tmp_path)
    other = graphs.blend(tmp_path / "other.onnx", gain=0.5)
    rest = ["--dataset", "ucf101", "--root", tmp_path, *ORT, "--csv", tmp_path / "rows.csv"]
    assert run("evaluate", graph, *rest, "--limit", "1").exit_code == 0
    refused = run("evaluate", other, *rest)
    assert refused.exit_code == 2
    assert "holds the rows of another evaluation (graph_sha256: there" in refused.stderr
    assert refused.stdout == ""
    assert run("evaluate", other, *rest, "--overwrite").exit_code == 0


def test_a_limit_can_be_raised(graph: Path, tmp_path: Path, drawn: list[str]) -> None:
    datasets.ucf101(tmp_path)
    command = ["evaluate", graph, "--dataset", "ucf101", "--root", tmp_path, *ORT, "--csv", tmp_path / "rows.csv"]
    for limit in ("1", "3"):
        assert run(*command, "--limit", limit).exit_code == 0
    assert drawn == ["1", "11", "101"]


def test_subsets_and_metrics(graph: Path, tmp_path: Path) -> None:
    datasets.snu_film(tmp_path)
    command = ["evaluate", graph, "--dataset", "snu-film", "--root", tmp_path, *ORT, "--json", tmp_path / "out.json"]
    result = run(*command, "--subset", "hard", "--subset", "easy", "--metric", "ie", "--metric", "ssim")
    assert result.exit_code == 0, result.stderr
    found = strict(tmp_path / "out.json")
    assert [s["subset"] for s in found["summary"]] == ["easy", "hard", ""]
    assert found["metrics"] == ["ie", "ssim"]
    assert {s["published"] for s in found["summary"]} == {None}
    assert "published" not in result.stdout


def test_a_video_and_its_worst_frames(graph: Path, tmp_path: Path) -> None:
    datasets.clip(tmp_path / "in", 9)
    command = ["evaluate", graph, "--dataset", "video", "--root", tmp_path / "in", *ORT, "--every", "4", "--first", "1"]
    result = run(*command, "--no-scene-cuts", "--worst", "2", "--error-maps", tmp_path / "maps")
    assert result.exit_code == 0, result.stderr
    assert [line.split()[:2] for line in result.stdout.splitlines() if "all" in line] == [["all", "3"]]
    assert len(list((tmp_path / "maps").glob("00[12]-00000[234].png"))) == 2
    assert not list(tmp_path.glob("*.csv")), "nothing is recorded unless asked for"


def test_graphs_with_bytes(tmp_path: Path) -> None:
    datasets.vimeo90k(tmp_path)
    path = graphs.blend_bytes(tmp_path / "bytes.onnx")
    result = run("evaluate", path, "--dataset", "vimeo90k", "--root", tmp_path, *ORT)
    assert result.exit_code == 0, result.stderr
    assert "note: the graph draws uint8 frames" in result.stdout


def test_wrong_input_is_2(graph: Path, tmp_path: Path) -> None:
    datasets.vimeo90k(tmp_path)
    vimeo = ["--dataset", "vimeo90k", "--root", tmp_path]
    for arguments, message in (
        ([graph, "--dataset", "nonsense", "--root", tmp_path], "nonsense"),
        ([graph, *vimeo, "--metric", "nonsense"], "nonsense"),
        ([graph, "--dataset", "ucf101", "--root", tmp_path], "expected layout: ucf101_interp_ours/"),
        ([tmp_path / "absent.onnx", *vimeo], "no such graph"),
        (["nonsense", *vimeo], "nonsense"),
        ([graph, *vimeo, "--every", "3"], "for videos only"),
        ([graph, *vimeo, "--subset", "hard"], "expected a subset of vimeo90k (none), got 'hard'"),
        ([graph, *vimeo, "--worst", "3"], "--worst and --error-maps belong together"),
        ([graph, *vimeo, "--limit", "0"], "--limit"),
        ([graph, *vimeo, "--json", tmp_path / "out.csv"], "name the record with --csv"),
        ([graph, "--root", tmp_path], "--dataset"),
    ):
        result = run("evaluate", *arguments)
        assert (result.exit_code, result.stdout) == (2, ""), arguments
        assert message in result.stderr
