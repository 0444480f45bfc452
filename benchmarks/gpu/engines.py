"""Networks as TensorRT engines on this machine's GPU: do they run, are they right, how long do they take?

    python benchmarks/gpu/engines.py [MODEL ...] [--sizes 720p 1080p] [--flavour tensorrt] [--out DIR]

For each network, size and precision (FP32, and FP16 by `tweenrt convert`) the graphs are exported whole and split, with
uint8 frames and random weights, built into engines with and without our kernels, and

* compared with ONNX Runtime on the CPU: largest difference of a drawn frame, in steps of 255, and PSNR;
* timed: milliseconds of the GPU and of the caller for one new frame, with and without CUDA graphs, and for both halves
  of the split form, which says what the reuse of features saves;
* set beside ONNX Runtime's CUDA provider and PyTorch (FP16, channels_last, one CUDA graph) on the same GPU.

Updates results/gpu_engines_<device>.json and .md after every row; what fails is recorded with its reason and stops no
other: TensorRT-RTX, for one, refuses GPUs of the architecture sm90. Without --flavour it is TensorRT where that is
installed. It needs tweenrt with the extras export and tensorrt or tensorrt-rtx, onnxruntime-gpu and a CUDA torch for
the last point, and the plugin library (`make plugins`) for our kernels.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "benchmarks")]

import contenders  # noqa: E402
import record  # noqa: E402

from tweenrt.contract import TimeInput  # noqa: E402
from tweenrt.errors import TweenrtError  # noqa: E402
from tweenrt.plugins.library import is_built  # noqa: E402
from tweenrt.runtime import Backend, Interpolator, Lane  # noqa: E402
from tweenrt.runtime.engines.builder import BuildOptions  # noqa: E402
from tweenrt.runtime.engines.engine_cache import engine_for  # noqa: E402
from tweenrt.runtime.engines.execution import Execution  # noqa: E402
from tweenrt.runtime.engines.tensorrt import Flavour  # noqa: E402
from tweenrt.runtime.gpu import find_gpus  # noqa: E402

NAME = "gpu_engines"
MODELS = ("rife-4.25", "ifrnet-s", "ifrnet", "amt-s", "ema-vfi-small-t", "ugsp", "cain", "cspa")
SIZES = {"480p": (480, 854), "720p": (720, 1280), "1080p": (1080, 1920)}
PRECISIONS = ("fp32", "fp16")
WARM_UP, RUNS = 10, 100
COLUMNS = ("whole", "no_graphs", "bodies", "encoder", "synthesis", "onnxruntime", "torch")

_NOTES = """
{device}, driver {driver}, {flavour}. One new frame in the middle of two, uint8 [H,W,3] in GPU memory before and after,
random weights. Medians of {runs} runs after {warm_up} (p99 in brackets), in milliseconds.

- *whole*: the engine with our kernels in a CUDA graph, time on the GPU. *no graphs*: launched kernel by kernel.
  *bodies*: without our kernels. *encoder*, *synthesis*: the two engines of the split form. A new frame takes the
  synthesis; the encoder comes once for each source frame (RIFE) or pair (IFRNet, AMT, EMA-VFI), however many frames are
  drawn, where *whole* encodes anew for each. *onnxruntime*: the whole graph on its CUDA provider, inputs and outputs in
  GPU memory, time of the caller. *torch*: the network in PyTorch, FP16, channels_last, in a CUDA graph.
- *caller*: from call to result for *whole*, synchronisation included.
- *steps*, *PSNR*: against the FP32 graph on ONNX Runtime's CPU.

{machine}
"""


def rows(name: str, size: str, flavour: Flavour) -> Iterator[record.Row]:
    """One for each precision."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for precision in PRECISIONS:
            row: record.Row = {"row": f"{name} {size} {precision}", "model": name, "size": size, "precision": precision}
            start = time.monotonic()
            try:
                row |= measured(folder, name, SIZES[size], precision, flavour)
            except (TweenrtError, subprocess.CalledProcessError) as error:
                row["failed"] = str(getattr(error, "stderr", "") or error).strip()[-400:]
            yield row | {"seconds": round(time.monotonic() - start)}


