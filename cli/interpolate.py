"""`tweenrt interpolate`: a video in, a smoother video out."""

from __future__ import annotations

from dataclasses import asdict, replace
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
from tweenrt.errors import TweenrtError, UsageError, require
from tweenrt.runtime import Backend, Interpolator, Lane, Region
from tweenrt.runtime.scene import CUT_THRESHOLD, Duplicates

if TYPE_CHECKING:
    from tweenrt.runtime.pipeline import PipelineOptions, Summary


def interpolate(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="A video, or a folder of images.")],
    target: Annotated[
        Path, typer.Argument(metavar="OUTPUT", help="The video to write; a name without ending makes a folder of PNG.")
    ],
    model: Annotated[
        str, typer.Option(help="A graph, an engine or a split folder if that exists, else a model of `tweenrt models`.")
    ],
    factor: Factor = None,
    fps: Fps = None,
    backend: Annotated[
        Backend,
        typer.Option(help="What runs the network; auto: TensorRT on a GPU, else OpenVINO where installed."),
    ] = Backend.AUTO,
    device: Annotated[int, typer.Option(min=0, help="Which GPU.")] = 0,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads for the network.")] = None,
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
    video: Annotated[
        str, typer.Option(help="Who decodes and encodes: gpu, cpu, or auto: the GPU where frames can stay there.")
    ] = "auto",
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
    regions = numbers("--region", region or (), "mask.png=0.5")
    graph = graph_for(model, lambda: _check_source(options))
    with (
        Bar() as bar,
        Interpolator.open(
            graph, backend, threads=threads, iterations=iterations, lane=Lane(device, bar.building, step)
        ) as interpolator,
    ):
        interpolator.use_regions([Region.read(Path(mask), t) for mask, t in regions.items()])
        for name, value in numbers("--set", setting or (), "mask_threshold=0.2").items():
            interpolator.set(name, value)
        options = _placed(options, video, interpolator)
        step(f"interpolating {source} with {interpolator.info.model}")
        summary = interpolate_video(options, interpolator, bar.update)
        reports = interpolator.reports()
    _report(summary, reports, as_json=as_json)


def _check_source(options: PipelineOptions) -> None:
    """Refuse a video that cannot be read before a network is fetched and exported."""
    from tweenrt.runtime.video import open_source

    open_source(options.source, rate=options.input_rate, damaged=options.damaged).close()


def _placed(options: PipelineOptions, video: str, interpolator: Interpolator) -> PipelineOptions:
    """The same job, with frames that stay on the GPU if `video` wants that and they can."""
    from tweenrt.runtime.video.placing import VideoOn, check_gpu_video

    where, lane = choice_of("--video", VideoOn, video), interpolator.lane
    if where is VideoOn.CPU or (where is VideoOn.AUTO and lane is None):
        return options
    try:
        check_gpu_video(options.source, options.target, options.encoding, options.damaged, interpolator.info, lane)
    except TweenrtError as error:
        if where is VideoOn.GPU:
            raise UsageError(f"--video gpu: {error}") from error
        step(f"video is decoded and encoded on the CPU: {error}")
        return options
    step("frames stay on the GPU from the decoder to the encoder")
    return replace(options, gpu_video=lane)


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
