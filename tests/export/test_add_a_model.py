"""The walk-through of docs/add-a-model.md, run as it is written."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

from tweenrt import Interpolator
from tweenrt.export import registry
from tweenrt.export.checkpoint import load_random
from tweenrt.export.exporter import SPLIT, export
from tweenrt.export.options import ExportOptions
from tweenrt.export.spec import ModelSpec

PAGE = Path(__file__).parents[2] / "docs" / "add-a-model.md"


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> ModelSpec:
    """The page's two code blocks as a module, registered like any other network."""
    registry.names()
    monkeypatch.setattr(registry, "_SPECS", dict(registry._SPECS))
    network, spec = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[:2]
    module = types.ModuleType("toy_from_the_page")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(network + spec, str(PAGE), "exec"), module.__dict__)  # noqa: S102  (our own page)
    return registry.get("toy")


def test_its_facts_are_right(toy: ModelSpec) -> None:
    network = toy.build()
    assert sum(p.numel() for p in network.parameters()) == toy.parameters
    assert toy.macs[0] == pytest.approx((27 * 4 * 2 + 9 * 9 * 5) * 256 * 448 / 1e9, abs=0.005)


def test_it_exports_and_runs(toy: ModelSpec, tmp_path: Path) -> None:
    loaded = load_random(toy, 0)
    export(loaded, ExportOptions(), tmp_path / "pair.onnx")
    export(loaded, ExportOptions(kinds=SPLIT), tmp_path / "split")
    frames = [f.permute(1, 2, 0).numpy() for f in torch.rand(2, 3, 33, 47)]
    with Interpolator.open(tmp_path / "pair.onnx") as whole, Interpolator.open(tmp_path / "split") as halves:
        one, other = (i.between(*frames, [0.25, 0.75]) for i in (whole, halves))
    assert [f.shape for f in one] == [(33, 47, 3)] * 2
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)
