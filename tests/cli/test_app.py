"""What all verbs share: help, version, exit codes, one block for an error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.cli import run

import tweenrt
from tweenrt.cli import commands
from tweenrt.errors import DownloadError, GateError, UsageError
from tweenrt.runtime import doctor as examination

VERBS = (
    "models",
    "weights",
    "export",
    "verify",
    "convert",
    "quantize",
    "build",
    "cache",
    "interpolate",
    "estimate",
    "compare",
    "evaluate",
    "profile",
    "distribute",
    "serve-repo",
    "doctor",
)


def test_the_verbs_and_flags_that_scripts_rely_on() -> None:
    found = commands()
    assert set(found) >= set(VERBS)
    assert {"--weights", "--random-weights", "--kind", "--size", "--dynamic", "--io", "--precision"} <= found["export"]
    assert {"--model", "--factor", "--fps", "--backend", "--codec", "--crf", "--lossless"} <= found["interpolate"]
    with_json = ("models", "weights", "interpolate", "estimate", "compare", "cache", "doctor")
    assert all("--json" in found[verb] for verb in with_json)
    assert "--weights" in found["verify"]
    assert {"--flavour", "--target", "--size", "--min", "--opt", "--max"} <= found["build"]
    assert {"--device", "--size"} <= found["estimate"]
    assert {"--precision", "--out", "--frames"} <= found["convert"]
    assert {"--frames", "--out", "--method", "--max-drop-db", "--json"} <= found["quantize"]
    assert {"--dataset", "--root", "--json", "--csv", "--limit", "--backend", "--threads"} <= found["evaluate"]
    assert {"--size", "--frames", "--factor", "--fps", "--backend", "--json", "--html"} <= found["profile"]


def test_help_documents_the_exit_codes() -> None:
    result = run("--help")
    assert result.exit_code == 0
    for line in ("0 done", "1 the work failed", "2 wrong usage or input", "3 a quality or parity gate", "130 inter"):
        assert line in result.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_shows_an_example(verb: str) -> None:
    result = run(verb, "--help")
    assert result.exit_code == 0
    assert f"Example: tweenrt {verb}" in result.stdout


def test_version() -> None:
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"tweenrt {tweenrt.__version__}\n")


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["models", "--nonsense"], ["export", "rife-4.25"], ["export", "x", "-o", "y", "--batch", "0"]],
)
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (UsageError("wrong input"), 2, "error: wrong input\n"),
        (DownloadError("offline"), 1, "error: offline\n"),
        (GateError("differs"), 3, "error: differs\n"),
        (PermissionError(13, "Permission denied", "/x/y"), 1, "error: /x/y: Permission denied\n"),
        (KeyboardInterrupt(), 130, "error: interrupted; no unfinished output was left\n"),
    ],
)
def test_an_error_is_one_block_and_an_exit_code(
    error: BaseException, code: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _raise_from_doctor(error, monkeypatch)
    result = run("doctor")
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", message)


def test_a_fault_of_ours_asks_for_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    _raise_from_doctor(ZeroDivisionError("by zero"), monkeypatch)
    result = run("doctor")
    assert result.exit_code == 1
    assert "a fault in tweenrt: ZeroDivisionError: by zero" in result.stderr
    assert "Traceback" not in result.stderr


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    _raise_from_doctor(UsageError("wrong input"), monkeypatch)
    result = run("--debug", "doctor")
    assert result.exit_code == 2
    assert "Traceback" in result.stderr
    assert result.stderr.endswith("error: wrong input\n")


def test_main_leaves_the_process_with_the_exit_code(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tweenrt.cli", "verify", str(tmp_path / "absent.onnx")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "no such graph" in done.stderr


def _raise_from_doctor(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> examination.Report:
        raise error

    monkeypatch.setattr("tweenrt.cli.doctor.examine", fail)
