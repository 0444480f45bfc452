"""What can each network not reach on each device? The lower bounds of `tweenrt estimate` as a table. No GPU needed.

    python benchmarks/estimate.py [MODEL ...]

Updates results/estimate.json and .md for the named networks (for all that draw frames, without a name: about an hour),
at 720p and 1080p, in FP16. What is on record of the other networks stays. Nothing is measured: the figures follow from
the graphs and from runtime/estimate/devices.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import record

from tweenrt.contract import Kind
from tweenrt.errors import GraphError
from tweenrt.export import registry
from tweenrt.export.prepare import prepare_random_graph
from tweenrt.runtime.estimate.devices import Precision, device
from tweenrt.runtime.estimate.graph_cost import Workload, cost, layers_of, open_graphs
from tweenrt.runtime.estimate.roofline import NEW_BUDGET_MS, SOURCE_BUDGET_MS, Estimate, Verdict, estimate

NAME = "estimate"
SIZES = {"720p": (720, 1280), "1080p": (1080, 1920)}
DEVICES = ("orin-nano-super", "orin-nx", "orin-agx", "thor", "rtx3060", "rtx4090", "rtx5090", "h200")
FIRST = ("orin-nx", "rtx4090")
"""The devices that the columns of first layers are of: one embedded, one for a desktop."""
Figures = dict[str, float | str]
_WHOLE = 1000  # from so many milliseconds on without decimals

_NOTES = """
The least time for one new frame, in milliseconds, FP16, N = 1: each layer takes its arithmetic at the device's full
rate or its memory traffic at full bandwidth, whichever is longer, one layer after the other. **A bound, not a
forecast**: no kernel reaches these rates, and launches, layout changes, decoding and encoding come on top. Nothing here
was measured.

- **Bold**: 60 new frames a second (16.7 ms) are ruled out. **Bold and struck through**: so is 30 to 60 fps, one new
  frame for each source frame (33.3 ms). Plain: neither is ruled out, which promises nothing.
- Networks that can be cut are counted as they run: a frame is encoded once although it is part of two pairs. Sides are
  padded to the network's divisor. Networks that refine an earlier estimate ([D,R]) are counted with one run a frame.
- Tensors are counted through memory. On GPUs with 32 MB of cache or more they partly stay in it, and a layer can be
  faster than its memory time. `arithmetic_ms` in estimate.json is the bound for that case, and the verdicts there say
  `impossible` where it alone is too long, `cached_only` where it is not.
- GeForce cards are taken to sum in FP16, at twice the rate of FP32 sums, because TensorRT may.
- Mask-guided convolutions (UGSP) are counted dense.
- DBVI is counted as one graph, with four flows for every new frame; cut into `flow` and `refine`, the flows serve all
  new frames between the same two. RAFT alone draws no frame; it is part of DBVI.
- The last two columns are of {devices}: the module to attack first, how
  many layers it has and the longest of them, its share of the bound, and what it waits for.
- What counts is written in `runtime/estimate/graph_cost.py`; the figures of the devices, and where they are from, in
  `runtime/estimate/devices.json`.
"""


def rows_of(name: str) -> list[record.Row]:
    """The bounds of one network, a row for each size; one row that says why where its graph cannot be counted."""
    graphs = open_graphs(prepare_random_graph(name, lambda text: print(f"{name}: {text}", flush=True)))
    found = []
    for title, size in SIZES.items():
        try:
            costs = [cost(graph, Workload(size, Precision.FP16)) for graph in graphs]
        except GraphError as error:
            found.append({"model": name, "size": title, "refused": str(error).split(": ", 1)[-1]})
            continue
        layers = layers_of(costs)
        bounds = {each: estimate(layers, device(each)) for each in DEVICES}
        found.append(_row(name, title, costs[0].padded, bounds))
    return found


def _row(name: str, size: str, padded: tuple[int, int], bounds: dict[str, Estimate]) -> record.Row:
    layers = bounds[FIRST[0]].layers
    return {
        "model": name,
        "size": size,
        "padded": f"{padded[0]}x{padded[1]}",
        "gmacs": round(sum(layer.macs for layer in layers) / 1e9, 2),
        "megabytes": round(sum(layer.moved_bytes for layer in layers) / 1e6, 1),
        "bounds": {each: _figures(bound) for each, bound in bounds.items()},
        "first": {each: _first(bounds[each]) for each in FIRST},
    }


def _figures(bound: Estimate) -> Figures:
    return {
        "ms": round(bound.ms, 3),
        "overlapped_ms": round(bound.overlapped_ms, 3),
        "arithmetic_ms": round(bound.arithmetic_ms, 3),
        "memory_ms": round(bound.memory_ms, 3),
        "30_to_60": bound.verdict(SOURCE_BUDGET_MS).name.lower(),
        "60_new": bound.verdict(NEW_BUDGET_MS).name.lower(),
    }


def _first(bound: Estimate) -> Figures:
    module = bound.modules()[0]
    return {
        "module": module.name,
        "layers": len(module.layers),
        "longest": module.layers[0].what,
        "share": round(bound.share(module), 3),
        "waits_for": module.bound.value,
    }


def write(rows: list[record.Row]) -> None:
    """Write both files."""
    order = registry.names()
    rows.sort(key=lambda row: (order.index(str(row["model"])), list(SIZES).index(str(row["size"]))))
    table = [["model", "size", "GMACs", "MB", *DEVICES, *(f"first on {each}" for each in FIRST)]]
    table += [_cells(row) for row in rows]
    notes = _NOTES.format(devices=" and ".join(device(each).title for each in FIRST))
    record.write(NAME, {"precision": "fp16", "networks": rows}, "Lower bounds of `tweenrt estimate`", notes, table)


def _cells(row: record.Row) -> list[str]:
    if "refused" in row:
        return [str(row["model"]), str(row["size"]), "", "", *([""] * len(DEVICES)), str(row["refused"]), ""]
    bounds, first = dict(row["bounds"]), dict(row["first"])  # type: ignore[call-overload]
    return [
        *(str(row[key]) for key in ("model", "size", "gmacs", "megabytes")),
        *(_cell(bounds[each]) for each in DEVICES),
        *(_first_cell(first[each]) for each in FIRST),
    ]


def _cell(figures: Figures) -> str:
    ms = float(figures["ms"])
    text = f"{ms:.3g}" if ms < _WHOLE else f"{ms:.0f}"
    possible = Verdict.POSSIBLE.name.lower()
    if figures["60_new"] == possible:
        return text
    return f"**{text}**" if figures["30_to_60"] == possible else f"**~~{text}~~**"


def _first_cell(first: Figures) -> str:
    longest = f"x{first['layers']}, {first['longest']}"
    return f"{first['module']} ({longest}): {first['share']:.0%}, {first['waits_for']}"


def recorded() -> list[record.Row]:
    """The rows on record."""
    path: Path = record.RESULTS / f"{NAME}.json"
    found: list[record.Row] = json.loads(path.read_text())["networks"] if path.exists() else []
    return found


def main() -> None:
    drawing = [name for name in registry.names() if Kind.PAIR in registry.get(name).kinds]
    for name in sys.argv[1:] or drawing:
        write(record.merged(recorded(), rows_of(name), key="model"))


if __name__ == "__main__":
    main()
