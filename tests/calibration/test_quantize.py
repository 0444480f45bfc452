"""A graph file becomes another with INT8 layers, or nothing."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, numpy_helper
from support import graphs
from support.quantized import (
    BLOCKS,
    DEVICE,
    chosen,
    halves,
    info,
    int8_layers,
    listing,
    network,
    network_of_bytes,
    perfect,
    uneven_weights,
)

from tweenrt import Interpolator
from tweenrt.calibration.int8 import measuring
from tweenrt.calibration.int8 import quantize as quantizing
from tweenrt.calibration.int8.candidates import Place
from tweenrt.calibration.int8.judge import draw_all
from tweenrt.calibration.int8.quantize import Budget, QuantizeOptions, quantize
from tweenrt.calibration.int8.samples import Chosen
from tweenrt.calibration.int8.scales import Method
from tweenrt.calibration.policy import Precision
from tweenrt.calibration.rounded import rounded
from tweenrt.calibration.view import FLOAT16, GraphView
from tweenrt.errors import GateError, GraphError, UsageError
from tweenrt.runtime import Backend
from tweenrt.runtime.progress import Progress

CHOSEN = chosen()
BY_POLICY = QuantizeOptions(DEVICE, threads=1)


def searching(max_drop_db: float, min_share: float = 0.5, rest: Precision = Precision.FP16) -> QuantizeOptions:
    return replace(BY_POLICY, rest=rest, budget=Budget(max_drop_db, min_share))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return network(tmp_path / "fp32.onnx")


def test_by_policy_layers_from_features_to_features_are_int8(source: Path, tmp_path: Path) -> None:
    out, events, said = tmp_path / "new" / "int8.onnx", list[Progress](), list[str]()
    report = quantize(source, out, CHOSEN, BY_POLICY, progress=events.append, say=said.append)
    (graph,) = report.graphs
    assert listing(out.parent) == ["int8.onnx"]
    assert graph.path == out
    assert [c.key for c in graph.int8] == ["first", "second"]
    assert {c.key: c.place for c in graph.kept} == {"entered": Place.ENTRY, "residual": Place.HEAD}
    assert int8_layers(onnx.load(out)) == {"first", "second"}
    assert info(out).precision == "int8"
    assert (graph.bytes_before, graph.bytes_after) == (source.stat().st_size, out.stat().st_size)
    assert report.written.point.blocks == ("first", "second")
    assert report.written.share == pytest.approx(128 / (128 + 48 + 24))
    assert report.front == report.sensitivities == ()
    assert report.samples == (2, 2)
    assert [e.done for e in events] == list(range(1, events[0].total + 1))  # type: ignore[operator]
    assert [s.split()[0] for s in said] == ["measuring", "drawing", "writing"]


def test_what_is_reported_is_what_the_file_draws(source: Path, tmp_path: Path) -> None:
    """ONNX Runtime computes FP16 nodes in FP32, so the frames may differ by what FP16 rounds."""
    out = tmp_path / "int8.onnx"
    report = quantize(source, out, CHOSEN, BY_POLICY)
    errors = []
    with Interpolator.open(source, Backend.ONNXRUNTIME) as fp32, Interpolator.open(out, Backend.ONNXRUNTIME) as int8:
        for sample in CHOSEN.judging:
            first, second = (np.float32(f.rgb) / np.float32(255) for f in (sample.frame0, sample.frame1))
            (a,), (b,) = (drawer.between(first, second, [sample.t]) for drawer in (fp32, int8))
            errors.append(float(np.mean((a - b) ** 2)))
    assert report.written.point.judged.mse == pytest.approx(np.mean(errors), rel=0.1)
    assert 0 < report.written.point.judged.mse < 1e-4
    assert report.written.point.drop_db == report.exact.psnr_db - report.written.point.judged.psnr_db


@pytest.mark.parametrize(("rest", "half"), [(Precision.FP16, True), (Precision.FP32, False)])
def test_the_rest_is_fp16_or_fp32(rest: Precision, half: bool, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "int8.onnx"
    quantize(source, out, CHOSEN, replace(BY_POLICY, rest=rest))
    kinds = set(GraphView(onnx.load(out)).types.values())
    assert (FLOAT16 in kinds) is half
    assert int8_layers(onnx.load(out)) == {"first", "second"}


def test_the_method_decides_about_scales(source: Path, tmp_path: Path) -> None:
    found = {}
    for method in Method:
        out = tmp_path / f"{method.value}.onnx"
        report = quantize(source, out, CHOSEN, replace(BY_POLICY, method=method), tmp_path / "measured.json")
        assert report.method is method
        held = {i.name: numpy_helper.to_array(i) for i in onnx.load(out).graph.initializer}
        found[method] = float(held["first_a/scale"])
    assert found[Method.MAX] == max(found.values())
    assert len(set(found.values())) > 1


@pytest.fixture
def uneven(tmp_path: Path) -> tuple[Path, Chosen]:
    """A network that loses nothing in FP32, since its own frames are the truth, and much in INT8."""
    path = network(tmp_path / "fp32.onnx", **uneven_weights())
    return path, perfect(path, CHOSEN)


def test_a_budget_that_all_blocks_keep_to(uneven: tuple[Path, Chosen], tmp_path: Path) -> None:
    out, events = tmp_path / "int8.onnx", list[Progress]()
    report = quantize(uneven[0], out, uneven[1], searching(30.0), progress=events.append)
    assert set(report.written.point.blocks) == set(BLOCKS)
    assert int8_layers(onnx.load(out)) == set(BLOCKS), "an entry too: the search decides; a head never"
    assert report.written.share == pytest.approx(176 / 200)
    assert 10 < report.written.point.drop_db <= 30
    assert report.front[0].point.blocks == ()
    assert report.front[0].ms > report.written.ms
    assert events[-1].done <= events[0].total  # type: ignore[operator]


@pytest.mark.parametrize(("budget_db", "count"), [(10.0, 2), (3.0, 1), (0.0, 0)])
def test_a_budget_decides_which_blocks(
    budget_db: float, count: int, uneven: tuple[Path, Chosen], tmp_path: Path
) -> None:
    """The worst block is the first to stay in floats."""
    out = tmp_path / "int8.onnx"
    report = quantize(uneven[0], out, uneven[1], searching(budget_db, 0.0, Precision.FP32))
    alone = {s.block: s.judged.mse for s in report.sensitivities}
    assert alone["second"] > 10 * max(alone["first"], alone["entered"])
    written = report.written
    assert (len(written.point.blocks), written.point.drop_db <= budget_db) == (count, True)
    assert "second" not in written.point.blocks
    assert int8_layers(onnx.load(out)) == set(written.point.blocks)
    assert info(out).precision == ("int8" if count else "fp32")


def test_what_is_written_is_judged_again(uneven: tuple[Path, Chosen], tmp_path: Path) -> None:
    """The search tries sets with the rest in FP32. What is written has it in FP16, and must keep to the budget too."""
    report = quantize(uneven[0], tmp_path / "a.onnx", uneven[1], searching(30.0))
    tried = next(r for r in report.front if set(r.point.blocks) == set(BLOCKS))
    assert tried.point.drop_db != report.written.point.drop_db
    assert tried.point.drop_db == pytest.approx(report.written.point.drop_db, abs=0.5)


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        (Budget(6.0, 0.6), r"within 6 dB at most 56% .* 60% were asked for; the best with 88% loses 20\.\d\d dB, "),
        (Budget(30.0, 0.9), r"within 30 dB at most 88% .* 90% were asked for; no set reaches it"),
        (Budget(0.0, 0.1), r"within 0 dB at most 0% .* the best with \d\d% loses \d\.\d\d dB, \d\.\d\d dB too much"),
    ],
)
def test_a_budget_that_is_not_met_writes_nothing(
    budget: Budget, message: str, uneven: tuple[Path, Chosen], tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "int8.onnx").write_bytes(b"an older one")
    before = listing(tmp_path)
    with pytest.raises(GateError, match=message) as refused:
        quantize(uneven[0], tmp_path / "out" / "int8.onnx", uneven[1], replace(BY_POLICY, budget=budget))
    said = str(refused.value)
    assert said.startswith(f"{uneven[0]}: ")
    blamed = [said.index(f"{block} (") for block in ("second", "entered", "first")]
    assert blamed == sorted(blamed), "the worst is named first"
    assert "Nothing was written; allow more with --max-drop-db" in said
    assert listing(tmp_path) == before
    assert (tmp_path / "out" / "int8.onnx").read_bytes() == b"an older one"


def test_what_fp16_ruins_is_refused_with_its_own_numbers(
    uneven: tuple[Path, Chosen], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_its_head(model: ModelProto) -> ModelProto:
        flat = rounded(model)
        for weight in flat.graph.initializer:
            if weight.name.startswith("w_head"):
                weight.CopyFrom(numpy_helper.from_array(0 * numpy_helper.to_array(weight), weight.name))
        return flat

    monkeypatch.setattr(quantizing, "rounded", without_its_head)
    with pytest.raises(GateError) as refused:
        quantize(uneven[0], tmp_path / "int8.onnx", uneven[1], searching(25.0))
    found = re.search(r"at most (\d+)% .* the best with (\d+)% loses (\d+\.\d+) dB", str(refused.value))
    assert found is not None, refused.value
    assert int(found[1]) < 50 <= int(found[2])
    assert float(found[3]) > 25


def test_frames_to_calibrate_on_and_frames_to_judge_by_are_kept_apart(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, list[set[str]]] = {}
    for module in (measuring, quantizing):
        where = seen.setdefault(module.__name__.rpartition(".")[2], [])

        def noting(path: Path, opener: Any, samples: Any, meter: Any, where: list[set[str]] = where) -> Any:
            where.append({s.name for s in samples})
            return draw_all(path, opener, samples, meter)

        monkeypatch.setattr(module, "draw_all", noting)
    calibration, judging = ({s.name for s in part} for part in (CHOSEN.calibration, CHOSEN.judging))
    assert not calibration & judging
    quantize(source, tmp_path / "a.onnx", CHOSEN, BY_POLICY)
    assert seen.pop("measuring") == [calibration] * 2
    assert seen["quantize"] == [judging] * 2
    seen["quantize"].clear()
    quantize(source, tmp_path / "b.onnx", CHOSEN, searching(100.0))
    alone = 1 + len(BLOCKS)  # FP32, and each block
    assert seen["quantize"][:alone] == [calibration] * alone
    assert set(map(frozenset, seen["quantize"][alone:])) == {frozenset(judging)}


def test_what_was_measured_is_used_again(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record, said = tmp_path / "measured.json", list[str]()
    quantize(source, tmp_path / "a.onnx", CHOSEN, BY_POLICY, record)
    content = record.read_bytes()
    monkeypatch.setattr(measuring.Measuring, "run", lambda *_: pytest.fail("it measures again"))
    quantize(source, tmp_path / "b.onnx", CHOSEN, BY_POLICY, record, say=said.append)
    assert said[0] == f"reading what was measured from {record}"
    assert record.read_bytes() == content
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    other = network(tmp_path / "other.onnx", **uneven_weights())
    before = listing(tmp_path)
    with pytest.raises(UsageError, match="measured on other graphs"):
        quantize(other, tmp_path / "c.onnx", CHOSEN, BY_POLICY, record)
    assert listing(tmp_path) == before


def test_a_split_folder(tmp_path: Path) -> None:
    source, out, events = halves(tmp_path / "halves"), tmp_path / "int8", list[Progress]()
    report = quantize(source, out, CHOSEN, BY_POLICY, tmp_path / "measured.json", progress=events.append)
    assert listing(out) == ["encoder.onnx", "synthesis.onnx"]
    assert [g.path for g in report.graphs] == [out / "encoder.onnx", out / "synthesis.onnx"]
    assert [int8_layers(onnx.load(g.path)) for g in report.graphs] == [{"feature_0/fp16"}, {"second"}]
    assert {info(g.path).precision for g in report.graphs} == {"int8"}
    assert report.written.point.blocks == ("feature_0", "second")
    assert [e.done for e in events] == list(range(1, events[0].total + 1))  # type: ignore[operator]
    with Interpolator.open(out, Backend.ONNXRUNTIME) as drawer:
        frame = np.float32(CHOSEN.judging[0].frame0.rgb) / np.float32(255)
        assert drawer.between(frame, frame, [0.5])[0].shape == frame.shape
    searched = quantize(source, tmp_path / "b", CHOSEN, searching(100.0), tmp_path / "measured.json")
    assert set(searched.written.point.blocks) == {"entered", "feature_0", "second"}


def test_a_graph_of_bytes(tmp_path: Path) -> None:
    out = tmp_path / "int8.onnx"
    report = quantize(network_of_bytes(tmp_path / "bytes.onnx"), out, CHOSEN, BY_POLICY)
    assert int8_layers(onnx.load(out)) == {"first", "second"}
    assert [c.key for c in report.graphs[0].kept if c.place is Place.ENTRY] == ["entered"]
    assert report.written.point.judged.mse < 1e-4


@pytest.mark.parametrize("options", [BY_POLICY, replace(BY_POLICY, budget=Budget(100.0))], ids=["policy", "search"])
@pytest.mark.parametrize("when", [1, 3, 5, -1])
def test_when_interrupted_it_leaves_nothing(when: int, options: QuantizeOptions, source: Path, tmp_path: Path) -> None:
    events: list[Progress] = []
    quantize(source, tmp_path / "whole.onnx", CHOSEN, options, progress=events.append)
    last = when % (len(events) + 1)
    before = listing(tmp_path)

    def stop(event: Progress) -> None:
        if event.done == last:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quantize(source, tmp_path / "int8.onnx", CHOSEN, options, progress=stop)
    assert listing(tmp_path) == before


def test_what_cannot_be_quantised_is_said(source: Path, tmp_path: Path) -> None:
    quantize(source, tmp_path / "int8.onnx", CHOSEN, BY_POLICY)
    before = listing(tmp_path)
    with pytest.raises(UsageError, match="expected an fp32 graph, got int8"):
        quantize(tmp_path / "int8.onnx", tmp_path / "twice.onnx", CHOSEN, BY_POLICY)
    with pytest.raises(GraphError, match="no such graph"):
        quantize(tmp_path / "absent.onnx", tmp_path / "x.onnx", CHOSEN, BY_POLICY)
    assert listing(tmp_path) == before
    folder = halves(tmp_path / "halves")
    with pytest.raises(UsageError, match=r"a graph of kind 'encoder'; give the folder that holds both halves"):
        quantize(folder / "encoder.onnx", tmp_path / "x.onnx", CHOSEN, BY_POLICY)
    with pytest.raises(GraphError, match="without branches and loops"):
        quantize(graphs.with_a_branch(tmp_path / "if.onnx"), tmp_path / "x.onnx", CHOSEN, BY_POLICY)
    assert not (tmp_path / "x.onnx").exists()


def test_a_network_without_layers_is_refused(tmp_path: Path) -> None:
    source, out = graphs.blend(tmp_path / "blend.onnx"), tmp_path / "out.onnx"
    with pytest.raises(UsageError, match="nothing to quantise"):
        quantize(source, out, CHOSEN, BY_POLICY)
    assert not out.exists()
