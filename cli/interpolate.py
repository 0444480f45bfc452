"""`tweenrt interpolate`: a video in, a smoother video out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from tweenrt.cli.console import err, print_json, step, warn
from tweenrt.cli.graph import graph_for
from tweenrt.cli.progress import Bar
from tweenrt.contract import parse_rate
from tweenrt.errors import UsageError, require
from tweenrt.runtime import Backend, Interpolator, Lane, Region
from tweenrt.runtime.scene import CUT_THRESHOLD, Duplicates
from tweenrt.runtime.timeline import ByFactor, Retiming, ToRate

if TYPE_CHECKING:
    from tweenrt.runtime.pipeline import PipelineOptions, Summary

ChoiceT = TypeVar("ChoiceT", bound=Enum)


def interpolate(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="A video, or a folder of images.")],
    target: Annotated[
        Path, typer.Argument(metavar="OUTPUT", help="The video to write; a name without ending makes a folder of PNG.")
    ],
    model: Annotated[
        str, typer.Option(help="A graph, an engine or a split folder if that exists, else a model of `tweenrt models`.")
    ],
    factor: Annotated[int | None, typer.Option(help="Frames made of each frame (default: 2).")] = None,
    fps: Annotated[str | None, typer.Option(help="Output frame rate instead, such as 60 or 60000/1001.")] = None,
    backend: Annotated[
        Backend,
        typer.Option(help="What runs the network; auto: TensorRT on a GPU, else OpenVINO where installed."),
    ] = Backend.AUTO,
    device: Annotated[int, typer.Option(min=0, help="Which GPU.")] = 0,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads for the network.")] = None,
    iterations: Annotated[int, typer.Option(min=1, help="Runs for each frame, for [D,R] networks.")] = 2,
    region: Annotated[
        list[str] | None,
        typer.Option(metavar="MASK=T", help="Draw where the image MASK is bright at T, for [D] networks; repeatable."),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Change a setting of the graph, such as mask_threshold=0.2."),
    ] = None,
    codec: Annotated[str | None, typer.Option(help="FFmpeg's name of an encoder.")] = None,
    crf: Annotated[int | None, typer.Option(help="Quality, lower is better (default: 18 for x264).")] = None,
    preset: Annotated[str | None, typer.Option(help="The encoder's speed setting.")] = None,
    lossless: Annotated[bool, typer.Option("--lossless", help="Keep source frames bit for bit.")] = False,
    encoder_option: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="A further encoder option; may be repeated.")
    ] = None,
    scene_threshold: Annotated[
        float, typer.Option(help="Change in per cent of full scale from which two frames are a cut.")
    ] = CUT_THRESHOLD,
    no_scene_cuts: Annotated[bool, typer.Option("--no-scene-cuts", help="Look for no cuts; draw across all.")] = False,
    duplicates: Annotated[Duplicates, typer.Option(help="What to do about repeated frames.")] = Duplicates.HOLD,
    streams: Annotated[str, typer.Option(help="Audio and subtitles to copy: all, fitting or none.")] = "all",
    damaged: Annotated[str, typer.Option(help="What does not decode: refuse the video, or skip it.")] = "refuse",
    input_rate: Annotated[str | None, typer.Option(help="Images a second, for a folder of images.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUTPUT if it exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as an object.")] = False,
) -> None:
    """Draw frames between the frames of a video. Source frames keep their times; sound and subtitles are copied.

    OUTPUT appears under its name only when it is complete.
    """
    require("av", extra="video", why="Reading and writing video")
    from tweenrt.runtime.pipeline import PipelineOptions, interpolate_video
    from tweenrt.runtime.video import Damaged, EncodingOptions, Streams

    options = PipelineOptions(
        source,
        target,
        _retiming(factor, fps),
        input_rate=_rate("--input-rate", input_rate) if input_rate else None,
        cut_threshold=None if no_scene_cuts else scene_threshold,
        duplicates=duplicates,
        encoding=EncodingOptions(
            codec, crf, preset, lossless, _key_values("--encoder-option", encoder_option or (), "tune=animation")
        ),
        streams=_choice("--streams", Streams, streams),
        damaged=_choice("--damaged", Damaged, damaged),
        overwrite=overwrite,
    )
    regions = _numbers("--region", region or (), "mask.png=0.5")
    graph = graph_for(model, lambda: _check_source(options))
    with (
        Bar() as bar,
        Interpolator.open(
            graph, backend, threads=threads, iterations=iterations, lane=Lane(device, bar.building)
        ) as interpolator,
    ):
        interpolator.use_regions([Region.read(Path(mask), t) for mask, t in regions.items()])
        for name, value in _numbers("--set", setting or (), "mask_threshold=0.2").items():
            interpolator.set(name, value)
        step(f"interpolating {source} with {interpolator.info.model}")
        summary = interpolate_video(options, interpolator, bar.update)
        reports = interpolator.reports()
    _report(summary, reports, as_json=as_json)


def _check_source(options: PipelineOptions) -> None:
    """Refuse a video that cannot be read before a network is fetched and exported."""
    from tweenrt.runtime.video import open_source

    open_source(options.source, rate=options.input_rate, damaged=options.damaged).close()


def _retiming(factor: int | None, fps: str | None) -> Retiming:
    if factor is not None and fps is not None:
        raise UsageError("--factor and --fps exclude each other; give one of the two")
    return ToRate(_rate("--fps", fps)) if fps is not None else ByFactor(2 if factor is None else factor)


def _rate(option: str, text: str) -> Fraction:
    try:
        return parse_rate(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from error


def _choice(option: str, choices: type[ChoiceT], text: str) -> ChoiceT:
    try:
        return choices(text)
    except ValueError as error:
        raise UsageError(f"{option}: expected {' or '.join(c.value for c in choices)}, got {text!r}") from error


def _key_values(option: str, texts: Sequence[str], example: str) -> dict[str, str]:
    for text in texts:
        if not text.partition("=")[0] or "=" not in text:
            raise UsageError(f"{option}: expected KEY=VALUE such as {example}, got {text!r}")
    return dict(text.split("=", 1) for text in texts)


def _numbers(option: str, texts: Sequence[str], example: str) -> dict[str, float]:
    return {name: _number(option, text, example) for name, text in _key_values(option, texts, example).items()}


def _number(option: str, text: str, example: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise UsageError(f"{option}: expected a number after '=' as in {example}, got {text!r}") from error


def _report(summary: Summary, reports: dict[str, list[float]], *, as_json: bool) -> None:
    for text in summary.warnings:
        warn(text)
    if as_json:
        facts = asdict(summary) | {"target": str(summary.target), "reports": reports}
        print_json(facts | {"seconds_per_drawn_frame": summary.seconds_per_drawn_frame})
        return
    err.print(
        f"{summary.source_frames} frames became {summary.output_frames} in {summary.seconds:.1f} s; "
        f"{summary.drawn_frames} drawn ({summary.seconds_per_drawn_frame:.3f} s each), "
        f"{summary.cuts} cuts and {summary.duplicates} repeated frames kept as they were",
        soft_wrap=True,
    )
    for name, values in reports.items():
        err.print(f"{name.replace('_', ' ')}: {', '.join(f'{v:.1%}' for v in values)}", soft_wrap=True)
    typer.echo(str(summary.target))
