"""A CUDA runtime without a GPU: device memory is some of the CPU's, and a stream does nothing until it is waited for.

Work that is queued runs when somebody synchronises, not before, so that who reads a result too early, or changes a
staging buffer that is still to be copied from, sees it. Fresh memory is poisoned, and a copy from or to memory that was
freed is an error. The names are those of ``cuda.bindings.runtime``, whose signatures `FakeCuda` checks its own against.
"""

from __future__ import annotations

import ctypes
import re
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
        self.launches = self.captures = 0
        self.refuses_capture = False
        self.capacity = 1 << 30
        self._memory: dict[int, Any] = {}
        self._queue: list[Work] = []
        self._captured: list[Work] | None = None
        self._graphs: dict[int, list[Work]] = {}
        self._number = 1000
        _check_signatures(type(self))

    @property
    def idle(self) -> bool:
        """Whether all that was queued is done."""
        return not self._queue

    def enqueue(self, work: Work) -> None:
        """Queue `work`, or add it to the graph that is being captured."""
        (self._queue if self._captured is None else self._captured).append(work)

    def bytes_at(self, address: int, size: int) -> Any:
        """`size` bytes of live memory, to read or write."""
        assert any(start <= address and address + size <= start + held for start, held in self.live.items()), (
            f"{size} bytes at {address:#x} are not allocated"
        )
        return (ctypes.c_uint8 * size).from_address(address)

    def cudaSetDevice(self, device: int) -> tuple[Any]:  # noqa: N802
        return (_OK if device < self.gpus else real.cudaError_t.cudaErrorInvalidDevice,)

    def cudaMalloc(self, size: int) -> tuple[Any, int]:  # noqa: N802
        if sum(self.live.values()) + size > self.capacity:
            return real.cudaError_t.cudaErrorMemoryAllocation, 0
        memory = (ctypes.c_uint8 * size)()
        ctypes.memset(memory, _POISON, size)
        self._memory[ctypes.addressof(memory)] = memory
        self.live[ctypes.addressof(memory)] = size
        return _OK, ctypes.addressof(memory)

    def cudaHostAlloc(self, size: int, flags: int) -> tuple[Any, int]:  # noqa: N802
        assert flags == 0
        return self.cudaMalloc(size)

    def cudaFree(self, devPtr: int) -> tuple[Any]:  # noqa: N802, N803
        del self.live[devPtr], self._memory[devPtr]
        return (_OK,)

    def cudaFreeHost(self, ptr: int) -> tuple[Any]:  # noqa: N802
        return self.cudaFree(ptr)

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[Any, int]:  # noqa: N802
        assert flags == 1
        return _OK, 77

    def cudaStreamDestroy(self, stream: int) -> tuple[Any]:  # noqa: N802
        assert not self._queue, "a stream was destroyed with work on it"
        return (_OK if stream == 77 else real.cudaError_t.cudaErrorInvalidValue,)

    def cudaStreamSynchronize(self, stream: int) -> tuple[Any]:  # noqa: N802
        assert stream == 77
        assert self._captured is None, "a synchronisation cannot be captured"
        queue, self._queue = self._queue, []
        for work in queue:
            work()
        return (_OK,)

    def cudaMemcpyAsync(self, dst: int, src: int, count: int, kind: Any, stream: int) -> tuple[Any]:  # noqa: N802
        assert isinstance(kind, self.cudaMemcpyKind)
        assert stream == 77
        self.enqueue(lambda: ctypes.memmove(self.bytes_at(dst, count), self.bytes_at(src, count), count) and None)
        return (_OK,)

    def cudaStreamBeginCapture(self, stream: int, mode: Any) -> tuple[Any]:  # noqa: N802
        assert isinstance(mode, self.cudaStreamCaptureMode)
        assert stream == 77
        assert self._captured is None
        self._captured = []
        return (_OK,)

    def cudaStreamEndCapture(self, stream: int) -> tuple[Any, int]:  # noqa: N802
        assert stream == 77
        captured, self._captured = self._captured, None
        assert captured is not None
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
        assert stream == 77
        self.launches += 1
        for work in self._graphs[graphExec]:
            self.enqueue(work)
        return (_OK,)

    def cudaEventCreate(self) -> tuple[Any, int]:  # noqa: N802
        self._number += 1
        return _OK, self._number

    def cudaEventRecord(self, event: int, stream: int) -> tuple[Any]:  # noqa: N802
        assert event > 1000
        assert stream == 77
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
