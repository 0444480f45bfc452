"""UGSP: masks, what the graph reports, the setting, and the sparse body against the dense one."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from tweenrt import Interpolator
from tweenrt.errors import UsageError
from tweenrt.export import registry
from tweenrt.export.checkpoint import Loaded, load_random
from tweenrt.export.exporter import export
from tweenrt.export.frames import moving_frames
from tweenrt.export.models.ugsp import UGSP
from tweenrt.export.options import ExportOptions, MaskedConv

SIZE = (128, 192)


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    return load_random(registry.get("ugsp"), 26)  # a seed whose masks are neither empty nor full


@pytest.fixture(scope="module")
def graphs(loaded: Loaded, tmp_path_factory: pytest.TempPathFactory) -> dict[MaskedConv, Path]:
    folder = tmp_path_factory.mktemp("ugsp")
    for body in MaskedConv:
        export(loaded, ExportOptions(size=SIZE, batch=1, masked_conv=body), folder / f"{body.value}.onnx")
    return {body: folder / f"{body.value}.onnx" for body in MaskedConv}


@pytest.fixture
def frames() -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(moving_frames(*SIZE), 1, 3))


@pytest.mark.parametrize("threshold", [-0.3, 0.0, 0.3])
def test_gather_equals_dense(graphs: dict[MaskedConv, Path], frames: np.ndarray, threshold: float) -> None:
    drawn, reports = [], []
    for body in MaskedConv:
        with Interpolator.open(graphs[body]) as interpolator:
            interpolator.set("mask_threshold", threshold)
            drawn += interpolator.between(*frames, [0.5])
            reports.append(interpolator.reports())
    np.testing.assert_allclose(drawn[0], drawn[1], rtol=0, atol=1e-5)
    for name, numbers in reports[0].items():
        # Means of the same mask; ONNX Runtime may add its rows in another order. One pixel would be 1e-4.
        np.testing.assert_allclose(numbers, reports[1][name], rtol=1e-6)


def test_the_setting_changes_how_much_is_computed(graphs: dict[MaskedConv, Path], frames: np.ndarray) -> None:
    shares = []
    for threshold in (-1e9, 0.0, 1e9):
        with Interpolator.open(graphs[MaskedConv.DENSE]) as interpolator:
            interpolator.set("mask_threshold", threshold)
            interpolator.between(*frames, [0.5])
            report = interpolator.reports()
        (share,), density = report["executed_share"], report["mask_density"]
        assert density[0] + 1e-6 >= density[1] >= density[2] - 1e-6, (
            "masks are nested: a fine one is never denser than a coarse one"
        )
        shares.append(share)
    assert shares[0] == pytest.approx(1.0, abs=1e-5)
    assert shares[0] > shares[1] > shares[2]
    assert shares[2] == pytest.approx(0.149, abs=1e-3), "encoder, first level and 1x1 convolutions always run"


def test_a_setting_that_does_not_exist(graphs: dict[MaskedConv, Path]) -> None:
    with Interpolator.open(graphs[MaskedConv.DENSE]) as interpolator, pytest.raises(UsageError, match="mask_threshold"):
        interpolator.set("sparsity", 0.5)


def test_bodies_are_what_was_asked_for(graphs: dict[MaskedConv, Path]) -> None:
    for body, path in graphs.items():
        functions = {f.name: f for f in onnx.load(path).functions}
        gathers = any(n.op_type == "If" for n in functions["MaskedConv2d"].node)
        assert gathers == (body is MaskedConv.GATHER)


def test_all_layers_of_a_level_share_one_list_of_tiles(graphs: dict[MaskedConv, Path]) -> None:
    for path in graphs.values():
        nodes = onnx.load(path).graph.node
        mask_of = {n.output[0]: n.input[0] for n in nodes if n.op_type == "MaskTiles"}
        layers = [n for n in nodes if n.op_type == "MaskedConv2d"]
        assert sorted(Counter(n.input[5] for n in layers).values()) == [5, 6, 6]
        assert len(set(mask_of.values())) == len(mask_of) == 3
        assert all(mask_of[n.input[5]] == n.input[1] for n in layers), "each list belongs to the layer's own mask"


def test_masks_are_nested_and_gate_the_network(loaded: Loaded) -> None:
    network = loaded.network
    assert isinstance(network, UGSP)
    frames = torch.from_numpy(moving_frames(*SIZE))
    with torch.no_grad():
        levels = [network.context(f[None] - f.mean()) for f in frames]
        _, masks = network._estimate(levels[0], levels[1])
    for coarse, fine in pairwise(masks):
        parent = torch.nn.functional.interpolate(coarse, scale_factor=2.0, mode="nearest")
        assert bool((fine <= parent).all())
        assert 0.0 < float(fine.mean()) < 1.0, "an empty or full mask proves nothing"
