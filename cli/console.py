"""Where the verbs write: results to stdout, everything said along the way to stderr."""

from __future__ import annotations

import json
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

_TABLE_WIDTH = 120
err = Console(stderr=True, highlight=False, markup=False)


def tables() -> Console:
    """For tables on stdout: as wide as the terminal, and 120 columns where there is none."""
    console = Console(highlight=False, markup=False)
    return console if console.is_terminal else Console(highlight=False, markup=False, width=_TABLE_WIDTH)


def print_json(content: Any) -> None:
    """Write `content` to stdout as indented JSON."""
    typer.echo(json.dumps(content, indent=2))


def step(message: str) -> None:
    """Say what is being done now."""
    err.print(Text.assemble(("• ", "cyan"), message), soft_wrap=True)


def warn(message: str) -> None:
    """Say what was done otherwise than asked."""
    err.print(Text.assemble(("warning: ", "yellow"), message), soft_wrap=True)


def fail(message: str) -> None:
    """Write one error as one block."""
    err.print(Text.assemble(("error: ", "bold red"), message), soft_wrap=True)
