"""NVDEC, NVENC and our conversion kernels without a GPU: PyAV's own codecs, and the kernels on the emulator.

Memory and streams are those of `support.fake_cuda`, where work that is queued runs when its stream is waited for. What
a real machine demands is demanded here: a thread makes its GPU the current one first; a decoded picture is there once
the default stream was waited for, and only until the decoder needs its surface again; an encoder is given pictures that
are computed, with chroma right behind luma.
"""

from __future__ import annotations

import ctypes
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from cuda.bindings import runtime as real

from support import fake_tensorrt
from support.fake_cuda import FakeCuda
from support.gpu_machine import Machine
from support.kernel_build import library
from support.kernels import loaded
from tweenrt.errors import BackendError, VideoError
from tweenrt.runtime.video import gpu_writer, nvidia, placing, surface
from tweenrt.runtime.video.encoding import EncoderPlan
from tweenrt.runtime.video.surface import Surface

_PITCH = 512
_SURFACES = 2
_LOSSLESS = {"qp": "0", "preset": "ultrafast"}


class ThreadedCuda(FakeCuda):
    """A GPU that several threads use, each with a stream of its own.

    Attributes:
        waited: whether the default stream was waited for since a picture was last taken from the decoder.
        unwritten: addresses that work which is queued will write to.
    """

    def __init__(self, gpus: int = 1) -> None:
        super().__init__(gpus)
        self.waited = False
        self.unwritten: set[int] = set()

    @property
    def current(self) -> bool:
        """Whether this thread has made a GPU the current one."""
        return hasattr(self._mine, "gpu")

    def enqueue_write(self, address: int, work: Callable[[], object], stream: int) -> None:
        """Queue `work`, which writes to `address`."""
        self.unwritten.add(address)

        def write() -> None:
            work()
            self.unwritten.discard(address)

        self.enqueue(write, stream)

    def array(self, address: int, pitch: int, rows: int) -> Any:
        """Rows in live memory, uint8 [rows, pitch], to read or write."""
        return np.frombuffer(self.bytes_at(address, pitch * rows), np.uint8).reshape(rows, pitch)

    def cudaStreamSynchronize(self, stream: int) -> tuple[Any]:  # noqa: N802
        if stream:
            return super().cudaStreamSynchronize(stream)
        self.waited = True
        return (real.cudaError_t.cudaSuccess,)

    def cudaMemcpy2DAsync(  # noqa: N802
        self, dst: int, dpitch: int, src: int, spitch: int, width: int, height: int, kind: Any, stream: int
    ) -> tuple[Any]:
        assert kind is self.cudaMemcpyKind.cudaMemcpyDeviceToDevice

        def copy() -> None:
            self.array(dst, dpitch, height)[:, :width] = self.array(src, spitch, height)[:, :width]

        self.enqueue_write(dst, copy, stream)
        return (real.cudaError_t.cudaSuccess,)


