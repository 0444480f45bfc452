"""`tweenrt export`: a checkpoint becomes ONNX."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tweenrt.cli import convert
from tweenrt.cli.console import err, step
from tweenrt.contract import FrameIO, Kind, parse_size
from tweenrt.errors import UsageError, require
from tweenrt.export.options import Layout, MaskedConv

if TYPE_CHECKING:
    from tweenrt.export.checkpoint import Loaded
    from tweenrt.export.spec import ModelSpec


class Precision(str, Enum):
    """In what type a graph computes."""

    FP32 = "fp32"
    FP16 = "fp16"


class Cut(str, Enum):
    """How a network is laid out in files."""

    PAIR = "pair"
    SPLIT = "split"


def export(
    model: Annotated[str, typer.Argument(help="A model of `tweenrt models`.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write; a folder for --kind split.")],
    weights: Annotated[
        list[Path] | None,
        typer.Option(
            help="The authors' checkpoint; again for each network inside it that has its own. "
            "Without it, what `tweenrt weights` fetches."
        ),
    ] = None,
    random_weights: Annotated[int | None, typer.Option(help="Random weights from this seed, for trying out.")] = None,
    kind: Annotated[Cut, typer.Option(help="One graph, or several: encoder.onnx, synthesis.onnx.")] = Cut.PAIR,
    size: Annotated[str | None, typer.Option(help="HEIGHTxWIDTH in pixels, fixed.")] = None,
    dynamic: Annotated[bool, typer.Option("--dynamic", help="Any height and width (the default).")] = False,
    batch: Annotated[int | None, typer.Option(min=1, help="Frames drawn at once, fixed; open without it.")] = None,
    io: Annotated[FrameIO, typer.Option(help="Planar floats 0..1, or uint8 [N,H,W,3] as decoders give.")] = (
        FrameIO.FLOAT
    ),
    masked_conv: Annotated[
        MaskedConv,
        typer.Option(help="UGSP: dense runs everywhere; gather computes the set pixels only, on ONNX Runtime."),
    ] = MaskedConv.DENSE,
    flow_scale: Annotated[
        float,
        typer.Option(
            help="Look for flow on frames so many times as large: 1, 0.5 or 0.25. For motion of more than a hundred "
            "pixels, and faster; RIFE, IFRNet, AMT and EMA-VFI."
        ),
    ] = 1.0,
    precision: Annotated[
        Precision, typer.Option(help="fp16 also converts the graph, as `tweenrt convert` does on made-up frames.")
    ] = Precision.FP32,
    layout: Annotated[
        Layout, typer.Option(help="Inputs of the file: ours, or the one input that vs-mlrt's RIFE scripts feed.")
    ] = Layout.TWEENRT,
) -> None:
    """Export a network with its weights as ONNX, and compare it with the PyTorch network before it is written."""
    if size and dynamic:
        raise UsageError("--size fixes height and width and --dynamic leaves them open; give one of the two")
    require("torch", extra="export", why="Exporting a network")
    from tweenrt.export import registry
    from tweenrt.export.exporter import SPLIT, check_options
    from tweenrt.export.exporter import export as export_graphs
    from tweenrt.export.layout import check_layout
    from tweenrt.export.options import ExportOptions

    spec = registry.get(model).at_flow_scale(flow_scale)
    parts = tuple(k for k in spec.kinds if k is not Kind.PAIR) or SPLIT
    kinds = parts if kind is Cut.SPLIT else (Kind.PAIR,)
    options = ExportOptions(kinds, _size(size), batch, io, masked_conv)
    if layout is not Layout.TWEENRT:
        options = check_layout(spec, options)
    check_options(spec, options)
    _check_out(out, kind)
    loaded = _load(spec, weights, random_weights)

    def write(place: Path) -> list[Path]:
        results = export_graphs(loaded, options, place, step)
        for result in results:
            err.print(f"{result.info.kind.value}: {result.parity}", soft_wrap=True)
        return [result.path for result in results]

    finish = write if precision is Precision.FP32 else partial(_write_fp16, write)
    for path in finish(out) if layout is Layout.TWEENRT else _write_layout(finish, layout, out):
        typer.echo(str(path))


def _write_fp16(write: Callable[[Path], list[Path]], out: Path) -> list[Path]:
    """Write the FP32 graphs where nobody sees them, and what they are converted to as `out`."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".tweenrt-") as scratch:
        whole = Path(scratch) / out.name
        write(whole)
        report = convert.run(whole, out)
    convert.show(report, err)
    return [graph.path for graph in report.graphs]


def _write_layout(write: Callable[[Path], list[Path]], layout: Layout, out: Path) -> list[Path]:
    """Write our graph where nobody sees it, and what it becomes in another layout as `out`."""
    from tweenrt.export.layout import write_layout

    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".tweenrt-") as scratch:
        (graph,) = write(Path(scratch) / out.name)
        step(f"laying it out as {layout.value}")
        err.print(f"{layout.value}: {write_layout(graph, layout, out)}", soft_wrap=True)
    return [out]


def _size(text: str | None) -> tuple[int, int] | None:
    try:
        return parse_size(text) if text else None
    except ValueError as error:
        raise UsageError(f"--size: {error}") from error


def _check_out(out: Path, kind: Cut) -> None:
    if kind is Cut.SPLIT and out.exists() and not out.is_dir():
        raise UsageError(f"-o {out}: expected a folder for encoder.onnx and synthesis.onnx, found a file")
    if kind is Cut.PAIR and out.is_dir():
        raise UsageError(f"-o {out}: expected a file name such as {out / 'model.onnx'}, found a folder")


def _load(spec: ModelSpec, weights: list[Path] | None, seed: int | None) -> Loaded:
    from tweenrt.export.checkpoint import load_checkpoint, load_random
    from tweenrt.export.weights import fetch

    if weights and seed is not None:
        raise UsageError("give --weights or --random-weights, not both")
    if seed is not None:
        return load_random(spec, seed)
    return load_checkpoint(spec, *(weights or [fetch(spec, step)]))
