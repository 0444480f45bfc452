"""The overview's figures: what we say they count must give them."""

from __future__ import annotations

import pytest
from support.macs import macs

from tweenrt.export import registry
from tweenrt.export.listing import OVERVIEW_MIXES, model_rows
from tweenrt.export.spec import Count

PRINTED = {name: row for name in registry.names() if (row := registry.get(name).overview)}
RECOUNTED = sorted(name for name, row in PRINTED.items() if row.count)
HOW = {
    Count.DOUBLE: lambda found: 2 * found.total,
    Count.INFLATED: lambda found: found.total + 3 * found.transposed,  # four times instead of once
}
OFF = {"cain": 0.012, "ifrnet-l": 0.035, "ifrnet": 0.01, "ifrnet-s": 0.017}
"""How far a printed figure, of two or three digits, may be from its recount."""


def test_who_is_in_the_overview() -> None:
    assert sorted(PRINTED) == ["cain", "cspa", "dbvi-8x", "ifrnet", "ifrnet-l", "ifrnet-s", "ugsp"]
    assert [(n, row.teraflops) for n, row in PRINTED.items() if not row.count] == [("cspa", None), ("dbvi-8x", 1.28)]


@pytest.mark.parametrize("name", RECOUNTED)
def test_the_named_count_gives_the_recount(name: str) -> None:
    row = PRINTED[name]
    assert row.count
    assert row.size
    found = macs(registry.get(name), row.size)
    assert HOW[row.count](found) / 1e3 == pytest.approx(row.recount, rel=0.004)


@pytest.mark.parametrize("name", RECOUNTED)
def test_the_recount_is_near_what_is_printed(name: str) -> None:
    row = PRINTED[name]
    if name == "ugsp":  # printed for its masks, recounted without
        assert row.teraflops == pytest.approx(0.00391 + 0.43 * (0.00481 + 0.00871 + 0.01434), rel=0.01)
    else:
        assert row.teraflops == pytest.approx(row.recount, rel=OFF[name])


@pytest.mark.parametrize("name", [n for n, row in PRINTED.items() if row.parameters])
def test_printed_parameters_are_ours(name: str) -> None:
    row = PRINTED[name]
    assert row.parameters == pytest.approx(registry.get(name).parameters / 1e6, rel=0.003)


def test_rows_say_how_to_read_them() -> None:
    rows = {row["name"]: row["overview"] for row in model_rows()}
    assert rows["rife-4.6"] is None
    assert rows["cain"] == {
        "parameters_millions": 42.8,
        "teraflops": 1.29,
        "counts": "2 x MACs",
        "size": "720x1280",
        "recounted_teraflops": 1.305,
        "remark": "of frames padded to 768x1280",
        "caution": OVERVIEW_MIXES,
    }


def test_the_caution_names_everything_that_is_mixed() -> None:
    for row in PRINTED.values():
        assert row.count is None or row.count.value.split(",")[0] in OVERVIEW_MIXES
        assert row.size is None or "x".join(map(str, row.size)) in OVERVIEW_MIXES
    assert "four times" in OVERVIEW_MIXES
