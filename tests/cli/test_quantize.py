"""`tweenrt quantize`: table, files and exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from support.cli import run
from support.clips import moving
from support.quantized import BLOCKS, clip, halves, info, listing, network, uneven_weights

FEW = ("--samples", "4", "--threads", "1")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return network(tmp_path / "fp32.onnx")


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    return clip(tmp_path / "in.mkv", moving(13, 32, 64))


def strict(path: Path) -> Any:
    """JSON without the constants that are none, such as Infinity."""
    return json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def rows(stdout: str) -> list[list[str]]:
    """The lines of the table that hold numbers."""
    return [line.split() for line in stdout.splitlines() if "%" in line]


def test_by_policy(source: Path, frames: Path, tmp_path: Path) -> None:
    out = tmp_path / "int8.onnx"
    result = run("quantize", source, "--frames", frames, "-o", out, *FEW)
    assert result.exit_code == 0, result.stderr
    (row,) = rows(result.stdout)
    assert (row[0], row[1], row[-1]) == ("64%", "2", "written")
    assert "at least, ms on orin-nx" in " ".join(result.stdout.split())
    assert f"{out}: 2 of 4 layers in INT8, 0.0 MB (" in result.stderr
    assert "64% of the multiplications in INT8; PSNR against the truth " in result.stderr
    assert "looking for motion in in.mkv, 4 frames apart" in result.stderr
    assert "budget" not in result.stderr
    assert info(out).precision == "int8"


def test_with_a_budget(source: Path, frames: Path, tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("found.json", "front.svg", "measured.json")}
    result = run(
        "quantize", source, "--frames", frames, "-o", tmp_path / "int8.onnx", *FEW, "--max-drop-db", "20",
        "--json", files["found.json"], "--plot", files["front.svg"], "--calibration", files["measured.json"],
        "--device", "orin-nx", "--method", "entropy", "--rest", "fp32",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert "lowest PSNR against FP32 of a block alone: " in result.stderr
    assert "(budget 20 dB)" in result.stderr
    assert rows(result.stdout)[-1][-1] == "written"
    check_report(strict(files["found.json"]))
    root = ElementTree.fromstring(files["front.svg"].read_text())
    assert root.tag.endswith("svg")
    assert strict(files["measured.json"])["samples"] == 2


def check_report(found: Any) -> None:
    assert (found["method"], found["device"]) == ("entropy", "orin-nx")
    assert found["samples"] == {"calibration": 2, "judging": 2}
    assert {b["block"] for b in found["blocks"]} == set(BLOCKS)
    assert set(found["written"]["blocks"]) == set(BLOCKS)
    assert found["written"]["int8_share"] == pytest.approx(0.88)
    assert found["front"][0]["blocks"] == []
    assert found["front"][0]["psnr_against_fp32_db"] is None, "infinite, which JSON does not have"
    (graph,) = found["graphs"]
    assert graph["int8_layers"] == ["entered/Conv", "first/Conv", "second/Conv"]
    assert graph["kept_layers"] == {"residual/Conv": "head"}
    assert found["fp32_psnr_db"] - found["written"]["psnr_db"] == pytest.approx(found["written"]["drop_db"])


def test_a_budget_that_is_not_met_is_3_and_writes_nothing(frames: Path, tmp_path: Path) -> None:
    source = network(tmp_path / "fp32.onnx", **uneven_weights())
    before = listing(tmp_path)
    result = run(
        "quantize", source, "--frames", frames, "-o", tmp_path / "int8.onnx", *FEW, "--max-drop-db", "20",
        "--min-share", "0.95", "--json", tmp_path / "found.json", "--plot", tmp_path / "front.svg",
    )  # fmt: skip
    assert result.exit_code == 3
    assert "within 20 dB at most 88% of the multiplications can be INT8, 95% were asked for" in result.stderr
    assert listing(tmp_path) == before


def test_a_clip_whose_frames_repeat(source: Path, tmp_path: Path) -> None:
    """A frame that is drawn as it should be has an infinite PSNR, which must reach neither table nor file."""
    still = clip(tmp_path / "still.mkv", moving(1, 32, 64) * 9)
    out = tmp_path / "int8.onnx"
    head = {"w_head": 1e-6 * uneven_weights()["w_head"]}
    calm = network(tmp_path / "calm.onnx", **head)
    for graph in (source, calm):
        result = run("quantize", graph, "--frames", still, "-o", out, *FEW, "--json", tmp_path / "found.json")
        assert result.exit_code == 0, result.stderr
        assert "nan" not in result.stdout
        strict(tmp_path / "found.json")
    result = run("quantize", calm, "--frames", still, "-o", out, *FEW, "--max-drop-db", "0.1")
    assert result.exit_code == 0, result.stderr


def test_several_clips(source: Path, frames: Path, tmp_path: Path) -> None:
    more = clip(tmp_path / "more.mkv", moving(9, 32, 64, seed=4))
    result = run("quantize", source, "--frames", frames, "--frames", more, "-o", tmp_path / "int8.onnx", *FEW)
    assert result.exit_code == 0, result.stderr
    assert "motion in in.mkv" in result.stderr
    assert "motion in more.mkv" in result.stderr


def test_the_seed_chooses_other_frames(source: Path, frames: Path, tmp_path: Path) -> None:
    digests = []
    for seed in ("1", "1", "2"):
        record = tmp_path / f"{len(digests)}.json"
        arguments = ("-o", tmp_path / "int8.onnx", *FEW, "--seed", seed, "--calibration", record)
        assert run("quantize", source, "--frames", frames, *arguments).exit_code == 0
        digests.append(strict(record)["frames_sha256"])
    assert digests[0] == digests[1] != digests[2]


def test_a_split_folder(frames: Path, tmp_path: Path) -> None:
    source, out = halves(tmp_path / "halves"), tmp_path / "int8"
    result = run("quantize", source, "--frames", frames, "-o", out, *FEW)
    assert result.exit_code == 0, result.stderr
    assert listing(out) == ["encoder.onnx", "synthesis.onnx"]
    assert f"{out / 'synthesis.onnx'}: 1 of 2 layers in INT8" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{source}", "--frames", "{clip}", "-o", "{folder}"], "expected a file name such as"),
        (["{source}", "--frames", "{clip}", "-o", "{source}"], "this is the graph that is converted"),
        (["{folder}", "--frames", "{clip}", "-o", "{source}"], "expected a folder, found a file"),
        (["{folder}", "--frames", "{clip}", "-o", "{absent}"], "expected encoder.onnx and synthesis.onnx"),
        (["{absent}", "--frames", "{clip}", "-o", "{out}"], "no such graph"),
        (["{source}", "--frames", "{absent}", "-o", "{out}"], "absent"),
        (["{source}", "--frames", "{folder}", "-o", "{out}"], "expected images"),
        (["{source}", "-o", "{out}"], "--frames"),
        (["{source}", "--frames", "{clip}"], "--out"),
        (["{source}", "--frames", "{clip}", "-o", "{out}", "--json", "{absent}/a.json"], "there is no folder"),
        (["{source}", "--frames", "{clip}", "-o", "{out}", "--plot", "{absent}/a.svg"], "there is no folder"),
        (["{source}", "--frames", "{clip}", "-o", "{out}", "--calibration", "{absent}/a"], "there is no folder"),
        (["{source}", "--frames", "{clip}", "-o", "{out}", "--calibration", "{clip}"], "expected a calibration"),
        (["{source}", "--frames", "{clip}", "-o", "{out}", "--device", "abacus"], "abacus"),
        (["{source}", "--frames", "{clip}", "-o", "{out}", "--method", "guess"], "--method"),
        (["{source}", "--frames", "{clip}", "-o", "{out}", "--rest", "int4"], "--rest"),
        (["{source}", "--frames", "{clip}", "-o", "{out}", "--samples", "1"], "--samples"),
        (["{source}", "--frames", "{clip}", "-o", "{out}", "--min-share", "2"], "--min-share"),
        (["{source}", "--frames", "{clip}", "-o", "{out}", "--max-drop-db", "-1"], "--max-drop-db"),
    ],
)
def test_wrong_usage_is_2(arguments: list[str], message: str, source: Path, frames: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    places = {
        "source": source,
        "clip": frames,
        "folder": tmp_path / "empty",
        "absent": tmp_path / "absent",
        "out": tmp_path / "out.onnx",
    }
    before = listing(tmp_path)
    result = run("quantize", *(a.format(**places) for a in arguments))
    assert result.exit_code == 2, result.stderr
    assert message in result.stderr
    assert listing(tmp_path) == before


def test_a_clip_that_is_too_short_is_2(source: Path, tmp_path: Path) -> None:
    short = clip(tmp_path / "short.mkv", moving(2, 32, 64))
    result = run("quantize", source, "--frames", short, "-o", tmp_path / "int8.onnx")
    assert result.exit_code == 2
    assert "expected at least 3 frames" in result.stderr


def test_a_quantised_graph_is_not_quantised_again(source: Path, frames: Path, tmp_path: Path) -> None:
    out = tmp_path / "int8.onnx"
    assert run("quantize", source, "--frames", frames, "-o", out, *FEW).exit_code == 0
    result = run("quantize", out, "--frames", frames, "-o", tmp_path / "twice.onnx", *FEW)
    assert result.exit_code == 2
    assert "expected an fp32 graph, got int8" in result.stderr
