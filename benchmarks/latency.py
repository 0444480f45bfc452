"""How long does each network take on this machine, frames in to frames out? `tweenrt profile` as a table.

    python benchmarks/latency.py [MODEL ...] [--sizes 720p 1080p] [--backend onnxruntime] [--threads N] [--runs N]
                                 [--warmup N]

Updates results/latency.json and .md for the named networks (for all that draw, without a name). What is on record of
the other networks, sizes and backends stays. Each row is a process of its own, so that its memory is its own. Random
weights: the times of networks with masks hold for what those weights mask. (The file is not called profile.py: from
this folder that name would hide the module of the standard library that PyTorch imports.)
"""

from __future__ import annotations

import argparse
import json
import os
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import record

from tweenrt.contract import Kind
from tweenrt.errors import TweenrtError
from tweenrt.runtime import Backend
from tweenrt.runtime.profiling.profile import Profile, ProfileOptions, profile

NAME = "latency"
SIZES = {"480p": (480, 854), "720p": (720, 1280), "1080p": (1080, 1920)}
KEY = "row"

_NOTES = """
One interval of a clip at factor 2: the next source frame is made ready (and encoded, where the network has an encoder)
and one new frame is drawn; uint8 frames in and out, FP32, random weights, a smooth random scene. Milliseconds on the
clock; CPU is processor time over all threads, which other programs disturb less. *Around* is what the runtime does
outside of the graphs. Memory is the peak of the process.

- `p99` of fewer than 100 intervals is the longest; `n` says how many there were.
- Networks that differ in their weights only have one row: rife-4.0 for 4.1, and so on through the releases of
  `export/models/rife_v4.py`; ugsp for ugsp-distill.
- The longest module is that of the tree's first level, with its share of the time of all layers.
- `on`: the machine and the day, below. Rows of different machines cannot be compared, nor can those of RIFE and EMA-VFI
  from before 2026-12-01 and from after it, when `WarpResize` came (`plugins/warp_resize/README.md`). On C, tests ran
  beside most rows: times are up to twice those of an idle machine. Where a process was killed, that was before memory
  was given back after the first run for a size; AMT-S at 1080p has fitted since.
- `load`: processes that wanted a core on average in the minute before; above the number of cores, other programs took
  part of the time, and only CPU can be compared. Where the process was bound to some of the cores, other programs were
  bound to the others.
- Measured on:

{machines}
"""


def row_of(name: str, size: str, options: ProfileOptions) -> record.Row:
    """What is measured of one network at one size, in a process of its own; a row that says why where it cannot."""
    backend = options.backend.value
    known: record.Row = {KEY: f"{name} {size} {backend}", "model": name, "size": size, "backend": backend}
    known["threads"] = options.threads
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        try:
            return known | process.submit(_measured, options).result()
        except BrokenProcessPool:
            memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
            return known | {"refused": f"the process was killed; the machine has {memory / 1e9:.0f} GB of memory"}


def _measured(options: ProfileOptions) -> record.Row:
    machine = record.machine(options.threads or 0)
    try:
        return _figures(profile(options)) | {"load": machine["load_average"][0], "machine": machine}  # type: ignore[index]
    except TweenrtError as error:
        return {"refused": str(error)}


def _figures(found: Profile) -> record.Row:
    modules = found.layers.modules if found.layers else ()
    return {
        "n": found.interval.count,
        "p50": round(found.interval.p50, 1),
        "p90": round(found.interval.p90, 1),
        "p99": round(found.interval.p99, 1),
        "cpu": round(found.cpu.p50, 1),
        "around": round(found.around_ms, 1),
        "peak_mb": round(found.memory.peak / 1e6),
        "longest": f"{modules[0].name} ({modules[0].share:.0%})" if modules else "",
        "warnings": list(found.warnings),
    }


def write(rows: list[record.Row]) -> None:
    """Write both files."""
    from tweenrt.export import registry

    order = registry.names()
    rows.sort(key=lambda row: (order.index(str(row["model"])), list(SIZES).index(str(row["size"])), str(row[KEY])))
    machines = _machines(rows)
    columns = ("on", "threads", "n", "p50", "p90", "p99", "cpu", "around", "peak_mb", "load", "longest")
    table = [["model", "size", "backend", *columns[:-3], "peak MB", "load", "longest module"]]
    for row in rows:
        known = row | {"on": machines.get(_machine(row), "")}
        cells = (
            [str(known[c]) for c in columns]
            if "refused" not in row
            else [""] * (len(columns) - 1) + [str(row["refused"])]
        )
        table.append([str(row[c]) for c in ("model", "size", "backend")] + cells)
    listed = (f"  - {letter}: {machine}" for machine, letter in machines.items() if machine)
    notes = _NOTES.format(machines="\n".join(listed))
    record.write(NAME, {"rows": rows}, "Latency of `tweenrt profile`", notes, table)


def recorded() -> list[record.Row]:
    """The rows on record."""
    path: Path = record.RESULTS / f"{NAME}.json"
    found: list[record.Row] = json.loads(path.read_text())["rows"] if path.exists() else []
    return found


def _machines(rows: list[record.Row]) -> dict[str, str]:
    """Machine → the letter that stands for it, in the order of the days on which they measured."""
    days = {_machine(row): str(dict(row["machine"])["date"]) for row in rows if "machine" in row}  # type: ignore[call-overload]
    return dict(zip(sorted(days, key=lambda machine: (days[machine], machine)), ascii_uppercase, strict=False))


def _machine(row: record.Row) -> str:
    """The machine of a row in words, without how busy it was, which has a column of its own; empty if unknown."""
    if "machine" not in row:
        return ""
    facts = {name: value for name, value in dict(row["machine"]).items() if name != "load_average"}  # type: ignore[call-overload]
    return record.describe(facts)


def _arguments() -> Any:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("models", nargs="*", metavar="MODEL")
    options.add_argument("--sizes", nargs="+", choices=list(SIZES), default=["720p", "1080p"])
    options.add_argument("--backend", type=Backend, choices=list(Backend), default=Backend.ONNXRUNTIME)
    options.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options.add_argument("--runs", type=int, default=10, help="intervals at least")
    options.add_argument("--warmup", type=int, help="intervals before; without it, until the times hold still")
    return options.parse_args()


def main() -> None:
    """Measure, write, print. What makes graphs is imported here: the measuring process is to stay without PyTorch."""
    from tweenrt.export import registry
    from tweenrt.export.prepare import prepare_random_graph

    chosen = _arguments()
    drawing = [name for name in registry.names() if Kind.PAIR in registry.get(name).kinds]
    for name in chosen.models or drawing:
        graph = prepare_random_graph(name, lambda text, name=name: print(f"{name}: {text}", flush=True))  # type: ignore[misc]
        for size in chosen.sizes:
            options = ProfileOptions(
                graph,
                SIZES[size],
                backend=chosen.backend,
                threads=chosen.threads,
                runs=chosen.runs,
                warmup=chosen.warmup,
            )
            write(record.merged(recorded(), [row_of(name, size, options)], key=KEY))


if __name__ == "__main__":
    main()
