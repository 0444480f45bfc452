"""Run one engine on one lane: a context for each profile that is used, types, times."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tweenrt.errors import BackendError
from tweenrt.runtime.cuda import Lane
from tweenrt.runtime.device_memory import DeviceArray, Extent
from tweenrt.runtime.engines.engine_loader import Engine, load_engine
from tweenrt.runtime.engines.profiles import most_at_once, profile_for, profiles, refused_by_all
from tweenrt.runtime.engines.runner import Runner, Tensors, not_built_for
from tweenrt.runtime.session import Shape
from tweenrt.runtime.timing import LayerTime, RunTime


class Execution:
    """An engine with everything that a run needs, which is its own but for the engine itself.

    Each optimisation profile whose sizes come gets a context of its own. One context could change its profile, but
    that, as a change of shapes, would end the CUDA graphs that were captured from it; so sizes of different profiles
    may take turns. The price is the memory that layers work in, once for every profile that is used.

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
        self._off = "" if graphs else "CUDA graphs were turned off"
        self._runners: dict[int, Runner] = {}
        self.inputs = self._tensors("INPUT")
        """Name → shape; ``"?"`` stands for an open size."""
        self.outputs = self._tensors("OUTPUT")
        """The same for what comes out."""
        if len(profiles(self._engine.handle)) == 1:
            self._runner(0)  # what is wrong with it shows now, and TensorRT-RTX compiles before the first frame

    @property
    def device_memory(self) -> int:
        """Bytes of GPU memory that the engine's layers work in."""
        return int(self._engine.handle.device_memory_size_v2) * len(self._runners)

    @property
    def not_captured(self) -> str:
        """Why runs are not captured; empty if they are."""
        return next((runner.not_captured for runner in self._runners.values() if runner.not_captured), self._off)

    def dtype(self, name: str) -> np.dtype[Any]:
        """Type of the elements of an input or output."""
        found: np.dtype[Any] = np.dtype(self._engine.trt.module.nptype(self._engine.handle.get_tensor_dtype(name)))
        return found

    def most_at_once(self, name: str, shape: Extent) -> int:
        """See `tweenrt.runtime.engines.profiles.most_at_once`."""
        return most_at_once(self._engine.handle, name, shape)

    def run(self, feeds: Tensors) -> dict[str, DeviceArray]:
        """Queue one run.

        Args:
            feeds: an array for every input.

        Raises:
            UsageError: the engine was not built for these shapes.
            BackendError: TensorRT failed.
        """
        self._lane.activate()
        return self._runner(self._profile(feeds)).run(feeds, self._results)

    def run_timed(self, feeds: Tensors) -> RunTime:
        """Run to the end, and say how long it took."""
        host, device = self._lane.timed(lambda: self.run(feeds))
        return RunTime(host_ms=host, device_ms=device)

    def layer_times(self, feeds: Tensors, runs: int) -> list[LayerTime]:
        """Mean time of every layer over `runs` runs, which are slower than usual because each layer is waited for."""
        self._lane.activate()
        profiler = _profiler(self._engine.trt.module)
        runner = Runner(self._engine, self._profile(feeds), self._lane, self._path)
        runner.context.profiler = profiler
        results = runner.bind(feeds, self._results)
        for _ in range(runs):
            runner.enqueue()
            self._lane.synchronize()
        del results
        return [LayerTime(name, "", total / runs) for name, total in profiler.totals.items()]

    def close(self) -> None:
        """Free it, once all its work is done; the engine goes with the last execution that uses it."""
        self._lane.activate()
        self._lane.synchronize()
        for runner in self._runners.values():
            runner.close()
        self._runners.clear()
        del self._engine

    def _profile(self, feeds: Tensors) -> int:
        """The profile for these inputs."""
        shapes = {name: array.shape for name, array in feeds.items()}
        if self.inputs.keys() - shapes.keys():
            raise BackendError(f"{self._path}: expected the inputs {', '.join(self.inputs)}, got {', '.join(shapes)}")
        found = profile_for(self._engine.handle, shapes)
        if found is None:
            name = refused_by_all(self._engine.handle, shapes)
            raise not_built_for(self._engine, self._path, name, shapes[name])
        return found

    def _runner(self, profile: int) -> Runner:
        if profile not in self._runners:
            self._runners[profile] = Runner(self._engine, profile, self._lane, self._path, self._off)
        return self._runners[profile]

    @cached_property
    def _results(self) -> Mapping[str, np.dtype[Any]]:
        return {name: self.dtype(name) for name in self.outputs}

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
