"""How much sooner do several workers finish a video than one? `tweenrt distribute --workers` against one process.

    python benchmarks/workers.py [MODEL] [--size HxW] [--frames N] [--factor N] [--workers N ...] [--rounds N]

Writes results/workers.json and .md. Every worker and the one process run the network with one thread, so that the cores
are what is shared out; random weights; the clip is a texture that moves. The workers are started before and have opened
the network. Every output is compared with that of the one process, bit for bit; a difference ends the measurement.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import record

from tweenrt.contract import parse_size
from tweenrt.runtime import Backend, Interpolator
from tweenrt.runtime.jobs.cluster import local_crew
from tweenrt.runtime.jobs.crew import Crew
from tweenrt.runtime.jobs.distribute import distribute
from tweenrt.runtime.jobs.orders import Order
from tweenrt.runtime.jobs.recipe import Recipe, files_of
from tweenrt.runtime.pipeline import PipelineOptions, interpolate_video
from tweenrt.runtime.timeline import ByFactor
from tweenrt.runtime.video import EncodingOptions

NAME = "workers"
ALONE = "one process (tweenrt interpolate)"

_NOTES = """
{facts}

{model} at {size}, {frames} frames times {factor}, FP32 on ONNX Runtime with one thread for each worker. Seconds on the
clock from the source file to the finished file, {rounds} rounds in turn: the median, the fastest and the slowest. What
workers add to one process is cutting, sending, packing and a second reading of the source; the encoder is not shared
out, but works at the same time. Every file was equal to that of the one process, bit for bit. More workers than idle
cores can only lose; on GPUs each worker has its own, and the coordinating host's cores read, pack and encode.
"""


def clip(path: Path, height: int, width: int, frames: int) -> Path:
    """A smooth texture that moves three pixels a frame, without loss."""
    rng = np.random.default_rng(0)
    blocks = rng.integers(40, 216, (height // 16 + 2, width // 16 + 2, 3), np.uint8)
    still = blocks.repeat(16, 0).repeat(16, 1)[:height, :width]
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("ffv1", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv444p"
        for number in range(frames):
            moved = np.ascontiguousarray(np.roll(still, 3 * number, axis=1))
            output.mux(stream.encode(av.VideoFrame.from_ndarray(moved, format="rgb24")))
        output.mux(stream.encode(None))
    return path


def alone(network: Interpolator, options: PipelineOptions) -> float:
    """Seconds without workers."""
    start = time.perf_counter()
    interpolate_video(options, network)
    return time.perf_counter() - start


def shared(crew: Crew, options: PipelineOptions, expected: bytes) -> float:
    """Seconds with workers."""
    start = time.perf_counter()
    list(distribute([Order(options, options.target.with_suffix(".jobs"))], crew, job_bytes=16 << 20))
    seconds = time.perf_counter() - start
    if options.target.read_bytes() != expected:
        raise SystemExit(f"{options.target.name}: differs from what one process writes")
    return seconds


def measured(graph: Path, chosen: Any, folder: Path) -> dict[str, list[float]]:
    """Seconds of every round, by who worked."""
    source = clip(folder / "in.mkv", *parse_size(chosen.size), chosen.frames)
    encoding = EncodingOptions(preset="ultrafast")
    options = PipelineOptions(source, folder / "one.mp4", ByFactor(chosen.factor), encoding=encoding, overwrite=True)
    recipe = Recipe(graph.name, files_of(graph), Backend.ONNXRUNTIME, threads=1)
    found: dict[str, list[float]] = {ALONE: []} | {f"workers: {count}": [] for count in chosen.workers}
    with ExitStack() as stack:
        network = stack.enter_context(Interpolator.open(graph, Backend.ONNXRUNTIME, threads=1))
        crews = {count: stack.enter_context(local_crew(count, recipe)) for count in chosen.workers}
        alone(network, options)
        expected = options.target.read_bytes()
        for number in range(chosen.rounds + 1):
            rounds = {ALONE: alone(network, options)}
            for count, crew in crews.items():
                target = replace(options, target=folder / f"{count}.mp4")
                rounds[f"workers: {count}"] = shared(crew, target, expected)
            for name, seconds in rounds.items() if number else ():  # the first round opens the network on the workers
                found[name].append(seconds)
            print(f"round {number}: " + ", ".join(f"{name} {s:.1f} s" for name, s in rounds.items()), flush=True)
    return found


def write(found: dict[str, list[float]], chosen: Any) -> None:
    """Write both files."""
    base = statistics.median(found[ALONE])
    output = (chosen.frames - 1) * (chosen.factor - 1)
    rows: list[record.Row] = []
    for name, seconds in found.items():
        middle = statistics.median(seconds)
        ends = {"fastest": round(min(seconds), 2), "slowest": round(max(seconds), 2), "n": len(seconds)}
        drawn = round(output / middle, 2)
        rows.append({"who": name, "seconds": round(middle, 2), **ends, "drawn_a_second": drawn, "times": base / middle})
    table = [["who", "seconds", "fastest", "slowest", "n", "drawn frames a second", "against one process"]]
    table += [[*(str(v) for v in list(row.values())[:-1]), f"{float(str(row['times'])):.2f}x"] for row in rows]
    facts = {"machine": record.machine(1), "arguments": vars(chosen), "rows": rows}
    notes = _NOTES.format(facts=record.describe(facts["machine"]), **vars(chosen))  # type: ignore[arg-type]
    record.write(NAME, facts, "Several workers against one process", notes, table)


def main() -> None:
    """Measure, write, print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("model", nargs="?", default="ifrnet-s")
    options.add_argument("--size", default="256x448")
    options.add_argument("--frames", type=int, default=61)
    options.add_argument("--factor", type=int, default=2)
    options.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    from tweenrt.export.prepare import prepare_random_graph

    graph = prepare_random_graph(chosen.model, print)
    with tempfile.TemporaryDirectory() as folder:
        write(measured(graph, chosen, Path(folder)), chosen)


if __name__ == "__main__":
    main()
