"""`tweenrt models`."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from support import toy
from support.cli import run

from tweenrt.export import registry
from tweenrt.export.spec import Published


@pytest.fixture(autouse=True)
def _toy(monkeypatch: pytest.MonkeyPatch) -> None:
    published = Published(35.1, 0.9755, "Toys, Table 3")
    licence = "GPL-3.0 (authors); ours is MIT"
    toy.register(monkeypatch, replace(toy.SPEC, published=published, code_licence=licence, custom_ops=("WarpBlend",)))


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


def test_the_table_fits_100_columns_and_cuts_nothing() -> None:
    result = run("models")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    end = next(i for i, line in enumerate(lines) if line.startswith("  (1)"))
    assert max(map(len, lines[:end])) <= 100
    assert "…" not in result.stdout
    assert {line.split()[0] for line in lines[3:end] if line.strip()} == set(registry.names())


def test_long_texts_and_sources_are_footnotes() -> None:
    text = run("models").stdout
    row = next(line for line in text.splitlines() if line.startswith("toy-blend"))
    for part in ("0.0", "0.04", "any", "WB", "GPL-3.0 (", "CC BY 4.0 (", "35.10/.9755 ("):
        assert part in row
    for note in (") GPL-3.0 (authors); ours is MIT", ") https://example.org/toy", ") Toys, Table 3", "WB WarpBlend"):
        assert note in text


def test_versions_are_in_the_order_of_their_numbers() -> None:
    names = [row["name"] for row in json.loads(run("models", "--json").stdout)]
    assert names.index("rife-4.6") < names.index("rife-4.25")
