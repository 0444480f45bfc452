"""Real networks before and after their warps are fused: what is fused where, and the same picture."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import ModelProto
from support.engines import INFO, use_plugin_library
from support.fusing import SAME, run

from tweenrt.contract import OP_DOMAIN, Kind
from tweenrt.export import exporter, registry
from tweenrt.export.axes import Axes
from tweenrt.export.checkpoint import load_random
from tweenrt.export.frames import moving_frames, through_a_lens
from tweenrt.export.options import ExportOptions
from tweenrt.export.passes.attach_bodies import attach_bodies
from tweenrt.export.passes.fuse_warps import fuse_warps
from tweenrt.runtime.engines.builder import BuildOptions, build_plan
from tweenrt.runtime.engines.tensorrt import Flavour

SLOW = pytest.mark.slow


def exported(name: str, size: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch) -> tuple[ModelProto, ModelProto]:
    """A network's graph without the pass and with it."""
    unfused = []

    def spy(model: ir.Model) -> ir.Model:
        unfused.append(ir.to_proto(model).SerializeToString())
        return fuse_warps(model)

    monkeypatch.setattr(exporter, "fuse_warps", spy)
    loaded = load_random(registry.get(name), 1)
    options = ExportOptions(size=size, batch=1 if size else None)
    sizes = exporter.example_sizes(loaded.spec, options)
    part = exporter.example_part(loaded, Kind.PAIR, options, sizes)
    model = exporter.trace(loaded, part, part.run(), Axes.of(sizes, options, loaded.spec))
    return attach_bodies(onnx.load_from_string(unfused[0])), model


@pytest.mark.parametrize(
    ("name", "size", "ours"),
    [
        ("ifrnet-s", (64, 96), {"WarpConcat": 3, "WarpBlend": 1}),
        ("ifrnet-s", None, {"WarpConcat": 3, "WarpBlend": 1}),
        ("ugsp", (64, 96), {"WarpConcat": 3, "WarpBlend": 1, "MaskTiles": 3, "MaskedConv2d": 17}),
        ("rife-4.25", (64, 128), {"WarpResize": 6, "BackwardWarp": 2, "WarpBlend": 1}),
        pytest.param("amt-s", (64, 96), {"WarpConcat": 3, "WarpBlend": 3, "CorrelationLookup": 24}, marks=SLOW),
        pytest.param("rife", (64, 96), {"WarpResize": 2, "BackwardWarp": 12}, marks=SLOW),
        pytest.param(
            "ema-vfi-small-t", (64, 96), {"WarpResize": 2, "BackwardWarp": 12, "WindowAttention": 4}, marks=SLOW
        ),
    ],
)
def test_networks_draw_the_same(
    name: str, size: tuple[int, int] | None, ours: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The warps of RIFE and EMA-VFI are read by a U-Net too, or make things smaller: they stay."""
    before, after = exported(name, size, monkeypatch)
    assert Counter(n.op_type for n in after.graph.node if n.domain == OP_DOMAIN) == Counter(ours)
    frames = through_a_lens(moving_frames(*(size or (96, 128)), 2))
    feeds = {"frame0": frames[:1], "frame1": frames[1:], "t": np.full((1, 1, 1, 1), 0.3, np.float32)}
    old, new = run(before, feeds)[0], run(after, feeds)[0]
    assert old.std() > 0.1, "a flat picture proves nothing"
    np.testing.assert_allclose(new, old, rtol=0, atol=SAME)


WITHOUT_KERNEL = {"WindowAttention"}


@pytest.mark.parametrize(
    ("name", "kind", "ours"),
    [
        ("ifrnet-s", Kind.PAIR, {"WarpConcat", "WarpBlend"}),
        ("rife-4.25", Kind.PAIR, {"WarpResize", "BackwardWarp", "WarpBlend"}),
        ("ugsp", Kind.PAIR, {"WarpConcat", "WarpBlend", "MaskTiles", "MaskedConv2d"}),
        ("cspa", Kind.PAIR, {"DeformConv2d"}),
        pytest.param("ifrnet", Kind.PAIR, {"WarpConcat", "WarpBlend"}, marks=SLOW),
        pytest.param("ifrnet-l", Kind.PAIR, {"WarpConcat", "WarpBlend"}, marks=SLOW),
        pytest.param("dbvi-2x", Kind.REFINE, {"BackwardWarp", "ForwardSplat"}, marks=SLOW),
        pytest.param("dbvi-2x", Kind.FLOW, {"CorrelationLookup"}, marks=SLOW),
        pytest.param("amt-s", Kind.PAIR, {"WarpConcat", "WarpBlend", "CorrelationLookup"}, marks=SLOW),
        pytest.param("ema-vfi-small-t", Kind.PAIR, {"WarpResize", "BackwardWarp", "WindowAttention"}, marks=SLOW),
    ],
)
def test_tensorrt_builds_networks_with_our_kernels(
    name: str, kind: Kind, ours: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CSPA and DBVI's refinement cannot be built there without them."""
    use_plugin_library(monkeypatch)
    loaded = load_random(registry.get(name), 1)
    options = ExportOptions(size=(128, 192), batch=1, kinds=(kind,))
    sizes = exporter.example_sizes(loaded.spec, options)
    part = exporter.example_part(loaded, kind, options, sizes)
    model = exporter.trace(loaded, part, part.run(), Axes.of(sizes, options, loaded.spec))
    onnx.helper.set_model_props(model, INFO.to_metadata())
    onnx.save(model, tmp_path / "graph.onnx")
    built = build_plan(tmp_path / "graph.onnx", BuildOptions(Flavour.RTX, targets=("sm86",)))
    assert Counter(n.op_type for n in model.graph.node if n.domain == OP_DOMAIN).keys() == ours
    assert set(built.plugin_nodes) == ours - WITHOUT_KERNEL
    layers = [line for line in built.layers if "LayerType: custom_layer" in line]
    assert len(layers) == sum(built.plugin_nodes.values())
