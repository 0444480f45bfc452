"""Plots as SVG elements that stand inside an HTML page and refer to nothing outside of it."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

from tweenrt.errors import require

_LINK = "{http://www.w3.org/1999/xlink}href"
_REFERENCE = re.compile(r"#([\w.-]+)")
_STYLE = {"svg.fonttype": "none", "font.family": "sans-serif", "font.size": 8, "text.parse_math": False}


def drawn(title: str, size: tuple[float, float], draw: Callable[[Any], None]) -> str:
    """A plot as one ``<svg>`` element; the same input gives the same text.

    Args:
        title: what a screen reader says; no other plot on the page has it.
        size: width and height in inches.
        draw: puts the plot into the ``matplotlib.axes.Axes`` it is given.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    matplotlib = require("matplotlib", extra="report", why="Drawing the plots of a report")
    figures = require("matplotlib.figure", extra="report", why="Drawing the plots of a report")
    with matplotlib.rc_context(_STYLE | {"svg.hashsalt": title}):
        figure = figures.Figure(figsize=size, layout="constrained")
        draw(figure.add_subplot())
        written = io.BytesIO()
        figure.savefig(written, format="svg", metadata={"Date": None})
    return _inline(ElementTree.fromstring(written.getvalue()), title)


def _inline(root: ElementTree.Element, title: str) -> str:
    """`root` without name spaces and descriptions, and with names that no other plot on the page has."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith("}metadata"):
                parent.remove(child)
    prefix = re.sub(r"\W", "", title)
    values = [value for element in root.iter() for value in element.attrib.values()]
    named = {name for element in root.iter() if (name := element.get("id"))}
    used = {name for value in values for name in _REFERENCE.findall(value)} & named
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = _attributes(element.attrib, prefix, used)
    root.attrib |= {"role": "img", "aria-label": title}
    return ElementTree.tostring(root, encoding="unicode")


def _attributes(given: dict[str, str], prefix: str, used: set[str]) -> dict[str, str]:
    """What becomes of an element's attributes. Names that nothing refers to go; colours such as ``#1f5f99`` stay."""
    found = {}
    for name, value in given.items():
        if name != "id":
            replaced = _REFERENCE.sub(lambda m: f"#{prefix}{m[1]}" if m[1] in used else m[0], value)
            found["href" if name == _LINK else name] = replaced
        elif value in used:
            found["id"] = prefix + value
    return found


__all__ = ["drawn"]
