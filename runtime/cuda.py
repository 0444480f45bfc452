"""What the sessions of one interpolator share on a GPU: a stream, its memory, and work captured as CUDA graphs.

Everything that is asked of a `Lane` happens in the order in which it was asked for, so that memory which one step has
let go can be handed to the next without waiting.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tweenrt.errors import BackendError, require
from tweenrt.runtime.device_memory import DeviceArray, Pool
from tweenrt.runtime.engines.build_progress import Progress

_OUT_OF_MEMORY = 2  # cudaErrorMemoryAllocation
_NON_BLOCKING = 1  # cudaStreamNonBlocking: the legacy default stream of other libraries does not hold it up
_HOST_DEFAULT = 0  # cudaHostAllocDefault
_DEFAULT_STREAM = 0


class Lane:
    """One stream on one GPU, opened when it is first used.

    Not safe for use from several threads at once.

    Attributes:
        gpu: number of the GPU.
        building: told how far the building of an engine is, where a session needs one that is not there yet.
        say: told in a sentence what happens otherwise than one would expect; None for a Python warning.
    """

    def __init__(
        self, gpu: int = 0, building: Progress | None = None, say: Callable[[str], object] | None = None
    ) -> None:
        self.gpu = gpu
        self.building = building
        self.say = say
        self._told: set[str] = set()
        self._in_flight: list[NDArray[Any]] = []
        self._closed = False

    @cached_property
    def stream(self) -> int:
        """The ``cudaStream_t``."""
        self.activate()
        return int(self._call("cudaStreamCreateWithFlags", _NON_BLOCKING))

    def activate(self) -> None:
        """Make the GPU the current one of this thread."""
        if self._closed:
            raise BackendError("the interpolator is closed")
        self._call("cudaSetDevice", self.gpu)

    def tell(self, sentence: str) -> None:
        """Say something to who opened the lane, once."""
        if sentence in self._told:
            return
        self._told.add(sentence)
        if self.say is not None:
            self.say(sentence)
        else:
            warnings.warn(sentence, RuntimeWarning, stacklevel=2)

    @property
    def bytes_held(self) -> int:
        """GPU memory that arrays of this lane hold, and what is kept for later ones."""
        return self._memory.total

    def empty(self, shape: Sequence[int], dtype: Any) -> DeviceArray:
        """A new array with undefined values.

        Raises:
            BackendError: the GPU is out of memory.
        """
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        try:
            block = self._memory.take(max(1, size))
        except MemoryError as error:
            raise BackendError(
                f"GPU {self.gpu} is out of memory ({self.bytes_held >> 20} MiB are in use here, {size >> 20} MiB more "
                "are needed); close other programs on it, use smaller frames or fewer moments at once"
            ) from error
        return DeviceArray(self, block.address, shape, dtype, block)

    def upload(self, array: NDArray[Any]) -> DeviceArray:
        """Queue a copy of `array` to the GPU; `array` may be changed at once."""
        placed = self.empty(array.shape, array.dtype)
        staged = self._staged(array.shape, array.dtype)
        np.copyto(staged, array)
        self._copy(placed.address, staged.ctypes.data, staged.nbytes, "cudaMemcpyHostToDevice")
        self._in_flight.append(staged)
        return placed

    def download(self, arrays: Sequence[DeviceArray]) -> list[NDArray[Any]]:
        """Copies of `arrays`, once all work is done."""
        found = [self._staged(array.shape, array.dtype) for array in arrays]
        for target, array in zip(found, arrays, strict=True):
            self._copy(target.ctypes.data, array.address, array.nbytes, "cudaMemcpyDeviceToHost")
        self.synchronize()
        return found

    def copy(self, target: DeviceArray, source: DeviceArray) -> None:
        """Queue a copy from GPU memory to GPU memory; both have one size."""
        self._copy(target.address, source.address, source.nbytes, "cudaMemcpyDeviceToDevice")

    def copy_rows(self, target: int, source: int, pitches: tuple[int, int], width: int, rows: int) -> None:
        """Queue a copy of `rows` rows of `width` bytes from GPU memory to GPU memory.

        Args:
            target: address to write to.
            source: address to read from.
            pitches: bytes between rows of `target` and of `source`.
            width: bytes of a row.
            rows: how many.
        """
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyDeviceToDevice
        self._call("cudaMemcpy2DAsync", target, pitches[0], source, pitches[1], width, rows, kind, self.stream)

    def wait_for_others(self) -> None:
        """Wait until what other libraries queued on the default stream is done; this lane does not wait for it."""
        self._call("cudaStreamSynchronize", _DEFAULT_STREAM)

    def synchronize(self) -> None:
        """Wait until all that was asked for is done."""
        self._call("cudaStreamSynchronize", self.stream)
        self._in_flight.clear()

    def capture(self, work: Callable[[], None]) -> Any:
        """A ``cudaGraphExec_t`` of what `work` queues, which does not run now.

        Raises:
            BackendError: it cannot be captured; the lane is as it was.
        """
        mode = self._runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call("cudaStreamBeginCapture", self.stream, mode)
        try:
            work()
        except BaseException:
            self._runtime.cudaStreamEndCapture(self.stream)
            self._runtime.cudaGetLastError()
            raise
        graph = self._call("cudaStreamEndCapture", self.stream)
        executable = self._call("cudaGraphInstantiate", graph, 0)
        self._call("cudaGraphDestroy", graph)
        return executable

    def launch(self, graph: Any) -> None:
        """Queue a captured graph."""
        self._call("cudaGraphLaunch", graph, self.stream)

    def forget(self, graph: Any) -> None:
        """Free a captured graph."""
        self._call("cudaGraphExecDestroy", graph)

    def timed(self, work: Callable[[], object]) -> tuple[float, float]:
        """Run `work` to its end: (milliseconds for the caller, milliseconds on the GPU)."""
        events = [self._call("cudaEventCreate") for _ in range(2)]
        start = time.perf_counter()
        self._call("cudaEventRecord", events[0], self.stream)
        work()
        self._call("cudaEventRecord", events[1], self.stream)
        self.synchronize()
        host = (time.perf_counter() - start) * 1e3
        device = float(self._call("cudaEventElapsedTime", *events))
        for event in events:
            self._call("cudaEventDestroy", event)
        return host, device

    def close(self) -> None:
        """Finish and free everything that no array of a caller uses."""
        if not self._closed and "stream" in self.__dict__:
            self.activate()
            self.synchronize()
            self._memory.close()
            self._staging.close()
            self._call("cudaStreamDestroy", self.stream)
        self._closed = True

    @cached_property
    def _runtime(self) -> ModuleType:
        return require("cuda.bindings.runtime", extra="tensorrt", why="Running on a GPU")

    @cached_property
    def _memory(self) -> Pool:
        return Pool(lambda size: self._allocate("cudaMalloc", size), lambda at: self._call("cudaFree", at))

    @cached_property
    def _staging(self) -> Pool:
        """Memory of the CPU that the GPU copies from and to by itself."""
        return Pool(
            lambda size: self._allocate("cudaHostAlloc", size, _HOST_DEFAULT), lambda at: self._call("cudaFreeHost", at)
        )

    def _staged(self, shape: Sequence[int], dtype: np.dtype[Any]) -> NDArray[Any]:
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        try:
            block = self._staging.take(max(1, size))
        except MemoryError as error:
            raise BackendError(f"no {size >> 20} MiB of memory are left that the GPU can copy from") from error
        return block.as_array(tuple(shape), dtype)

    def _allocate(self, name: str, size: int, *options: int) -> int:
        self.activate()
        error, address = getattr(self._runtime, name)(size, *options)
        if int(error) == _OUT_OF_MEMORY:
            self._runtime.cudaGetLastError()
            raise MemoryError
        self._check(name, error)
        return int(address)

    def _copy(self, target: int, source: int, size: int, kind: str) -> None:
        self._call("cudaMemcpyAsync", target, source, size, getattr(self._runtime.cudaMemcpyKind, kind), self.stream)

    def _call(self, name: str, *arguments: Any) -> Any:
        """Call the CUDA runtime; its one result, if it has any."""
        error, *results = getattr(self._runtime, name)(*arguments)
        self._check(name, error)
        return results[0] if results else None

    def _check(self, name: str, error: Any) -> None:
        if int(error):
            _, text = self._runtime.cudaGetErrorString(error)
            said = text.decode() if isinstance(text, bytes) else text
            raise BackendError(f"GPU {self.gpu}: {name} failed: {said}; `tweenrt doctor` shows what is installed")


__all__ = ["Lane"]
