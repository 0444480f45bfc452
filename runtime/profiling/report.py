"""A profile as one HTML file: tables, plots and all figures as JSON. It loads nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

from tweenrt.runtime.profiling import tables
from tweenrt.runtime.profiling.layers import LayerReport
from tweenrt.runtime.profiling.plots import plots
from tweenrt.runtime.profiling.profile import Profile, facts
from tweenrt.runtime.profiling.tables import Rows

_PAGE = Path(__file__).with_suffix(".html")


def report(found: Profile) -> str:
    """The page. Its element ``profile`` holds what `facts` gives.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    frames = f"frames of {found.frames}" if found.frames else "a random scene"
    return Template(_PAGE.read_text(encoding="utf-8")).substitute(
        title=escape(tables.title(found)),
        warnings=_paragraphs(found.warnings),
        times=_table(tables.times(found)),
        conclusion=escape(f"{tables.conclusion(found)} Measured on {found.graph} with {frames}."),
        plots="\n".join(f"<h2>{escape(title)}</h2>\n{svg}" for title, svg in plots(found).items()),
        memory=_table(tables.memory(found)),
        energy=f"{_table(tables.energy(found))}\n<p>{escape(tables.not_measured(found))}</p>",
        layers=_layers(found, found.layers) if found.layers else "",
        machine=_table(tables.machine(found)),
        json=_as_script(found),
    )


def _layers(found: Profile, layers: LayerReport) -> str:
    return (
        f"<h2>Layers</h2>\n{_paragraphs(layers.remarks)}\n<p>{escape(tables.layer_sums(found))}</p>\n"
        f"<details><summary>All {len(layers.rows)} layers, means over {layers.runs} runs</summary>\n"
        f"{_table(tables.layers(layers))}\n</details>\n"
        f"<details><summary>All modules</summary>\n{_table(tables.modules(layers.modules))}\n</details>"
    )


def _paragraphs(sentences: Sequence[str]) -> str:
    return "\n".join(f'<p class="warning">{escape(sentence)}</p>' for sentence in sentences)


def _table(rows: Rows) -> str:
    head, *body = rows
    lines = [_line("th", head), *(_line("td", row) for row in body)]
    return "<table>\n" + "\n".join(lines) + "\n</table>"


def _line(tag: str, cells: Sequence[str]) -> str:
    inside = "".join(f"<{tag}>{escape(cell).replace('  ', '&emsp;')}</{tag}>" for cell in cells)
    return f"<tr>{inside}</tr>"


def _as_script(found: Profile) -> str:
    """JSON that no text in it can end or turn into markup."""
    text = json.dumps(facts(found))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


__all__ = ["report"]
