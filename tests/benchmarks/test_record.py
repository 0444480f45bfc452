"""What benchmarks share: a run for some networks must leave the others' results alone."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    import record

    return record


def test_new_rows_replace_those_of_their_network_only(record: ModuleType) -> None:
    before = [{"model": "a", "graph": "pair"}, {"model": "b", "graph": "pair"}, {"model": "b", "graph": "encoder"}]
    now = [{"model": "b", "graph": "flow"}, {"model": "c", "graph": "pair"}]
    assert record.merged(before, iter(now), key="model") == [before[0], *now]
    assert record.merged([], now, key="model") == now
    assert record.merged(before, [], key="model") == before
