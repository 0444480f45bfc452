"""The tables of a profile as text, for the command line and for the report: a title row, then rows of cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from tweenrt.runtime.profiling.layers import LayerReport, ModuleTime
from tweenrt.runtime.profiling.profile import Profile
from tweenrt.runtime.profiling.sessions import PartTime
from tweenrt.runtime.profiling.spread import Spread

Rows = list[list[str]]
_NONE = "-"
_DEPTH = 2


def title(found: Profile) -> str:
    """What was measured, in a line."""
    threads = "" if found.threads is None else f", {found.threads} thread{'s' if found.threads > 1 else ''}"
    return (
        f"{found.model}, {found.precision}, {found.size[0]}x{found.size[1]}, factor {found.factor}, "
        f"{found.executed_by}{threads}"
    )


def times(found: Profile) -> Rows:
    """Every time that was measured, in milliseconds."""
    rows = [["ms", "n", "p50", "p90", "p99", "min", "max", "mean", "std"]]
    rows.append(_spread(f"one interval, {found.drawn_per_interval} new", found.interval))
    for part in found.parts:
        rows += _part(part)
    rows.append(["  around the graphs", *[""] * 6, f"{found.around_ms:.2f}", ""])
    rows.append(_spread("processor time, all threads", found.cpu))
    return rows


def conclusion(found: Profile) -> str:
    """What that means for a video."""
    source, target = found.rate / found.factor, found.rate
    return (
        f"{found.ms_per_drawn_frame:.2f} ms for each new frame, {found.drawn_frames_per_second:.2f} of them a second. "
        f"{source:g} to {target:g} fps: {found.real_time:.2f} times real time, {found.late} of {len(found.samples)} "
        f"intervals took more than {found.budget_ms:.1f} ms."
    )


def memory(found: Profile) -> Rows:
    """Of the process and of the GPU, in 1e6 bytes."""
    held = [f"{part.part} on the GPU" for part in found.parts if part.device_bytes is not None]
    bytes_held = [part.device_bytes for part in found.parts if part.device_bytes is not None]
    of = found.memory
    return [
        ["MB", "peak", "growth", "before loading", "loaded", "after the runs", *held],
        ["resident", *(f"{size / 1e6:.0f}" for size in (of.peak, of.growth, of.before_load, of.after_load))]
        + [f"{size / 1e6:.0f}" for size in (of.after_runs, *bytes_held)],
    ]


def energy(found: Profile) -> Rows:
    """Each source of power that was read; no rows but the title where there is none."""
    rows = [["source", "W", "J", "J for each new frame", "samples", "covers"]]
    for one in found.energy:
        if one.watts is None or one.joules is None or one.joules_per_frame is None:
            continue
        figures = [f"{one.watts:.2f}", f"{one.joules:.2f}", f"{one.joules_per_frame:.3f}", str(one.samples)]
        rows.append([one.source, *figures, one.covers])
        if len(one.rails) > 1:
            rows += [[f"  {rail}", "", f"{joules:.2f}", "", "", ""] for rail, joules in one.rails.items()]
    return rows


def not_measured(found: Profile) -> str:
    """Which sources of power are not there, and why; empty if all are."""
    reasons = [f"{one.source} ({one.reason})" for one in found.energy if one.reason]
    return f"Power not measured: {'; '.join(reasons)}." if reasons else ""


def layer_sums(found: Profile) -> str:
    """How far the layers add up to a run; a session that times its layers is slower than one that does not."""
    sums = found.layers.ms_per_run if found.layers else {}
    parts = [f"{p.part} {sums[p.part]:.2f} ms of {p.mean:.2f}" for p in found.parts if p.part in sums]
    return f"Layers add up to, of a run without timing them: {'; '.join(parts)}." if parts else ""


def layers(report: LayerReport, most: int | None = None) -> Rows:
    """The longest layers."""
    rows = [["layer", "kind", "graph", "ms", "share", "GMACs", "MB", "GMAC/s"]]
    for row in report.rows[:most]:
        measured = [f"{row.ms:.3f}", f"{row.share:.1%}"]
        counted = [_or_none(row.gmacs, ".3f"), _or_none(row.megabytes, ".1f"), _or_none(row.gmacs_per_second, ".1f")]
        rows.append([row.name, row.op, row.part, *measured, *counted])
    return rows


def modules(tree: Sequence[ModuleTime], most: int | None = None) -> Rows:
    """The modules and what is in them, two levels of the tree; the rest of each level together."""
    return [["module", "ms for each interval", "share"], *_level(tree, 0, most)]


def machine(found: Profile) -> Rows:
    """Where it was measured."""
    facts = asdict(found.machine)
    return [["", ""], *([name.replace("_", " "), _plain(value)] for name, value in facts.items() if value)]


def _part(part: PartTime) -> Rows:
    often = "" if part.runs_per_interval == 1 else f", {part.runs_per_interval:g} an interval"
    where = " alone" if part.alone else ""
    rows = [_spread(f"  {part.part}{where}{often}", part.host)]
    if part.device is not None:
        rows.append(_spread("    on the GPU", part.device))
    return rows


def _spread(name: str, spread: Spread) -> list[str]:
    figures = (spread.p50, spread.p90, spread.p99, spread.minimum, spread.maximum, spread.mean, spread.std)
    return [name, str(spread.count), *(f"{value:.2f}" for value in figures)]


def _level(tree: Sequence[ModuleTime], depth: int, most: int | None) -> Rows:
    rows = []
    for module in tree[:most]:
        rows.append(_module(depth, module.name, module.ms_per_interval, module.share))
        if depth + 1 < _DEPTH:
            rows += _level(module.children, depth + 1, most)
    rest = [] if most is None else tree[most:]
    if rest:
        left = sum(module.ms_per_interval for module in rest), sum(module.share for module in rest)
        rows.append(_module(depth, f"{len(rest)} more", *left))
    return rows


def _module(depth: int, name: str, ms: float, share: float) -> list[str]:
    return ["  " * depth + name, f"{ms:.2f}", f"{share:.1%}"]


def _or_none(value: float | None, form: str) -> str:
    return _NONE if value is None else format(value, form)


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {version}" for name, version in value.items())
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


__all__ = [
    "Rows",
    "conclusion",
    "energy",
    "layer_sums",
    "layers",
    "machine",
    "memory",
    "modules",
    "not_measured",
    "times",
    "title",
]
