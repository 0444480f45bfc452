"""`tweenrt compare`: table, JSON file and exit codes."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import graphs
from support.cli import run
from support.clips import Clip, moving

from tweenrt.runtime.openvino_session import is_installed

ORT = ("--backend-a", "onnxruntime", "--backend-b", "onnxruntime")


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    images = moving(4, 35, 53)
    return Clip(images, time_base=Fraction(1, 25), codec="ffv1", pix_fmt="yuv444p", options={}).write(
        tmp_path / "in.mkv"
    )


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Two graphs that differ by one part in a hundred of the motion."""
    return graphs.blend(tmp_path / "a.onnx"), graphs.blend(tmp_path / "b.onnx", gain=1.02)


def strict(path: Path) -> Any:
    """JSON without the constants that are none, such as Infinity."""
    return json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_the_table_and_the_file(pair: tuple[Path, Path], frames: Path, tmp_path: Path) -> None:
    result = run("compare", *pair, "--frames", frames, *ORT, "--pairs", "2", "--json", tmp_path / "found.json")
    assert result.exit_code == 0, result.stderr
    head, _, first, second = [line for line in result.stdout.splitlines() if line.strip()]
    assert head.split()[:3] == ["output", "max", "abs"]
    assert (first.split()[0], second.split()[0]) == ("frame_t", "brightness")
    found = strict(tmp_path / "found.json")
    assert found["a"] == {"graph": str(pair[0]), "backend": "onnxruntime"}
    assert found["frames"] == str(frames)
    assert [row["output"] for row in found["outputs"]] == ["frame_t", "brightness"]
    assert [(row["pair"], row["output"]) for row in found["pairs"]] == [
        (pair, output) for pair in (0, 1) for output in ("frame_t", "brightness")
    ]
    frame = found["outputs"][0]
    assert f"{frame['max_abs']:.2e}" == first.split()[1]
    assert 0 < frame["mean_abs"] < frame["tail_abs"] <= frame["max_abs"] < 0.01
    assert frame["psnr_db"] > 50
    assert found["gate_failures"] == found["not_compared"] == []


def test_equal_graphs_are_valid_json(pair: tuple[Path, Path], frames: Path, tmp_path: Path) -> None:
    arguments = ["compare", pair[0], pair[0], "--frames", frames, *ORT, "--json", tmp_path / "found.json"]
    result = run(*arguments, "--max-abs", "0", "--min-psnr", "120")
    assert result.exit_code == 0, result.stderr
    assert " inf " in result.stdout
    assert strict(tmp_path / "found.json")["outputs"][0]["psnr_db"] is None


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        (("--max-abs", "1e-4"), "at most 0.0001 was asked for"),
        (("--min-psnr", "90"), "at least 90 was asked for"),
    ],
)
def test_a_gate_that_is_not_met_is_3(
    gate: tuple[str, str], message: str, pair: tuple[Path, Path], frames: Path, tmp_path: Path
) -> None:
    result = run("compare", *pair, "--frames", frames, *ORT, *gate, "--json", tmp_path / "found.json")
    assert result.exit_code == 3
    assert result.stderr.count("error: ") == 1
    assert message in result.stderr
    assert "frame_t" in result.stdout, "the table says where"
    assert message in strict(tmp_path / "found.json")["gate_failures"][0]


@pytest.mark.skipif(not is_installed(), reason="needs OpenVINO: pip install 'tweenrt[openvino]'")
def test_a_folder_of_images_and_backends(pair: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number, image in enumerate(moving(3, 35, 53)):
        Image.fromarray(np.asarray(image)).save(tmp_path / "in" / f"{number}.png")
    arguments = ["compare", pair[0], pair[0], "--frames", tmp_path / "in", "--threads", "1"]
    backends = ["--backend-a", "onnxruntime", "--backend-b", "openvino"]
    assert run(*arguments, *backends, "--max-abs", "1e-5").exit_code == 0
    branch = graphs.with_a_branch(tmp_path / "branch.onnx")
    for option in ("--backend-a", "--backend-b"):
        refused = run("compare", branch, branch, "--frames", tmp_path / "in", option, "openvino")
        assert refused.exit_code == 1
        assert "OpenVINO cannot run this graph" in refused.stderr


def test_what_is_left_out_is_said(pair: tuple[Path, Path], frames: Path, tmp_path: Path) -> None:
    halves = graphs.blend_halves(tmp_path / "halves")
    result = run("compare", pair[0], halves, "--frames", frames, *ORT)
    assert result.exit_code == 0
    assert "warning: not compared: brightness: only A has it" in result.stderr
    assert "warning: not compared: feature_0: only B has it" in result.stderr


def test_wrong_input_is_2(pair: tuple[Path, Path], frames: Path, tmp_path: Path) -> None:
    for arguments in (
        [pair[0], tmp_path / "none.onnx", "--frames", frames],
        [*pair, "--frames", tmp_path / "none.mkv"],
        [*pair],
        [*pair, "--frames", frames, "--backend-a", "nonsense"],
        [*pair, "--frames", frames, "--pairs", "0"],
    ):
        result = run("compare", *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