class Codecs:
    """The decoder and the encoder of the GPU.

    Attributes:
        tried: codecs that `try_encoder` was asked for.
        encodes: whether there is an encoder.
        shown: how many pictures the encoder was given.
        fails_after: the encoder refuses the picture of this number.
        held: surfaces that the decoder keeps, which it writes to in turn.
    """

    def __init__(self, cuda: ThreadedCuda) -> None:
        self.cuda = cuda
        self.tried: list[str] = []
        self.encodes = True
        self.shown = 0
        self.fails_after: int | None = None
        self.held: deque[int] = deque()

    def decoding(self, path: Path, gpu: int) -> Any:
        assert self.cuda.current
        assert gpu == 0
        try:
            return av.open(str(path))
        except av.FFmpegError as error:
            raise VideoError(f"{path}: GPU 0 does not decode it") from error

    def surface_of(self, picture: av.VideoFrame) -> Surface:
        assert self.cuda.current
        assert self.cuda.waited, "the picture is not there yet"
        self.cuda.waited = False
        height, width = picture.height, picture.width
        address = self._next_surface(height + height // 2)
        planes = picture.to_ndarray()
        memory = self.cuda.array(address, _PITCH, height + height // 2)
        memory[:height, :width] = planes[:height]
        cb, cr = np.split(planes[height:].reshape(-1), 2)
        memory[height:, :width] = np.stack([cb, cr], -1).reshape(height // 2, width)
        return Surface(address, address + height * _PITCH, _PITCH, height, width, None)

    def free_surfaces(self) -> None:
        """What closing the decoder does."""
        while self.held:
            self.cuda.cudaFree(self.held.pop())

    def try_encoder(self, codec: str, options: Mapping[str, str], gpu: int, height: int, width: int) -> None:
        assert self.cuda.current
        assert gpu == 0
        assert options["rc"] == "vbr"
        assert height <= width
        self.tried.append(codec)
        if not self.encodes:
            raise BackendError(f"{codec} cannot be used on GPU 0 (no such device)")

    def picture(self, given: Surface) -> av.VideoFrame:
        """What the encoder sees in a surface."""
        assert self.cuda.current
        assert given.luma not in self.cuda.unwritten, "a picture is encoded before it is computed"
        assert given.chroma == given.luma + given.pitch * given.height, "NVENC is told of the luma only"
        if self.shown == self.fails_after:
            raise av.ExternalError(1, "the encoder fails")
        self.shown += 1
        rows = self.cuda.array(given.luma, given.pitch, given.height + given.height // 2)[:, : given.width]
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rows), format="nv12")
        return frame.reformat(format="yuv420p")

    def _next_surface(self, rows: int) -> int:
        if len(self.held) < _SURFACES:
            self.held.append(self.cuda.cudaMalloc(rows * _PITCH)[1])
        else:
            self.held.rotate()
        self.cuda.array(self.held[0], _PITCH, rows)[:] = 0xEE
        return self.held[0]


class EmulatedLibrary:
    """The functions of the plugin library for video; they are queued as on a GPU.

    Attributes:
        status: what they return instead of running, if not 0.
    """

    def __init__(self, cuda: ThreadedCuda) -> None:
        self._cuda, self._lock = cuda, threading.Lock()
        self._emulator = loaded(library("nv12"))
        self._real = {name: getattr(self._emulator, name) for name in ("tweenrt_nv12_to_rgb", "tweenrt_rgb_to_nv12")}
        self._sum = self._emulator.tweenrt_sum_blocks
        self._sum.argtypes = (
            ctypes.c_void_p,
            ctypes.c_size_t,
            *(ctypes.c_int32,) * 3,
            ctypes.c_void_p,
            ctypes.c_void_p,
        )
        self.status = 0

    def tweenrt_nv12_to_rgb(self, request: Any, stream: ctypes.c_void_p) -> int:
        return self._convert("tweenrt_nv12_to_rgb", "rgb", request, stream)

    def tweenrt_rgb_to_nv12(self, request: Any, stream: ctypes.c_void_p) -> int:
        return self._convert("tweenrt_rgb_to_nv12", "luma", request, stream)

    def tweenrt_sum_blocks(
        self, rgb: int, pitch: int, height: int, width: int, step: int, sums: int, stream: ctypes.c_void_p
    ) -> int:
        return self._queue(lambda: self._sum(rgb, pitch, height, width, step, sums, None), sums, stream)

    def _convert(self, name: str, writes: str, request: Any, stream: ctypes.c_void_p) -> int:
        copy = type(request._obj).from_buffer_copy(request._obj)
        return self._queue(lambda: self._real[name](ctypes.byref(copy), None), getattr(copy, writes), stream)

    def _queue(self, call: Callable[[], int], writes: int, stream: ctypes.c_void_p) -> int:
        assert self._cuda.current

        def run() -> None:
            with self._lock:
                self._emulator.simt_clear()
                assert call() == 0
                assert not self._emulator.simt_error(), self._emulator.simt_error()

        if not self.status:
            self._cuda.enqueue_write(writes, run, stream.value or 0)
        return self.status


class VideoMachine(Machine):
    """A machine with one GPU that decodes and encodes video."""

    cuda: ThreadedCuda

    def __init__(self, machine: tuple[Any, ...], codecs: Codecs, kernels: EmulatedLibrary) -> None:
        super().__init__(*machine)
        self.codecs, self.kernels = codecs, kernels


def install(monkeypatch: pytest.MonkeyPatch, cache: Path) -> VideoMachine:
    """Let tweenrt find one GPU that decodes, encodes losslessly, and has our kernels."""
    monkeypatch.setattr(fake_tensorrt, "FakeCuda", ThreadedCuda)
    machine = fake_tensorrt.install(monkeypatch, cache)
    cuda: Any = machine[0]
    codecs, kernels = Codecs(cuda), EmulatedLibrary(cuda)

    class Pictures:
        def __init__(self, gpu: int) -> None:
            assert gpu == 0

        def of(self, given: Surface) -> av.VideoFrame:
            return codecs.picture(given)

    def plan(*arguments: Any) -> EncoderPlan:
        return replace(plan_on_gpu(*arguments), codec="libx264", pix_fmt="yuv420p", options=_LOSSLESS)

    plan_on_gpu = gpu_writer.plan_on_gpu
    monkeypatch.setattr(gpu_writer, "plan_on_gpu", plan)
    monkeypatch.setattr(gpu_writer, "Pictures", Pictures)
    monkeypatch.setattr(nvidia, "decoding", codecs.decoding)
    monkeypatch.setattr(nvidia, "surface_of", codecs.surface_of)
    monkeypatch.setattr(placing, "try_encoder", codecs.try_encoder)
    for module in (placing, surface):
        monkeypatch.setattr(module, "conversions", lambda: kernels)
    return VideoMachine(machine, codecs, kernels)


__all__ = ["Codecs", "VideoMachine", "install"]
