"""A whole video on this machine's GPU: what is gained when frames stay there from the decoder to the encoder?

    python benchmarks/gpu/video.py [CLIP] [--model rife-4.25] [--flavour tensorrt-rtx] [--seconds 4] [--out DIR]

CLIP, by default the one that the demonstration interpolates, is scaled to each size, lengthened by playing it forwards
and backwards, and doubled in rate three ways: decoded on the CPU and encoded by x264, decoded on the CPU and encoded by
NVENC, and decoded and encoded on the GPU. A model's name stands for its graph with uint8 frames in FP16, with random
weights, which take the same time as trained ones; a graph is taken as it is.

Before the third way is timed, source frames from NVDEC are compared with those from the CPU's decoder.

Updates results/gpu_video_<device>.json and .md after every size; what fails is recorded with its reason. It needs
tweenrt with the extras export, video and tensorrt or tensorrt-rtx, a PyAV with NVENC, and the plugin library (`make
plugins`).
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "benchmarks")]

import av  # noqa: E402
import numpy as np  # noqa: E402
import record  # noqa: E402

from tweenrt.errors import TweenrtError  # noqa: E402
from tweenrt.runtime import Backend, Interpolator, Lane  # noqa: E402
from tweenrt.runtime.gpu import find_gpus  # noqa: E402
from tweenrt.runtime.pipeline import PipelineOptions, interpolate_video  # noqa: E402
from tweenrt.runtime.timeline import ByFactor  # noqa: E402
from tweenrt.runtime.video import Damaged, EncodingOptions, SourceFrame, open_source  # noqa: E402
from tweenrt.runtime.video.gpu_reader import GpuVideoReader  # noqa: E402
from tweenrt.runtime.video.placing import check_gpu_video  # noqa: E402

NAME = "gpu_video"
SIZES = {"480p": (480, 854), "720p": (720, 1280), "1080p": (1080, 1920), "2160p": (2160, 3840)}
RUNS = 3
RATE = 30
COLUMNS = ("x264", "nvenc", "gpu", "decoded")
NVENC = EncodingOptions(codec="h264_nvenc", extra={"rc": "vbr", "cq": "18", "b": "0"})

_NOTES = """
{device}. {model}; {seconds} s of {rate} frames/s, doubled. Frames/s of the output, from opening the source to the
finished file, medians of {runs} runs after one that is not counted. *x264*, *nvenc*: decoded on the CPU, encoded by
that. *gpu*: NVDEC, network, NVENC, frames in GPU memory throughout. *decoded*: the largest difference of a byte of a
source frame, NVDEC against the CPU's decoder, in steps of 255.

