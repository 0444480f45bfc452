"""`tweenrt compare`: do two graphs, or two backends, draw the same frames?"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table

from tweenrt.cli.console import step, tables, warn
from tweenrt.errors import GateError, require
from tweenrt.runtime import Backend

if TYPE_CHECKING:
    from tweenrt.runtime.compare import Comparison, Difference, Side


def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="The reference: an ONNX file of ours, or a split folder.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="What is measured against it; may be the same file.")],
    frames: Annotated[Path, typer.Option(help="A video, or a folder of images.")],
    backend_a: Annotated[Backend, typer.Option(help="What runs A.")] = Backend.AUTO,
    backend_b: Annotated[Backend, typer.Option(help="What runs B.")] = Backend.AUTO,
    pairs: Annotated[int, typer.Option(min=1, help="Pairs of neighbouring frames to use at most.")] = 8,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads for each network.")] = None,
    max_abs: Annotated[
        float | None, typer.Option(min=0, help="Fail if a new frame differs by more; frames are 0..1.")
    ] = None,
    min_psnr: Annotated[float | None, typer.Option(help="Fail if a new frame has less PSNR against A, in dB.")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write everything here too, pair by pair.")
    ] = None,
) -> None:
    """Draw the same frames with A and B, and compare every output. Exit code 3 if --max-abs or --min-psnr is not met.

    Rows are over all pairs. Values that are not finite count as equal where both have the same one.
    """
    require("av", extra="video", why="Reading frames")
    from tweenrt.runtime.compare import Gate, Side
    from tweenrt.runtime.compare import compare as compare_sides

    sides = (Side(a, backend_a), Side(b, backend_b))
    step(f"drawing between frames of {frames} with both")
    found = compare_sides(*sides, frames, pairs=pairs, threads=threads)
    failures = Gate(max_abs, min_psnr).failures(found)
    tables().print(_table(found.outputs()))
    for text in found.left_out:
        warn(f"not compared: {text}")
    if json_file is not None:
        json_file.write_text(json.dumps(_facts(sides, frames, found, failures), indent=2) + "\n")
    if failures:
        raise GateError(f"{b} differs from {a}: {'; '.join(failures)}")


def _table(outputs: list[Difference]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("output")
    for title in ("max abs", "99.9 %", "mean abs", "PSNR dB", "pair", "worst at", "not finite A", "B"):
        table.add_column(title, justify="right")
    for row in outputs:
        numbers = (f"{row.max_abs:.2e}", f"{row.tail_abs:.2e}", f"{row.mean_abs:.2e}", f"{row.psnr_db:.1f}")
        place = ",".join(map(str, row.worst))
        table.add_row(row.output, *numbers, str(row.pair), place, str(row.not_finite_a), str(row.not_finite_b))
    return table


def _facts(sides: tuple[Side, Side], frames: Path, found: Comparison, failures: list[str]) -> dict[str, Any]:
    """What goes into the JSON file. JSON has no infinity: null stands for it."""
    return {
        **{name: {"graph": str(s.graph), "backend": s.backend.value} for name, s in zip("ab", sides, strict=True)},
        "frames": str(frames),
        "outputs": [_row(d) for d in found.outputs()],
        "pairs": [_row(d) for d in found.pairs],
        "not_compared": list(found.left_out),
        "gate_failures": failures,
    }


def _row(difference: Difference) -> dict[str, Any]:
    facts = asdict(difference)
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in facts.items()}
