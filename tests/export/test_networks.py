"""Every network: the authors' keys, parameters, output, and the same numbers from every graph it exports."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from support import golden, manifest
from support.macs import macs
from support.networks import CASES, Tier, tier

from tweenrt import Interpolator
from tweenrt.contract import OP_DOMAIN, FrameIO, Kind, TimeInput
from tweenrt.export import registry
from tweenrt.export.checkpoint import load_checkpoint, load_random, own_entries
from tweenrt.export.exporter import export
from tweenrt.export.frames import moving_frames, through_a_lens
from tweenrt.export.options import ExportOptions
from tweenrt.export.uint8 import FramePadding

WITH_MANIFEST = [n for n, c in CASES.items() if c.manifest]
WITH_GOLDEN = [n for n, c in CASES.items() if c.golden]
WITH_GRAPHS = [n for n, c in CASES.items() if not c.twin and not c.own_graph_tests]


def graphs_of(*always: Tier) -> list[object]:
    """Networks whose graphs are checked: in every run those of the given tiers, the others in `make test-all`."""
    return [pytest.param(n, marks=() if tier(n) in always else pytest.mark.slow) for n in WITH_GRAPHS]


def test_every_network_is_under_test() -> None:
    assert sorted(CASES) == registry.names()


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c.twin])
def test_twins_are_one_network(name: str) -> None:
    """Graphs are checked for one of them only, so nothing but the name and the weights may differ."""
    spec, twin = registry.get(name), registry.get(CASES[name].twin)
    same = replace(
        spec, name=twin.name, title=twin.title, weights=twin.weights, overview=twin.overview, notes=twin.notes
    )
    assert same == twin
    assert not CASES[twin.name].twin


@pytest.mark.parametrize("name", WITH_MANIFEST)
def test_keys_are_the_authors(name: str) -> None:
    spec, case = registry.get(name), CASES[name]
    with torch.device("meta"):
        ours = {k: tuple(v.shape) for k, v in own_entries(spec, spec.build().state_dict()).items()}
    theirs = manifest.shapes(case.manifest)
    assert ours == {k: v for k, v in theirs.items() if not k.startswith(spec.optional_keys)}


@pytest.mark.parametrize("name", list(CASES))
def test_parameter_count(name: str) -> None:
    spec = registry.get(name)
    with torch.device("meta"):
        own = own_entries(spec, dict(spec.build().named_parameters()))
    assert sum(p.numel() for p in own.values()) == spec.parameters


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if not c.twin])
def test_macs(name: str) -> None:
    """Also the proof that layers run at the authors' resolution, where no code of theirs can be run."""
    spec = registry.get(name)
    found = [macs(spec, size).total for size in ((256, 448), (720, 1280))]
    assert found == pytest.approx(spec.macs, rel=0.0005, abs=0.0051)  # what the last digit of the spec hides


@pytest.mark.parametrize("name", WITH_MANIFEST)
def test_an_upstream_file_loads(name: str, tmp_path: Path) -> None:
    """A file with every key of the manifest, prefixed and wrapped as training leaves it."""
    spec, case = registry.get(name), CASES[name]
    files = [tmp_path / f"{name}.pth" for name in (case.manifest, *case.companions)]
    for file in files:
        state = {f"module.{k}": torch.zeros(v) for k, v in manifest.shapes(file.stem).items()}
        torch.save({"epoch": 3, "state_dict": state}, file)
    loaded = load_checkpoint(spec, *files)
    assert not loaded.network.training
    assert [len(digest) for digest in loaded.sha256.split("+")] == [64] * len(files)


@pytest.mark.parametrize("name", WITH_GOLDEN)
def test_output_is_the_authors(name: str) -> None:
    spec, case = registry.get(name), CASES[name]
    expected, t = golden.load(case.golden)
    network = load_random(spec, golden.SEED).network
    height, width = (golden.STRIDE * side for side in expected.shape[2:])
    frames = golden.example(spec.frames, height, width)
    part = network.part(spec.kinds[0], frames, torch.full((1, 1, 1, 1), t))
    (image,) = part.run()
    assert np.isfinite(expected).all()
    assert expected.std() > 0.02, "a flat picture proves nothing"
    np.testing.assert_allclose(golden.sample(image), expected, rtol=0, atol=case.golden_max_abs)


