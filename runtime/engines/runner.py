"""One execution context of an engine: its profile, the shapes that it was told, and its runs as CUDA graphs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tweenrt.errors import BackendError, UsageError
from tweenrt.runtime.cuda import Lane
from tweenrt.runtime.device_memory import DeviceArray, Extent
from tweenrt.runtime.engines.advice import why
from tweenrt.runtime.engines.engine_loader import Engine

_MOST_GRAPHS = 16
"""Captured graphs that are kept: frames and features that take turns give a handful of combinations of addresses."""

Tensors = Mapping[str, DeviceArray]
Results = Mapping[str, np.dtype[Any]]


class Runner:
    """Runs an engine for the sizes of one profile.

    The first run with the same shapes and addresses queues the engine's kernels one by one. The second captures them as
    a CUDA graph, and later ones launch that. Where an engine cannot be captured, it goes on one by one.

    Args:
        engine: the engine.
        profile: number of its optimisation profile.
        lane: where it runs; its GPU is the current one.
        path: the engine file, for messages.
        not_captured: why runs must not be captured; empty if they may.
    """

    def __init__(self, engine: Engine, profile: int, lane: Lane, path: Path, not_captured: str = "") -> None:
        self.context = engine.context(path)
        self.not_captured = not_captured
        self._engine, self._lane, self._path = engine, lane, path
        self._shapes: dict[str, Extent] = {}
        self._seen: OrderedDict[tuple[int, ...], Any] = OrderedDict()
        # A context starts on the first profile.
        if profile and not self.context.set_optimization_profile_async(profile, lane.stream):
            raise BackendError(f"{path}: {engine.trt.title} does not take its own profile {profile}; build it again")

    def run(self, feeds: Tensors, outputs: Results) -> dict[str, DeviceArray]:
        """Queue one run; see `tweenrt.runtime.engines.execution.Execution.run`."""
        results = self.bind(feeds, outputs)
        addresses = tuple(array.address for array in (*feeds.values(), *results.values()))
        graph = self._seen.get(addresses)
        if graph is None:
            graph = self._captured() if addresses in self._seen and not self.not_captured else None
            self._remember(addresses, graph)
        if graph is None:
            self.enqueue()
        else:
            self._seen.move_to_end(addresses)
            self._lane.launch(graph)
        return results

    def bind(self, feeds: Tensors, outputs: Results) -> dict[str, DeviceArray]:
        """Give the context its inputs, and new arrays for its outputs, which are returned."""
        shapes = {name: array.shape for name, array in feeds.items()}
        if shapes != self._shapes:
            self._set_shapes(shapes)
        results = {
            name: self._lane.empty(tuple(self.context.get_tensor_shape(name)), dtype) for name, dtype in outputs.items()
        }
        for name, array in (*feeds.items(), *results.items()):
            if not self.context.set_tensor_address(name, array.address):
                raise BackendError(f"{self._path}: TensorRT does not take an address for {name!r}")
        return results

    def enqueue(self) -> None:
        """Queue the engine's kernels."""
        with self._engine.trt.listening() as (_, log):
            done = self.context.execute_async_v3(self._lane.stream)
        if not done:
            raise BackendError(f"{self._path}: {self._engine.trt.title} failed: {why(log.errors)}")

    def close(self) -> None:
        """Free its graphs; what TensorRT-RTX compiled for it is kept for the next time."""
        self._forget_graphs()
        self._engine.keep_kernels(self.context)

    def _set_shapes(self, shapes: dict[str, Extent]) -> None:
        """A captured graph belongs to the shapes that it was captured with."""
        self._shapes = {}
        self._forget_graphs()
        for name, shape in shapes.items():
            if not self.context.set_input_shape(name, shape):
                raise not_built_for(self._engine, self._path, name, shape)
        self._shapes = shapes

    def _captured(self) -> Any:
        """A CUDA graph of one run; None, and the reason is noted, where it cannot be captured."""
        try:
            return self._lane.capture(self.enqueue)
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


def not_built_for(engine: Engine, path: Path, name: str, shape: Extent) -> UsageError:
    """The error for an input of a shape that the engine does not take."""
    return UsageError(
        f"{path}: not built for {name} of {'x'.join(map(str, shape))}, only for {engine.info.inputs.get(name)}; build "
        "an engine for this size"
    )


__all__ = ["Runner", "Tensors", "not_built_for"]
