"""Layers joined with modules and with the arithmetic of the graph."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from support import graphs
from support.layered import NAMES, layered

from tweenrt.errors import BackendError
from tweenrt.runtime.estimate.graph_cost import Cost
from tweenrt.runtime.estimate.roofline import Layer
from tweenrt.runtime.profiling.layers import BACKEND, TOP_LEVEL, LayerReport, Subject, layer_report
from tweenrt.runtime.timing import LayerTime

CONV, LEAKY, CONV_1, PRELU, BLEND = NAMES


class Timed:
    """A session with layers of given times."""

    def __init__(self, *times: LayerTime, error: BackendError | None = None) -> None:
        self._times, self._error = list(times), error

    def layer_times(self, feeds: Mapping[str, object], runs: int) -> list[LayerTime]:
        if self._error:
            raise self._error
        return self._times


def report(graph: Path, *subjects: Subject, size: tuple[int, int] = (64, 96)) -> LayerReport:
    return layer_report(graph, size, subjects, 3, lambda *_: None)


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    return layered(tmp_path / "layered.onnx")


def test_times_shares_and_arithmetic(graph: Path) -> None:
    times = [LayerTime(CONV, "Conv", 1.0), LayerTime(PRELU, "PRelu", 2.0), LayerTime("", "ReorderInput", 5.0)]
    found = report(graph, Subject("pair", Timed(*times), {}, 2.0))
    assert [(row.name, row.module, row.ms, row.ms_per_interval, row.share) for row in found.rows] == [
        ("ReorderInput", BACKEND, 5.0, 10.0, 10 / 16),
        (PRELU, "fine.body.1", 2.0, 4.0, 4 / 16),
        (CONV, "coarse.body", 1.0, 2.0, 2 / 16),
    ]
    conv, prelu = found.rows[2], found.rows[1]
    macs = 64 * 96 * 16 * 27
    assert conv.gmacs == pytest.approx(macs / 1e9)
    assert conv.gmacs_per_second == pytest.approx(macs / 1e9 / 1e-3)
    assert conv.megabytes == pytest.approx(4 * (64 * 96 * 19 + 16 * 27) / 1e6)
    assert (prelu.gmacs, prelu.megabytes, prelu.gmacs_per_second) == (None, None, None)
    assert (found.ms_per_run, found.runs, found.remarks) == ({"pair": 8.0}, 3, ())


def test_convolutions_with_a_mask_get_no_rate(graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    masked = Layer("fine/MaskedConv2d.2", "", 5e9, None, 1.0, 1.0)
    monkeypatch.setattr("tweenrt.runtime.profiling.layers.cost", lambda file, _: Cost(file, (64, 96), (masked,), {}))
    (row,) = report(graph, Subject("pair", Timed(LayerTime(masked.name, "MaskedConv2d", 1.0)), {}, 1.0)).rows
    assert (row.name, row.gmacs, row.gmacs_per_second) == (masked.name, 5.0, None)


def test_the_tree_of_modules(graph: Path) -> None:
    times = [
        LayerTime(CONV, "", 1.0),
        LayerTime(CONV_1, "", 2.0),
        LayerTime(PRELU, "", 4.0),
        LayerTime("cat", "Concat", 9.0),
    ]
    top, fine, coarse = report(graph, Subject("pair", Timed(*times), {}, 1.0)).modules
    assert (top.name, top.ms_per_interval) == (TOP_LEVEL, 9.0)
    assert [part.name for part in top.children] == ["Concat"]
    assert (fine.name, fine.ms_per_interval, fine.share) == ("fine", 6.0, 6 / 16)
    (body,) = fine.children
    assert [(part.name, part.ms_per_interval) for part in body.children] == [("1", 4.0), ("0", 2.0)]
    assert coarse.children[0].name == "body"


def test_names_of_tensorrt_are_traced_back_and_copies_count_no_arithmetic(graph: Path) -> None:
    times = [
        LayerTime(f"{CONV} + {LEAKY}", "", 1.0),
        LayerTime(f"Reformatting CopyNode for Input 0 to {CONV}", "", 3.0),
    ]
    copy, conv = report(graph, Subject("pair", Timed(*times), {}, 1.0)).rows
    assert (conv.name, copy.name, copy.module) == (CONV, CONV, "coarse.body")
    assert conv.gmacs is not None
    assert copy.gmacs is None


def test_halves_are_joined_with_their_own_graph(tmp_path: Path) -> None:
    folder = graphs.blend_halves(tmp_path / "halves")
    encoder = Subject("encoder", Timed(LayerTime("a/b", "X", 1.0)), {}, 1.0)
    synthesis = Subject("synthesis", Timed(LayerTime("a/b", "X", 1.0)), {}, 3.0)
    found = report(folder, encoder, synthesis)
    assert [(row.part, row.ms_per_interval) for row in found.rows] == [("synthesis", 3.0), ("encoder", 1.0)]
    assert found.modules[0].ms_per_interval == 4.0


def test_what_is_not_there_is_said(graph: Path) -> None:
    failing = Subject("pair", Timed(error=BackendError("out of memory")), {}, 1.0)
    found = report(graph, failing, Subject("encoder", object(), {}, 1.0))
    assert found.rows == ()
    assert found.remarks == ("pair: out of memory", "encoder: its backend does not tell the times of layers")


def test_an_engine_gives_names_and_times_only(tmp_path: Path) -> None:
    subject = Subject("pair", Timed(LayerTime(CONV, "", 1.0)), {}, 1.0)
    for place in (tmp_path / "rife.engine", tmp_path):
        found = report(place, subject)
        assert [(row.name, row.module, row.gmacs) for row in found.rows] == [(CONV, "coarse.body", None)]
        assert found.remarks == ("an engine does not say what its layers have to compute; for that, profile the graph",)


def test_a_graph_whose_arithmetic_cannot_be_counted_keeps_its_names(
    graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise BackendError("no shapes")

    monkeypatch.setattr("tweenrt.runtime.profiling.layers.cost", refuse)
    found = report(graph, Subject("pair", Timed(LayerTime(f"{CONV} + {LEAKY}", "", 1.0)), {}, 1.0))
    assert (found.rows[0].name, found.rows[0].gmacs) == (CONV, None)
    assert found.remarks == ("pair: what its layers have to compute is not known: no shapes",)
