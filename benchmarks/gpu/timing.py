"""Where a benchmark of the kernels runs, how it calls them, and how it takes the time.

On a GPU, times are differences of CUDA events. Before each measured call 256 MB are written, several times: the second
level cache then holds nothing of the inputs, and the calls are all queued before the GPU is done with the writing, so
that the time is the GPU's and not that of the queueing. On the emulator one call is timed by the clock; such a time
says nothing about a GPU.
"""

from __future__ import annotations

import ctypes
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from support.kernel_build import library
from support.kernels import loaded
from torch import Tensor

Work = Callable[[], object]
Row = dict[str, Any]

_MEGABYTE = 1 << 20
_FLUSH = 256 * _MEGABYTE
_FLUSHES = 3  # about 0.2 ms on an H200
_WARM_UP = 3
_REPETITIONS = 25


class LaunchError(RuntimeError):
    """A launcher returned a CUDA error, or the emulator stopped the kernel."""


@dataclass(frozen=True)
class Place:
    """A GPU, or the emulator in its place.

    Attributes:
        emulator: whether kernels run on the CPU emulator and torch on the CPU.
        alone: make tensors on the CPU and give kernels copies, so that torch's kernels do not run on the GPU.
    """

    emulator: bool
    alone: bool = False
    _copies: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)  # by address: a tensor and its copy

    @property
    def device(self) -> str:
        """Where torch's tensors lie."""
        return "cpu" if self.emulator or self.alone else "cuda"

    def side(self, pixels: int) -> int:
        """A side of an image as it is measured: on the emulator about a fortieth, even and at least 8."""
        return max(8, pixels // 80 * 2) if self.emulator else pixels

    def kernel(self, op: str, *arguments: Any) -> Callable[[], None]:
        """A call of `launch_<op>` in `tests/native/<op>.cpp` on these arguments, in the order of C: int, Tensor, None.

        Args:
            op: folder of the op.
            arguments: tensors go by pointer and are kept alive.

        Raises:
            LaunchError: on a call that fails.
            BuildError: the compiler refused.
        """
        path = library(op, gpu=not self.emulator)
        lib = loaded(path) if self.emulator else ctypes.CDLL(str(path))
        launcher = getattr(lib, f"launch_{op}")
        given = [self._there(a) for a in arguments]
        words = [_c_argument(a) for a in given]

        def call(_alive: list[Any] = given) -> None:
            status = launcher(*words)
            message = lib.simt_error().decode() if self.emulator else ""
            if status or message:
                raise LaunchError(f"{op}: expected the launch to return 0, got CUDA error {status} {message}".strip())

        if self.emulator:
            lib.simt_clear()
            lib.simt_set_schedule(0)
        return call

    def time(self, work: Work) -> Row:
        """Median, spread and least of one call, in microseconds."""
        return _summary(_emulated(work) if self.emulator else self._on_gpu(work))

    def graph_time(self, work: Work) -> Row:
        """The same for a CUDA graph of the call; on the emulator, for the call."""
        return self.time(work if self.emulator else _captured(work))

    def _there(self, argument: Any) -> Any:
        """An argument as the kernel gets it; a tensor of two kernels is one there, too."""
        if self.emulator or not self.alone or not isinstance(argument, Tensor):
            return argument
        return self._copies.setdefault(argument.data_ptr(), (argument, argument.cuda()))[1]

    def _on_gpu(self, work: Work) -> list[float]:
        for _ in range(_WARM_UP):
            work()
        pairs = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(_REPETITIONS)]
        for k, (start, end) in enumerate(pairs):
            for _ in range(_FLUSHES):
                self._dirt.fill_(k)
            start.record()
            work()
            end.record()
        torch.cuda.synchronize()
        return [1000.0 * start.elapsed_time(end) for start, end in pairs]

    @cached_property
    def _dirt(self) -> Tensor:
        return torch.empty(_FLUSH, dtype=torch.uint8, device=self.device)


def compared(place: Place, works: dict[str, Work]) -> list[Row]:
    """Times of torch's formulations, plain and as a CUDA graph."""
    return [
        {"name": name, **_attempt("plain", place.time, work), **_attempt("graph", place.graph_time, work)}
        for name, work in works.items()
    ]


def _attempt(way: str, timer: Callable[[Work], Row], work: Work) -> Row:
    """A time; or why there is none, since torch may not know an op in a type."""
    try:
        return {way: timer(work)}
    except (RuntimeError, TypeError, ValueError) as error:
        return {f"{way}_failed": f"{type(error).__name__}: {error}"[:200]}


def difference(got: Tensor, expected: Tensor) -> Row:
    """How far a result is from what is expected of it.

    Args:
        got: of the kernel, any shape and type.
        expected: the same in FP32.

    Returns:
        ``error``, the largest difference over the largest expected magnitude (NaN if there is any), and ``off``, the
        share of values that differ by more than 0.5 % of that magnitude or are NaN.
    """
    error = (got.float() - expected.float()).abs() / expected.float().abs().max().clamp(min=1e-12)
    return {"error": float(error.max()), "off": float((~(error <= 5e-3)).float().mean())}


def _captured(work: Work) -> Work:
    """A CUDA graph of `work`."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(_WARM_UP):
            work()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        kept = work()

    def replay(_alive: object = kept) -> None:
        graph.replay()

    return replay


def _emulated(work: Work) -> list[float]:
    start = time.perf_counter()
    work()
    return [1e6 * (time.perf_counter() - start)]


def _summary(times: list[float]) -> Row:
    middle = statistics.median(times)
    low, _, high = statistics.quantiles(times, n=4) if len(times) > 1 else (middle,) * 3
    return {
        "us": round(middle, 2),
        "spread_percent": round(100 * (high - low) / middle, 1) if middle else 0.0,
        "least_us": round(min(times), 2),
        "n": len(times),
    }


def _c_argument(argument: Any) -> Any:
    if isinstance(argument, Tensor):
        assert argument.is_contiguous(), "kernels take dense tensors"
        return ctypes.c_void_p(argument.data_ptr())
    return ctypes.c_void_p(None) if argument is None else ctypes.c_int(argument)
