"""Videos whose frames stay on the GPU: the same as through the CPU, in good and in bad days."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX has packages for x86-64 only")

from support import fake_nvidia, graphs
from support.clips import Clip, Seen, moving, packets, seen, texture
from support.fake_nvidia import VideoMachine

from tweenrt.errors import BackendError, OutputError, VideoError
from tweenrt.runtime import Backend, Interpolator
from tweenrt.runtime.pipeline import PipelineOptions, Summary, interpolate_video
from tweenrt.runtime.progress import Progress
from tweenrt.runtime.scene import thumbnail
from tweenrt.runtime.timeline import ByFactor, Retiming, ToRate
from tweenrt.runtime.video import EncodingOptions, open_source
from tweenrt.runtime.video.gpu_reader import GpuVideoReader

ROUNDING = 2  # levels; the two paths' conversions round a few times each


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[VideoMachine]:
    yield fake_nvidia.install(monkeypatch, tmp_path / "cache")
    gc.collect()  # what an exception still refers to is given back to this machine


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    return graphs.blend_bytes(tmp_path / "bytes.onnx")


def flat(images: list[Any], path: Path, tags: tuple[int, int, int, int] | None = None) -> Path:
    """A clip without loss."""
    return Clip(images, codec="ffv1", options={}, tags=tags, time_base=Fraction(1, 25)).write(path)


def on_gpu(
    machine: VideoMachine, graph: Path, source: Path, target: Path, retiming: Retiming, progress: Any = None
) -> Summary:
    try:
        with Interpolator.open(graph, Backend.TENSORRT) as interpolator:
            assert interpolator.lane is not None
            options = PipelineOptions(source, target, retiming, gpu_video=interpolator.lane)
            return interpolate_video(options, interpolator, progress)
    finally:
        machine.codecs.free_surfaces()


def on_cpu(graph: Path, source: Path, target: Path, retiming: Retiming) -> Summary:
    with Interpolator.open(graph, Backend.ONNXRUNTIME) as interpolator:
        assert interpolator.lane is None
        return interpolate_video(
            PipelineOptions(source, target, retiming, encoding=EncodingOptions(lossless=True)), interpolator
        )


def both(
    machine: VideoMachine, graph: Path, source: Path, retiming: Retiming
) -> tuple[tuple[Summary, Seen], tuple[Summary, Seen]]:
    """The job on the GPU and on the CPU."""
    gpu, cpu = source.with_name("gpu.mp4"), source.with_name("cpu.mp4")
    outcomes = (on_gpu(machine, graph, source, gpu, retiming), on_cpu(graph, source, cpu, retiming))
    return (outcomes[0], seen(gpu)), (outcomes[1], seen(cpu))


def counts(summary: Summary) -> tuple[int, ...]:
    return (summary.source_frames, summary.output_frames, summary.drawn_frames, summary.cuts, summary.duplicates)


def apart(one: av.VideoFrame, other: av.VideoFrame) -> int:
    """The largest difference between two pictures of one format."""
    assert one.format.name == other.format.name
    return int(np.abs(one.to_ndarray().astype(int) - other.to_ndarray().astype(int)).max())


# The same as on the CPU


@pytest.mark.parametrize("retiming", [ByFactor(2), ByFactor(3), ToRate(Fraction(60))], ids=["2x", "3x", "60fps"])
def test_times_counts_and_pixels_are_those_of_the_cpu(
    machine: VideoMachine, graph: Path, tmp_path: Path, retiming: Retiming
) -> None:
    source = flat(moving(7), tmp_path / "in.mkv")
    (summary, out), (known, expected) = both(machine, graph, source, retiming)
    assert counts(summary) == counts(known)
    assert summary.drawn_frames > 5
    assert (out.times, out.end) == (expected.times, expected.end)
    assert out.stream == expected.stream
    differences = [apart(a, b) for a, b in zip(out.pictures, expected.pictures, strict=True)]
    assert max(differences) <= ROUNDING
    assert differences.count(0) >= summary.output_frames - summary.drawn_frames


def test_source_frames_are_given_to_the_encoder_as_they_are(machine: VideoMachine, graph: Path, tmp_path: Path) -> None:
    source = Clip(moving(9)).write(tmp_path / "in.mp4")
    on_gpu(machine, graph, source, tmp_path / "out.mp4", ByFactor(2))
    shown = seen(tmp_path / "out.mp4").pictures[::2]
    for given, found in zip(seen(source).pictures, shown, strict=True):
        assert apart(given, found) == 0


@pytest.mark.parametrize("tags", [(1, 1, 1, 1), (6, 2, 6, 6), (9, 1, 9, 1)], ids=["bt709", "bt601-full", "bt2020"])
def test_colours_follow_the_tags(
    machine: VideoMachine, graph: Path, tmp_path: Path, tags: tuple[int, int, int, int]
) -> None:
    source = flat(moving(4), tmp_path / "in.mkv", tags)
    (_, out), (_, expected) = both(machine, graph, source, ByFactor(2))
    assert out.stream == expected.stream
    assert [int(out.stream[name]) for name in ("colorspace", "color_range")] == list(tags[:2])
    assert max(apart(a, b) for a, b in zip(out.pictures, expected.pictures, strict=True)) <= ROUNDING


def test_sound_subtitles_and_chapters_are_copied(machine: VideoMachine, graph: Path, tmp_path: Path) -> None:
    clip = Clip(moving(8), audio=0.33, subtitles=((0.02, 0.1, "one"),), chapters=((0, 200, "first"),))
    source, target = clip.write(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    on_gpu(machine, graph, source, target, ByFactor(2))
    assert len(packets(source, "audio")) > 10
    assert packets(target, "audio") == packets(source, "audio")
    assert packets(target, "subtitle") == packets(source, "subtitle")
    with av.open(str(target)) as out:
        assert [chapter["metadata"]["title"] for chapter in out.chapters()] == ["first"]


def test_cuts_and_repeats_are_found_as_on_the_cpu(machine: VideoMachine, graph: Path, tmp_path: Path) -> None:
    a, b = moving(4, 192, 256), moving(4, 192, 256, seed=9)
    bright = [np.minimum(frame.astype(int) + 90, 255).astype(np.uint8) for frame in b]
    source = Clip([*a[:2], a[1], a[2], a[3], *bright]).write(tmp_path / "in.mp4")
    (summary, _), (known, _) = both(machine, graph, source, ByFactor(2))
    assert counts(summary) == counts(known)
    assert (summary.cuts, summary.duplicates) == (1, 1)


def test_thumbnails_are_those_of_the_whole_frame(machine: VideoMachine, tmp_path: Path) -> None:
    source = flat([texture(3, 200, 404)] * 2, tmp_path / "in.mkv")
    reader, known = GpuVideoReader(source, 0), open_source(source)
    for frame, expected in zip(reader.frames(), known.frames(), strict=True):
        assert frame.thumbnail.shape == thumbnail(expected.rgb).shape == (100, 202, 3)
        assert np.abs(frame.thumbnail - expected.thumbnail).max() < 1
        assert (frame.pts, frame.duration) == (expected.pts, expected.duration)
    reader.close()
    known.close()


# On the GPU


def test_frames_take_turns_in_few_places(machine: VideoMachine, graph: Path, tmp_path: Path) -> None:
    """An engine keeps 16 captured graphs; more combinations of addresses would be captured again and again."""
    source = Clip(moving(30)).write(tmp_path / "in.mp4")
    summary = on_gpu(machine, graph, source, tmp_path / "out.mp4", ByFactor(2))
    assert summary.drawn_frames == 29
    assert machine.cuda.captures <= 8
    assert machine.cuda.launches >= 29 - 2 * machine.cuda.captures


def test_all_memory_is_given_back(machine: VideoMachine, graph: Path, tmp_path: Path) -> None:
    source = Clip(moving(6)).write(tmp_path / "in.mp4")
    on_gpu(machine, graph, source, tmp_path / "out.mp4", ByFactor(2))
    assert machine.cuda.live == {}
    assert machine.codecs.shown == 12


# Bad days


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name not in {"bytes.onnx", "cache", "kernels.so"})


def decoder_fails(machine: VideoMachine) -> None:
    surface_of, numbers = machine.codecs.surface_of, itertools.count()

    def fails(picture: Any) -> Any:
        if next(numbers) == 3:
            raise VideoError("the decoder fails")
        return surface_of(picture)

    machine.codecs.surface_of = fails  # type: ignore[method-assign]


def memory_runs_out(machine: VideoMachine) -> None:
    machine.cuda.capacity = 60_000


def encoder_fails(machine: VideoMachine) -> None:
    machine.codecs.fails_after = 5


def network_fails(machine: VideoMachine) -> None:
    machine.trt.fails_after = 2


def kernels_fail(machine: VideoMachine) -> None:
    machine.kernels.status = 700


@pytest.mark.parametrize(
    ("trouble", "kind", "says"),
    [
        (decoder_fails, VideoError, "the decoder fails"),
        (memory_runs_out, BackendError, "out of memory"),
        (encoder_fails, OutputError, "cannot be written"),
        (network_fails, BackendError, "failed"),
        (kernels_fail, BackendError, "CUDA error 700"),
    ],
)
def test_a_failure_leaves_nothing_behind(
    machine: VideoMachine,
    graph: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    trouble: Callable[[VideoMachine], None],
    kind: type[Exception],
    says: str,
) -> None:
    source = Clip(moving(8), audio=0.2).write(tmp_path / "in.mp4")
    trouble(machine)
    monkeypatch.setattr("tweenrt.runtime.video.nvidia.surface_of", machine.codecs.surface_of)
    monkeypatch.setattr("tweenrt.runtime.video.surface.last_error", lambda: "")
    with pytest.raises(kind, match=says):
        on_gpu(machine, graph, source, tmp_path / "out.mp4", ByFactor(2))
    assert left(tmp_path) == ["in.mp4"]


def test_an_interruption_leaves_nothing_behind(machine: VideoMachine, graph: Path, tmp_path: Path) -> None:
    source = Clip(moving(8)).write(tmp_path / "in.mp4")

    def interrupt(progress: Progress) -> None:
        if progress.done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        on_gpu(machine, graph, source, tmp_path / "out.mp4", ByFactor(2), interrupt)
    assert left(tmp_path) == ["in.mp4"]


def test_a_source_that_is_cut_short_is_refused(machine: VideoMachine, graph: Path, tmp_path: Path) -> None:
    source = Clip(moving(8)).write(tmp_path / "in.mp4")
    source.write_bytes(source.read_bytes()[:-400])
    with pytest.raises(VideoError):
        on_gpu(machine, graph, source, tmp_path / "out.mp4", ByFactor(2))
    assert left(tmp_path) == ["in.mp4"]


def test_an_odd_clip_keeps_its_own_times(machine: VideoMachine, graph: Path, tmp_path: Path) -> None:
    ticks = [0, 3003, 9009, 10010, 19019]
    source = Clip(moving(5), ticks, Fraction(1, 90000), last=1500).write(tmp_path / "in.mp4")
    (_, out), (_, expected) = both(machine, graph, source, ByFactor(3))
    assert (out.times, out.end) == (expected.times, expected.end)
    assert out.times[3] == Fraction(3003, 90000)
