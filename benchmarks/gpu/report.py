"""The two files of a result: everything as JSON, and what a reader wants as Markdown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from targets import LAYERS, Row, Verdict, bandwidth, break_even, dense_share, fastest, judged, right, rows, times_faster

# By the vendors' data sheets: GB/s of memory, dense TFLOP/s of FP16. The first name that occurs counts.
SHEETS = {
    "H200": (4800, 989),
    "H100": (3350, 989),
    "5090": (1792, 209),
    "4090": (1008, 165),
    "3090": (936, 71),
    "Thor": (273, 250),
    "Orin": (204.8, 42.5),
}
_NONE = "-"


def write(folder: Path, facts: dict[str, Any]) -> Path:
    """Write ``gpu_plugins_<device>.json`` and ``.md``, and return the latter."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"gpu_plugins_{facts['device']}.md"
    path.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")
    path.write_text(text(facts))
    return path


def text(facts: dict[str, Any]) -> str:
    """The Markdown file."""
    steps, emulator = facts["steps"], facts["emulator"]
    machine = next(iter(rows(steps, "machine")), {})
    parts = ["# The CUDA kernels on " + ("the emulator" if emulator else facts["device"])]
    if emulator:
        parts.append(
            "**No GPU was at hand. Every time below is that of the CPU emulator at tiny sizes and means nothing**; "
            "this run shows only that the script works from end to end."
        )
    parts += [_host(facts), _about(machine, facts.get("gpu", {})), _steps(steps)]
    parts.append(targets_table(judged(steps, emulator)))
    parts += [
        section for section in (_parity(steps), _sanitizer(steps), _speed(steps, machine), _density(steps)) if section
    ]
    return "\n\n".join(parts) + "\n"


def table(heading: list[str], lines: list[list[str]]) -> str:
    """Rows of cells as Markdown."""
    return "\n".join("| " + " | ".join(line) + " |" for line in (heading, ["---"] * len(heading), *lines))


def targets_table(verdicts: list[Verdict]) -> str:
    """Targets and verdicts."""
    return "## Targets\n\n" + table(["target", "verdict", "measured"], [list(v) for v in verdicts])


def _host(facts: dict[str, Any]) -> str:
    host = facts["host"]
    return f"{host['processor']}, {host['cores']} cores, Python {host['python']}, {facts['nvcc']}, {host['date']}."


def _about(machine: Row, gpu: dict[str, str]) -> str:
    """The machine: by its data sheet, and what it reaches."""
    if not machine:
        return "The machine was not measured."
    known = next((sheet for word, sheet in SHEETS.items() if word in machine.get("gpu", "")), None)
    lines = [
        ["copy, device to device, read + written", f"{machine['copy_gb_per_s']:.4g} GB/s", _sheet(known, 0, "GB/s")],
        [f"FP16 product of {8192}² matrices", f"{machine['product_tflops']:.4g} TFLOP/s", _sheet(known, 1, "TFLOP/s")],
        ["two events around nothing", f"{machine['empty']['us']} µs", _NONE],
    ]
    keys = ("gpu", "capability", "multiprocessors", "l2_bytes", "memory_bytes", "torch", "cuda_of_torch", "cudnn")
    found = {**{k: machine[k] for k in keys if k in machine}, **gpu}
    said = ", ".join(f"{k} {v}" for k, v in found.items())
    return f"{said}\n\n" + table(["what the machine reaches", "measured", "data sheet"], lines)


def _sheet(known: tuple[float, float] | None, which: int, unit: str) -> str:
    return f"{known[which]} {unit}" if known else "unknown"


def _steps(steps: dict[str, Row]) -> str:
    lines = [
        [
            step,
            f"{found['seconds']:.0f} s",
            "; ".join(filter(None, (found.get("failed"), found.get("not_run")))) or "done",
        ]
        for step, found in steps.items()
    ]
    return "## Steps\n\n" + table(["step", "took", "outcome"], [[c.replace("\n", " ")[:300] for c in x] for x in lines])


def _parity(steps: dict[str, Row]) -> str:
    keys = ("op", "passed", "wrong", "skipped")
    lines = [[*(str(r.get(k, _NONE)) for k in keys), *r.get("first_wrong", [""])[:1]] for r in rows(steps, "parity")]
    return "## Parity\n\n" + table([*keys, "first failure"], lines) if lines else ""


def _sanitizer(steps: dict[str, Row]) -> str:
    lines = [[r["tool"], str(r["launched"]), r.get("failed", "clean")[:200]] for r in rows(steps, "sanitizer")]
    return "## compute-sanitizer\n\n" + table(["tool", "launches", "outcome"], lines) if lines else ""


def _speed(steps: dict[str, Row], machine: Row) -> str:
    heading = [
        "op",
        "case",
        "format",
        "µs",
        "spread",
        "MB",
        "of the copy",
        "TFLOP/s",
        "right",
        "fastest in torch",
        "µs",
        "faster",
    ]
    lines = [_line(r, machine) for r in rows(steps, "speed")]
    return "## Times\n\n" + table(heading, lines) if lines else ""


def _line(row: Row, machine: Row) -> list[str]:
    if "failed" in row:
        return [
            row["op"],
            str(row["sizes"]),
            row["format"],
            f"FAILED: {row['failed'].splitlines()[0][:80]}",
            *[_NONE] * 8,
        ]
    best, took = fastest(row), row["kernel"]
    return [
        *(row["op"], row["case"], row["format"], f"{took['us']:.1f}", f"{took['spread_percent']:.0f} %"),
        f"{row['moved'] / 1e6:.1f}",
        f"{bandwidth(row, machine):.0%}" if machine else _NONE,
        f"{row['operations'] / took['us'] / 1e6:.1f}{_of_product(row, machine)}" if row["operations"] else _NONE,
        "yes" if right(row) else f"NO: error {row['error']:.1e}, {row['off']:.1e} off",
        *((best[0], f"{best[1]:.1f}", f"{times_faster(row):.2f}") if best else (_NONE,) * 3),
    ]


def _of_product(row: Row, machine: Row) -> str:
    if not machine.get("product_tflops"):
        return ""
    return f" ({row['operations'] / row['kernel']['us'] / 1e6 / machine['product_tflops']:.0%} of the product)"


def _density(steps: dict[str, Row]) -> str:
    sweep = rows(steps, "density")
    parts = []
    for layer in dict.fromkeys(r["layer"] for r in sweep):
        found = [r for r in sweep if r["layer"] == layer]
        best = fastest(found[0])
        dense = f"dense: {best[0]}, {best[1]:.1f} µs" if best else "no dense time"
        said = break_even([(r["active"], dense_share(r)) for r in found])[1] if best else "no break-even"
        parts.append(f"### {layer}\n\n{dense}; {said}.\n\n{_shares(found)}")
    note = f"A layer counts with 1/{LAYERS} of the list, which so many layers share in UGSP."
    return f"## MaskedConv2d by active tiles\n\n{note}\n\n" + "\n\n".join(parts) if parts else ""


def _shares(found: list[Row]) -> str:
    heading = ["active tiles", "set pixels", "list µs", "convolution µs", "spread", "layer / dense"]
    lines = [
        [
            *(f"{r['active']:.0%}", f"{r['pixels']:.0%}", f"{r['list']['us']:.1f}", f"{r['kernel']['us']:.1f}"),
            *(f"{r['kernel']['spread_percent']:.0f} %", f"{dense_share(r):.2f}"),
        ]
        for r in found
    ]
    return table(heading, lines)
