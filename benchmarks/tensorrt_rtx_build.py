"""Which graphs does the TensorRT-RTX parser take, and does its builder make a plan of them? No GPU needed.

    pip install tensorrt-rtx
    python benchmarks/tensorrt_rtx_build.py [MODEL ...]

Writes results/tensorrt_rtx_build.json and .md: for every graph of every network, the layers, the seconds, the size of
the plan, and where it fails the operator that blocks it. Graphs carry their portable bodies; no plugin is loaded.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import record
import tensorrt_rtx as trt

from tweenrt.contract import Kind
from tweenrt.export import registry
from tweenrt.export.checkpoint import load_random
from tweenrt.export.exporter import export
from tweenrt.export.options import ExportOptions

SIDE = (128, 192)


@dataclass
class Outcome:
    """What became of one graph."""

    model: str
    graph: str
    size: str
    layers: int = 0
    seconds: float = 0.0
    plan_kib: int = 0
    blocked_by: str = ""


class Tap(trt.ILogger):
    """Keeps error messages instead of printing them."""

    def __init__(self) -> None:
        trt.ILogger.__init__(self)
        self.errors: list[str] = []

    def log(self, severity: trt.ILogger.Severity, message: str) -> None:
        """Called by TensorRT."""
        if severity <= trt.ILogger.ERROR:
            self.errors.append(message)


def build(path: Path, outcome: Outcome) -> Outcome:
    """Parse and build one file, and note how it went."""
    tap = Tap()
    builder = trt.Builder(tap)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, tap)
    start = time.perf_counter()
    if not parser.parse_from_file(str(path)):
        errors = [parser.get_error(i) for i in range(parser.num_errors)]
        outcome.blocked_by = "parser: " + "; ".join(sorted({_named(e.desc()) for e in errors}))
        return outcome
    outcome.layers = network.num_layers
    plan = builder.build_serialized_network(network, builder.create_builder_config())
    outcome.seconds = round(time.perf_counter() - start, 1)
    if plan is None:
        outcome.blocked_by = "builder: " + (tap.errors[0].splitlines()[0][:120] if tap.errors else "no message")
    else:
        outcome.plan_kib = plan.nbytes // 1024
    return outcome


def _named(text: str) -> str:
    """The part of a parser's message that says what is missing, in one line."""
    return re.sub(r"\s+", " ", text)[:120]


def graphs(name: str, folder: Path) -> Iterator[tuple[Path, Outcome]]:
    """Every graph of a network, exported with seeded weights at the smallest size of at least `SIDE`."""
    spec = registry.get(name)
    height, width = (-(-side // spec.divisor) * spec.divisor for side in SIDE)
    loaded = load_random(spec, 1)
    for kinds in ((Kind.PAIR,), tuple(k for k in spec.kinds if k is not Kind.PAIR)):
        if not kinds or not set(kinds) <= set(spec.kinds):
            continue
        out = folder / "one.onnx" if len(kinds) == 1 else folder / "parts"
        for result in export(loaded, ExportOptions(kinds=kinds, size=(height, width), batch=1), out):
            yield result.path, Outcome(name, result.info.kind.value, f"{height}x{width}")


def main() -> None:
    wanted = sys.argv[1:] or registry.names()
    machine = record.machine(threads=2) | {"tensorrt_rtx": trt.__version__}
    outcomes = []
    for name in wanted:
        with tempfile.TemporaryDirectory() as folder:
            for path, outcome in graphs(name, Path(folder)):
                outcomes.append(build(path, outcome))
                print(outcomes[-1], flush=True)
    rows = [["model", "graph", "size", "layers", "seconds", "plan KiB", "blocked by"]]
    rows += [[str(v) for v in asdict(o).values()] for o in outcomes]
    notes = f"TensorRT-RTX {trt.__version__}, FP32, static size, N = 1. {record.describe(machine)}"
    facts = {"machine": machine, "graphs": [asdict(o) for o in outcomes]}
    record.write("tensorrt_rtx_build", facts, "Graphs in TensorRT-RTX", notes, rows)


if __name__ == "__main__":
    main()
