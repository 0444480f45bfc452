"""Frames go to the network and come back in the memory that they are in; who uses that memory too early is told."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import graphs

from tweenrt.errors import BackendError, UsageError
from tweenrt.runtime import Backend, DeviceArray, Interpolator, Lane, PreparedFrame, Session, open_session
from tweenrt.runtime.lent import Lent

Array = np.ndarray[Any, Any]
CPU = (Backend.ONNXRUNTIME, Backend.OPENVINO)


class Watched:
    """A session whose inputs and outputs are written down by address."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.taken: dict[str, int] = {}
        self.given: list[Array] = []

    def run(self, feeds: Mapping[str, Any], *, keep: bool = False) -> dict[str, Any]:
        self.taken = {name: value.ctypes.data for name, value in feeds.items()}
        results = self._session.run(feeds, keep=keep)
        self.given.append(results["frame_t"])
        return results

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


def watched(graph: Path, backend: Backend = Backend.ONNXRUNTIME) -> tuple[Interpolator, Watched]:
    if backend is Backend.OPENVINO:
        pytest.importorskip("openvino", reason="OpenVINO is not installed")
    session = Watched(open_session(graph, backend))
    return Interpolator.open(graph, opener=lambda *_: session), session


def planar(seed: int, dtype: Any = np.float32) -> Array:
    return np.random.default_rng(seed).random((3, 32, 64)).astype(dtype)


def pixels(seed: int) -> Array:
    return np.random.default_rng(seed).integers(0, 256, (20, 30, 3), np.uint8)


@pytest.fixture
def blend(tmp_path: Path) -> Path:
    return graphs.blend(tmp_path / "blend.onnx", gain=3.0)


@pytest.fixture
def blend_bytes(tmp_path: Path) -> Path:
    return graphs.blend_bytes(tmp_path / "bytes.onnx")


@pytest.mark.parametrize("backend", CPU)
def test_planar_floats_that_fit_are_not_copied(blend: Path, backend: Backend) -> None:
    interpolator, session = watched(blend, backend)
    a, b = planar(0), planar(1)
    (middle,) = interpolator.between(a, b, [0.5])
    assert session.taken["frame0"] == a.ctypes.data
    assert session.taken["frame1"] == b.ctypes.data
    assert middle.ctypes.data == session.given[0].ctypes.data
    wild = a + 1.5 * (b - a)
    assert wild.min() < 0
    assert wild.max() > 1
    np.testing.assert_allclose(middle, wild.clip(0, 1), rtol=0, atol=1e-6)


def test_bytes_are_not_copied(blend_bytes: Path) -> None:
    interpolator, session = watched(blend_bytes)
    a, b = pixels(0), pixels(1)
    (middle,) = interpolator.between(a, b, [0.5])
    assert session.taken["frame0"] == a.ctypes.data
    assert session.taken["frame1"] == b.ctypes.data
    assert middle.ctypes.data == session.given[0].ctypes.data


@pytest.mark.parametrize("kind", [torch.uint8, torch.float32])
def test_tensors_of_pytorch_share_their_memory_both_ways(kind: torch.dtype, blend: Path, blend_bytes: Path) -> None:
    interpolator, session = watched(blend if kind.is_floating_point else blend_bytes)
    make = planar if kind.is_floating_point else pixels
    a, b = torch.from_numpy(make(0)), torch.from_numpy(make(1))
    (middle,) = interpolator.between(a, b, [0.5])  # type: ignore[arg-type]
    assert (session.taken["frame0"], session.taken["frame1"]) == (a.data_ptr(), b.data_ptr())
    back = torch.from_dlpack(middle)
    assert back.dtype == kind
    assert back.data_ptr() == session.given[0].ctypes.data


def test_a_prepared_tensor_outlives_its_owner(blend_bytes: Path) -> None:
    interpolator, _ = watched(blend_bytes)
    a, b = pixels(0), pixels(1)
    (expected,) = interpolator.between(a, b, [0.5])
    tensor = torch.from_numpy(a).clone()
    ready = interpolator.prepare(tensor)  # type: ignore[arg-type]
    del tensor
    gc.collect()
    others = [torch.full((20, 30, 3), k, dtype=torch.uint8) for k in range(50)]
    np.testing.assert_array_equal(interpolator.between(ready, b, [0.5])[0], expected)
    del others


@pytest.mark.parametrize("backend", CPU)
def test_what_was_drawn_stays_as_it_is(blend: Path, backend: Backend) -> None:
    interpolator, _ = watched(blend, backend)
    (first,) = interpolator.between(planar(0), planar(1), [0.5])
    kept = first.copy()
    for seed in range(2, 6):
        interpolator.between(planar(seed), planar(seed + 1), [0.5])
    interpolator.close()
    np.testing.assert_array_equal(first, kept)
    with pytest.raises(BackendError, match="closed"):
        interpolator.between(planar(0), planar(1), [0.5])


def test_input_frames_are_never_written_to(blend: Path) -> None:
    interpolator, _ = watched(blend)
    a, b = planar(0) * 3 - 1, planar(1)
    before = a.copy()
    interpolator.between(a, b, [0.25, 0.75])
    np.testing.assert_array_equal(a, before)
    a.flags.writeable = False
    assert interpolator.between(a, b, [0.5])[0].flags.writeable


