"""`tweenrt quantize`: a graph becomes one whose costly layers compute in INT8."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table

from tweenrt.calibration.int8.report import pareto, psnr_db, worst
from tweenrt.calibration.int8.scales import Method
from tweenrt.cli.console import step, tables
from tweenrt.cli.convert import check_out
from tweenrt.cli.progress import Bar
from tweenrt.errors import require
from tweenrt.runtime.estimate.devices import device
from tweenrt.runtime.output import expect_folders, write_whole

if TYPE_CHECKING:
    from rich.console import Console

    from tweenrt.calibration.int8.quantize import Budget
    from tweenrt.calibration.int8.report import QuantizeReport, Rated
    from tweenrt.calibration.int8.samples import Chosen

_WORST = 5


class Rest(str, Enum):
    """What layers compute in that do not compute in INT8."""

    FP16 = "fp16"
    FP32 = "fp32"


def quantize(
    graph: Annotated[Path, typer.Argument(help="An FP32 ONNX file of ours, or the folder of a split export.")],
    frames: Annotated[
        list[Path], typer.Option(help="A video, or a folder of images, of the kind the network will see; repeatable.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write; a folder where GRAPH is one.")],
    method: Annotated[Method, typer.Option(help="How the range of a tensor is chosen.")] = Method.MAX,
    max_drop_db: Annotated[
        float | None,
        typer.Option(
            min=0, help="Search the largest INT8 set that loses no more PSNR against the truth than this, in dB."
        ),
    ] = None,
    min_share: Annotated[
        float,
        typer.Option(min=0, max=1, help="With --max-drop-db: fail below this INT8 share of the multiplications."),
    ] = 0.5,
    rest: Annotated[Rest, typer.Option(help="Precision of the layers that are not INT8.")] = Rest.FP16,
    samples: Annotated[int, typer.Option(min=2, help="Held-out frames; half to calibrate on, half to judge by.")] = 16,
    seed: Annotated[int, typer.Option(help="For the choice of frames.")] = 0,
    device_name: Annotated[
        str, typer.Option("--device", metavar="NAME", help="Whose roofline says what a layer saves; see estimate.")
    ] = "orin-nx",
    calibration: Annotated[
        Path | None, typer.Option(help="File for what is measured; where it exists it is read instead.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the report here.")] = None,
    plot_file: Annotated[Path | None, typer.Option("--plot", metavar="FILE", help="Draw the front here, SVG.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.")] = None,
) -> None:
    """Write a graph with Q/DQ nodes around its convolutions, calibrated and judged on held-out frames of a clip.

    Frames are re-created from their neighbours and compared with the truth. Exit code 3, and no graph, if the budget of
    --max-drop-db cannot be met.
    """
    require("onnx", extra="export", why="Quantising a graph")
    require("av", extra="video", why="Reading frames")
    found = device(device_name)
    if plot_file is not None:
        require("matplotlib", extra="report", why="Drawing the front")
    check_out(graph, out)
    expect_folders(json_file, plot_file, calibration)
    from tweenrt.calibration.int8.quantize import Budget, QuantizeOptions
    from tweenrt.calibration.int8.quantize import quantize as quantize_graph
    from tweenrt.calibration.policy import Precision

    budget = None if max_drop_db is None else Budget(max_drop_db, min_share)
    options = QuantizeOptions(found, method, Precision(rest.value), budget, threads)
    with Bar() as bar:
        chosen = _chosen(graph, frames, samples, seed)
        report = quantize_graph(graph, out, chosen, options, calibration, progress=bar.update, say=step)
    if json_file is not None:
        write_whole(json_file, (json.dumps(report.facts(), indent=2) + "\n").encode())
    if plot_file is not None:
        from tweenrt.calibration.int8.plot import plot

        write_whole(plot_file, plot(report).encode())
    show(report, budget, tables())


def _chosen(graph: Path, frames: list[Path], samples: int, seed: int) -> Chosen:
    from tweenrt.calibration.convert import graph_files
    from tweenrt.calibration.int8.samples import choose
    from tweenrt.runtime.onnx_file import OnnxFile

    info = OnnxFile.load(graph_files(graph)[-1], extra="export", why="Quantising a graph").info
    return choose(frames, samples, info.t, seed, step)


def show(report: QuantizeReport, budget: Budget | None, console: Console) -> None:
    """Print what was tried and what was written on `console`, and how good that is on stderr."""
    console.print(_table(report))
    for graph in report.graphs:
        shrunk = graph.bytes_after / graph.bytes_before
        step(
            f"{graph.path}: {len(graph.int8)} of {len(graph.int8) + len(graph.kept)} layers in INT8, "
            f"{graph.bytes_after / 1e6:.1f} MB ({shrunk:.0%} of FP32)"
        )
    if report.sensitivities:
        named = ", ".join(f"{block} {db:.1f} dB" for block, db in worst(report.sensitivities, _WORST))
        step(f"lowest PSNR against FP32 of a block alone: {named}")
    written = report.written
    within = "" if budget is None else f" (budget {budget.max_drop_db:g} dB)"
    step(
        f"{written.share:.0%} of the multiplications in INT8; PSNR against the truth "
        f"{written.point.judged.psnr_db:.2f} dB, {report.exact.psnr_db:.2f} dB in FP32: "
        f"{written.point.drop_db:+.3f} dB lost{within}"
    )


def _table(report: QuantizeReport) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("INT8", "blocks", f"at least, ms on {report.device}", "PSNR, dB", "lost, dB", "against FP32, dB", ""):
        table.add_column(title, justify="right" if title else "left")
    front = [r for r in pareto(report.front) if r.point.blocks != report.written.point.blocks]
    for rated in front:
        table.add_row(*_cells(rated), "")
    table.add_row(*_cells(report.written), "written")
    return table


def _cells(rated: Rated) -> tuple[str, ...]:
    point = rated.point
    return (
        f"{rated.share:.0%}",
        str(len(point.blocks)),
        f"{rated.ms:.3f}",
        f"{point.judged.psnr_db:.3f}",
        f"{point.drop_db:+.3f}",
        f"{psnr_db(point.judged.mse):.1f}",
    )
