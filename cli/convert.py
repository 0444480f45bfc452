"""`tweenrt convert`: a graph becomes one in mixed precision."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich import box
from rich.table import Table

from tweenrt.calibration.gate import MIN_PSNR_DB
from tweenrt.cli.console import step, tables, warn
from tweenrt.cli.progress import Bar
from tweenrt.errors import UsageError, require

if TYPE_CHECKING:
    from rich.console import Console

    from tweenrt.calibration.report import Converted, Report
    from tweenrt.calibration.windows import Window

_NAMED_AT_MOST = 8
_SCENES = ((0, 2.0), (1, 8.0), (2, 24.0))  # seed, and motion from frame to frame in pixels


class Target(str, Enum):
    """What a graph can be converted to."""

    FP16 = "fp16"


def convert(
    graph: Annotated[Path, typer.Argument(help="An FP32 ONNX file of ours, or the folder of a split export.")],
    precision: Annotated[Target, typer.Option(help="fp16: features in FP16; flow, t, blend and means in FP32.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write; a folder where GRAPH is one.")],
    frames: Annotated[
        Path | None,
        typer.Option(help="A video, or a folder of images, to measure value ranges on; made-up frames without it."),
    ] = None,
    pairs: Annotated[int, typer.Option(min=1, help="Pairs of neighbouring frames to use at most.")] = 8,
    min_psnr: Annotated[
        float, typer.Option(help="Fail below this PSNR of the new frames against FP32, in dB.")
    ] = MIN_PSNR_DB,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.")] = None,
) -> None:
    """Write a graph in FP16 where its numbers allow it, with casts in the file, and compare the frames of both.

    The comparison runs on the CPU and rounds as a GPU would. Exit code 3, and no file, if --min-psnr is not met.
    """
    del precision  # there is one
    require("onnx", extra="export", why="Converting a graph")
    check_out(graph, out)
    show(run(graph, out, frames, pairs=pairs, min_psnr_db=min_psnr, threads=threads), tables())


def check_out(graph: Path, out: Path) -> None:
    """Refuse an output that is a folder where a file is written, or the other way round.

    Raises:
        UsageError: it is.
    """
    if graph.is_dir() and out.exists() and not out.is_dir():
        raise UsageError(f"-o {out}: {graph} is a folder of graphs, so expected a folder, found a file")
    if not graph.is_dir() and out.is_dir():
        raise UsageError(f"-o {out}: expected a file name such as {out / graph.name}, found a folder")
    if graph.exists() and out.exists() and out.samefile(graph):
        raise UsageError(f"-o {out}: this is the graph that is converted; give another name")


def run(
    graph: Path,
    out: Path,
    frames: Path | None = None,
    *,
    pairs: int = 8,
    min_psnr_db: float = MIN_PSNR_DB,
    threads: int | None = None,
) -> Report:
    """Convert `graph`, on made-up frames where none are given; see `tweenrt.calibration.convert.convert`."""
    from tweenrt.calibration.convert import convert as convert_graph
    from tweenrt.calibration.windows import read_windows

    windows = read_windows(frames, pairs) if frames is not None else _made_up(graph)
    with Bar() as bar:
        return convert_graph(
            graph, out, windows, min_psnr_db=min_psnr_db, threads=threads, progress=bar.update, say=step
        )


def show(report: Report, console: Console) -> None:
    """Print what was decided on `console`, and how the result compares on stderr."""
    console.print(_table(report))
    for graph in report.graphs:
        _say_what_is_large(graph)
        weights = graph.weights
        step(
            f"{graph.path}: {graph.casts} casts; of {weights.count} FP16 weights {weights.small} are below FP16's "
            f"smallest normal number, {weights.lost} became 0"
        )
    step(f"PSNR against FP32: {report.worst.psnr_db:.1f} dB (pair {report.worst.pair}, the worst)")


def _made_up(graph: Path) -> list[Window]:
    """Pairs of frames of three scenes, with slow, usual and fast motion, of a size that `graph` takes."""
    from tweenrt.calibration.convert import graph_files
    from tweenrt.calibration.windows import Window, frame_size
    from tweenrt.export.frames import moving_frames, through_a_lens
    from tweenrt.runtime.onnx_file import OnnxFile

    height, width = frame_size(OnnxFile.load(graph_files(graph)[0], extra="export", why="Converting a graph"))
    scenes = (moving_frames(height, width, 4, seed, speed) for seed, speed in _SCENES)
    clips = (np.moveaxis(through_a_lens(scene), 1, 3) for scene in scenes)
    return [Window(first, second, before, after) for before, first, second, after in clips]


def _table(report: Report) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("graph", "precision"):
        table.add_column(title)
    table.add_column("nodes", justify="right")
    table.add_column("what they compute")
    for graph in report.graphs:
        for precision, why, count in graph.counts():
            table.add_row(graph.path.name, precision.value, str(count), why)
    return table


def _say_what_is_large(graph: Converted) -> None:
    large = graph.out_of_range
    for decision in large[:_NAMED_AT_MOST]:
        warn(f"{decision.node.name or decision.node.op_type} stays FP32: {decision.detail}")
    if len(large) > _NAMED_AT_MOST:
        warn(f"{len(large) - _NAMED_AT_MOST} more nodes stay FP32 for the same reason")
