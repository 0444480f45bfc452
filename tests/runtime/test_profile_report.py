"""The report: one file that loads nothing, holds the figures of the JSON file, and takes no name literally."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from support import profiles
from support.profiles import NASTY

from tweenrt.runtime.profiling import tables
from tweenrt.runtime.profiling.profile import facts

pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'tweenrt[report]'")

from tweenrt.runtime.profiling.plots import plots
from tweenrt.runtime.profiling.report import report

_VOID = {"meta", "br", "hr", "img", "link"}


class Page(HTMLParser):
    """The page's tables, its scripts, and whether every element that was opened is closed again."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.scripts: list[str] = []
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in _VOID:
            self._open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        elif tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_data(self, data: str) -> None:
        inside = self._open[-1] if self._open else ""
        if inside == "script":
            self.scripts[-1] += data
        elif inside in ("td", "th"):
            self.tables[-1][-1][-1] += data


@pytest.fixture(scope="module")
def text() -> str:
    return report(profiles.profile())


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_it_loads_nothing(text: str, page: Page) -> None:
    assert not re.search(r"https?:|//\w|@import|url\((?!#)", text)
    assert not {"img", "link", "iframe", "object"} & page.tags
    links = [value for name, value in page.attributes if name in ("href", "src", "xlink:href")]
    assert all(str(value).startswith("#") for value in links)
    assert links, "markers are drawn by reference"


def test_references_inside_of_the_page_are_met_once(text: str, page: Page) -> None:
    assert len(page.ids) == len(set(page.ids))
    referred = {str(value)[1:] for name, value in page.attributes if name == "href"} | set(
        re.findall(r"url\(#([\w.-]+)\)", text)
    )
    assert referred <= set(page.ids)


def test_the_figures_are_those_of_the_json_file(page: Page) -> None:
    found = profiles.profile()
    (script,) = page.scripts
    assert json.loads(script) == json.loads(json.dumps(facts(found)))
    times, memory, energy, layers, modules, _ = page.tables
    assert times[1] == ["one interval, 1 new", "3", "40.00", "42.00", "42.00", "38.00", "42.00", "40.00", "2.00"]
    assert [cell.strip() for cell in times[2]][:3] == ["pair alone", "3", "30.00"]
    assert [cell.strip() for cell in times[3]][:3] == ["on the GPU", "3", "20.00"]
    assert [cell.strip() for cell in times[4]][7] == "20.00"  # around the graphs: 40 less 20 of the GPU
    assert memory[1] == ["resident", "400", "200", "100", "250", "300", "123"]
    assert energy[1] == ["Jetson", "15.00", "45.00", "0.500", "60", "the board's input VDD_IN"]
    assert [cell.strip() for cell in energy[3]][:3] == ["SOC", "", "9.00"]
    assert layers[1] == ["a.b/conv", "Conv", "pair", "6.000", "60.0%", "3.000", "12.0", "500.0"]
    assert modules[1] == ["a", "9.00", "90.0%"]


def test_no_name_becomes_markup(text: str) -> None:
    assert "<script>alert" not in text
    assert text.count("<script") == 1
    assert "&lt;script&gt;alert" in text
    assert "a &lt;warning&gt;" in text
    assert "no &lt;driver&gt;" in text
    assert "$title" not in text


def test_what_is_plotted_and_what_is_not() -> None:
    found = profiles.profile()
    titles = list(plots(found))
    assert titles == [
        "Time of each interval",
        "How the times are distributed",
        "The longest layers",
        "Modules and what is in them",
    ]
    assert list(plots(replace(found, layers=None))) == titles[:2]
    drawn = plots(found)
    assert ">p99 42.0<" in drawn[titles[0]]
    assert ">real time 33.3<" in drawn[titles[0]]
    assert ">60.0%<" in drawn[titles[2]]
    assert ">90%<" in drawn[titles[3]]
    assert all(svg.startswith("<svg ") and svg.endswith("</svg>") for svg in drawn.values())
    assert plots(found) == drawn


def test_a_report_without_layers_and_power() -> None:
    found = replace(profiles.profile(), layers=None, energy=())
    assert len(Page(report(found)).tables) == 4


def test_sentences() -> None:
    found = profiles.profile()
    assert tables.conclusion(found) == (
        "40.00 ms for each new frame, 25.00 of them a second. 30 to 60 fps: 0.83 times real time, 3 of 3 intervals "
        "took more than 33.3 ms."
    )
    assert tables.title(found) == f"{NASTY}, fp16, 720x1280, factor 2, TensorRt"
    assert tables.not_measured(found) == "Power not measured: NVML (no <driver>)."
    assert tables.layer_sums(found) == "Layers add up to, of a run without timing them: pair 10.00 ms of 20.00."


def test_tables_are_cut_with_the_rest_together() -> None:
    layers = profiles.profile().layers
    assert layers is not None
    assert [row[0] for row in tables.layers(layers, 1)] == ["layer", "a.b/conv"]
    assert tables.modules(layers.modules, 1) == [
        ["module", "ms for each interval", "share"],
        ["a", "9.00", "90.0%"],
        ["  b", "6.00", "60.0%"],
        ["  1 more", "3.00", "30.0%"],
        ["1 more", "1.00", "10.0%"],
    ]
