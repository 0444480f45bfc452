"""`tweenrt doctor`: what works on this machine, and why the rest does not."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich import box
from rich.table import Table

from tweenrt.cli.console import print_json, tables
from tweenrt.errors import BackendError
from tweenrt.runtime.doctor import Report, examine


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print an object instead of tables.")] = False,
) -> None:
    """Say what is installed, which backends work, and why the others do not. Exit code 1 if none works."""
    report = examine()
    if as_json:
        print_json(asdict(report) | {"healthy": report.healthy})
    else:
        _print(report)
    if not report.healthy:
        raise BackendError("no backend can run a network here; `pip install onnxruntime` gives the simplest one")


def _print(report: Report) -> None:
    console = tables()
    machine = _plain_table()
    for name, value in _machine(report):
        machine.add_row(name, value)
    packages = _plain_table("package", "version", "used for")
    for package in report.packages:
        packages.add_row(package.name, package.version or "-", package.used_for)
    backends = _plain_table("backend", "installed", "works", "why")
    for status in report.backends:
        backends.add_row(status.name, _yes(status.installed), _yes(status.usable), status.detail)
    for table in (machine, packages, backends):
        console.print(table)


def _machine(report: Report) -> list[tuple[str, str]]:
    encoders = [f"{name} {_yes(there)}" for name, there in report.encoders.items()]
    return [
        ("tweenrt", report.tweenrt),
        ("python", report.python),
        ("platform", f"{report.platform}, {report.cpus} processors"),
        ("gpu", ", ".join(map(str, report.gpus.found)) or report.gpus.detail),
        ("encoders", ", ".join(encoders) or "PyAV is not installed: pip install 'tweenrt[video]'"),
        ("cache", f"{report.cache} ({report.cache_free_bytes / 1e9:.1f} GB free)"),
    ]


def _plain_table(*titles: str) -> Table:
    return Table(*titles, box=box.SIMPLE_HEAD, show_header=bool(titles), pad_edge=False)


def _yes(condition: bool) -> str:
    return "yes" if condition else "no"