@pytest.mark.parametrize("name", graphs_of(Tier.FULL))
def test_static_graphs_match_torch(name: str, tmp_path: Path) -> None:
    """`export` compares every graph with the network (t = 1/4, 1/2, 3/4) and raises where they differ."""
    divisor = registry.get(name).divisor
    check_graphs(name, ExportOptions(size=(-(-256 // divisor) * divisor, -(-448 // divisor) * divisor)), tmp_path)


@pytest.mark.parametrize("name", graphs_of(Tier.FULL, Tier.SMALL))
def test_dynamic_graphs_match_torch(name: str, tmp_path: Path) -> None:
    """At the size of the example, and through the runtime at an odd one that has to be padded and cropped."""
    check_graphs(name, ExportOptions(), tmp_path)
    for graph in (tmp_path / "one.onnx", tmp_path / "parts"):
        if graph.exists() and tier(name) is Tier.FULL:
            check_odd_frames(name, graph)


def check_odd_frames(name: str, graph: Path) -> None:
    spec, times = registry.get(name), (0.25, 0.5, 0.75)
    moments = times if spec.t is TimeInput.INPUT else times[1:2]
    frames = through_a_lens(moving_frames(101, 157))
    with Interpolator.open(graph) as interpolator:
        drawn = interpolator.between(frames[0], frames[1], moments)
    pad = FramePadding(spec.divisor, spec.padding)
    padded = tuple(pad(torch.from_numpy(f[None])) for f in frames)
    network = load_random(spec, 1).network
    for t, ours in zip(moments, drawn, strict=True):
        (whole,) = network.part(Kind.PAIR, padded, torch.full((1, 1, 1, 1), t)).run()
        expected = whole[pad.window(101, 157)][0].clamp(0, 1).numpy()
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-4)


def check_graphs(name: str, options: ExportOptions, folder: Path) -> None:
    """Export all graphs of a network: the whole, and its parts together."""
    spec = registry.get(name)
    loaded = load_random(spec, 1)
    whole, parts = (Kind.PAIR,), tuple(k for k in spec.kinds if k is not Kind.PAIR)
    for kinds in (whole if Kind.PAIR in spec.kinds else (), parts):
        if not kinds:
            continue
        out = folder / "one.onnx" if len(kinds) == 1 else folder / "parts"
        ops = set()
        for result in export(loaded, replace(options, kinds=kinds), out):
            assert result.parity.passed, result.parity
            ops |= {node.op_type for node in onnx.load(result.path).graph.node if node.domain == OP_DOMAIN}
        assert ops == set(spec.custom_ops)


@pytest.mark.parametrize("name", graphs_of(Tier.FULL))
def test_large_frames_match_torch(name: str, tmp_path: Path) -> None:
    """At one moment; at three where the moment is an input and the test always runs."""
    spec, case = registry.get(name), CASES[name]
    three = spec.t is TimeInput.INPUT and tier(name) is Tier.FULL
    size = tuple(-(-side // spec.divisor) * spec.divisor for side in case.large)
    options = ExportOptions(kinds=spec.kinds[:1], size=(size[0], size[1]), batch=None if three else 1)
    (result,) = export(load_random(spec, 1), options, tmp_path / "large.onnx")
    assert result.parity.passed, result.parity


@pytest.mark.parametrize("name", graphs_of(Tier.FULL))
def test_uint8_graph_matches_torch(name: str, tmp_path: Path) -> None:
    spec = registry.get(name)
    if Kind.PAIR not in spec.kinds:
        pytest.skip("this network draws no frame by itself")
    options = ExportOptions(size=(130, 190), batch=1, io=FrameIO.UINT8)
    (result,) = export(load_random(spec, 1), options, tmp_path / "uint8.onnx")
    assert result.parity.passed, result.parity