{machine}
"""


def graph_of(model: str, folder: Path) -> Path:
    """`model` if it is a graph; else the model of that name, exported."""
    if Path(model).exists():
        return Path(model)
    path = folder / "graph.onnx"
    made = ("--random-weights", "0", "--io", "uint8", "--precision", "fp16", "-o", str(path))
    subprocess.run([sys.executable, "-m", "tweenrt.cli", "export", model, *made], check=True, capture_output=True)
    return path


def lengthened(clip: Path, size: tuple[int, int], seconds: float, target: Path) -> Path:
    """`clip` forwards and backwards at `size` (height, width), as H.264 with B frames."""
    height, width = size
    with av.open(str(clip)) as source:
        pictures = [frame.reformat(width, height, "yuv420p") for frame in source.decode(video=0)]
    turns = [*pictures, *pictures[-2:0:-1]]
    with av.open(str(target), "w") as output:
        stream: Any = output.add_stream("libx264", rate=RATE, options={"crf": "18", "preset": "fast"})
        stream.width, stream.height = width, height
        for number in range(int(seconds * RATE)):
            frame = turns[number % len(turns)]
            frame.pts, frame.time_base, frame.pict_type = number, Fraction(1, RATE), 0
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return target


def decoded_apart(clip: Path, gpu: int) -> int:
    """The largest difference between a byte of a source frame as NVDEC and as the CPU decodes it."""
    ours, known = GpuVideoReader(clip, gpu), open_source(clip)
    try:
        return max(_apart(frame, expected) for frame, expected in zip(ours.frames(), known.frames(), strict=True))
    finally:
        ours.close()
        known.close()


def _apart(frame: SourceFrame, expected: SourceFrame) -> int:
    surface, planes = frame.picture, expected.picture.to_ndarray().astype(int)
    rows = surface.owner.numpy()[:, : surface.width]
    chroma = np.stack(np.split(planes[surface.height :].reshape(-1), 2), -1)
    wanted = np.concatenate([planes[: surface.height], chroma.reshape(-1, surface.width)])
    return int(np.abs(rows - wanted).max())


def speed(interpolator: Interpolator, source: Path, encoding: EncodingOptions, lane: Lane | None) -> float:
    """Frames a second of the output; the first run, which builds the engine, is not counted."""
    target = source.with_name("out.mp4")
    options = PipelineOptions(source, target, ByFactor(2), encoding=encoding, overwrite=True, gpu_video=lane)
    done = [interpolate_video(options, interpolator) for _ in range(RUNS + 1)][1:]
    return round(statistics.median(summary.output_frames / summary.seconds for summary in done), 1)


def on_gpu(interpolator: Interpolator, source: Path) -> float:
    """`speed` with frames that stay on the GPU, if they can."""
    encoding, target = EncodingOptions(), source.with_name("out.mp4")
    check_gpu_video(source, target, encoding, Damaged.REFUSE, interpolator.info, interpolator.lane)
    return speed(interpolator, source, encoding, interpolator.lane)


def tried(measure: Callable[[], float]) -> object:
    """What `measure` finds, or why it failed."""
    try:
        return measure()
    except TweenrtError as error:
        return f"failed: {error}"


def rows(graph: Path, clip: Path, backend: Backend, seconds: float, sizes: list[str]) -> Iterator[record.Row]:
    """One for each size."""
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder, Interpolator.open(graph, backend) as interpolator:
            source = lengthened(clip, SIZES[size], seconds, Path(folder) / "in.mp4")
            yield {
                "row": size,
                "x264": tried(lambda: speed(interpolator, source, EncodingOptions(), None)),  # noqa: B023
                "nvenc": tried(lambda: speed(interpolator, source, NVENC, None)),  # noqa: B023
                "gpu": tried(lambda: on_gpu(interpolator, source)),  # noqa: B023
                "decoded": tried(lambda: decoded_apart(source, 0)),  # noqa: B023
            }


def save(out: Path, found: list[record.Row], given: argparse.Namespace, device: str) -> None:
    """Write both files; rows of other sizes stay."""
    name = f"{NAME}_{re.sub(r'[^a-z0-9]+', '_', device.lower()).strip('_')}"
    before = out / f"{name}.json"
    kept = json.loads(before.read_text())["rows"] if before.exists() else []
    rows_now, machine = record.merged(kept, found, "row"), record.machine(1)
    facts = {"machine": machine, "device": device, "model": given.model, "seconds": given.seconds, "rows": rows_now}
    described = {"device": device, "model": given.model, "seconds": given.seconds, "rate": RATE, "runs": RUNS}
    notes = _NOTES.format(**described, machine=record.describe(machine))
    table = [[str(row["row"]), *(str(row[column])[:80] for column in COLUMNS)] for row in rows_now]
    record.write(name, facts, f"Video on {device}", notes, [["frames", *COLUMNS], *table], folder=out)


def main() -> None:
    """See the module."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("clip", nargs="?", type=Path, default=ROOT / "examples" / "bigbuckbunny.mp4")
    options.add_argument("--model", default="rife-4.25")
    options.add_argument("--flavour", type=Backend, default=Backend.TENSORRT_RTX)
    options.add_argument("--seconds", type=float, default=4.0)
    options.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    options.add_argument("--out", type=Path, default=record.RESULTS)
    given = options.parse_args()
    gpus = find_gpus()
    if not gpus.found:
        raise SystemExit(f"expected an NVIDIA GPU: {gpus.detail}")
    found: list[record.Row] = []
    with tempfile.TemporaryDirectory() as folder:
        graph = graph_of(given.model, Path(folder))
        for row in rows(graph, given.clip, given.flavour, given.seconds, given.sizes):
            found.append(row)
            save(given.out, found, given, gpus.found[0].name)


if __name__ == "__main__":
    main()
