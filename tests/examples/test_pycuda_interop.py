"""examples/pycuda_interop.py: with a pycuda that is none on a GPU that is none, and with the real ones if there are."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support import examples, graphs

from tweenrt.runtime import DeviceArray, Lane, device_memory


class FakeGpuArray:
    """What the example uses of ``pycuda.gpuarray.GPUArray``."""

    def __init__(self, shape: Any, dtype: Any, base: Any, gpudata: int) -> None:
        self.shape, self.dtype, self.base, self.gpudata = tuple(shape), np.dtype(dtype), base, gpudata

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {"version": 3, "shape": self.shape, "typestr": self.dtype.str, "data": (self.gpudata, False)}

    @classmethod
    def view(cls, array: FakeGpuArray, stream_ptr: int) -> Any:
        """Stands for ``cuda.core.utils.StridedMemoryView.from_any_interface``, which asks the driver."""
        assert stream_ptr
        return SimpleNamespace(ptr=array.gpudata, shape=array.shape, dtype=array.dtype, strides=None, device_id=0)


def test_what_it_does_with_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX has packages for x86-64 only")
    from support import fake_tensorrt

    _, trt, _ = fake_tensorrt.install(monkeypatch, tmp_path / "cache")
    lane, uploaded = Lane(), []

    def to_gpu(picture: np.ndarray[Any, Any]) -> FakeGpuArray:
        placed = lane.upload(picture)
        lane.synchronize()
        uploaded.append(placed.address)
        return FakeGpuArray(placed.shape, placed.dtype, placed, placed.address)

    package = ModuleType("pycuda")
    package.gpuarray = SimpleNamespace(to_gpu=to_gpu, GPUArray=FakeGpuArray)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pycuda", package)
    monkeypatch.setitem(sys.modules, "pycuda.autoprimaryctx", ModuleType("pycuda.autoprimaryctx"))
    views = SimpleNamespace(from_any_interface=FakeGpuArray.view)
    monkeypatch.setattr(device_memory, "_views", lambda: views)
    graph = graphs.blend_bytes(tmp_path / "bytes.onnx")
    drawn = examples.load("pycuda_interop").main([str(graph), "--backend", "tensorrt", "--size", "16", "32"])
    told = trt.told
    assert [told["frame0"], told["frame1"], told["frame_t"]] == [*uploaded, drawn.gpudata]
    assert isinstance(drawn.base, DeviceArray), "the memory stays as long as pycuda uses it"
    size = 16 * 32 * 3
    levels = np.frombuffer(bytes(trt.cuda.bytes_at(drawn.gpudata, size)), np.uint8)
    assert (levels == 128).sum() == 4 * 4 * 2 * 3, "two edges of the square are half as bright"


@pytest.mark.gpu
def test_on_a_gpu(tmp_path: Path) -> None:
    pytest.importorskip("pycuda", reason="pycuda is not installed")
    from tweenrt.runtime.gpu import find_gpus

    if not find_gpus().found:
        pytest.skip("needs an NVIDIA GPU")
    graph = graphs.blend_bytes(tmp_path / "bytes.onnx")
    module = examples.load("pycuda_interop")
    drawn = module.main([str(graph), "--size", "64", "128"])
    assert drawn.ptr == drawn.base.address
    first, second = module.moving_square(64, 128)
    np.testing.assert_array_equal(drawn.get(), np.rint((first.astype(float) + second) / 2))
