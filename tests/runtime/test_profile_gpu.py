"""The profiler on the TensorRT session, on a GPU that is none: see support.fake_cuda and support.fake_tensorrt."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX has packages for x86-64 only")

from support import fake_tensorrt, graphs

from tweenrt.runtime import Backend
from tweenrt.runtime.profiling.profile import Profile, ProfileOptions, profile


def measured(graph: Path, backend: Backend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Profile:
    fake_tensorrt.install(monkeypatch, tmp_path / "cache")
    options = ProfileOptions(graph, (35, 50), factor=3, backend=backend, warmup=1, runs=3, seconds=0)
    return profile(options, power=lambda: ([], []))


@pytest.mark.parametrize("backend", [Backend.TENSORRT, Backend.TENSORRT_RTX])
def test_graphs_on_a_gpu(backend: Backend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    halves = graphs.blend_halves(tmp_path / "halves")
    found = measured(halves, backend, monkeypatch, tmp_path)
    assert found.executed_by == "TensorRt"
    assert [(part.part, part.runs_per_interval) for part in found.parts] == [("encoder", 1.0), ("synthesis", 2.0)]
    for part in found.parts:
        assert part.alone
        assert part.device is not None
        assert part.host.count == part.device.count == 3 * part.runs_per_interval
        assert part.device_bytes is not None
        assert part.device_bytes > 0
    assert found.layers is not None
    assert {row.part for row in found.layers.rows} == {"encoder", "synthesis"}
    assert found.layers.remarks == ()