def measured(folder: Path, name: str, size: tuple[int, int], precision: str, flavour: Flavour) -> record.Row:
    """Everything about one network at one size in one precision."""
    whole = exported(folder, name, size, precision, "pair")
    reference = exported(folder, name, size, "fp32", "pair")
    clip = contenders.moving_clip(*size, 2)
    found: record.Row = agreement(whole, reference, flavour, clip)
    parts: dict[str, Callable[[], record.Row]] = {
        "whole": lambda: timed(whole, flavour, clip),
        "no_graphs": lambda: timed(whole, flavour, clip, graphs=False),
        "bodies": lambda: timed(whole, flavour, clip, plugins=False),
        "encoder": lambda: timed(exported(folder, name, size, precision, "split") / "encoder.onnx", flavour, clip),
        "synthesis": lambda: timed(exported(folder, name, size, precision, "split") / "synthesis.onnx", flavour, clip),
        "onnxruntime": lambda: in_onnxruntime(whole, clip),
    }
    if precision == "fp16":
        parts["torch"] = lambda: in_torch(name, clip)
    return found | {part: tried(measure) for part, measure in parts.items()}


def tried(measure: Callable[[], record.Row]) -> record.Row:
    """What `measure` finds, or why it failed."""
    try:
        return measure()
    except Exception as error:  # noqa: BLE001  (one that fails must not cost the others)
        return {"failed": f"{type(error).__name__}: {str(error)[:300]}"}


def exported(folder: Path, name: str, size: tuple[int, int], precision: str, kind: str) -> Path:
    """A graph file, or the folder of a split export, with uint8 frames."""
    target = folder / f"{precision}-{kind}{'.onnx' if kind == 'pair' else ''}"
    if not target.exists():
        frames = ("--io", "uint8", "--batch", "1", "--size", "x".join(map(str, size)))
        tweenrt(
            "export", name, "--random-weights", "0", "--kind", kind, *frames, "--precision", precision, "-o", target
        )
    return target


def tweenrt(*arguments: object) -> None:
    """Run a command of ours."""
    command = [sys.executable, "-m", "tweenrt.cli", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True, text=True)


def agreement(whole: Path, reference: Path, flavour: Flavour, clip: list[contenders.Frame]) -> record.Row:
    """How far the engine's frame is from that of the FP32 graph on the CPU."""
    drawn = []
    for graph, backend in ((whole, Backend(flavour.value)), (reference, Backend.ONNXRUNTIME)):
        with Interpolator.open(graph, backend) as interpolator:
            drawn.append(interpolator.between(*clip, [Fraction(1, 2)])[0])
    steps = int(np.abs(drawn[0].astype(int) - drawn[1]).max())
    return {"steps": steps, "psnr_db": contenders.psnr(drawn[0], drawn[1])}


def timed(
    graph: Path, flavour: Flavour, clip: list[contenders.Frame], *, graphs: bool = True, plugins: bool = True
) -> record.Row:
    """Milliseconds of runs with everything in GPU memory."""
    lane = Lane()
    start = time.monotonic()
    engine = engine_for(graph, BuildOptions(flavour, plugins=plugins and is_built()))
    built = time.monotonic() - start
    execution = Execution(engine, lane, graphs=graphs)
    feeds = {name: lane.upload(_feed(name, execution, clip)) for name in execution.inputs}
    times = [execution.run_timed(feeds) for _ in range(WARM_UP + RUNS)][WARM_UP:]
    found = {
        "gpu": spread([t.device_ms or 0.0 for t in times]),
        "caller": spread([t.host_ms for t in times]),
        "build_seconds": round(built, 1),
        "memory_mb": round((execution.device_memory + lane.bytes_held) / 1e6),
        "not_captured": execution.not_captured,
    }
    execution.close()
    del feeds
    lane.close()
    return found


def in_onnxruntime(graph: Path, clip: list[contenders.Frame]) -> record.Row:
    """The whole graph on ONNX Runtime's CUDA provider."""
    import onnxruntime as ort

    if "CUDAExecutionProvider" not in ort.get_available_providers():
        raise RuntimeError("expected the CUDA provider; pip install onnxruntime-gpu in the place of onnxruntime")
    session = ort.InferenceSession(str(graph), providers=["CUDAExecutionProvider", "CPUExecutionProvider"])
    binding = session.io_binding()
    for value in session.get_inputs():
        array = _array(value.name, tuple(value.shape), np.uint8 if "uint8" in value.type else np.float32, clip)
        binding.bind_ortvalue_input(value.name, ort.OrtValue.ortvalue_from_numpy(array, "cuda", 0))
    for value in session.get_outputs():
        binding.bind_output(value.name, "cuda")

    def run() -> float:
        start = time.perf_counter()
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        return (time.perf_counter() - start) * 1000

    return {"gpu": spread([run() for _ in range(WARM_UP + RUNS)][WARM_UP:])}


def _feed(name: str, execution: Execution, clip: list[contenders.Frame]) -> Any:
    shape = tuple(int(side) for side in execution.inputs[name])
    return _array(name, shape, execution.dtype(name), clip)


