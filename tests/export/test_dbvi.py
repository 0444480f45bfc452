"""DBVI: four frames, their flows, folded styles, two weights files, and graphs that say the same as the network.

What does not depend on depth is checked on a network of one stage with two refinements of its flow. The graphs of the
real networks take minutes each, so only `make test-all` exports them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from tweenrt import Interpolator
from tweenrt.contract import FrameIO, Kind
from tweenrt.errors import CheckpointError, GraphError, UsageError
from tweenrt.export import registry
from tweenrt.export.checkpoint import Loaded, load_checkpoint, load_random
from tweenrt.export.exporter import export
from tweenrt.export.frames import moving_frames
from tweenrt.export.models import dbvi, raft
from tweenrt.export.models.dbvi import Dbvi
from tweenrt.export.options import ExportOptions

SIZE = (67, 93)  # padded to 72×96
TIMES = [Fraction(1, 4), Fraction(3, 4)]
HALVES = (Kind.FLOW, Kind.REFINE)


@pytest.fixture(scope="module")
def small() -> Iterator[Loaded]:
    """One stage, two refinements."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(raft, "ITERATIONS", 2)
        yield load_random(replace(registry.get("dbvi-8x"), build=lambda: Dbvi(1)), 3)


@pytest.fixture(scope="module")
def folder(small: Loaded, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``flow.onnx`` and ``refine.onnx`` with open sizes."""
    out = tmp_path_factory.mktemp("dbvi")
    assert all(result.parity.passed for result in export(small, ExportOptions(kinds=HALVES), out))
    return out


def clip(count: int = 4) -> list[NDArray[np.float32]]:
    """Frames [H,W,3], 0..1."""
    return [np.moveaxis(f, 0, 2).copy() for f in moving_frames(*SIZE, count, seed=4)]


def by_network(small: Loaded, frames: list[NDArray[np.float32]], times: list[Fraction]) -> NDArray[np.float32]:
    """What the PyTorch network draws, [n,H,W,3], clipped."""
    height, width = SIZE
    padding = ((0, -height % 8), (0, -width % 8), (0, 0))
    padded = [torch.from_numpy(np.moveaxis(np.pad(f, padding, mode="reflect"), 2, 0)[None]) for f in frames]
    drawn = [small.network(*padded, torch.full((1, 1, 1, 1), float(t))) for t in times]
    return torch.cat(drawn)[:, :, :height, :width].permute(0, 2, 3, 1).clamp(0, 1).numpy()


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), [("dbvi-8x", (256, 448)), ("dbvi-8x", (384, 512)), ("dbvi-2x", (256, 448))])
def test_whole_network_matches_torch(name: str, size: tuple[int, int], tmp_path: Path) -> None:
    options = ExportOptions(size=size, batch=1)
    (result,) = export(load_random(registry.get(name), 1), options, tmp_path / "pair.onnx")
    assert result.parity.passed, result.parity
    model = onnx.load(result.path)
    operators = {n.op_type for n in model.graph.node}
    assert {"ForwardSplat", "CorrelationLookup", "BackwardWarp"} <= operators
    assert not operators & {"Loop", "Scan", "If", "ScatterND", "GridSample", "Det"}
    assert not any("mapping" in i.name or "trans" in i.name for i in model.graph.initializer), "the style is folded"
    double = onnx.TensorProto.DOUBLE
    assert not any(i.data_type == double for i in model.graph.initializer)
    assert not any(v.type.tensor_type.elem_type == double for v in model.graph.value_info)


def test_uint8_graph_matches_torch(small: Loaded, tmp_path: Path) -> None:
    options = ExportOptions(size=SIZE, batch=1, io=FrameIO.UINT8)
    (result,) = export(small, options, tmp_path / "uint8.onnx")
    assert result.parity.passed, result.parity


def test_flow_and_refine_draw_what_the_network_draws(small: Loaded, folder: Path) -> None:
    before, first, second, after = frames = clip()
    with Interpolator.open(folder) as interpolator:
        assert interpolator.info.frames == 4
        assert interpolator.neighbours
        drawn = interpolator.between(first, second, TIMES, before=before, after=after)
    np.testing.assert_allclose(np.stack(drawn), by_network(small, frames, TIMES), rtol=0, atol=1e-4)


def test_without_neighbours_the_pair_itself_stands_for_them(small: Loaded, folder: Path) -> None:
    _, first, second, _ = frames = clip()
    with Interpolator.open(folder) as interpolator:
        alone = np.stack(interpolator.between(first, second, TIMES))
        twice = interpolator.between(first, second, TIMES, before=first, after=second)
        around = interpolator.between(first, second, TIMES, before=frames[0], after=frames[3])
    np.testing.assert_array_equal(alone, np.stack(twice))
    np.testing.assert_allclose(alone, by_network(small, [first, first, second, second], TIMES), rtol=0, atol=1e-4)
    assert np.abs(alone - np.stack(around)).max() > 1e-3, "the neighbours matter"


def test_flow_is_estimated_once_per_window(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = clip()
    with Interpolator.open(folder, max_batch=1) as interpolator:
        flow = interpolator._drawer._flow
        runs: list[int] = []
        monkeypatch.setattr(flow, "run", lambda feeds, run=flow.run, **how: (runs.append(1), run(feeds, **how))[1])
        before, first, second, after = (interpolator.prepare(f) for f in frames)
        once = interpolator.between(first, second, TIMES, before=before, after=after)
        again = interpolator.between(first, second, TIMES, before=before, after=after)
        assert len(runs) == 1
        interpolator.between(first, second, TIMES, before=before)
        assert len(runs) == 2
    np.testing.assert_array_equal(np.stack(once), np.stack(again))


def test_neighbours_of_another_size_are_refused(folder: Path) -> None:
    before, first, second, _ = clip()
    with Interpolator.open(folder) as interpolator, pytest.raises(UsageError, match="one format"):
        interpolator.between(first, second, TIMES, before=before[:-1])


def test_halves_of_two_exports_are_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "flow.onnx").write_bytes((folder / "flow.onnx").read_bytes())
    refine = onnx.load(folder / "refine.onnx")
    next(p for p in refine.metadata_props if p.key == "tweenrt.pair_id").value = "another"
    onnx.save(refine, tmp_path / "refine.onnx")
    with pytest.raises(GraphError, match="different exports"):
        Interpolator.open(tmp_path)


def test_style_is_what_the_mapping_says(small: Loaded) -> None:
    stage = small.network.get_submodule("subNet_0")
    code = stage.mapping(torch.zeros(1, 128))
    scale, shift = stage.style_block.trans1(code).chunk(2, dim=1)
    torch.testing.assert_close(stage.style_block.style[1, 0].flatten(), 1 + scale.tanh().flatten())
    torch.testing.assert_close(stage.style_block.style[1, 1].flatten(), shift.flatten())


def test_flows_are_those_of_raft_alone(small: Loaded) -> None:
    """One run of RAFT for four flows, each frame encoded once, gives what four runs give."""
    frames = tuple(torch.from_numpy(f[None].copy()) for f in moving_frames(72, 96, 4, seed=4))
    network = small.network.flow_net
    mean = torch.stack([f.mean((2, 3), keepdim=True) for f in frames]).mean(0)
    previous, first, second, following = (f - mean + 0.5 for f in frames)  # RAFT turns 0..1 into -1..1 itself
    pairs = ((first, previous), (first, second), (second, first), (second, following))
    for flow, pair in zip(small.network.flows(frames), pairs, strict=True):
        torch.testing.assert_close(flow, network(*pair), rtol=0, atol=1e-4)


def test_large_frames_get_flow_at_half_the_size(small: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = tuple(torch.from_numpy(f[None].copy()) for f in moving_frames(128, 160, 4, seed=4, speed=2.0))
    full = small.network.flows(frames)
    monkeypatch.setattr(dbvi, "HALVED_FROM", 128 * 160)
    seen = []
    features = small.network.flow_net.features
    monkeypatch.setattr(small.network.flow_net, "features", lambda x: (seen.append(tuple(x.shape)), features(x))[1])
    halved = small.network.flows(frames)
    assert seen == [(4, 3, 64, 80)]
    assert [f.shape for f in halved] == [f.shape for f in full]
    odd = tuple(f[:, :, :, :152] for f in frames)
    monkeypatch.setattr(dbvi, "HALVED_FROM", 1)
    with pytest.raises(UsageError, match="multiples of 16"):
        small.network.flows(odd)


def test_too_small_frames_are_refused(small: Loaded) -> None:
    with pytest.raises(UsageError, match="at least 64x64"):
        small.network.flows(tuple(torch.zeros(1, 3, 56, 96) for _ in range(4)))


def test_a_missing_companion_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"raft-things\.pth"):
        load_checkpoint(registry.get("dbvi-2x"), tmp_path / "dbvi.pth")


def test_files_in_the_wrong_order_are_refused(small: Loaded, tmp_path: Path) -> None:
    state = small.network.flow_net.state_dict()
    torch.save(state, tmp_path / "raft.pth")
    with pytest.raises(CheckpointError, match="looks like raft"):
        load_checkpoint(registry.get("dbvi-8x"), tmp_path / "raft.pth", tmp_path / "raft.pth")
