"""What was measured, as a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.quantized import listing

from tweenrt.calibration.int8.record import Calibration, Measured, versions
from tweenrt.calibration.int8.scales import Method
from tweenrt.calibration.ranges import Range
from tweenrt.errors import UsageError

GRAPHS = {"encoder.onnx": "a" * 64, "synthesis.onnx": "b" * 64}
LIMITS = {method: 0.1 * (k + 1) for k, method in enumerate(Method)}
CALIBRATION = Calibration(
    GRAPHS,
    "c" * 64,
    8,
    {
        "encoder.onnx": {"x": Measured(LIMITS, None)},
        "synthesis.onnx": {"y": Measured(LIMITS, np.array([0.5, 2, 1], np.float32))},
    },
    {"encoder.onnx": {"x": Range(-1 / 3, 2.5), "z": Range(0.0, float("inf"))}, "synthesis.onnx": {}},
    versions(),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "measured.json"
    CALIBRATION.save(path)
    return path


def change(path: Path, edit: Callable[[Any], object]) -> None:
    facts = json.loads(path.read_text())
    edit(facts)
    path.write_text(json.dumps(facts))


def test_it_comes_back_as_it_was(path: Path) -> None:
    found = Calibration.load(path, GRAPHS)
    by = found.tensors["synthesis.onnx"]["y"].factors
    assert by is not None
    assert (by.dtype, by.tolist()) == (np.float32, [0.5, 2, 1])
    assert found.tensors["synthesis.onnx"]["y"].thresholds == LIMITS
    plain = {**found.tensors, "synthesis.onnx": CALIBRATION.tensors["synthesis.onnx"]}
    assert replace(found, tensors=plain) == CALIBRATION
    assert listing(path.parent) == ["measured.json"]


def test_it_says_what_measured_it(path: Path) -> None:
    facts = json.loads(path.read_text())
    assert set(facts["versions"]) == {"tweenrt", "onnxruntime", "numpy"}
    assert (facts["format"], facts["samples"], facts["frames_sha256"]) == (1, 8, "c" * 64)


def test_graphs_may_have_been_renamed(path: Path) -> None:
    """The content counts. A single file may lie under another name today."""
    with pytest.raises(UsageError, match="measured on other graphs"):
        Calibration.load(path, {"encoder.onnx": "a" * 64, "synthesis.onnx": "d" * 64})
    assert Calibration.load(path, dict(reversed(GRAPHS.items()))).graphs == GRAPHS


@pytest.mark.parametrize("graphs", [{}, {"encoder.onnx": "a" * 64}, {**GRAPHS, "more.onnx": "e" * 64}])
def test_of_other_graphs_it_is_refused(graphs: dict[str, str], path: Path) -> None:
    with pytest.raises(UsageError, match=r"measured on other graphs \(encoder\.onnx, synthesis\.onnx\)"):
        Calibration.load(path, graphs)


def test_another_format_is_refused(path: Path) -> None:
    change(path, lambda facts: facts.update(format=2))
    with pytest.raises(UsageError, match="expected a calibration of format 1, got 2; measure again"):
        Calibration.load(path, GRAPHS)


@pytest.mark.parametrize(
    "edit",
    [
        lambda facts: facts.pop("ranges"),
        lambda facts: facts.pop("format"),
        lambda facts: facts["tensors"]["encoder.onnx"]["x"].pop("mse"),
        lambda facts: facts["tensors"]["encoder.onnx"]["x"].update(max="large"),
        lambda facts: facts["ranges"]["encoder.onnx"].update(x=[1]),
        lambda facts: facts.update(tensors=[]),
        lambda facts: facts.update(graphs=7),
    ],
    ids=["ranges", "format", "method", "number", "range", "tensors", "graphs"],
)
def test_a_damaged_file_is_refused(edit: Callable[[Any], object], path: Path) -> None:
    change(path, edit)
    with pytest.raises(UsageError, match=r"measured\.json: expected a calibration written by `tweenrt quantize`"):
        Calibration.load(path, GRAPHS)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'"text"'])
def test_what_is_no_record_at_all_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "measured.json"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="delete it to measure again"):
        Calibration.load(path, GRAPHS)


def test_a_folder_is_no_record(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="it cannot be read"):
        Calibration.load(tmp_path, GRAPHS)
