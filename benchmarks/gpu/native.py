"""libtweenrt beside Python on one engine: how long does a new frame take, how many a second, and are they the same?

    python benchmarks/gpu/native.py [--sizes 720p 1080p] [--flavour tensorrt-rtx] [--graph FILE] [--out DIR]

RIFE 4.25 with uint8 frames in FP16 and random weights, which take the same time as trained ones, is built into one
engine for each size, with our kernels where `make plugins` has built them. For RGB8 and NV12 frames, in host memory and
on the GPU, three users of that engine take turns: the C ABI (native.cpp), Python's `Interpolator`, and, for frames in
host memory, the example `tweenrt-pipe` between two pipes. What C and the pipe draw is compared with Python's frames.

Updates results/native_<device>.json and .md after every row; what fails is recorded with its reason. Exit code 1 where
something failed, 3 where frames differ by more than they may.

It needs tweenrt with the extras export and tensorrt or tensorrt-rtx, av for Python's NV12, a C++ compiler, CMake, nvcc,
and in TENSORRT_RTX_ROOT (TENSORRT_ROOT for --flavour tensorrt) the headers of the same TensorRT. Without a GPU,
`--flavour onnxruntime --out DIR` does all but the frames on the GPU, with `--graph` for a smaller network.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from itertools import cycle, islice
from pathlib import Path
from typing import IO, Any

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "benchmarks")]

import contenders  # noqa: E402
import engines  # noqa: E402
import nv12  # noqa: E402
import record  # noqa: E402

from tweenrt.contract import FrameIO  # noqa: E402
from tweenrt.errors import BackendError, UsageError  # noqa: E402
from tweenrt.plugins.library import is_built, library_path  # noqa: E402
from tweenrt.runtime import Backend, Interpolator, Lane  # noqa: E402
from tweenrt.runtime.engines.builder import BuildOptions, SizeRange  # noqa: E402
from tweenrt.runtime.engines.engine_cache import engine_for  # noqa: E402
from tweenrt.runtime.engines.tensorrt import Flavour  # noqa: E402
from tweenrt.runtime.gpu import find_gpus  # noqa: E402
from tweenrt.runtime.onnx_file import OnnxFile  # noqa: E402

NAME = "native"
MODEL = "rife-4.25"
FLAVOURS = [backend.value for backend in (Backend.TENSORRT_RTX, Backend.TENSORRT, Backend.ONNXRUNTIME)]
SIZES = {"720p": (720, 1280), "1080p": (1080, 1920)}
FRAMES, WARM_UP, RUNS, ROUNDS = 4, 20, 100, 3
SECONDS = 900  # for one command
HEADING = [
    "backend",
    "frames",
    "C ms",
    "Python ms",
    "C frames/s",
    "Python frames/s",
    "pipe frames/s",
    "steps",
    "PSNR dB",
]

_NOTES = """
{device}, driver {driver}. {network}; the middle of two frames, one new frame in and one out at a time.

- *ms*: from handing over the new frame to the finished drawn one, medians (p99 in brackets) of {rounds} rounds of
  {runs} after {warm_up} each, in which C (a process for each round) and Python take turns. *C*: `tweenrt_prepare`,
  `tweenrt_draw` and `tweenrt_synchronize`. *Python*: `Interpolator.prepare` and `between`; NV12 through PyAV's
  conversion to RGB and back, since Python takes RGB, and not at all for NV12 on the GPU.
- *frames/s*: drawn frames a second. C does not wait for a frame on the GPU before it hands over the next one. *pipe*:
  `tweenrt-pipe`, frames written and read through the system's pipes by one Python process.
- *steps*, *PSNR*: the largest difference of a byte of a drawn frame, C and pipe against Python on the same engine,
  before and after the timed runs; NV12 by the equations of docs/embed-in-cpp.md. Allowed: {most}.
- CUDA graphs are used as either library decides.

