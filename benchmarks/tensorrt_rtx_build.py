"""Which graphs does the TensorRT-RTX parser take, and does its builder make a plan of them? No GPU needed.

    pip install tensorrt-rtx
    python benchmarks/tensorrt_rtx_build.py [MODEL ...]

Updates results/tensorrt_rtx_build.json and .md: for every graph of the named networks (of all, without a name), the
layers, the seconds, the size of the plan, and where it fails the operator that blocks it. What is on record of the
other networks stays. Graphs carry their portable bodies; no plugin is loaded.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import record
import tensorrt_rtx as trt

from tweenrt.contract import Kind
from tweenrt.export import registry
from tweenrt.export.checkpoint import load_random
from tweenrt.export.exporter import export
from tweenrt.export.options import ExportOptions
from tweenrt.runtime.engines.tensorrt import Flavour, open_tensorrt

NAME = "tensorrt_rtx_build"
SIDE = (128, 192)
_MESSAGE = 200  # characters of a message


@dataclass
class Outcome:
    """What became of one graph."""

    model: str
    graph: str
    size: str
    layers: int = 0
    seconds: float = 0.0
    plan_kib: int = 0
    processor: str = field(default_factory=lambda: str(record.machine(threads=2)["processor"]))
    blocked_by: str = ""


def build(path: Path, outcome: Outcome) -> Outcome:
    """Parse and build one file, and note how it went."""
    rtx = open_tensorrt(Flavour.RTX)
    start = time.perf_counter()
    with rtx.listening() as (logger, log):
        builder = trt.Builder(logger)
        network = rtx.network(builder)
        parser = rtx.parser(network, logger, prefer_plugins=False)
        if not parser.parse_from_file(str(path)):
            found = {_refusal(parser.get_error(i)) for i in range(parser.num_errors)}
            outcome.blocked_by = "parser: " + "; ".join(sorted(found))
            return outcome
        outcome.layers = network.num_layers
        plan = builder.build_serialized_network(network, builder.create_builder_config())
    outcome.seconds = round(time.perf_counter() - start, 1)
    if plan is None:
        outcome.blocked_by = "builder: " + (_line(log.errors[0]) if log.errors else "no message")
    else:
        outcome.plan_kib = plan.nbytes // 1024
    return outcome


def _refusal(error: trt.ParserError) -> str:
    """What the parser refuses, in which op of ours, and why."""
    operator = error.node_operator() or error.func().removeprefix("import")
    ours = "".join(f" in {entry.split('(')[-1].rstrip(')')}" for entry in error.local_function_stack())
    return f"{operator}{ours}: {_line(error.desc())}"


def _line(text: str) -> str:
    """The start of a message, in one line; what stands in square brackets repeats where it was raised."""
    return re.sub(r"\s+", " ", re.sub(r"\[[^]]*\]", "", text)).strip()[:_MESSAGE]


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
    before = recorded()
    outcomes = []
    for name in sys.argv[1:] or registry.names():
        with tempfile.TemporaryDirectory() as folder:
            for path, outcome in graphs(name, Path(folder)):
                outcomes.append(build(path, outcome))
                print(outcomes[-1], flush=True)
    write(record.merged(before, [asdict(o) for o in outcomes], key="model"))


def recorded() -> list[record.Row]:
    """The graphs on record.

    Raises:
        SystemExit: they were built by another version; one table must not mix the two.
    """
    path = record.RESULTS / f"{NAME}.json"
    facts = json.loads(path.read_text()) if path.exists() else {"machine": {}, "graphs": []}
    version = facts["machine"].get("tensorrt_rtx", trt.__version__)
    if sys.argv[1:] and version != trt.__version__:
        raise SystemExit(f"{path} is of TensorRT-RTX {version}, this is {trt.__version__}; run without names")
    graphs: list[record.Row] = facts["graphs"]
    return graphs


def write(outcomes: list[record.Row]) -> None:
    """Write both files; the machine on record is that of the last run."""
    machine = record.machine(threads=2) | {"tensorrt_rtx": trt.__version__}
    outcomes.sort(key=lambda o: registry.names().index(str(o["model"])))
    rows = [["model", "graph", "size", "layers", "seconds", "plan KiB", "processor", "blocked by"]]
    rows += [[str(v) for v in o.values()] for o in outcomes]
    built = sum(not o["blocked_by"] for o in outcomes)
    notes = (
        f"{built} of {len(outcomes)} graphs build. TensorRT-RTX {trt.__version__}, FP32, static size, N = 1. Networks "
        "are recorded one by one, on machines that did other work beside it: the seconds say what to expect, and no "
        f"more. The last run: {record.describe(machine)}"
    )
    record.write(NAME, {"machine": machine, "graphs": outcomes}, "Graphs in TensorRT-RTX", notes, rows)


if __name__ == "__main__":
    main()
