"""`tweenrt cache`: what engines were built, and how to be rid of them."""

from __future__ import annotations

import time
from dataclasses import asdict
from enum import Enum
from typing import Annotated

import typer
from rich import box
from rich.table import Table

from tweenrt import cache as folders
from tweenrt.cli.console import print_json, step, tables
from tweenrt.runtime.engines.cache_pruning import prune
from tweenrt.runtime.engines.engine_cache import Entry, entries


class Action(str, Enum):
    """What to do with the cache."""

    LIST = "list"
    PRUNE = "prune"
    PATH = "path"


def cache(
    action: Annotated[Action, typer.Argument(help="List the engines, make room, or say where everything lies.")],
    older_than: Annotated[
        float | None, typer.Option(min=0, metavar="DAYS", help="prune: only what was not used for so many days.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="list: print JSON.")] = False,
) -> None:
    """Look at the engines that were built, or make room.

    "prune" removes engines, what TensorRT timed and compiled for them, and what builds that were killed have left.
    """
    if action is Action.PATH:
        typer.echo(folders.root())
    elif action is Action.PRUNE:
        gone = prune(older_than, time.time())
        step(
            f"removed {len(gone.engines)} engines, {gone.caches} files of timings and compiled kernels, "
            f"{gone.abandoned} unfinished results; {gone.bytes / 2**20:.1f} MiB"
        )
    elif json:
        print_json([_plain(entry) for entry in entries()])
    else:
        tables().print(_table(entries()))


def _plain(entry: Entry) -> dict[str, object]:
    return {
        "path": str(entry.path),
        "bytes": entry.bytes,
        "used": entry.used,
        "info": asdict(entry.info) if entry.info else None,
        "fault": entry.fault,
    }


def _table(found: list[Entry]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("engine", "TensorRT", "for", "MiB"):
        table.add_column(title, justify="right" if title == "MiB" else "left")
    for entry in found:
        size = f"{entry.bytes / 2**20:.1f}"
        if entry.info is None:
            table.add_row(entry.path.name, "damaged", "", size)
        else:
            built_for = entry.info.device or " ".join(entry.info.targets) or "every GPU of this flavour"
            table.add_row(entry.path.name, f"{entry.info.flavour} {entry.info.tensorrt}", built_for, size)
    return table
