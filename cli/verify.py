"""`tweenrt verify`: does a graph still compute what its checkpoint does?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from tweenrt.cli.console import step, tables
from tweenrt.errors import GateError, require

if TYPE_CHECKING:
    from tweenrt.export.verify_graph import OutputParity


def verify(
    graph: Annotated[Path, typer.Argument(help="An ONNX file of ours, or the folder of a split export.")],
    weights: Annotated[
        list[Path] | None, typer.Option(help="The checkpoint; not needed for random weights or fetched ones.")
    ] = None,
) -> None:
    """Compare a graph with the PyTorch network and checkpoint it was made from. Exit code 3 if they differ."""
    require("torch", extra="export", why="Verifying a graph")
    from tweenrt.export.verify_graph import verify_graph

    lines = verify_graph(graph, weights or (), step)
    tables().print(_table(lines))
    failed = [line for line in lines if not line.parity.passed]
    if failed:
        worst = max(failed, key=lambda line: line.parity.max_abs)
        raise GateError(
            f"{graph}: {len(failed)} of {len(lines)} outputs differ from the network; "
            f"worst: {worst.output}, {worst.parity}. Export the graph again"
        )


def _table(lines: list[OutputParity]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("graph", "output", "t"):
        table.add_column(title)
    for title in ("max abs", "at most", "PSNR dB", ""):
        table.add_column(title, justify="right")
    for line in lines:
        parity = line.parity
        table.add_row(
            line.graph.name,
            line.output,
            "-" if line.t is None else f"{line.t:g}",
            f"{parity.max_abs:.2e}",
            f"{parity.bound:.0e}",
            f"{parity.psnr_db:.1f}",
            "ok" if parity.passed else Text("differs", "red"),
        )
    return table