{machine}
"""


class Pixels(Enum):
    """How frames lie in memory, and by how many steps of 255 drawn ones may differ.

    RGB8: the same engine, whose last step is the rounding to bytes. NV12: that after rounding on the way in.
    """

    RGB8 = ("rgb8", "rgb24", 1)
    NV12 = ("nv12", "nv12", 2)

    def __init__(self, word: str, pipe_word: str, most: int) -> None:
        self.word, self.pipe_word, self.most = word, pipe_word, most


class Memory(Enum):
    """Where frames lie."""

    HOST = "host"
    DEVICE = "device"


@dataclass(frozen=True)
class Case:
    """What is measured.

    Attributes:
        backend: what executes.
        engine: the engine, or the graph on ONNX Runtime.
        folder: with libtweenrt, `tweenrt-pipe` and the program of native.cpp.
        size: (H,W).
        pixels: of all frames.
        memory: of all frames.
    """

    backend: Backend
    engine: Path
    folder: Path
    size: tuple[int, int]
    pixels: Pixels
    memory: Memory

    def clip(self) -> tuple[list[contenders.Frame], list[contenders.Frame]]:
        """Frames as they come in, and the same as [H,W,3] RGB."""
        frames = contenders.moving_clip(*self.size, FRAMES)
        if self.pixels is Pixels.RGB8:
            return frames, frames
        pictures = [nv12.from_rgb(frame) for frame in frames]
        return pictures, [nv12.to_rgb(picture) for picture in pictures]


def library(backend: Backend) -> Path:
    """Build libtweenrt with the module for `backend` and its examples; the folder."""
    folder, on_cpu = ROOT / "build" / f"native-benchmark-{backend.value}", backend is Backend.ONNXRUNTIME
    chosen = {"ONNXRUNTIME": on_cpu, "TENSORRT": not on_cpu, "EXAMPLES": True, "BUILD_GSTREAMER": False}
    options = [f"-DTWEENRT_{name}={'ON' if value else 'OFF'}" for name, value in chosen.items()]
    if not on_cpu:
        options.append(f"-DCMAKE_CUDA_ARCHITECTURES={find_gpus().found[0].architecture.removeprefix('sm')}")
    said("cmake", "-S", ROOT / "runtime" / "native", "-B", folder, "-DCMAKE_BUILD_TYPE=Release", *options)
    said("cmake", "--build", folder, "--parallel")
    beside = folder / "libtweenrt_plugins.so"
    beside.unlink(missing_ok=True)
    if is_built():
        beside.symlink_to(library_path())
    return folder


def program(folder: Path) -> Path:
    """Compile native.cpp beside libtweenrt."""
    made, include = folder / "native", ROOT / "runtime" / "native" / "include"
    linked = (f"-L{folder}", "-ltweenrt", "-ldl", f"-Wl,-rpath,{folder}")
    said("g++", "-std=c++17", "-O2", f"-I{include}", Path(__file__).with_suffix(".cpp"), *linked, "-o", made)
    return made


def said(*words: object) -> str:
    """What a command prints.

    Raises:
        BackendError: it failed; with the end of what it complained of.
        subprocess.TimeoutExpired: it hangs.
    """
    command = [str(word) for word in words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    if done.returncode != 0:
        raise BackendError(f"{words[0]}: exit code {done.returncode}: {(done.stderr or done.stdout).strip()[-400:]}")
    return done.stdout


def backend_library(backend: Backend) -> Path:
    """The file of the library that Python has loaded for `backend`, which must be open.

    Raises:
        BackendError: none is loaded.
    """
    if backend is Backend.ONNXRUNTIME:
        import onnxruntime

        return next((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*"))
    name = {Backend.TENSORRT: "libnvinfer.so", Backend.TENSORRT_RTX: "libtensorrt_rtx.so"}[backend]
    mapped = (Path(line.split()[-1]) for line in Path("/proc/self/maps").read_text().splitlines())
    found = next((path for path in mapped if path.name.startswith(name)), None)
    if found is None:
        raise BackendError(f"expected Python to have loaded {name}, it has not")
    return found


def measured(case: Case) -> record.Row:
    """Everything about one kind of frame on one engine."""
    pictures, frames = case.clip()
    lane = Lane()
    with Interpolator.open(case.engine, case.backend, lane=lane) as interpolator:
        if interpolator.info.io is not FrameIO.UINT8:
            raise UsageError(f"{case.engine}: expected a graph with uint8 frames; export it with --io uint8")
        wanted = np.asarray(interpolator.between(frames[0], frames[1], contenders.HALF)[0])
        if case.pixels is Pixels.NV12:
            wanted = nv12.from_rgb(wanted)
        work = in_python(case, interpolator, lane, pictures)
        rounds = [(in_c(case, pictures), None if work is None else timed(work)) for _ in range(ROUNDS)]
        del work  # holds memory of the lane
    found: record.Row = {"version": rounds[0][0]["version"], "c": pooled([c for c, _ in rounds])}
    found["python"] = pooled([python for _, python in rounds if python]) or None
    drawn = [frame for c, _ in rounds for frame in c["drawn"]]
    if case.memory is Memory.HOST:
        found["pipe"], piped = through_pipe(case, pictures)
        drawn.append(piped)
    return found | apart(drawn, wanted)


def pooled(rounds: list[dict[str, Any]]) -> record.Row:
    """All runs of all rounds: percentiles in milliseconds, and frames a second."""
    if not rounds:
        return {}
    times = [value for one in rounds for value in one["ms"]]
    rates = [one["frames_per_s"] for one in rounds]
    return {"n": len(times), **engines.spread(times), "frames_per_s": round(float(np.median(rates)), 2)}


def apart(drawn: list[contenders.Frame], wanted: contenders.Frame) -> record.Row:
    """How far the worst of the drawn frames is from Python's."""
    steps = max(int(np.abs(frame.astype(int) - wanted).max()) for frame in drawn)
    return {"steps": steps, "psnr_db": min(contenders.psnr(frame, wanted) for frame in drawn)}


