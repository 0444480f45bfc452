"""`tweenrt build`: a graph becomes a TensorRT engine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tweenrt.cli.console import step
from tweenrt.cli.progress import PhaseBar
from tweenrt.contract import parse_size
from tweenrt.errors import UsageError
from tweenrt.runtime.engines.builder import BuildOptions
from tweenrt.runtime.engines.sizes import SizeRange, expect_taken, fit, spell
from tweenrt.runtime.engines.tensorrt import Flavour
from tweenrt.runtime.onnx_file import OnnxFile

_SIZES = "HEIGHTxWIDTH in pixels"


def build(
    graph: Annotated[Path, typer.Argument(help="An ONNX file of ours, or the folder of a split export.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The engine; a folder for a split export.")],
    flavour: Annotated[Flavour, typer.Option(help="Which TensorRT.")] = Flavour.TENSORRT,
    target: Annotated[
        str, typer.Option(help="Build for these architectures without a GPU, such as sm86,sm89 (tensorrt-rtx).")
    ] = "",
    size: Annotated[
        list[str] | None,
        typer.Option(help=f"Of the frames, {_SIZES}; several allowed. Needed where the graph leaves them open."),
    ] = None,
    least: Annotated[str | None, typer.Option("--min", help=f"Smallest frame the engine takes, {_SIZES}.")] = None,
    best: Annotated[str | None, typer.Option("--opt", help=f"Frame it is tuned for, {_SIZES}.")] = None,
    most: Annotated[str | None, typer.Option("--max", help=f"Largest frame it takes, {_SIZES}.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Most moments drawn at once, where the graph leaves N open.")] = 1,
    workspace: Annotated[
        int | None, typer.Option(min=1, help="Memory for layers, in MiB; default: all there is.")
    ] = None,
    level: Annotated[int | None, typer.Option(min=0, max=5, help="0 builds quickest, 5 runs quickest.")] = None,
    aux_streams: Annotated[
        int | None, typer.Option(min=0, help="Streams for layers that can run side by side.")
    ] = None,
    portable: Annotated[bool, typer.Option("--portable", help="For every GPU since Ampere; somewhat slower.")] = False,
    plugins: Annotated[bool, typer.Option(help="Our CUDA kernels, or the graph's portable bodies.")] = True,
    device: Annotated[int | None, typer.Option(min=0, help="For which of this machine's GPUs (default: 0).")] = None,
) -> None:
    """Build an engine. The same request a second time is a copy from the cache."""
    from tweenrt.runtime.engines.engine_cache import engine_for, hand_out

    targets = tuple(name.strip() for name in target.split(",") if name.strip())
    asked = _sizes(size or [], (least, best, most), batch)
    parts = [(*files, _fitted(files[0], asked, batch)) for files in _files(graph, output)]
    for source, destination, sizes in parts:
        options = BuildOptions(flavour, sizes, targets, plugins, workspace, level, aux_streams, portable)
        step(f"building {source.name} with {flavour.value}")
        with PhaseBar() as bar:
            engine = engine_for(source, options, bar.update, device)
        hand_out(engine, destination)
        step(f"{destination}: {destination.stat().st_size / 2**20:.1f} MiB")


def _sizes(fixed: list[str], span: tuple[str | None, str | None, str | None], batch: int) -> tuple[SizeRange, ...]:
    given = [text for text in span if text is not None]
    if given and (len(given) < len(span) or fixed):
        raise UsageError("give either --size, or all three of --min, --opt and --max")
    batches = (1, batch, batch)
    try:
        if given:
            least, best, most = (parse_size(text) for text in given)
            if not all(a <= b <= c for a, b, c in zip(least, best, most, strict=True)):
                raise UsageError(f"expected --min ≤ --opt ≤ --max along both sides, got {', '.join(given)}")
            return (SizeRange(least, best, most, batches),)
        return tuple(SizeRange(s, s, s, batches) for s in map(parse_size, fixed))
    except ValueError as error:
        raise UsageError(str(error)) from error


def _fitted(source: Path, asked: tuple[SizeRange, ...], batch: int) -> tuple[SizeRange, ...]:
    """The sizes to build one graph for; says where they are not those that were asked for."""
    graph = OnnxFile.load(source)
    expect_taken(graph, asked)
    sizes = fit(graph, asked, batch)
    frames = dict.fromkeys(size for one in asked for size in (one.least, one.best, one.most))
    grown = {size: graph.info.padded(size) for size in frames if graph.info.padded(size) != size}
    if grown:
        padded = ", ".join(f"{spell(size)} to {spell(built)}" for size, built in grown.items())
        step(f"{source.name} takes multiples of {graph.info.divisor}, so that frames are padded: {padded}")
    return sizes


def _files(graph: Path, output: Path) -> list[tuple[Path, Path]]:
    if not graph.is_dir():
        return [(graph, output)]
    found = sorted(graph.glob("*.onnx"))
    if not found:
        raise UsageError(f"{graph}: no graphs in this folder; make them with `tweenrt export MODEL --kind split`")
    return [(path, output / path.with_suffix(".engine").name) for path in found]
