"""The benchmark of videos runs from end to end, on a GPU that is none: see support.fake_nvidia."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX has packages for x86-64 only")

from support import fake_nvidia, fake_tensorrt, graphs
from support.clips import Clip, moving

from tweenrt.runtime.gpu import Gpus


def test_every_way_is_measured_or_says_why_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks" / "gpu")
    import video

    machine = fake_nvidia.install(monkeypatch, tmp_path / "cache")
    monkeypatch.setattr(video, "find_gpus", lambda: Gpus((fake_tensorrt.DEVICE,), ""))
    monkeypatch.setattr(video, "SIZES", {"480p": (48, 64)})
    monkeypatch.setattr(video, "RUNS", 1)
    clip, graph = Clip(moving(5)).write(tmp_path / "in.mp4"), graphs.blend_bytes(tmp_path / "bytes.onnx")
    given = [str(clip), "--model", str(graph), "--sizes", "480p", "--seconds", "0.3", "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["video.py", *given])
    video.main()
    machine.codecs.free_surfaces()
    (row,) = json.loads((tmp_path / "out" / "gpu_video_test_gpu.json").read_text())["rows"]
    assert row["row"] == "480p"
    assert row["x264"] > 0
    assert row["gpu"] > 0
    assert row["decoded"] == 0
    assert row["nvenc"].startswith("failed: ")
    assert machine.codecs.shown == 2 * 18
    assert "| 480p |" in (tmp_path / "out" / "gpu_video_test_gpu.md").read_text()
