"""A graph on disk against the checkpoint it names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from support import toy

from tweenrt import cache
from tweenrt.contract import FrameIO
from tweenrt.errors import CheckpointError, GraphError, UsageError
from tweenrt.export.checkpoint import load_checkpoint, load_random
from tweenrt.export.exporter import SPLIT, export
from tweenrt.export.options import ExportOptions
from tweenrt.export.verify_graph import verify_graph


@pytest.fixture(autouse=True)
def _toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    toy.register(monkeypatch, toy.SPEC)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return toy.checkpoint(tmp_path / "toy.pkl")


@pytest.fixture
def graph(tmp_path: Path, weights: Path) -> Path:
    export(load_checkpoint(toy.SPEC, weights), ExportOptions(size=(64, 96)), tmp_path / "pair.onnx")
    return tmp_path / "pair.onnx"


def test_a_pair_is_compared_at_several_moments(graph: Path, weights: Path) -> None:
    lines = verify_graph(graph, [weights])
    assert [(line.output, line.t) for line in lines] == [("frame_t", 0.25), ("frame_t", 0.5), ("frame_t", 0.75)]
    assert all(line.parity.passed for line in lines)


def test_both_halves_of_a_split_are_compared(tmp_path: Path) -> None:
    export(load_random(toy.SPEC, 5), ExportOptions(kinds=SPLIT), tmp_path / "split")
    lines = verify_graph(tmp_path / "split")
    assert {(line.graph.name, line.output) for line in lines} == {
        ("encoder.onnx", "feature_0"),
        ("synthesis.onnx", "frame_t"),
    }
    assert all(line.parity.passed for line in lines)


def test_uint8_graphs_of_any_size(tmp_path: Path) -> None:
    export(load_random(toy.SPEC, 5), ExportOptions(io=FrameIO.UINT8), tmp_path / "uint8.onnx")
    assert all(line.parity.passed for line in verify_graph(tmp_path / "uint8.onnx"))


def test_a_graph_whose_weights_were_changed_is_found_out(graph: Path, weights: Path) -> None:
    model = onnx.load(graph)
    tensor = next(i for i in model.graph.initializer if len(i.dims) == 4)
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) + np.float32(0.01), tensor.name))
    onnx.save(model, graph)
    assert not all(line.parity.passed for line in verify_graph(graph, [weights]))


def test_another_checkpoint_of_the_same_model_is_refused(graph: Path, tmp_path: Path) -> None:
    other = toy.checkpoint(tmp_path / "other.pkl", seed=1)
    with pytest.raises(CheckpointError, match=toy.sha256(other)):
        verify_graph(graph, [other])


def test_a_checkpoint_is_asked_for_where_one_is_needed(graph: Path, weights: Path) -> None:
    with pytest.raises(UsageError, match=rf"sha256 {toy.sha256(weights)}; give that file with --weights"):
        verify_graph(graph)


def test_random_weights_need_no_checkpoint(tmp_path: Path, weights: Path) -> None:
    export(load_random(toy.SPEC, 5), ExportOptions(size=(64, 96), batch=1), tmp_path / "random.onnx")
    assert verify_graph(tmp_path / "random.onnx")
    with pytest.raises(UsageError, match="leave --weights out"):
        verify_graph(tmp_path / "random.onnx", [weights])


def test_halves_of_different_exports(tmp_path: Path) -> None:
    for seed in (1, 2):
        export(load_random(toy.SPEC, seed), ExportOptions(kinds=SPLIT, size=(64, 96)), tmp_path / str(seed))
    (tmp_path / "2" / "encoder.onnx").replace(tmp_path / "1" / "encoder.onnx")
    with pytest.raises(GraphError, match="come from different exports"):
        verify_graph(tmp_path / "1")


@pytest.mark.parametrize("content", [b"", b"not a graph", b"\x08\x08" * 40], ids=["empty", "text", "noise"])
def test_a_file_that_is_no_graph_of_ours(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(content)
    with pytest.raises(GraphError, match=r"bad\.onnx"):
        verify_graph(tmp_path / "bad.onnx")


def test_a_folder_without_graphs(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match=r"encoder\.onnx"):
        verify_graph(tmp_path)
