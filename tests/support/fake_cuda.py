"""A CUDA runtime without a GPU: device memory is some of the CPU's, and a stream does nothing until it is waited for.

Work that is queued runs when somebody synchronises, not before, so that who reads a result too early, or changes a
staging buffer that is still to be copied from, sees it. Fresh memory is poisoned, and a copy from or to memory that was
freed is an error. As in CUDA, every thread has a current GPU, the first one until it says otherwise; memory and streams
belong to the GPU that was current when they were made. The names are those of ``cuda.bindings.runtime``, whose
signatures `FakeCuda` checks its own against.
"""

from __future__ import annotations

import ctypes
import re
import threading
from collections.abc import Callable
from typing import Any

from cuda.bindings import runtime as real

_OK = real.cudaError_t.cudaSuccess
_POISON = 0xA5
Work = Callable[[], None]


class FakeCuda:
    """What `tweenrt.runtime.cuda.Lane` calls, for one process with `gpus` GPUs.

    Attributes:
        live: address → size of what is allocated.
        gpu_of: address or stream → the GPU that it is on.
        launches: how many graphs were launched.
        captures: how many were captured.
        refuses_capture: end every capture with an error.
        capacity: bytes that can be allocated.
    """

    cudaMemcpyKind = real.cudaMemcpyKind  # noqa: N815
    cudaStreamCaptureMode = real.cudaStreamCaptureMode  # noqa: N815

    def __init__(self, gpus: int = 1) -> None:
        self.gpus = gpus
        self.live: dict[int, int] = {}
        self.gpu_of: dict[int, int] = {}
        self.launches = self.captures = 0
        self.refuses_capture = False
        self.capacity = 1 << 30
        self._lock, self._mine = threading.RLock(), threading.local()
        self._memory: dict[int, Any] = {}
        self._queues: dict[int, list[Work]] = {}
        self._captured: dict[int, list[Work]] = {}
        self._graphs: dict[int, list[Work]] = {}
        self._number, self._streams = 1000, 76
        _check_signatures(type(self))

    @property
    def idle(self) -> bool:
        """Whether all that was queued is done."""
        return not any(self._queues.values())

    @property
    def gpu(self) -> int:
        """The current GPU of this thread."""
        return int(getattr(self._mine, "gpu", 0))

    def capturing(self, stream: int) -> bool:
        """Whether what `stream` gets becomes a graph."""
        return stream in self._captured

    def enqueue(self, work: Work, stream: int) -> None:
        """Queue `work`, or add it to the graph that is being captured."""
        assert stream in self._queues, f"there is no stream {stream}"
        self._captured.get(stream, self._queues[stream]).append(work)

    def bytes_at(self, address: int, size: int) -> Any:
        """`size` bytes of live memory, to read or write."""
        with self._lock:
            found = any(start <= address and address + size <= start + held for start, held in self.live.items())
        assert found, f"{size} bytes at {address:#x} are not allocated"
        return (ctypes.c_uint8 * size).from_address(address)

    def cudaSetDevice(self, device: int) -> tuple[Any]:  # noqa: N802
        if device >= self.gpus:
            return (real.cudaError_t.cudaErrorInvalidDevice,)
        self._mine.gpu = device
        return (_OK,)

    def cudaMalloc(self, size: int) -> tuple[Any, int]:  # noqa: N802
        with self._lock:
            if sum(self.live.values()) + size > self.capacity:
                return real.cudaError_t.cudaErrorMemoryAllocation, 0
            memory = (ctypes.c_uint8 * size)()
            ctypes.memset(memory, _POISON, size)
            address = ctypes.addressof(memory)
            self._memory[address], self.live[address], self.gpu_of[address] = memory, size, self.gpu
        return _OK, address

    def cudaHostAlloc(self, size: int, flags: int) -> tuple[Any, int]:  # noqa: N802
        assert flags == 0
        return self.cudaMalloc(size)

    def cudaFree(self, devPtr: int) -> tuple[Any]:  # noqa: N802, N803
        with self._lock:
            del self.live[devPtr], self._memory[devPtr]
        return (_OK,)

    def cudaFreeHost(self, ptr: int) -> tuple[Any]:  # noqa: N802
        return self.cudaFree(ptr)

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[Any, int]:  # noqa: N802
        assert flags == 1
        with self._lock:
            self._streams += 1
            self._queues[self._streams], self.gpu_of[self._streams] = [], self.gpu
            return _OK, self._streams

    def cudaStreamDestroy(self, stream: int) -> tuple[Any]:  # noqa: N802
        assert not self._queues.pop(stream), "a stream was destroyed with work on it"
        return (_OK,)

    def cudaStreamSynchronize(self, stream: int) -> tuple[Any]:  # noqa: N802
        assert stream not in self._captured, "a synchronisation cannot be captured"
        queue, self._queues[stream] = self._queues[stream], []
        for work in queue:
            work()
        return (_OK,)

    def cudaMemcpyAsync(self, dst: int, src: int, count: int, kind: Any, stream: int) -> tuple[Any]:  # noqa: N802
        assert isinstance(kind, self.cudaMemcpyKind)
        self.enqueue(
            lambda: ctypes.memmove(self.bytes_at(dst, count), self.bytes_at(src, count), count) and None, stream
        )
        return (_OK,)

    def cudaStreamBeginCapture(self, stream: int, mode: Any) -> tuple[Any]:  # noqa: N802
        assert isinstance(mode, self.cudaStreamCaptureMode)
        assert stream in self._queues
        assert stream not in self._captured
        self._captured[stream] = []
        return (_OK,)

    def cudaStreamEndCapture(self, stream: int) -> tuple[Any, int]:  # noqa: N802
        captured = self._captured.pop(stream)
        if self.refuses_capture:
            return real.cudaError_t.cudaErrorStreamCaptureUnsupported, 0
        self.captures += 1
        self._number += 1
        self._graphs[self._number] = captured
        return _OK, self._number

    def cudaGraphInstantiate(self, graph: int, flags: int) -> tuple[Any, int]:  # noqa: N802
        assert flags == 0
        self._number += 1
        self._graphs[self._number] = self._graphs[graph]
        return _OK, self._number

    def cudaGraphDestroy(self, graph: int) -> tuple[Any]:  # noqa: N802
        del self._graphs[graph]
        return (_OK,)

    def cudaGraphExecDestroy(self, graphExec: int) -> tuple[Any]:  # noqa: N802, N803
        return self.cudaGraphDestroy(graphExec)

    def cudaGraphLaunch(self, graphExec: int, stream: int) -> tuple[Any]:  # noqa: N802, N803
        self.launches += 1
        for work in self._graphs[graphExec]:
            self.enqueue(work, stream)
        return (_OK,)

    def cudaEventCreate(self) -> tuple[Any, int]:  # noqa: N802
        self._number += 1
        return _OK, self._number

    def cudaEventRecord(self, event: int, stream: int) -> tuple[Any]:  # noqa: N802
        assert event > 1000
        assert stream in self._queues
        return (_OK,)

    def cudaEventElapsedTime(self, start: int, end: int) -> tuple[Any, float]:  # noqa: N802
        return _OK, float(end - start)

    def cudaEventDestroy(self, event: int) -> tuple[Any]:  # noqa: N802
        assert event > 1000
        return (_OK,)

    def cudaGetLastError(self) -> tuple[Any]:  # noqa: N802
        return (_OK,)

    def cudaGetErrorString(self, error: Any) -> tuple[Any, bytes]:  # noqa: N802
        return real.cudaGetErrorString(error)  # type: ignore[no-any-return]


def _check_signatures(fake: type) -> None:
    """Every function here is one of the real module's, with as many parameters."""
    for name in (name for name in vars(fake) if re.match("cuda[A-Z]", name) and callable(getattr(fake, name))):
        if isinstance(getattr(fake, name), type):
            continue
        first = (getattr(real, name).__doc__ or "").split("\n")[0]
        wanted = [part for part in re.search(r"\((.*?)\)", first)[1].split(",") if part.strip()]  # type: ignore[index]
        assert getattr(fake, name).__code__.co_argcount - 1 == len(wanted), f"{name}: the real one is {first}"