def in_c(case: Case, pictures: list[contenders.Frame]) -> dict[str, Any]:
    """A process of native.cpp: "ms" of every run, "frames_per_s", "version", and the frames that were "drawn"."""
    with tempfile.TemporaryDirectory() as scratch:
        given, drawn = Path(scratch) / "in.raw", Path(scratch) / "out.raw"
        given.write_bytes(b"".join(picture.tobytes() for picture in pictures))
        asked = (*case.size, case.pixels.word, case.memory.value, WARM_UP, RUNS, backend_library(case.backend))
        found: dict[str, Any] = json.loads(said(case.folder / "native", case.engine, given, drawn, *asked))
        found["drawn"] = list(np.fromfile(drawn, np.uint8).reshape(-1, *pictures[0].shape))
    if found["backend"] != case.backend.value or len(found["drawn"]) != 2:
        raise BackendError(
            f"expected two frames of {case.backend.value}, got {len(found['drawn'])} of {found['backend']}"
        )
    return found


def in_python(
    case: Case, interpolator: Interpolator, lane: Lane, pictures: list[contenders.Frame]
) -> Callable[[], object] | None:
    """One new frame through the interpolator, from any place to the same place; None where Python cannot."""
    if case.memory is Memory.DEVICE and case.pixels is Pixels.NV12:
        return None
    given = cycle([lane.upload(p) for p in pictures] if case.memory is Memory.DEVICE else pictures)
    come, go = (_rgb_by_av, _nv12_by_av) if case.pixels is Pixels.NV12 else (_same, _same)
    last = interpolator.prepare(come(next(given)))

    def work() -> object:
        nonlocal last
        new = interpolator.prepare(come(next(given)))
        (drawn,), last = interpolator.between(last, new, contenders.HALF), new
        return go(drawn)

    return work


def _same(frame: Any) -> Any:
    return frame


def _rgb_by_av(picture: Any) -> Any:
    import av

    return av.VideoFrame.from_ndarray(picture, format="nv12").to_ndarray(format="rgb24")


def _nv12_by_av(frame: Any) -> Any:
    import av

    return av.VideoFrame.from_ndarray(frame, format="rgb24").to_ndarray(format="nv12")


def timed(work: Callable[[], object]) -> dict[str, Any]:
    """The "ms" of every run after those that warm up, and "frames_per_s"."""
    times = [1000 * record.timed(work)[0] for _ in range(WARM_UP + RUNS)][WARM_UP:]
    return {"ms": times, "frames_per_s": 1000 * RUNS / sum(times)}


def through_pipe(case: Case, pictures: list[contenders.Frame]) -> tuple[record.Row, contenders.Frame]:
    """Drawn frames a second of `tweenrt-pipe`, and the first one.

    Raises:
        BackendError: it failed.
    """
    size = ("--size", f"{case.size[1]}x{case.size[0]}", "--pixels", case.pixels.pipe_word)
    command = [case.folder / "tweenrt-pipe", case.engine, *size, "--backend-library", backend_library(case.backend)]
    times: list[float] = []
    first, pipe = pictures[0], subprocess.PIPE
    with (
        tempfile.TemporaryFile() as told,
        subprocess.Popen(list(map(str, command)), stdin=pipe, stdout=pipe, stderr=told) as process,
    ):
        threading.Thread(target=_feed, args=(process.stdin, pictures), daemon=True).start()
        for drawn in _drawn(process.stdout, pictures[0]):
            first = first if times else drawn
            times.append(time.perf_counter())
        if process.wait() != 0 or len(times) != WARM_UP + RUNS + 1:  # the last frame is held
            told.seek(0)
            raise BackendError(f"tweenrt-pipe drew {len(times)} frames: {told.read().decode().strip()[-400:]}")
    return {"frames_per_s": round(RUNS / (times[-2] - times[WARM_UP - 1]), 2)}, first


