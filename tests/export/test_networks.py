"""Every network: the authors' keys, parameters, output, and the same numbers from every graph it exports."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support import golden, manifest
from support.networks import CASES

from tweenrt.contract import FrameIO, Kind
from tweenrt.export import registry
from tweenrt.export.checkpoint import load_checkpoint, load_random
from tweenrt.export.exporter import export
from tweenrt.export.options import ExportOptions

GOLDEN_MAX_ABS = 2e-5  # the same FP32 sums in another order: a few hundred units in the last place of 1.0
WITH_MANIFEST = [n for n, c in CASES.items() if c.manifest]
WITH_GOLDEN = [n for n, c in CASES.items() if c.golden]


def test_every_network_is_under_test() -> None:
    assert sorted(CASES) == registry.names()


@pytest.mark.parametrize("name", WITH_MANIFEST)
def test_keys_are_the_authors(name: str) -> None:
    spec, case = registry.get(name), CASES[name]
    with torch.device("meta"):
        ours = {k: tuple(v.shape) for k, v in spec.build().state_dict().items()}
    theirs = manifest.shapes(case.manifest)
    assert ours == {k: v for k, v in theirs.items() if not k.startswith(spec.optional_keys)}


@pytest.mark.parametrize("name", list(CASES))
def test_parameter_count(name: str) -> None:
    spec = registry.get(name)
    with torch.device("meta"):
        assert sum(p.numel() for p in spec.build().parameters()) == spec.parameters


@pytest.mark.parametrize("name", WITH_MANIFEST)
def test_an_upstream_file_loads(name: str, tmp_path: Path) -> None:
    """A file with every key of the manifest, prefixed and wrapped as training leaves it."""
    spec, case = registry.get(name), CASES[name]
    state = {f"module.{k}": torch.zeros(v) for k, v in manifest.shapes(case.manifest).items()}
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "w.pth")
    loaded = load_checkpoint(spec, tmp_path / "w.pth")
    assert not loaded.network.training
    assert len(loaded.sha256) == 64


@pytest.mark.parametrize("name", WITH_GOLDEN)
def test_output_is_the_authors(name: str) -> None:
    spec, case = registry.get(name), CASES[name]
    expected, t = golden.load(case.golden)
    network = load_random(spec, golden.SEED).network
    part = network.part(Kind.PAIR, golden.example(spec.frames), torch.full((1, 1, 1, 1), t))
    (image,) = part.run()
    assert np.isfinite(expected).all()
    assert expected.std() > 0.02, "a flat picture proves nothing"
    np.testing.assert_allclose(golden.sample(image), expected, rtol=0, atol=GOLDEN_MAX_ABS)


@pytest.mark.parametrize("name", list(CASES))
@pytest.mark.parametrize("size", [(256, 448), None], ids=["static", "dynamic"])
def test_graphs_match_torch(name: str, size: tuple[int, int] | None, tmp_path: Path) -> None:
    """`export` compares every graph with the network (t = 1/4, 1/2, 3/4) and raises where they differ."""
    spec = registry.get(name)
    if size and any(s % spec.divisor for s in size):
        size = tuple(-(-s // spec.divisor) * spec.divisor for s in size)
    loaded = load_random(spec, 1)
    for kinds in ((Kind.PAIR,), tuple(k for k in spec.kinds if k is not Kind.PAIR)):
        if not kinds or not set(kinds) <= set(spec.kinds):
            continue
        options = ExportOptions(kinds=kinds, size=size)
        out = tmp_path / "pair.onnx" if len(kinds) == 1 else tmp_path / "split"
        for result in export(loaded, options, out):
            assert result.parity.passed, result.parity
            assert result.path.is_file()


@pytest.mark.parametrize("name", list(CASES))
def test_large_frames_match_torch(name: str, tmp_path: Path) -> None:
    spec, case = registry.get(name), CASES[name]
    options = ExportOptions(kinds=spec.kinds[:1], size=case.large, batch=1)
    (result,) = export(load_random(spec, 1), options, tmp_path / "large.onnx")
    assert result.parity.passed, result.parity


@pytest.mark.parametrize("name", list(CASES))
def test_uint8_graph_matches_torch(name: str, tmp_path: Path) -> None:
    spec = registry.get(name)
    if Kind.PAIR not in spec.kinds:
        pytest.skip("this network draws no frame by itself")
    options = ExportOptions(size=(130, 190), batch=1, io=FrameIO.UINT8)
    (result,) = export(load_random(spec, 1), options, tmp_path / "uint8.onnx")
    assert result.parity.passed, result.parity
