"""`tweenrt estimate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support import toy
from support.cli import run

from tweenrt import cache
from tweenrt.runtime.estimate.devices import device

PIXELS = 720 * 1280
MACS = PIXELS * 9 * (3 * 4 + 8 * 3)  # one frame encoded, one drawn


@pytest.fixture(scope="module")
def cached(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _toy(cached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(cached))
    toy.register(monkeypatch, toy.SPEC)


def facts(*arguments: str) -> Any:
    result = run("estimate", "toy-blend", "--size", "720p", "--json", *arguments)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_a_name_is_estimated_without_its_weights() -> None:
    found = facts("--device", "orin-agx")
    assert (found["model"], found["size"]) == ("toy-blend", [720, 1280])
    assert [part["kind"] for part in found["graphs"]] == ["encoder", "synthesis"]
    assert found["graphs"][1]["not_counted"]["Tanh"] == 1
    assert [row["name"] for row in found["modules"]] == ["residual", "features"]
    assert sum(row["macs"] for row in found["layers"]) == MACS
    assert toy.SPEC.macs[1] == pytest.approx(MACS / 1e9, rel=0.01)
    moved = 2 * PIXELS * (3 + 4 + 8 + 3) + 2 * (3 * 4 * 9 + 4 + 8 * 3 * 9 + 3)
    assert found["memory_ms"] == pytest.approx(moved / 204.8e9 * 1e3)
    assert found["ms"] == found["memory_ms"] == pytest.approx(sum(row["ms"] for row in found["modules"]))
    assert found["arithmetic_ms"] == pytest.approx(2 * MACS / 42.6e12 * 1e3)
    assert found["first_to_attack"]["why"].startswith("61.")
    assert "memory-bound" in found["first_to_attack"]["why"]
    assert found["device"]["source"] == device("orin-agx").source
    assert [line["verdict"] for line in found["verdicts"]] == ["not ruled out"] * 2


def test_precision_and_device_change_the_bound() -> None:
    half, whole, quarter = (facts("--device", "thor", "--precision", p)["memory_ms"] for p in ("fp16", "fp32", "int8"))
    assert (whole, quarter) == pytest.approx((2 * half, half / 2))
    assert facts("--device", "thor", "--density", "0.25")["density"] == 0.25
    assert facts("--device", "h200")["memory_ms"] == pytest.approx(half * 273 / 4800)


def test_the_table_says_what_it_is() -> None:
    result = run("estimate", "toy-blend", "--device", "rtx3060", "--size", "1082x1920")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "toy-blend, fp16, 1082x1920, padded to 1088x1920, on GeForce RTX 3060 12 GB"
    assert "Conv 3x3, 8 to 3, 1088x1920" in result.stdout
    assert "First to attack: residual, " in result.stdout
    assert "60 new frames a second (16.7 ms each): not ruled out." in lines
    assert "30 to 60 fps, one new frame for each source frame (33.3 ms each): not ruled out." in lines
    assert lines[-1].startswith("A bound, not a forecast: no kernel reaches")
    table = lines[: next(k for k, line in enumerate(lines) if line.startswith("One new frame takes at least "))]
    assert max(map(len, table)) <= 120


def test_a_budget_that_cannot_be_met_is_ruled_out() -> None:
    result = run("estimate", "toy-blend", "--device", "orin-nano", "--size", "17280x30720", "--precision", "fp32")
    assert "60 new frames a second (16.7 ms each): ruled out: the arithmetic alone takes longer." in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("toy-blend", "--device", "orin", "--size", "64x96"), "no device is called 'orin'"),
        (("toy-blend", "--device", "thor", "--size", "64"), "--size: expected HEIGHTxWIDTH"),
        (("toy-blent", "--device", "thor", "--size", "64x96"), "no model is called 'toy-blent'"),
        (("none.onnx", "--device", "thor", "--size", "64x96"), "none.onnx: no such graph"),
        (("toy-blend", "--device", "thor", "--size", "64x96", "--density", "2"), "density"),
    ],
)
def test_wrong_usage_is_2(arguments: tuple[str, ...], message: str) -> None:
    result = run("estimate", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
