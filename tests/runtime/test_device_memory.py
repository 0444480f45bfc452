"""Frames in GPU memory, and the memory itself, on a GPU that is none: see support.fake_cuda."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX has packages for x86-64 only")

from support import fake_tensorrt, graphs
from support.gpu_machine import Machine, frames, same

from tweenrt.errors import BackendError, UsageError
from tweenrt.runtime import Backend, DeviceArray, Interpolator, Lane, device_memory


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    return Machine(*fake_tensorrt.install(monkeypatch, tmp_path / "cache"))


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    return graphs.blend(tmp_path / "blend.onnx")


def test_frames_in_gpu_memory_stay_there(machine: Machine, tmp_path: Path) -> None:
    graph = graphs.blend_bytes(tmp_path / "bytes.onnx")
    a, b = frames(2)
    with (
        Interpolator.open(graph, Backend.TENSORRT) as interpolator,
        Interpolator.open(graph, Backend.ONNXRUNTIME) as cpu,
    ):
        lane = interpolator._lane
        assert lane is not None
        one, two = lane.upload(a), lane.upload(b)
        (middle,) = interpolator.between(one, two, [0.5])  # type: ignore[arg-type]
        assert machine.cuda.idle  # who takes the frame need not wait for a stream that it does not know
        assert isinstance(middle, DeviceArray)
        assert middle.shape == a.shape
        interface = middle.__cuda_array_interface__
        assert interface["data"] == (middle.address, False)
        assert interface["typestr"] == "|u1"
        same([np.asarray(middle)], cpu.between(a, b, [0.5]))
        quarter = interpolator.between(one, two, [0.25])[0]  # type: ignore[arg-type]
        same([np.asarray(quarter)], cpu.between(a, b, [0.25]))
        with pytest.raises(UsageError, match="all frames in GPU memory or none"):
            interpolator.between(one, b, [0.5])  # type: ignore[arg-type]
        with pytest.raises(UsageError, match=r"as \[H,W,3\] uint8"):
            interpolator.prepare(lane.upload(a.astype(np.float32)))  # type: ignore[arg-type]


def test_float_frames_in_gpu_memory_must_fit(machine: Machine, graph: Path) -> None:
    a, b = (np.moveaxis(f, 2, 0).astype(np.float32) / 255 for f in frames(2, 64, 96))
    with (
        Interpolator.open(graph, Backend.TENSORRT) as interpolator,
        Interpolator.open(graph, Backend.ONNXRUNTIME) as cpu,
    ):
        lane = interpolator._lane
        assert lane is not None
        (middle,) = interpolator.between(lane.upload(a), lane.upload(b), [0.5])  # type: ignore[arg-type]
        same([np.clip(np.asarray(middle), 0, 1)], cpu.between(a, b, [0.5]))
        with pytest.raises(UsageError, match="multiples of 32, got 40x96"):
            interpolator.prepare(lane.upload(a[:, :40].copy()))  # type: ignore[arg-type]
    with Interpolator.open(graph, Backend.ONNXRUNTIME) as cpu, pytest.raises(UsageError, match="runs on the CPU"):
        cpu.prepare(middle)


class Foreign:
    """An array of another library."""

    def __init__(self, array: DeviceArray, strides: tuple[int, ...] | None = None) -> None:
        self.array, self.strides = array, strides
        self.__cuda_array_interface__ = array.__cuda_array_interface__


class View:
    """Stands for cuda.core's view of a foreign array, which asks the driver."""

    asked: ClassVar[list[tuple[object, int]]] = []

    @classmethod
    def from_any_interface(cls, array: Foreign, stream_ptr: int) -> View:
        cls.asked.append((array, stream_ptr))
        return cls(array)

    def __init__(self, array: Foreign) -> None:
        self.ptr, self.shape, self.dtype = array.array.address, array.array.shape, array.array.dtype
        self.strides, self.device_id = array.strides, array.array.lane.gpu


def test_arrays_of_other_libraries_are_used_without_a_copy(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cuda.core.utils import StridedMemoryView

    view = StridedMemoryView.from_any_interface(np.zeros((2, 3), np.uint8), stream_ptr=-1)
    assert (tuple(view.shape), view.dtype) == ((2, 3), np.dtype(np.uint8))
    assert {"ptr", "strides", "device_id"} <= set(dir(view))
    monkeypatch.setattr(device_memory, "_views", lambda: View)
    graph = graphs.blend_bytes(tmp_path / "bytes.onnx")
    other, pictures = Lane(), frames(2)
    with (
        Interpolator.open(graph, Backend.TENSORRT) as interpolator,
        Interpolator.open(graph, Backend.ONNXRUNTIME) as cpu,
    ):
        lane = interpolator._lane
        assert lane is not None
        a, b = (Foreign(other.upload(picture)) for picture in pictures)
        other.synchronize()
        held = lane.bytes_held
        ready = [interpolator.prepare(a), interpolator.prepare(b)]  # type: ignore[arg-type]
        assert lane.bytes_held == held
        assert View.asked[-2:] == [(a, lane.stream), (b, lane.stream)]
        (middle,) = interpolator.between(*ready, [0.5])
        same([np.asarray(middle)], cpu.between(*pictures, [0.5]))
        with pytest.raises(UsageError, match="contiguous"):
            interpolator.prepare(Foreign(a.array, strides=(1, 40, 2800)))  # type: ignore[arg-type]
        elsewhere = Foreign(DeviceArray(Lane(1), a.array.address, a.array.shape, np.uint8, a))
        with pytest.raises(UsageError, match="expected an array on GPU 0, got one on GPU 1"):
            interpolator.prepare(elsewhere)  # type: ignore[arg-type]
    other.close()


def test_out_of_memory_says_what_to_do(machine: Machine, graph: Path) -> None:
    machine.cuda.capacity = 100_000
    with (
        Interpolator.open(graph, Backend.TENSORRT) as interpolator,
        pytest.raises(BackendError, match=r"out of memory|no . MiB of memory"),
    ):
        interpolator.between(*frames(2), [0.5])


def test_kept_memory_is_given_back_before_there_is_none(machine: Machine) -> None:
    lane = Lane()
    machine.cuda.capacity = 1000
    first = lane.empty((600,), np.uint8)
    del first
    assert lane.empty((700,), np.uint8).nbytes == 700
    lane.close()