@pytest.mark.parametrize("made", ["floats", "bytes", "tensor"])
def test_memory_that_is_used_again_too_early_is_noticed(made: str, blend: Path, blend_bytes: Path) -> None:
    interpolator, _ = watched(blend_bytes if made == "bytes" else blend)
    buffer, other = (pixels(0), pixels(1)) if made == "bytes" else (planar(0), planar(1))
    first = interpolator.prepare(torch.from_numpy(buffer) if made == "tensor" else buffer)  # type: ignore[arg-type]
    buffer[:] = other  # the camera has filled its buffer again
    second = interpolator.prepare(buffer)
    with pytest.raises(UsageError, match=r"memory holds another picture .* \(frame.copy\(\)\)"):
        interpolator.between(first, second, [0.5])


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(planar(0)[:, :, ::2], id="strides"),
        pytest.param(planar(0)[:, :20].copy(), id="padding"),
        pytest.param(planar(0, np.float16), id="half floats"),
        pytest.param(np.moveaxis(planar(0), 0, 2).copy(), id="channels last"),
        pytest.param(pixels(0), id="bytes into floats"),
    ],
)
def test_memory_that_was_copied_may_be_used_again(frame: Array, blend: Path) -> None:
    interpolator, _ = watched(blend)
    (expected,) = interpolator.between(frame, frame, [0.5])
    ready = interpolator.prepare(frame)
    kept = frame.copy()
    frame[...] = 0
    np.testing.assert_array_equal(interpolator.between(ready, ready, [0.5])[0], expected)
    frame[...] = kept


def test_a_view_in_another_order_is_noticed_too(blend: Path) -> None:
    interpolator, session = watched(blend)
    buffer = planar(0)
    ready = interpolator.prepare(np.moveaxis(buffer, 0, 2))  # [H,W,3] on planar memory
    assert isinstance(ready, PreparedFrame)
    interpolator.between(ready, ready, [0.5])
    assert session.taken["frame0"] == buffer.ctypes.data
    buffer += 1
    with pytest.raises(UsageError, match="another picture"):
        interpolator.between(ready, ready, [0.5])


def test_a_lent_frame_may_hold_what_is_no_number() -> None:
    frame = np.full((3, 4, 5), np.nan, np.float32)
    Lent(frame).check()


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ([[1, 2], [3, 4]], "got list"),
        (torch.zeros(3, 32, 64).__dlpack__(), "got PyCapsule"),
        (torch.zeros(3, 32, 64, requires_grad=True), r"Tensor cannot be shared .*detach"),
        (torch.zeros(3, 32, 64, dtype=torch.bfloat16), "Tensor cannot be shared"),
        (torch.zeros(3, 32, 64, dtype=torch.int32), "uint8, uint16, float16 or float32, got int32"),
    ],
)
def test_what_cannot_be_shared_is_refused(frame: object, message: str, blend: Path) -> None:
    interpolator, _ = watched(blend)
    with pytest.raises(UsageError, match=message):
        interpolator.prepare(frame)  # type: ignore[arg-type]


def test_the_same_graph_with_padding_still_draws_the_same(blend: Path, tmp_path: Path) -> None:
    """Cropped out of a larger picture, the drawn frame gets memory of its own."""
    wide = graphs.save(tmp_path / "wide.onnx", _TEXT, replace(graphs.INFO, divisor=128))
    interpolator, session = watched(wide)
    a, b = planar(0), planar(1)
    (middle,) = interpolator.between(a, b, [0.5])
    assert not np.may_share_memory(middle, session.given[0])
    np.testing.assert_allclose(middle, (a + b) / 2, rtol=0, atol=1e-6)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A GPU that is none."""
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX has packages for x86-64 only")
    from support import fake_tensorrt
    from support.gpu_machine import Machine

    return Machine(*fake_tensorrt.install(monkeypatch, tmp_path / "cache"))


def test_arrays_in_gpu_memory_are_not_copied(machine: Any, blend_bytes: Path) -> None:
    lane = Lane()
    with Interpolator.open(blend_bytes, Backend.TENSORRT, lane=lane) as interpolator:
        a, b = lane.upload(pixels(0)), lane.upload(pixels(1))
        (middle,) = interpolator.between(a, b, [0.5])  # type: ignore[arg-type]
        told = machine.trt.told
        assert isinstance(middle, DeviceArray)
        assert [told[name] for name in ("frame0", "frame1", "frame_t")] == [a.address, b.address, middle.address]
        assert middle.__cuda_array_interface__["data"] == (middle.address, False)
        drawn = np.asarray(middle).copy()
        taken = {interpolator.between(a, b, [0.5])[0].address for _ in range(5)}  # type: ignore[arg-type, attr-defined]
        assert middle.address not in taken
        np.testing.assert_array_equal(np.asarray(middle), drawn)
    del a, b
    gc.collect()
    assert list(machine.cuda.live) == [middle.address], "the frame outlives the interpolator, and nothing else does"
    with pytest.raises(BackendError, match="closed"):
        np.asarray(middle)


_TEXT = f"""{graphs.HEAD}
    mean (float[N,3,H,W] frame0, float[N,3,H,W] frame1, float[N,1,1,1] t) => (float[N,3,H,W] frame_t)
    {{
        sum = Add (frame0, frame1)
        half = Constant <value_floats = [0.5]> ()
        frame_t = Mul (sum, half)
    }}"""
