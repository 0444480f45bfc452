"""`tweenrt distribute`: videos whose frames are drawn by several processes, hosts or inference servers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tweenrt.cli.console import err, print_json, step, warn
from tweenrt.cli.graph import graph_for
from tweenrt.cli.progress import Bar
from tweenrt.cli.video_options import (
    Codec,
    CopiedStreams,
    Crf,
    Damage,
    EncoderOptions,
    Factor,
    Fps,
    InputRate,
    Iterations,
    Lossless,
    NoSceneCuts,
    Preset,
    Regions,
    Repeats,
    SceneThreshold,
    Settings,
    choice_of,
    key_values,
    numbers,
    rate_of,
    retiming_of,
)
from tweenrt.errors import UsageError, require
from tweenrt.runtime import Backend, Region
from tweenrt.runtime.scene import CUT_THRESHOLD, Duplicates

if TYPE_CHECKING:
    from tweenrt.runtime.jobs.crew import Crew
    from tweenrt.runtime.jobs.orders import Order
    from tweenrt.runtime.pipeline import Summary

MIB = 1 << 20


def distribute(
    sources: Annotated[list[Path], typer.Argument(metavar="INPUT...", help="Videos, or folders of images.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="What to write; for several INPUTs a folder, which gets their names.")
    ],
    model: Annotated[str, typer.Option(help="A graph, engine, split folder or model; with --server its name there.")],
    server: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="An inference server, http://… or grpc://…; may be repeated."),
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="The scheduler of a Dask cluster, such as tcp://host:8786.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes on this machine, one for each GPU.")] = None,
    jobs: Annotated[
        Path | None, typer.Option(help="Folder for finished jobs (default: beside the output, with the ending .jobs).")
    ] = None,
    job_size: Annotated[int, typer.Option(min=1, metavar="MIB", help="Frames of one job, sent and drawn.")] = 128,
    connections: Annotated[int, typer.Option(min=1, help="Requests under way at each --server.")] = 4,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait for an answer of a --server.")] = 120,
    skip_existing: Annotated[bool, typer.Option("--skip-existing", help="Leave out what is written already.")] = False,
    factor: Factor = None,
    fps: Fps = None,
    backend: Annotated[Backend, typer.Option(help="What runs the network on the workers.")] = Backend.AUTO,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads of each worker (default with --workers: the cores, shared).")
    ] = None,
    iterations: Iterations = 2,
    region: Regions = None,
    setting: Settings = None,
    codec: Codec = None,
    crf: Crf = None,
    preset: Preset = None,
    lossless: Lossless = False,
    encoder_option: EncoderOptions = None,
    scene_threshold: SceneThreshold = CUT_THRESHOLD,
    no_scene_cuts: NoSceneCuts = False,
    duplicates: Repeats = Duplicates.HOLD,
    streams: CopiedStreams = "all",
    damaged: Damage = "refuse",
    input_rate: InputRate = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a summary of each video.")] = False,
) -> None:
    """Draw frames between the frames of videos, on several GPUs, hosts or servers; see `tweenrt interpolate`.

    Each OUTPUT is the file that `interpolate` writes, and appears when it is complete. A run that was stopped goes on
    where it was: give the same command again.
    """
    require("av", extra="video", why="Reading and writing video")
    from tweenrt.runtime.jobs.cluster import cluster_crew, local_crew
    from tweenrt.runtime.jobs.distribute import distribute as interpolated
    from tweenrt.runtime.jobs.orders import orders_for
    from tweenrt.runtime.jobs.recipe import Recipe, files_of
    from tweenrt.runtime.jobs.servers import Servers, server_crew
    from tweenrt.runtime.pipeline import PipelineOptions
    from tweenrt.runtime.video import Damaged, EncodingOptions, Streams

    common = PipelineOptions(
        sources[0],
        out,
        retiming_of(factor, fps),
        input_rate=rate_of("--input-rate", input_rate) if input_rate else None,
        cut_threshold=None if no_scene_cuts else scene_threshold,
        duplicates=duplicates,
        encoding=EncodingOptions(
            codec, crf, preset, lossless, key_values("--encoder-option", encoder_option or (), "tune=animation")
        ),
        streams=choice_of("--streams", Streams, streams),
        damaged=choice_of("--damaged", Damaged, damaged),
        overwrite=overwrite,
    )
    orders = _wanted(orders_for(sources, out, common, jobs), skip_existing=skip_existing)
    regions = tuple(Region.read(Path(mask), t) for mask, t in numbers("--region", region or (), "mask.png=0.5").items())
    settings = numbers("--set", setting or (), "mask_threshold=0.2")
    _check_place(server, cluster, workers, backend, settings)
    if server:
        servers = Servers(server, model, connections, timeout, iterations, regions)
        crew: AbstractContextManager[Crew] = server_crew(servers)
    else:
        graph = graph_for(model, lambda: _check_sources(orders))
        each = threads if threads or not workers else max(1, len(os.sched_getaffinity(0)) // workers)
        recipe = Recipe(graph.name, files_of(graph), backend, each, iterations, settings, regions)
        crew = cluster_crew(cluster, recipe) if cluster else local_crew(workers or 1, recipe)
    with Bar() as bar, crew as hired:
        summaries = list(interpolated(orders, hired, bar.update, _say, job_size * MIB))
    _report(summaries, as_json=as_json)


def _check_place(
    server: Sequence[str] | None, cluster: str | None, workers: int | None, backend: Backend, settings: object
) -> None:
    given = [name for name, value in (("--server", server), ("--cluster", cluster), ("--workers", workers)) if value]
    if len(given) != 1:
        raise UsageError(f"expected one of --server, --cluster and --workers, got {' and '.join(given) or 'none'}")
    if server and (settings or backend is not Backend.AUTO):
        raise UsageError("--set and --backend are the server's own business; change them where its model is made")


def _wanted(orders: list[Order], *, skip_existing: bool) -> list[Order]:
    """The orders that are to be carried out."""
    if not skip_existing:
        return orders
    left_out = [order for order in orders if order.options.target.exists()]
    for order in left_out:
        step(f"{order.options.target} exists and is left as it is")
    return [order for order in orders if order not in left_out]


def _check_sources(orders: Sequence[Order]) -> None:
    """Refuse videos that cannot be read before a network is fetched and exported."""
    from tweenrt.runtime.video import open_source

    for options in (order.options for order in orders):
        open_source(options.source, rate=options.input_rate, damaged=options.damaged).close()


def _say(order: Order) -> None:
    step(f"interpolating {order.options.source}; finished jobs are kept in {order.folder} until the output is complete")


def _report(summaries: Sequence[Summary], *, as_json: bool) -> None:
    for summary in summaries:
        for text in summary.warnings:
            warn(f"{summary.target}: {text}")
    if as_json:
        print_json([asdict(summary) | {"target": str(summary.target)} for summary in summaries])
        return
    for summary in summaries:
        err.print(
            f"{summary.source_frames} frames became {summary.output_frames} in {summary.seconds:.1f} s; "
            f"{summary.drawn_frames} drawn, {summary.cuts} cuts and {summary.duplicates} repeated frames kept as they "
            "were",
            soft_wrap=True,
        )
        typer.echo(str(summary.target))