def _array(name: str, shape: tuple[int, ...], dtype: Any, clip: list[contenders.Frame]) -> Any:
    if name in {"frame", "frame0", "frame1"} and dtype == np.uint8:
        return clip[int(name[-1]) if name[-1].isdigit() else 0][None]
    if name in {"t", "t_ref"}:
        return np.full(shape, 0.5, dtype)
    noise = np.random.default_rng(0).random(shape)
    return (noise * 255).astype(dtype) if dtype == np.uint8 else noise.astype(dtype)


def in_torch(name: str, clip: list[contenders.Frame]) -> record.Row:
    """The same network in PyTorch, captured as one CUDA graph."""
    import torch

    from tweenrt.export import registry
    from tweenrt.export.checkpoint import load_random

    spec = registry.get(name)
    network = load_random(spec, 0).network.half().cuda().to(memory_format=torch.channels_last)
    height, width = (-(-side // spec.divisor) * spec.divisor for side in clip[0].shape[:2])
    frames = [torch.rand(1, 3, height, width).half().cuda().to(memory_format=torch.channels_last) for _ in clip]
    arguments = (*frames, torch.full((1, 1, 1, 1), 0.5).half().cuda())[: 2 if spec.t is TimeInput.FIXED else 3]
    stream, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
    with torch.inference_mode(), torch.cuda.stream(stream):
        for _ in range(3):
            network(*arguments)
        with torch.cuda.graph(graph, stream=stream):
            network(*arguments)
    return {"gpu": spread([_replayed(graph) for _ in range(WARM_UP + RUNS)][WARM_UP:])}


def _replayed(graph: Any) -> float:
    import torch

    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    first.record()
    graph.replay()
    last.record()
    torch.cuda.synchronize()
    return float(first.elapsed_time(last))


def spread(values: list[float]) -> dict[str, float]:
    """Median, 90th and 99th percentile."""
    cuts = statistics.quantiles(values, n=100)
    return {"p50": round(statistics.median(values), 3), "p90": round(cuts[89], 3), "p99": round(cuts[98], 3)}


def cells(row: record.Row) -> list[str]:
    """One line of the table."""
    start = [str(row["model"]), str(row["size"]), str(row["precision"])]
    if "failed" in row:
        return [*start, str(row["failed"]).splitlines()[-1][:80], *[""] * (len(COLUMNS) + 2)]
    return [*start, *(_cell(row.get(part)) for part in COLUMNS), _cell(row["whole"], "caller"), str(row["steps"]),
            f"{row['psnr_db']}"]  # fmt: skip


def _cell(part: Any, clock: str = "gpu") -> str:
    if not part or "failed" in part:
        return "failed" if part else ""
    return f"{part[clock]['p50']:.2f} ({part[clock]['p99']:.2f})"


def save(out: Path, found: list[record.Row], flavour: Flavour, device: str) -> None:
    """Write both files; rows of other networks stay."""
    name = f"{NAME}_{re.sub(r'[^a-z0-9]+', '_', device.lower()).strip('_')}"
    before = out / f"{name}.json"
    kept = json.loads(before.read_text())["rows"] if before.exists() else []
    rows_now = record.merged(kept, found, "row")
    machine = record.machine(1)
    driver = driver_version()
    notes = _NOTES.format(
        device=device,
        driver=driver,
        flavour=flavour.value,
        runs=RUNS,
        warm_up=WARM_UP,
        machine=record.describe(machine),
    )
    heading = ["network", "frames", "precision", *(c.replace("_", " ") for c in COLUMNS), "caller", "steps", "PSNR dB"]
    facts = {"machine": machine, "device": device, "driver": driver, "rows": rows_now}
    record.write(name, facts, f"Engines on {device}", notes, [heading, *map(cells, rows_now)], folder=out)


def driver_version() -> str:
    """What nvidia-smi says, which a Jetson may lack."""
    if not shutil.which("nvidia-smi"):
        return "unknown"
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    return subprocess.run(query, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


def _installed() -> Flavour:
    return Flavour.TENSORRT if importlib.util.find_spec("tensorrt") else Flavour.RTX


def main() -> None:
    """See the module."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("models", nargs="*", default=MODELS)
    options.add_argument("--sizes", nargs="+", choices=SIZES, default=["720p"])
    options.add_argument("--flavour", type=Flavour, choices=list(Flavour), default=_installed())
    options.add_argument("--out", type=Path, default=record.RESULTS)
    chosen = options.parse_args()
    gpus = find_gpus()
    if not gpus.found:
        raise SystemExit(f"expected an NVIDIA GPU: {gpus.detail}")
    found: list[record.Row] = []
    for name in chosen.models:
        for size in chosen.sizes:
            for row in rows(name, size, chosen.flavour):
                found.append(row)
                save(chosen.out, found, chosen.flavour, gpus.found[0].name)


if __name__ == "__main__":
    main()
