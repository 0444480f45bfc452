"""`tweenrt estimate`: what can a device not reach, before it is bought or flashed?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table

from tweenrt.cli.console import print_json, step, tables
from tweenrt.contract import parse_size
from tweenrt.errors import UsageError, require
from tweenrt.runtime.estimate.devices import Precision, device
from tweenrt.runtime.estimate.graph_cost import Cost, Workload, cost, layers_of, open_graphs
from tweenrt.runtime.estimate.roofline import NEW_BUDGET_MS, SOURCE_BUDGET_MS, Bound, Estimate, Timed
from tweenrt.runtime.estimate.roofline import estimate as estimate_layers

_ROWS = 10
_BOUND = (
    "A bound, not a forecast: no kernel reaches the full rate of a GPU, and launches, copies, decoding and encoding "
    "come on top. Nothing was run."
)
_BUDGETS = {
    "30 to 60 fps, one new frame for each source frame": SOURCE_BUDGET_MS,
    "60 new frames a second": NEW_BUDGET_MS,
}
_WAYS = {
    Bound.COMPUTE: "fewer multiplications (pruning, a sparser mask) or INT8 would help, a faster memory would not",
    Bound.MEMORY: "fewer bytes (fusion, a smaller type) would help, a faster tensor core would not",
}


def estimate(
    graph: Annotated[
        str,
        typer.Argument(
            metavar="GRAPH|MODEL",
            help="A graph (ONNX file or split folder) if that exists, else a model of `tweenrt models`.",
        ),
    ],
    device_name: Annotated[
        str, typer.Option("--device", metavar="NAME", help="Such as orin-nano, orin-agx, thor, rtx3060, rtx5090, h200.")
    ],
    size: Annotated[
        str, typer.Option(metavar="HEIGHTxWIDTH", help="Of the frames in pixels, such as 720x1280 or 720p.")
    ],
    precision: Annotated[Precision, typer.Option(help="Of the engine.")] = Precision.FP16,
    density: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of the pixels that mask-guided convolutions compute.")
    ] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as an object.")] = False,
) -> None:
    """Give a lower bound of the time for one new frame, and the layers that it comes from.

    A roofline: a layer takes at least its arithmetic at the device's full rate, and its traffic at full bandwidth.
    """
    require("onnx", extra="report", why="Estimating a graph")
    found = device(device_name)
    work = Workload(_size(size), precision, density)
    costs = [cost(part, work) for part in open_graphs(_graph(graph))]
    bound = estimate_layers(layers_of(costs), found)
    if as_json:
        print_json(_facts(bound, costs, work))
        return
    console = tables()
    console.print(_title(bound, costs, work))
    console.print(_table(bound))
    for line in _conclusions(bound):
        console.print(line, soft_wrap=True)


def _graph(name: str) -> Path:
    path = Path(name)
    if path.exists() or path.suffix == ".onnx" or "/" in name:
        return path
    require("torch", extra="export", why=f"Making a graph of the model {name!r}")
    from tweenrt.export.prepare import prepare_random_graph

    return prepare_random_graph(name, step)


def _size(text: str) -> tuple[int, int]:
    try:
        return parse_size(text)
    except ValueError as error:
        raise UsageError(f"--size: {error}") from error


def _title(bound: Estimate, costs: list[Cost], work: Workload) -> str:
    seen = "" if costs[0].padded == work.size else f", padded to {_by(costs[0].padded)}"
    return f"{costs[0].graph.info.model}, {work.precision.value}, {_by(work.size)}{seen}, on {bound.device.title}"


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _table(bound: Estimate) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("\nmodule", overflow="fold")
    table.add_column("\nits slowest layer", overflow="fold")
    for title in ("\nGMACs", "\nMB", "compute\nms", "memory\nms", "at least\nms", "\nshare"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("bound\nby", no_wrap=True)
    modules = bound.modules()
    for module in modules[:_ROWS]:
        table.add_row(*_cells(bound, module))
    rest = len(modules) - _ROWS
    if rest > 0:
        left = sum(bound.share(module) for module in modules[_ROWS:])
        table.add_row(f"{rest} more", "", "", "", "", "", "", f"{left:.1%}", "")
    return table


def _cells(bound: Estimate, module: Timed) -> tuple[str, ...]:
    count = f" ({len(module.layers)} layers)" if len(module.layers) > 1 else ""
    return (
        module.name + count,
        module.layers[0].what,
        f"{module.macs / 1e9:.2f}",
        f"{module.moved_bytes / 1e6:.1f}",
        f"{module.arithmetic_ms:.3f}",
        f"{module.memory_ms:.3f}",
        f"{module.ms:.3f}",
        f"{bound.share(module):.1%}",
        module.bound.value,
    )


def _conclusions(bound: Estimate) -> list[str]:
    least = (
        f"One new frame takes at least {bound.ms:.2f} ms layer by layer: {bound.arithmetic_ms:.2f} ms of arithmetic, "
        f"{bound.memory_ms:.2f} ms of memory traffic; {bound.overlapped_ms:.2f} ms if all of it overlapped."
    )
    first = [f"First to attack: {module.name}, {_reason(bound, module)}." for module in bound.modules()[:1]]
    verdicts = [f"{goal} ({ms:.1f} ms each): {bound.verdict(ms).value}." for goal, ms in _BUDGETS.items()]
    return [least, *first, *verdicts, _BOUND]


def _reason(bound: Estimate, module: Timed) -> str:
    return f"{bound.share(module):.1%} of the bound, {module.bound.value}-bound: {_WAYS[module.bound]}"


def _facts(bound: Estimate, costs: list[Cost], work: Workload) -> dict[str, Any]:
    modules = bound.modules()
    return {
        "model": costs[0].graph.info.model,
        "graphs": [
            {"path": str(c.graph.path), "kind": c.graph.info.kind.value, "not_counted": dict(c.uncounted)}
            for c in costs
        ],
        "device": asdict(bound.device),
        "size": work.size,
        "padded": costs[0].padded,
        "precision": work.precision.value,
        "density": work.density,
        "ms": bound.ms,
        "overlapped_ms": bound.overlapped_ms,
        "arithmetic_ms": bound.arithmetic_ms,
        "memory_ms": bound.memory_ms,
        "verdicts": [
            {"goal": goal, "budget_ms": ms, "verdict": bound.verdict(ms).value} for goal, ms in _BUDGETS.items()
        ],
        "first_to_attack": {"module": modules[0].name, "why": _reason(bound, modules[0])} if modules else None,
        "modules": [_row(bound, module) for module in modules],
        "layers": [_row(bound, layer) for layer in bound.layers],
        "remark": _BOUND,
    }


def _row(bound: Estimate, part: Timed) -> dict[str, Any]:
    return {
        "name": part.name,
        "layers": len(part.layers),
        "slowest": part.layers[0].what,
        "macs": part.macs,
        "weight_bytes": sum(layer.weight_bytes for layer in part.layers),
        "activation_bytes": sum(layer.activation_bytes for layer in part.layers),
        "arithmetic_ms": part.arithmetic_ms,
        "memory_ms": part.memory_ms,
        "ms": part.ms,
        "share": bound.share(part),
        "bound": part.bound.value,
    }