def _feed(stream: IO[bytes], pictures: list[contenders.Frame]) -> None:
    with suppress(BrokenPipeError), stream:
        for picture in islice(cycle(pictures), WARM_UP + RUNS + 1):
            stream.write(picture.data)


def _drawn(stream: Any, like: contenders.Frame) -> Iterator[contenders.Frame]:
    """Every second frame of a stream."""
    while stream.read(like.nbytes) and (read := stream.read(like.nbytes)):
        yield np.frombuffer(read, np.uint8).reshape(like.shape)


def rows(backend: Backend, graph: Path | None, folder: Path, sizes: list[str]) -> Iterator[record.Row]:
    """One for each size and kind of frame that the backend takes."""
    memories = [Memory.HOST] if backend is Backend.ONNXRUNTIME else list(Memory)
    for size in sizes:
        with tempfile.TemporaryDirectory() as scratch:
            chosen = graph or engines.exported(Path(scratch), MODEL, SIZES[size], "fp16", "pair")
            engine = chosen if backend is Backend.ONNXRUNTIME else built(chosen, backend, SIZES[size])
            for memory in memories:
                for pixels in Pixels:
                    name = f"{backend.value} {size} {pixels.word} {memory.value}"
                    case = Case(backend, engine, folder, SIZES[size], pixels, memory)
                    yield {"row": name, "limit": pixels.most} | engines.tried(lambda: measured(case))  # noqa: B023


def built(graph: Path, backend: Backend, size: tuple[int, int]) -> Path:
    """The engine of a graph for frames of one size."""
    sizes = (SizeRange.fixed(size),) if OnnxFile.load(graph).open_inputs else ()
    return engine_for(graph, BuildOptions(Flavour(backend.value), sizes, plugins=is_built()))


def cells(row: record.Row) -> list[str]:
    """One line of the table."""
    backend, frames = str(row["row"]).split(" ", 1)
    if "failed" in row:
        return [backend, frames, str(row["failed"]).splitlines()[-1][:200], *[""] * (len(HEADING) - 3)]
    ways: list[Any] = [row.get(way) for way in ("c", "python", "pipe")]
    times = [f"{way['p50']:.2f} ({way['p99']:.2f})" if way else "" for way in ways[:2]]
    rates = [f"{way['frames_per_s']:.1f}" if way else "" for way in ways]
    return [backend, frames, *times, *rates, f"{row['steps']} of {row['limit']}", f"{row['psnr_db']}"]


def save(out: Path, found: list[record.Row], device: str, network: str) -> None:
    """Write both files; other rows stay."""
    name = f"{NAME}_{re.sub(r'[^a-z0-9]+', '_', device.lower()).strip('_')}"
    before = out / f"{name}.json"
    kept = json.loads(before.read_text())["rows"] if before.exists() else []
    about = {"device": device, "driver": engines.driver_version(), "network": network, "runs": RUNS, "rounds": ROUNDS}
    facts: dict[str, Any] = {"machine": record.machine(1), **about, "rows": record.merged(kept, found, "row")}
    most = ", ".join(f"{pixels.most} for {pixels.word}" for pixels in Pixels)
    notes = _NOTES.format(**about, warm_up=WARM_UP, most=most, machine=record.describe(facts["machine"]))
    record.write(name, facts, f"libtweenrt on {device}", notes, [HEADING, *map(cells, facts["rows"])], folder=out)


def verdict(found: list[record.Row]) -> int:
    """The exit code: 0, 1 where something failed, 3 where frames differ."""
    if any("failed" in row for row in found):
        return 1
    return 3 if any(int(str(row["steps"])) > int(str(row["limit"])) for row in found) else 0


def main() -> int:
    """See the module."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    options.add_argument("--flavour", choices=FLAVOURS, default=Backend.TENSORRT_RTX.value)
    options.add_argument("--graph", type=Path, help="another graph with uint8 frames, which takes the sizes")
    options.add_argument("--out", type=Path, default=record.RESULTS)
    given = options.parse_args()
    backend, gpus = Backend(given.flavour), find_gpus()
    if backend is not Backend.ONNXRUNTIME and not gpus.found:
        raise SystemExit(f"expected an NVIDIA GPU: {gpus.detail}")
    device = "CPU" if backend is Backend.ONNXRUNTIME else gpus.found[0].name
    folder = library(backend)
    program(folder)
    found: list[record.Row] = []
    for row in rows(backend, given.graph, folder, given.sizes):
        found.append(row)
        save(given.out, found, device, f"{given.graph.name if given.graph else MODEL + ', FP16, uint8 frames'}")
    return verdict(found)


if __name__ == "__main__":
    sys.exit(main())
