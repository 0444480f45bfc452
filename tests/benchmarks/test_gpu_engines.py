"""The benchmark of engines runs from end to end, on a GPU that is none: see support.fake_tensorrt."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX has packages for x86-64 only")

from support import fake_tensorrt

from tweenrt.runtime.gpu import Gpus

pytestmark = pytest.mark.slow


def test_every_part_is_measured_or_says_why_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks" / "gpu")
    import engines

    fake_tensorrt.install(monkeypatch, tmp_path / "cache")
    monkeypatch.setattr(engines, "find_gpus", lambda: Gpus((fake_tensorrt.DEVICE,), ""))
    monkeypatch.setattr(engines, "SIZES", {"720p": (72, 112)})
    monkeypatch.setattr(engines, "RUNS", 3)
    monkeypatch.setattr(sys, "argv", ["engines.py", "ifrnet-s", "cain", "--out", str(tmp_path / "out")])
    engines.main()
    found = json.loads((tmp_path / "out" / "gpu_engines_test_gpu.json").read_text())["rows"]
    assert [row["row"] for row in found] == [f"{m} 720p {p}" for m in ("ifrnet-s", "cain") for p in ("fp32", "fp16")]
    for row in found:
        assert row["psnr_db"] > 45, row
        measured = {part for part, value in row.items() if isinstance(value, dict) and "gpu" in value}
        assert {"whole", "no_graphs", "bodies"} <= measured, row
        assert row["no_graphs"]["not_captured"]
        assert not row["whole"]["not_captured"]
        assert ("failed" in row["encoder"]) == ("failed" in row["synthesis"]) == (row["model"] == "cain")
        assert "onnxruntime-gpu" in row["onnxruntime"]["failed"]
    assert "| ifrnet-s | 720p | fp16 |" in (tmp_path / "out" / "gpu_engines_test_gpu.md").read_text()
