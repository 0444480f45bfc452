"""Run a command line in this process."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner, Result

from tweenrt.cli.app import app


def run(*arguments: str | Path) -> Result:
    """Run ``tweenrt ARGUMENTS``; the result has exit_code, stdout and stderr."""
    return CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"}).invoke(app, [str(a) for a in arguments])
