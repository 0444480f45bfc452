"""Flow that is looked for on smaller frames: the authors' output, graphs that match it, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (the field's usual name)
from support import golden
from support.networks import CASES

from tweenrt.contract import GraphInfo, Kind
from tweenrt.errors import GraphError, UsageError
from tweenrt.export import registry
from tweenrt.export.checkpoint import load_random
from tweenrt.export.exporter import export
from tweenrt.export.options import ExportOptions
from tweenrt.export.spec import ModelSpec
from tweenrt.export.verify_graph import verify_graph
from tweenrt.runtime import Backend, Interpolator

GOLDENS = sorted(path.stem for path in golden.GOLDEN.glob("*@*.npz"))
SCALABLE = [n for n, c in CASES.items() if not c.twin and len(registry.get(n).flow_scales) > 1]
SIZE = (125, 250)
QUICK = ("rife-4.25", "ifrnet-s")


def scaled(name: str, flow_scale: float = 0.5) -> ModelSpec:
    return registry.get(name).at_flow_scale(flow_scale)


@pytest.mark.parametrize("name", GOLDENS)
def test_output_is_the_authors(name: str) -> None:
    """RIFE's ``scale``, IFRNet's ``scale_factor`` and EMA-VFI's ``down_scale``, run with the authors' code."""
    model, _, flow_scale = name.partition("@")
    spec = scaled(model, float(flow_scale))
    expected, t = golden.load(name)
    height, width = (golden.STRIDE * side for side in expected.shape[2:])
    part = load_random(spec, golden.SEED).network.part(
        Kind.PAIR, golden.example(spec.frames, height, width), torch.full((1, 1, 1, 1), t)
    )
    (image,) = part.run()
    assert expected.std() > 0.02, "a flat picture proves nothing"
    np.testing.assert_allclose(golden.sample(image), expected, rtol=0, atol=CASES[model].golden_max_abs)


def test_the_goldens_are_there() -> None:
    assert {name.split("@")[0] for name in GOLDENS} >= {"rife", "rife-4.0", "rife-4.25", "ifrnet", "ema-vfi-small-t"}


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in SCALABLE])
def test_graphs_match_torch(name: str, tmp_path: Path) -> None:
    """The whole and its parts; `export` raises where a graph differs from the network."""
    spec = scaled(name)
    loaded = load_random(spec, 1)
    height, width = (-(-side // spec.divisor) * spec.divisor for side in SIZE)
    options = ExportOptions(size=(height, width), batch=1)
    whole = tmp_path / "one.onnx"
    (result,) = export(loaded, options, whole)
    assert (result.info.flow_scale, result.info.divisor) == (0.5, 2 * registry.get(name).divisor)
    assert all(line.parity.passed for line in verify_graph(whole))
    kinds = tuple(k for k in spec.kinds if k is not Kind.PAIR)
    if kinds:
        export(loaded, replace(options, kinds=kinds), tmp_path / "parts")
        frames = golden.example(height=SIZE[0], width=SIZE[1])
        first, second = (np.ascontiguousarray(frame[0].numpy()) for frame in frames)
        drawn = []
        for graph in (whole, tmp_path / "parts"):
            with Interpolator.open(graph, Backend.ONNXRUNTIME) as interpolator:
                drawn += interpolator.between(first, second, [0.5])
        np.testing.assert_allclose(drawn[0], drawn[1], rtol=0, atol=2e-5)


@pytest.mark.parametrize("name", ["amt-s", "amt-s-d", "amt-s-dr", "rife-hdv3"])
def test_it_reaches_twice_as_far(name: str) -> None:
    """Frames of twice the size, without detail that is new there, get what the smaller ones get: for those whose
    authors' code is not to be run, or not public.
    """
    small = golden.example(height=128, width=128)
    large = tuple(F.interpolate(frame, scale_factor=2, mode="bilinear") for frame in small)
    expected = midpoint(registry.get(name), small)
    images = (midpoint(spec, large) for spec in (scaled(name), registry.get(name)))
    errors = [float((F.avg_pool2d(image, 2) - expected).square().mean()) for image in images]
    assert errors[0] < 0.4 * errors[1]


def midpoint(spec: ModelSpec, frames: tuple[torch.Tensor, ...]) -> torch.Tensor:
    (image,) = load_random(spec, 1).network.part(Kind.PAIR, frames, torch.full((1, 1, 1, 1), 0.5)).run()
    return image


def test_parts_of_different_scales_do_not_mix(tmp_path: Path) -> None:
    options = ExportOptions(kinds=(Kind.ENCODER, Kind.SYNTHESIS), size=(128, 128), batch=1)
    for flow_scale in (1.0, 0.5):
        export(load_random(scaled("rife-4.25", flow_scale), 1), options, tmp_path / str(flow_scale))
    (tmp_path / "0.5" / "encoder.onnx").replace(tmp_path / "1.0" / "encoder.onnx")
    with pytest.raises(GraphError):
        Interpolator.open(tmp_path / "1.0")


def test_metadata_without_a_flow_scale_means_1(tmp_path: Path) -> None:
    """Graphs of earlier versions say nothing of it."""
    (result,) = export(load_random(scaled("ifrnet-s"), 1), ExportOptions(size=(64, 64), batch=1), tmp_path / "one.onnx")
    stored = result.info.to_metadata()
    assert stored.pop("tweenrt.flow_scale") == "0.5"
    assert GraphInfo.from_metadata(stored, "here") == replace(result.info, flow_scale=1.0)


@pytest.mark.parametrize(("name", "flow_scale", "known"), [("cain", 0.5, "1"), ("ifrnet", 0.3, "1, 0.5, 0.25")])
def test_other_scales_are_refused(name: str, flow_scale: float, known: str) -> None:
    with pytest.raises(UsageError, match=rf"expected a flow scale of {name} \({known}\), got {flow_scale}"):
        scaled(name, flow_scale)
