"""Run one engine on one lane: addresses, shapes, CUDA graphs, times."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tweenrt.errors import BackendError, UsageError
from tweenrt.runtime.cuda import Lane
from tweenrt.runtime.device_memory import DeviceArray, Extent
from tweenrt.runtime.engines.engine_loader import Engine, load_engine
from tweenrt.runtime.session import Shape
from tweenrt.runtime.timing import LayerTime, RunTime

_MOST_GRAPHS = 16
"""Captured graphs that are kept: frames and features that take turns give a handful of combinations of addresses."""

Tensors = Mapping[str, DeviceArray]


class Execution:
    """An engine with everything that a run needs.

    The first run with the same shapes and addresses queues the engine's kernels one by one. The second captures them as
    a CUDA graph, and later ones launch that. Where an engine cannot be captured, it goes on one by one.

    Args:
        path: an engine file.
        lane: where it runs.
        graphs: whether to capture CUDA graphs.
    """

    def __init__(self, path: Path, lane: Lane, *, graphs: bool = True) -> None:
        lane.activate()
        self._engine: Engine = load_engine(path, lane.gpu)
        self._path = path
        self._lane = lane
        self._shapes: dict[str, Extent] = {}
        self._seen: OrderedDict[tuple[int, ...], Any] = OrderedDict()
        self.inputs = self._tensors("INPUT")
        """Name → shape; ``"?"`` stands for an open size."""
        self.outputs = self._tensors("OUTPUT")
        """The same for what comes out."""
        self.not_captured = "" if graphs else "CUDA graphs were turned off"
        """Why runs are not captured; empty if they are."""

    @property
    def device_memory(self) -> int:
        """Bytes of GPU memory that the engine's layers work in."""
        return int(self._engine.handle.device_memory_size_v2)

    def dtype(self, name: str) -> np.dtype[Any]:
        """Type of the elements of an input or output."""
        found: np.dtype[Any] = np.dtype(self._engine.trt.module.nptype(self._engine.handle.get_tensor_dtype(name)))
        return found

    def run(self, feeds: Tensors) -> dict[str, DeviceArray]:
        """Queue one run.

        Args:
            feeds: an array for every input.

        Raises:
            UsageError: the engine was not built for these shapes.
            BackendError: TensorRT failed.
        """
        results = self._bind(feeds)
        addresses = tuple(array.address for array in (*feeds.values(), *results.values()))
        graph = self._seen.get(addresses)
        if graph is None:
            graph = self._captured() if addresses in self._seen and not self.not_captured else None
            self._remember(addresses, graph)
        if graph is None:
            self._enqueue()
        else:
            self._seen.move_to_end(addresses)
            self._lane.launch(graph)
        return results

    def run_timed(self, feeds: Tensors) -> RunTime:
        """Run to the end, and say how long it took."""
        host, device = self._lane.timed(lambda: self.run(feeds))
        return RunTime(host_ms=host, device_ms=device)

    def layer_times(self, feeds: Tensors, runs: int) -> list[LayerTime]:
        """Mean time of every layer over `runs` runs, which are slower than usual because each layer is waited for."""
        profiler = _profiler(self._engine.trt.module)
        context = self._engine.another_context()
        context.profiler = profiler
        results = self._bind(feeds, context)
        for _ in range(runs):
            self._enqueue(context)
            self._lane.synchronize()
        del results
        self._shapes = {}  # they were told to another context than the one that runs
        return [LayerTime(name, "", total / runs) for name, total in profiler.totals.items()]

    def close(self) -> None:
        """Free it; what TensorRT-RTX compiled for it is kept for the next time."""
        self._forget_graphs()
        self._engine.keep_kernels()

    def _bind(self, feeds: Tensors, context: Any = None) -> dict[str, DeviceArray]:
        """Give the context its inputs; new arrays for its outputs."""
        target = context or self._engine.context
        shapes = {name: array.shape for name, array in feeds.items()}
        if context is not None or shapes != self._shapes:
            self._set_shapes(target, shapes)
        results = {
            name: self._lane.empty(tuple(target.get_tensor_shape(name)), self.dtype(name)) for name in self.outputs
        }
        for name, array in (*feeds.items(), *results.items()):
            if not target.set_tensor_address(name, array.address):
                raise BackendError(f"{self._path}: TensorRT does not take an address for {name!r}")
        return results

    def _set_shapes(self, context: Any, shapes: dict[str, Extent]) -> None:
        """A captured graph belongs to the shapes that it was captured with."""
        missing = self.inputs.keys() - shapes.keys()
        if missing:
            raise BackendError(f"{self._path}: expected the inputs {', '.join(self.inputs)}, got {', '.join(shapes)}")
        self._shapes = {}
        self._forget_graphs()
        for name, shape in shapes.items():
            if not context.set_input_shape(name, shape):
                raise UsageError(
                    f"{self._path}: not built for {name} of {'x'.join(map(str, shape))}, only for "
                    f"{self._engine.info.inputs.get(name)}; build an engine for this size"
                )
        self._shapes = shapes

    def _captured(self) -> Any:
        """A CUDA graph of one run; None, and the reason is noted, where it cannot be captured."""
        try:
            return self._lane.capture(self._enqueue)
        except BackendError as error:
            self.not_captured = str(error)
            return None

    def _remember(self, addresses: tuple[int, ...], graph: Any) -> None:
        self._seen[addresses] = graph
        self._seen.move_to_end(addresses)
        while len(self._seen) > _MOST_GRAPHS:
            _, oldest = self._seen.popitem(last=False)
            self._forget(oldest)

    def _forget_graphs(self) -> None:
        for graph in self._seen.values():
            self._forget(graph)
        self._seen.clear()

    def _forget(self, graph: Any) -> None:
        if graph is not None:
            self._lane.synchronize()
            self._lane.forget(graph)

    def _enqueue(self, context: Any = None) -> None:
        with self._engine.trt.listening() as (_, log):
            done = (context or self._engine.context).execute_async_v3(self._lane.stream)
        if not done:
            said = log.errors[-1].splitlines()[0] if log.errors else "it gave no reason"
            raise BackendError(f"{self._path}: {self._engine.trt.title} failed: {said}")

    def _tensors(self, mode: str) -> dict[str, Shape]:
        handle = self._engine.handle
        wanted = getattr(self._engine.trt.module.TensorIOMode, mode)
        names = (handle.get_tensor_name(k) for k in range(handle.num_io_tensors))
        return {
            name: tuple("?" if size < 0 else size for size in handle.get_tensor_shape(name))
            for name in names
            if handle.get_tensor_mode(name) == wanted
        }


def _profiler(module: Any) -> Any:
    """An ``IProfiler`` of `module`; its attribute ``totals`` is layer → milliseconds of all runs."""

    class Profiler(module.IProfiler):  # type: ignore[misc]
        def __init__(self) -> None:
            module.IProfiler.__init__(self)
            self.totals: dict[str, float] = {}

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            """Called by TensorRT after every run."""
            self.totals[layer_name] = self.totals.get(layer_name, 0.0) + ms

    return Profiler()


__all__ = ["Execution"]
