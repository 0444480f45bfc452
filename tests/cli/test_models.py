"""`tweenrt models`."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from support import toy
from support.cli import run

from tweenrt.export import registry
from tweenrt.export.listing import OVERVIEW_MIXES
from tweenrt.export.spec import Count, Overview, Published


@pytest.fixture(autouse=True)
def _toy(monkeypatch: pytest.MonkeyPatch) -> None:
    published = Published(35.1, 0.9755, "Toys, Table 3")
    licence = "GPL-3.0 (authors); ours is MIT"
    overview = Overview(0.5, 0.75, Count.DOUBLE, (720, 1280), 0.625, "of painted toys")
    ops = ("WarpBlend",)
    spec = replace(toy.SPEC, published=published, overview=overview, code_licence=licence, custom_ops=ops)
    untold = replace(toy.SPEC, name="toy-untold", overview=Overview(1.5, remark="nobody counted"))
    toy.register(monkeypatch, spec, untold)


def test_json_is_a_list_of_objects_with_names() -> None:
    result = run("models", "--json")
    assert result.exit_code == 0
    rows = {row["name"]: row for row in json.loads(result.stdout)}
    assert sorted(rows) == registry.names()
    row = rows["toy-blend"]
    assert (row["parameters"], row["gmacs_256x448"], row["gmacs_720x1280"]) == (331, 0.04, 0.3)
    assert (row["t"], row["divisor"], row["custom_ops"]) == ("input", 8, ["WarpBlend"])
    assert row["code_licence"] == "GPL-3.0 (authors); ours is MIT"
    assert row["weights"] == {
        "licence": "CC BY 4.0",
        "page": "https://example.org/toy",
        "filename": "toy.pkl",
        "wheel": None,
        "sha256": None,
    }
    assert row["vimeo90k"] == {"psnr": 35.1, "ssim": 0.9755, "source": "Toys, Table 3"}
    assert row["overview"] == {
        "parameters_millions": 0.5,
        "teraflops": 0.75,
        "counts": "2 x MACs",
        "size": "720x1280",
        "recounted_teraflops": 0.625,
        "remark": "of painted toys",
        "caution": OVERVIEW_MIXES,
    }
    assert rows["rife-4.6"]["overview"] is None


def test_the_table_fits_120_columns_and_cuts_nothing() -> None:
    result = run("models")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    end = next(i for i, line in enumerate(lines) if line.startswith("  (1)"))
    assert max(map(len, lines[:end])) <= 120
    assert "…" not in result.stdout
    assert {line.split()[0] for line in lines[3:end] if line.strip()} == set(registry.names())


def test_long_texts_and_sources_are_footnotes() -> None:
    text = run("models").stdout
    row = next(line for line in text.splitlines() if line.startswith("toy-blend"))
    for part in ("0.0", "0.04", "any", "WB", "GPL-3.0 (", "CC BY 4.0 (", "35.10/.9755 ("):
        assert part in row
    for note in (") GPL-3.0 (authors); ours is MIT", ") https://example.org/toy", ") Toys, Table 3", "WB WarpBlend"):
        assert note in text


def row_of(name: str) -> list[str]:
    """The cells of a row up to the moments; its footnotes are cells of their own."""
    return next(line.split() for line in run("models").stdout.splitlines() if line.split()[:1] == [name])


def test_the_overview_stands_beside_our_own_counts() -> None:
    told, untold, absent = row_of("toy-blend"), row_of("toy-untold"), row_of("rife-4.6")
    assert told[1:6] == ["0.0", "0.04", "0.3", "0.5", "0.75"]
    assert untold[4:6] == ["1.5", "-"]
    assert absent[1:6] == ["5.3", "4.77", "39.1", "-", "-"]
    assert absent[6] == "any", "a network that is not in the overview needs no note"


def test_notes_say_what_the_overview_counts() -> None:
    lines = run("models").stdout.splitlines()
    notes = dict(line.split(" ", 1) for line in map(str.strip, lines) if line.startswith("("))
    count = "2 x MACs, at 720x1280; the same count here gives 0.625; of painted toys"
    assert notes[row_of("toy-blend")[6]] == f"overview: {count}"
    assert notes[row_of("toy-untold")[6]] == "overview: nobody counted"
    assert OVERVIEW_MIXES in lines


def test_versions_are_in_the_order_of_their_numbers() -> None:
    names = [row["name"] for row in json.loads(run("models", "--json").stdout)]
    assert names.index("rife-4.6") < names.index("rife-4.25")
