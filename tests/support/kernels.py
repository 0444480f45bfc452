"""Runs the CUDA kernels of an op in tests: on the emulator of tests/native, or on a GPU where there is one.

On the emulator every call is made under three orders of threads, with arguments in memory that a kernel cannot leave
unnoticed, and the results must agree to the bit.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from support.kernel_build import Patch, library, sanitizing

Array = NDArray[Any]

ROUND_ROBIN, WARP_GREEDY_REVERSED, SHUFFLED = range(3)
# Whether arguments lie against the forbidden memory behind them, or against that before them.
PLACES = {ROUND_ROBIN: True, WARP_GREEDY_REVERSED: False, SHUFFLED: True}


class KernelError(AssertionError):
    """A kernel failed while it ran: a deadlock, an illegal access, a divergent collective, a refused launch."""


@dataclass(frozen=True)
class Output:
    """An array that a kernel writes, filled beforehand.

    Attributes:
        shape: Shape of the array.
        dtype: Type of its elements.
        fill: What it holds before the call, a number or an array; by default NaN, or 0x5a in every byte of integers.
    """

    shape: tuple[int, ...]
    dtype: DTypeLike = np.float32
    fill: Any = None

    def made(self) -> Array:
        """The array as it is before the call."""
        array = np.empty(self.shape, self.dtype)
        if self.fill is not None:
            array[...] = self.fill
        elif np.issubdtype(array.dtype, np.floating):
            array[...] = np.nan
        else:
            array.reshape(-1).view(np.uint8)[...] = 0x5A
        return array


class Scratch(Output):
    """An array that a kernel works in: neither compared nor returned."""


@dataclass(frozen=True)
class Kernels:
    """The kernels of one op, as `tests/native/<op>.cpp` offers them.

    Attributes:
        op: Name of the op.
        patch: (old, new): run a copy of the kernel in which `old`, which must occur once, reads `new`.
        device: "emulator" or "gpu".
        function: The C function to call; by default `launch_<op>`.
    """

    op: str
    patch: Patch | None = None
    device: str = "emulator"
    function: str = ""

    def run(self, *arguments: Any, exact: bool = True) -> list[Array]:
        """Calls the C function and returns the outputs, in the order of the arguments.

        Args:
            arguments: In the order of C: int, float, arrays (read only), None (a null pointer), `Output`, `Scratch`.
            exact: On the emulator, outputs must be the same to the bit under all schedules; if not, within a few
                roundings of the largest magnitude, as befits kernels that add floats atomically.

        Raises:
            KernelError: The kernel failed.
            AssertionError: Outputs depend on the order of threads, or an input was written.
        """
        if self.device == "gpu":
            return _outputs(arguments, self._run_on_gpu(arguments))
        # The sanitizer looks for accesses outside of memory, and those do not change with the order.
        schedules = [ROUND_ROBIN] if sanitizing() else list(PLACES)
        runs = [_outputs(arguments, self._run_emulated(arguments, schedule)) for schedule in schedules]
        for other in runs[1:]:
            for k, (a, b) in enumerate(zip(runs[0], other, strict=True)):
                assert _agree(a, b, exact), f"{self.op}: output {k} depends on the order of threads"
        return runs[0]

    def run_once(self, schedule: int, *arguments: Any) -> list[Array]:
        """Like `run`, on the emulator, under one schedule."""
        return _outputs(arguments, self._run_emulated(arguments, schedule))

    def _run_emulated(self, arguments: tuple[Any, ...], schedule: int) -> list[Array | None]:
        lib = loaded(library(self.op, self.patch))
        lib.simt_clear()
        lib.simt_set_schedule(schedule)
        before = [_array_of(a) for a in arguments]
        with _memory(lib, before, PLACES[schedule]) as pointers:
            status = self._call(lib, arguments, pointers)
            if error := lib.simt_error().decode():
                raise KernelError(f"{self.op}: {error}")
            after = [a if a is None else _copied(p, a) for p, a in zip(pointers, before, strict=True)]
        self._check(arguments, before, after, status)
        return after

    def _run_on_gpu(self, arguments: tuple[Any, ...]) -> list[Array | None]:
        import torch

        lib = ctypes.CDLL(str(library(self.op, self.patch, gpu=True)))
        before = [_array_of(a) for a in arguments]
        # As bytes: torch does not know every type of numpy.
        there = [a if a is None else torch.from_numpy(a.reshape(-1).view(np.uint8).copy()).cuda() for a in before]
        status = self._call(lib, arguments, [0 if t is None else t.data_ptr() for t in there])
        torch.cuda.synchronize()
        back = [None if t is None else t.cpu().numpy() for t in there]
        after = [
            None if a is None or b is None else b.view(a.dtype).reshape(a.shape)
            for a, b in zip(before, back, strict=True)
        ]
        self._check(arguments, before, after, status)
        return after

    def _call(self, lib: ctypes.CDLL, arguments: tuple[Any, ...], pointers: list[int]) -> int:
        function = getattr(lib, self.function or f"launch_{self.op}")
        return int(function(*(_c_argument(a, p) for a, p in zip(arguments, pointers, strict=True))))

    def _check(self, arguments: Any, before: list[Array | None], after: list[Array | None], status: int) -> None:
        if status != 0:
            raise KernelError(f"{self.op}: the launch returned the CUDA error {status}")
        for k, (argument, a, b) in enumerate(zip(arguments, before, after, strict=True)):
            if isinstance(argument, np.ndarray) and a is not None and b is not None:
                assert a.tobytes() == b.tobytes(), f"{self.op}: argument {k} is an input, but was written"


def pack_hwc8(x: Array) -> Array:
    """[N,C,H,W] as TensorRT's kHWC8: float16 [N,H,W,C8], with NaN in the channels that only fill up to eight."""
    n, c, h, w = x.shape
    packed = np.full((n, h, w, -(-c // 8) * 8), np.nan, np.float16)
    packed[..., :c] = x.transpose(0, 2, 3, 1)
    return packed


def unpack_hwc8(y: Array, channels: int) -> Array:
    """The float16 [N,C,H,W] in a float16 [N,H,W,C8] that a kernel wrote; its padding must be zero."""
    assert y.dtype == np.float16
    assert not np.any(y[..., channels:].view(np.uint16)), "the padding channels must be zero"
    return np.ascontiguousarray(y[..., :channels].transpose(0, 3, 1, 2))


def max_error(a: Array, b: Array) -> float:
    """The largest difference; NaN if there is any NaN, so that no comparison with a bound holds."""
    assert a.shape == b.shape, f"{a.shape} against {b.shape}"
    with np.errstate(invalid="ignore"):
        return float(np.max(np.abs(a.astype(np.float64) - b.astype(np.float64)), initial=0.0))


@functools.cache
def loaded(path: Path) -> ctypes.CDLL:
    """A library of the emulator with its C functions declared."""
    lib = ctypes.CDLL(str(path))
    lib.simt_error.restype = ctypes.c_char_p
    lib.simt_allocate.restype = ctypes.c_void_p
    lib.simt_allocate.argtypes = [ctypes.c_size_t, ctypes.c_int]
    lib.simt_release.argtypes = [ctypes.c_void_p]
    return lib


def _array_of(argument: Any) -> Array | None:
    if isinstance(argument, Output):
        return argument.made()
    return np.ascontiguousarray(argument) if isinstance(argument, np.ndarray) else None


def _outputs(arguments: tuple[Any, ...], after: list[Array | None]) -> list[Array]:
    pairs = zip(arguments, after, strict=True)
    return [b for a, b in pairs if isinstance(a, Output) and not isinstance(a, Scratch) and b is not None]


@contextmanager
def _memory(lib: ctypes.CDLL, arrays: list[Array | None], at_end: bool) -> Iterator[list[int]]:
    """Copies of `arrays` in guarded memory of the emulator; 0 stands for None."""
    pointers = [0 if a is None else lib.simt_allocate(a.nbytes, at_end) for a in arrays]
    try:
        for pointer, array in zip(pointers, arrays, strict=True):
            if array is not None:
                ctypes.memmove(pointer, array.ctypes.data, array.nbytes)
        yield pointers
    finally:
        for pointer in filter(None, pointers):
            lib.simt_release(pointer)


def _copied(pointer: int, like: Array) -> Array:
    array = np.empty_like(like)
    ctypes.memmove(array.ctypes.data, pointer, array.nbytes)
    return array


def _c_argument(argument: Any, pointer: int) -> Any:
    if argument is None or isinstance(argument, np.ndarray | Output):
        return ctypes.c_void_p(pointer or None)
    if isinstance(argument, int | np.integer):
        return ctypes.c_int(int(argument))
    if isinstance(argument, float | np.floating):
        return ctypes.c_float(float(argument))
    raise TypeError(f"expected an int, a float, an array, None, Output or Scratch; got {type(argument).__name__}")


def _agree(a: Array, b: Array, exact: bool) -> bool:
    if exact or not np.issubdtype(a.dtype, np.floating):
        return a.tobytes() == b.tobytes()
    finite = np.abs(a[np.isfinite(a)])
    slack = 8 * float(np.finfo(a.dtype).eps) * float(np.max(finite, initial=0.0))
    return bool(np.array_equal(np.isfinite(a), np.isfinite(b))) and np.allclose(
        a, b, rtol=0.0, atol=slack, equal_nan=True
    )
