"""The plots of a profile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tweenrt.runtime.profiling.layers import LayerReport, ModuleTime
from tweenrt.runtime.profiling.profile import Profile
from tweenrt.runtime.profiling.svg import drawn

_TOP = 15
_WIDTH, _HEIGHT = 9.0, 3.2  # inches; the page scales them
_ROW = 0.27
_INK, _WARM, _MARKS = "#1f5f99", "#b8b8b8", ("#2a9d5c", "#d98c00", "#c0392b")
_SMALLEST_LABEL = 0.04  # share of the width in which a name fits


def plots(found: Profile) -> dict[str, str]:
    """Title → SVG element, for everything that there is something to show of.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    titles: dict[str, tuple[float, Callable[[Any], None]]] = {
        "Time of each interval": (_HEIGHT, lambda axes: _over_time(axes, found)),
        "How the times are distributed": (_HEIGHT, lambda axes: _distribution(axes, found)),
    }
    layers = found.layers
    if layers is not None and layers.rows:
        rows = min(_TOP, len(layers.rows))
        titles["The longest layers"] = (1 + _ROW * rows, lambda axes: _longest(axes, layers))
        titles["Modules and what is in them"] = (_HEIGHT, lambda axes: _modules(axes, layers.modules))
    return {title: drawn(title, (_WIDTH, height), draw) for title, (height, draw) in titles.items()}


def _over_time(axes: Any, found: Profile) -> None:
    warm, taken = found.warmup.milliseconds, found.samples
    axes.plot(range(-len(warm), 0), warm, ".-", color=_WARM, label="warm-up")
    axes.plot(range(len(taken)), taken, ".-", color=_INK, label="measured")
    _mark_percentiles(axes.axhline, found)
    axes.axhline(found.budget_ms, color="black", linestyle=":", label=f"real time {found.budget_ms:.1f}")
    axes.set_xlabel("interval")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_ylabel("ms")
    axes.set_ylim(bottom=0)
    _legend(axes)


def _distribution(axes: Any, found: Profile) -> None:
    axes.hist(found.samples, bins="auto", color=_INK, alpha=0.5)
    axes.set_xlabel("ms")
    axes.set_ylabel("intervals")
    _mark_percentiles(axes.axvline, found)
    ordered, count = sorted(found.samples), len(found.samples)
    shares = axes.twinx()
    shares.step(ordered, [100 * (k + 1) / count for k in range(count)], where="post", color="black", linewidth=1)
    shares.set_ylim(0, 105)
    shares.set_ylabel("% took no longer")
    _legend(axes)


def _longest(axes: Any, layers: LayerReport) -> None:
    rows = layers.rows[:_TOP][::-1]
    names = [_printable(f"{row.name} ({row.op})" if row.op != row.name else row.name) for row in rows]
    bars = axes.barh(range(len(rows)), [row.ms_per_interval for row in rows], color=_INK)
    axes.bar_label(bars, [f"{row.share:.1%}" for row in rows], padding=3, fontsize=7)
    axes.set_yticks(range(len(rows)), names, fontsize=7)
    axes.margins(x=0.1, y=0.01)
    axes.set_xlabel("ms for each interval")


def _modules(axes: Any, modules: Sequence[ModuleTime]) -> None:
    """Each module is as wide as its share; below it lies what it is made of."""
    for depth, row in enumerate(_rows(modules)):
        for start, module in row:
            shade = ("#8fb8dd", "#b7d3ea", "#dbe9f5")[depth]
            axes.barh(-depth, module.share, left=start, height=0.96, color=shade, edgecolor="white")
            if module.share > _SMALLEST_LABEL:
                text = f"{_shortened(module)}\n{module.share:.0%}"
                axes.text(start + module.share / 2, -depth, text, ha="center", va="center", fontsize=7)
    axes.set_xlim(0, 1)
    axes.set_axis_off()


def _rows(modules: Sequence[ModuleTime]) -> list[list[tuple[float, ModuleTime]]]:
    """Three levels of the tree: where each module begins, as a share of the whole."""
    rows: list[list[tuple[float, ModuleTime]]] = [_beside(modules, 0.0)]
    for _ in range(2):
        rows.append([child for start, module in rows[-1] for child in _beside(module.children, start)])
    return rows


def _beside(modules: Sequence[ModuleTime], start: float) -> list[tuple[float, ModuleTime]]:
    found = []
    for module in modules:
        found.append((start, module))
        start += module.share
    return found


def _shortened(module: ModuleTime) -> str:
    """The name, cut to what fits into the module's share of the width."""
    room = max(3, int(module.share * 120))
    name = _printable(module.name)
    return name if len(name) <= room else f"{name[: room - 1]}…"


def _printable(name: str) -> str:
    """A name from a graph without what SVG cannot hold."""
    return "".join(sign if sign.isprintable() else "?" for sign in name)


def _mark_percentiles(line: Callable[..., Any], found: Profile) -> None:
    spread = found.interval
    marks = {"p50": spread.p50, "p90": spread.p90, "p99": spread.p99}
    for (name, value), colour in zip(marks.items(), _MARKS, strict=True):
        line(value, color=colour, linestyle="--", linewidth=1, label=f"{name} {value:.1f}")


def _legend(axes: Any) -> None:
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.08, 1.0), frameon=False)


__all__ = ["plots"]
