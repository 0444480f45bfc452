"""Where ONNX Runtime computes: on the CPU, and on a GPU where its package has the CUDA provider."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
from support import graphs

from tweenrt.runtime import Backend, Lane, onnxruntime_session, open_session
from tweenrt.runtime.gpu import Gpu, Gpus
from tweenrt.runtime.onnxruntime_session import OnnxRuntimeSession

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"


@pytest.mark.parametrize(
    ("installed", "gpus", "wanted"),
    [
        ([TENSORRT, CUDA, CPU], 2, [(CUDA, {"device_id": 1}), CPU]),
        ([TENSORRT, CUDA, CPU], 0, [CPU]),
        ([CPU], 2, [CPU]),
        ([TENSORRT, CPU], 2, [CPU]),
    ],
    ids=["GPU and provider", "provider without a GPU", "GPU without the provider", "another provider for the GPU"],
)
def test_the_gpu_is_used_where_it_and_its_provider_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: list[str], gpus: int, wanted: list[Any]
) -> None:
    """CUDA comes first, for the GPU of the lane, and what it does not take goes to the CPU."""
    asked: list[Any] = []
    real = onnxruntime.InferenceSession

    def session(*arguments: Any, providers: list[Any]) -> Any:
        asked.append(providers)
        return real(*arguments, providers=[CPU])

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: installed)
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    monkeypatch.setattr(onnxruntime_session, "find_gpus", lambda: Gpus((Gpu("Test GPU", "sm86"),) * gpus, ""))
    open_session(graphs.blend(tmp_path / "blend.onnx"), Backend.ONNXRUNTIME, lane=Lane(1)).close()
    assert asked == [wanted]
    assert onnxruntime_session.has_gpu() is (len(wanted) == 2)


@pytest.mark.parametrize("with_gpu", [True, False])
def test_openvino_comes_first_only_where_onnx_runtime_has_no_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_gpu: bool
) -> None:
    pytest.importorskip("openvino")
    monkeypatch.setattr(onnxruntime_session, "has_gpu", lambda: with_gpu)
    monkeypatch.setattr(onnxruntime_session, "_providers", lambda _: [CPU])
    with closing(open_session(graphs.blend(tmp_path / "blend.onnx"))) as session:
        assert type(session).__name__ == ("OnnxRuntimeSession" if with_gpu else "OpenVinoSession")


def test_memory_is_given_back_after_the_first_run_of_each_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a first run took piece by piece would else stay beside the one block of later runs."""
    session = OnnxRuntimeSession(graphs.blend(tmp_path / "blend.onnx"))
    options: list[Any] = []
    real = session._session

    def run(names: None, feeds: dict[str, Any], chosen: Any) -> Any:
        options.append(chosen and chosen.get_run_config_entry("memory.enable_memory_arena_shrinkage"))
        return real.run(names, feeds, chosen)

    monkeypatch.setattr(session, "_session", SimpleNamespace(run=run))
    for height in (8, 16, 8):
        frame = np.zeros((1, 3, height, 8), np.float32)
        for _ in range(2):
            session.run({"frame0": frame, "frame1": frame, "t": np.zeros((1, 1, 1, 1), np.float32)})
    assert options == ["cpu:0", None, "cpu:0", None, None, None]
