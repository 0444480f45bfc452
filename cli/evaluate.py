"""`tweenrt evaluate`: how good is a graph on the datasets of the field?"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table

from tweenrt.cli.console import step, tables
from tweenrt.cli.graph import graph_for
from tweenrt.cli.progress import Bar
from tweenrt.contract import FrameIO
from tweenrt.errors import UsageError, require
from tweenrt.runtime import Backend, Interpolator, Lane
from tweenrt.runtime.evaluate.dataset import Dataset
from tweenrt.runtime.evaluate.metrics import Metric
from tweenrt.runtime.progress import Meter

if TYPE_CHECKING:
    from tweenrt.runtime.evaluate.job import Job
    from tweenrt.runtime.evaluate.record import Record
    from tweenrt.runtime.evaluate.report import Report
    from tweenrt.runtime.evaluate.run import Row
    from tweenrt.runtime.evaluate.sample import Series
    from tweenrt.runtime.evaluate.summary import Means


def evaluate(
    graph: Annotated[
        str,
        typer.Argument(
            metavar="GRAPH|ENGINE|MODEL",
            help="A graph, an engine or a split folder if that exists, else a model of `tweenrt models`.",
        ),
    ],
    dataset: Annotated[Dataset, typer.Option(help="What to evaluate on; docs/evaluate.md has the protocols.")],
    root: Annotated[Path, typer.Option(help="The dataset's folder; for `video` a video or a folder of images.")],
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write everything here too; the record lies beside it."),
    ] = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Record of finished frames; the same command goes on.")
    ] = None,
    subset: Annotated[list[str] | None, typer.Option(help="Only this part, such as `hard`; repeatable.")] = None,
    metric: Annotated[list[Metric] | None, typer.Option(help="Measure this instead; repeatable.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Most frames of each part.")] = None,
    every: Annotated[int, typer.Option(min=2, help="`video`: keep one frame of N, draw the others.")] = 2,
    first: Annotated[int, typer.Option(min=0, help="`video`: number of the first frame to use.")] = 0,
    no_scene_cuts: Annotated[
        bool, typer.Option("--no-scene-cuts", help="`video`: look for no cuts; draw across all.")
    ] = False,
    backend: Annotated[
        Backend, typer.Option(help="What runs the network; auto: TensorRT on a GPU, else OpenVINO where installed.")
    ] = Backend.AUTO,
    device: Annotated[int, typer.Option(min=0, help="Which GPU.")] = 0,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads for the network.")] = None,
    iterations: Annotated[int, typer.Option(min=1, help="Runs for each frame, for [D,R] networks.")] = 2,
    worst: Annotated[int | None, typer.Option(min=1, help="Write pictures of the K worst frames.")] = None,
    error_maps: Annotated[Path | None, typer.Option(metavar="DIR", help="Where those pictures go.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Start the record again.")] = False,
) -> None:
    """Draw the frames that a dataset holds out, and measure them as its papers do, beside the published figures."""
    require("av", extra="video", why="Reading frames")
    from tweenrt.runtime.evaluate.job import Job
    from tweenrt.runtime.evaluate.record import Record
    from tweenrt.runtime.evaluate.report import report
    from tweenrt.runtime.evaluate.summary import worst as worst_rows
    from tweenrt.runtime.output import write_whole

    if (worst is None) != (error_maps is None):
        raise UsageError("--worst and --error-maps belong together; give both or neither")
    path = csv_file or (json_file.with_suffix(".csv") if json_file else None)
    if path is not None and path == json_file:
        raise UsageError(f"--json and the record cannot both be {path}; name the record with --csv")
    chosen = (tuple(metric or ()), tuple(subset or ()))
    job = Job(Path(graph), dataset, root, *chosen, limit, every, first, no_scene_cuts, backend, iterations)
    series = job.series()  # before the graph, which may take a minute to make
    job = replace(job, graph=graph_for(graph))
    record = None if path is None else Record(path, job.identity(), job.measured, overwrite=overwrite)
    with Bar() as bar:
        lane = Lane(device, bar.building, step)
        opened = Interpolator.open(job.graph, backend, threads=threads, iterations=iterations, lane=lane)
    with opened as interpolator:
        found = report(job, interpolator.info, _rows(job, series, interpolator, record), series.remarks)
        _print(found)
        if json_file is not None:
            write_whole(json_file, (json.dumps(found.facts(), indent=2) + "\n").encode())
        if worst is not None and error_maps is not None:
            step(f"drawing the worst frames again for {error_maps}")
            _picture(worst_rows(found.rows, worst), series, interpolator, error_maps)


def _rows(job: Job, series: Series, interpolator: Interpolator, record: Record | None) -> list[Row]:
    """The rows that are recorded, and those that are not yet, which are drawn now."""
    from tweenrt.runtime.evaluate.run import evaluate as rows_of

    rows = [] if record is None else list(record.rows)
    step(_opening(job, interpolator, len(rows)))
    sizes = series.sizes.values()
    total = None if None in sizes else max(0, sum(filter(None, sizes)) - len(rows))
    done = {row.key for row in rows}
    new = rows_of(series.iterate(), interpolator, job.measured, done, integers=_integers(interpolator))
    try:
        with Bar() as bar:
            meter = Meter(total, bar.update)
            for row in new:
                if record is not None:
                    record.add(row)
                rows.append(row)
                meter.count(drawn=True)
    except KeyboardInterrupt:
        if record is not None:
            step(f"{len(rows)} frames are done and recorded; the same command goes on from there")
        raise
    return rows


def _picture(rows: list[Row], series: Series, interpolator: Interpolator, folder: Path) -> None:
    from tweenrt.runtime.evaluate.error_map import write_error_maps

    write_error_maps(rows, series.iterate(), interpolator, folder, integers=_integers(interpolator))


def _opening(job: Job, interpolator: Interpolator, done: int) -> str:
    start = f"evaluating {interpolator.info.model} on {job.dataset.value} ({job.benchmark.protocol})"
    return f"{start}; {done} frames were done before" if done else start


def _integers(interpolator: Interpolator) -> bool:
    return interpolator.info.io is FrameIO.UINT8


def _print(found: Report) -> None:
    console = tables()
    console.print(_table(found))
    for text in found.remarks:
        console.print(f"note: {text}", soft_wrap=True)
    compared = [found.published[means.group].source for means in found.means if found.beside(means)]
    for source in dict.fromkeys(compared):
        console.print(f"published: {source}", soft_wrap=True)


def _table(found: Report) -> Table:
    beside = [found.beside(means) for means in found.means]
    compared = {metric for figures in beside for metric in figures}
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("subset")
    table.add_column("frames", justify="right")
    for metric in found.job.measured:
        table.add_column(metric.value, justify="right")
        if metric in compared:
            table.add_column("published", justify="right")
    table.add_column("s/frame", justify="right")
    for means, figures in zip(found.means, beside, strict=True):
        table.add_row(*_cells(means, figures, compared))
    return table


def _cells(means: Means, figures: Mapping[Metric, float], compared: Collection[Metric]) -> Iterator[str]:
    yield means.group or "all"
    yield str(means.count)
    for metric, value in means.values.items():
        yield _number(metric, value)
        if metric in compared:
            yield _number(metric, figures[metric]) if metric in figures else "-"
    yield f"{means.seconds:.3f}"


def _number(metric: Metric, value: float) -> str:
    return f"{value:.4f}" if metric.family == "ssim" else f"{value:.3f}"
