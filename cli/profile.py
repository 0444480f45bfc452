"""`tweenrt profile`: how long does it take here, where does the time go, and what does it cost?"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich import box
from rich.table import Table

from tweenrt.cli.console import step, tables, warn
from tweenrt.cli.progress import PhaseBar
from tweenrt.contract import parse_rate, parse_size
from tweenrt.errors import UsageError, require
from tweenrt.runtime import Backend
from tweenrt.runtime.output import expect_folders, write_whole

if TYPE_CHECKING:
    from tweenrt.runtime.profiling.profile import Profile, ProfileOptions
    from tweenrt.runtime.profiling.tables import Rows

ParsedT = TypeVar("ParsedT")
_ROWS = 10
_MODULES = 4


def profile(
    graph: Annotated[
        Path, typer.Argument(metavar="GRAPH|ENGINE", help="An ONNX file of ours, a split folder, or an engine.")
    ],
    size: Annotated[
        str | None, typer.Option(metavar="HEIGHTxWIDTH", help="Of the frames in pixels, such as 720x1280 or 720p.")
    ] = None,
    frames: Annotated[
        Path | None,
        typer.Option(help="A video or a folder of images: the time of mask-guided networks depends on the picture."),
    ] = None,
    factor: Annotated[int, typer.Option(min=2, help="Frames made of each frame.")] = 2,
    fps: Annotated[str, typer.Option(help="Output frame rate that real time means.")] = "60",
    backend: Annotated[Backend, typer.Option(help="What executes it.")] = Backend.AUTO,
    device: Annotated[int, typer.Option(min=0, help="Which GPU.")] = 0,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads for the network.")] = None,
    warmup: Annotated[
        int | None, typer.Option(min=0, help="Intervals that do not count (default: until the times hold still).")
    ] = None,
    runs: Annotated[int, typer.Option(min=1, help="Intervals to measure at least.")] = 20,
    seconds: Annotated[float, typer.Option(min=0.0, help="How long to measure at least.")] = 5.0,
    no_layers: Annotated[bool, typer.Option("--no-layers", help="Do not time layers.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write everything here.")] = None,
    html_file: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a report with plots here, one file.")
    ] = None,
) -> None:
    """Measure a network from frames to frames: percentiles, each graph and layer, memory, power and energy.

    An interval is one source frame made ready and the new frames before it drawn. Reading and writing video is not
    in it.
    """
    from tweenrt.runtime.profiling.profile import ProfileOptions

    options = ProfileOptions(
        graph=graph,
        size=None if size is None else _parsed("--size", size, parse_size),
        frames=frames,
        factor=factor,
        rate=_parsed("--fps", fps, parse_rate),
        backend=backend,
        device=device,
        threads=threads,
        warmup=warmup,
        runs=runs,
        seconds=seconds,
        layers=not no_layers,
    )
    if html_file is not None:
        require("matplotlib", extra="report", why="The report with plots")
    expect_folders(json_file, html_file)
    found = _measured(options)
    _print(found)
    _write_files(found, json_file, html_file)


def _measured(options: ProfileOptions) -> Profile:
    from tweenrt.runtime.profiling.profile import profile as measure

    step(f"measuring {options.graph}")
    with PhaseBar() as bar:
        return measure(options, bar.update)


def _print(found: Profile) -> None:
    from tweenrt.runtime.profiling import tables as text

    console = tables()
    console.print(text.title(found))
    console.print(_table(text.times(found)))
    console.print(text.conclusion(found), soft_wrap=True)
    for name, values in found.reports.items():
        console.print(f"{name.replace('_', ' ')}: {', '.join(f'{value:.1%}' for value in values)}", soft_wrap=True)
    console.print(_table(text.memory(found)))
    if len(text.energy(found)) > 1:
        console.print(_table(text.energy(found)))
    if text.not_measured(found):
        console.print(text.not_measured(found), soft_wrap=True)
    if found.layers is not None and found.layers.rows:
        console.print(_table(text.layers(found.layers, _ROWS)))
        console.print(_table(text.modules(found.layers.modules, _MODULES)))
        console.print(text.layer_sums(found), soft_wrap=True)
    for sentence in (*found.warnings, *(found.layers.remarks if found.layers else ())):
        warn(sentence)


def _table(rows: Rows) -> Table:
    head, *body = rows
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, name in enumerate(head):
        words = place == 0 or name in ("kind", "graph", "covers")
        table.add_column(name, justify="left" if words else "right", overflow="fold", no_wrap=not words)
    for row in body:
        table.add_row(*row)
    return table


def _write_files(found: Profile, json_file: Path | None, html_file: Path | None) -> None:
    if json_file is not None:
        from tweenrt.runtime.profiling.profile import facts

        write_whole(json_file, (json.dumps(facts(found), indent=2) + "\n").encode())
    if html_file is not None:
        from tweenrt.runtime.profiling.report import report

        write_whole(html_file, report(found).encode())


def _parsed(option: str, text: str, parse: Callable[[str], ParsedT]) -> ParsedT:
    try:
        return parse(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from error
