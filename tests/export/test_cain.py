"""CAIN beyond what every network is checked for: the graph pads by itself, at any size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from support import golden

from tweenrt.contract import Kind
from tweenrt.errors import UsageError
from tweenrt.export import registry
from tweenrt.export.checkpoint import load_random
from tweenrt.export.exporter import export
from tweenrt.export.options import ExportOptions
from tweenrt.runtime.interpolator import Interpolator

BODY_CONVOLUTIONS = 5 * (2 * 12 + 1)


def test_one_graph_draws_every_size(tmp_path: Path) -> None:
    loaded = load_random(registry.get("cain"), 3)
    (result,) = export(loaded, ExportOptions(), tmp_path / "cain.onnx")
    assert result.info.divisor == 1
    with Interpolator.open(result.path, threads=2) as interpolator:
        for size in ((101, 157), (128, 128), (44, 130)):
            frames = golden.example(2, *size)
            (drawn,) = interpolator.between(frames[0][0].numpy(), frames[1][0].numpy(), [0.5])
            with torch.no_grad():
                expected = loaded.network(*frames)[0].clamp(0, 1).numpy()
            np.testing.assert_allclose(drawn, expected, rtol=0, atol=1e-4)


def test_a_multiple_of_128_is_not_padded(tmp_path: Path) -> None:
    export(load_random(registry.get("cain"), 3), ExportOptions(size=(128, 128), batch=1), tmp_path / "cain.onnx")
    ops = [node.op_type for node in onnx.load(tmp_path / "cain.onnx").graph.node]
    assert ops.count("Pad") == BODY_CONVOLUTIONS
    assert "Slice" not in ops
    assert {"DepthToSpace"} <= set(ops)


def test_frames_too_small_to_mirror_are_refused() -> None:
    network = registry.get("cain").build()
    with pytest.raises(UsageError, match=r"at least 44 pixels a side, got 43x200"):
        network.part(Kind.PAIR, golden.example(2, 43, 200), torch.full((1, 1, 1, 1), 0.5))
