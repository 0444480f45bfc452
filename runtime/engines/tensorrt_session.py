"""Run a graph or an engine with TensorRT."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tweenrt.contract import GraphInfo
from tweenrt.errors import BackendError
from tweenrt.plugins.library import is_built
from tweenrt.runtime.cuda import Lane
from tweenrt.runtime.device_memory import DeviceArray, Extent, borrow, on_device
from tweenrt.runtime.engines.builder import BuildOptions, SizeRange
from tweenrt.runtime.engines.engine_cache import engine_for
from tweenrt.runtime.engines.engine_file import read_info
from tweenrt.runtime.engines.engine_loader import find_gpu
from tweenrt.runtime.engines.execution import Execution
from tweenrt.runtime.engines.tensorrt import Flavour
from tweenrt.runtime.onnx_file import OnnxFile
from tweenrt.runtime.session import Shape, Tensor
from tweenrt.runtime.timing import LayerTime, RunTime

Shapes = dict[str, Extent]
EngineFor = Callable[[Shapes], Path]


class TensorRtSession:
    """A `tweenrt.runtime.session.Session` on a GPU.

    A graph whose sizes are open gets an engine for each size that is asked for: built once, kept in the cache, and
    loaded when frames of that size come. Frames of another size take its place. Our kernels are in it if the plugin
    library was built, else the portable bodies of our ops.

    TensorRT makes the settings of a graph part of the engine, so that there are none to change here.
    """

    def __init__(self, info: GraphInfo, engine: EngineFor, lane: Lane | None) -> None:
        self.info = info
        self.inputs: dict[str, Shape] = {}
        self.outputs: dict[str, Shape] = {}
        self.settings: dict[str, Shape] = {}
        self.lane = lane or Lane()
        self._owns_lane = lane is None
        self._engine = engine
        self._is_engine = False
        self._execution: Execution | None = None
        self._path: Path | None = None
        self._shapes: Shapes = {}
        self._closed = False

    @classmethod
    def of_graph(cls, path: Path, flavour: Flavour, lane: Lane | None = None) -> TensorRtSession:
        """Run the graph at `path`; if its sizes are fixed, its engine is built now unless it is in the cache.

        Args:
            path: an ONNX file of ours.
            flavour: with which TensorRT.
            lane: where to run it, shared with other sessions; None for one of its own on the first GPU.

        Raises:
            As `tweenrt.runtime.engines.engine_cache.engine_for`; BackendError where there is no GPU.
        """
        file = OnnxFile.load(path)
        find_gpu(lane.gpu if lane else 0)

        def engine(shapes: Shapes) -> Path:
            sizes = (SizeRange.of(file.letters_for(shapes)),) if file.open_inputs else ()
            options = BuildOptions(flavour, sizes, plugins=is_built())
            session.lane.activate()  # before a build that takes minutes: what is missing shows now
            return engine_for(path, options, session.lane.building, session.lane.gpu)

        session = cls(file.info, engine, lane)
        session.inputs, session.outputs = dict(file.inputs), dict(file.outputs)
        if not file.open_inputs:
            session._load({})
        return session

    @classmethod
    def of_engine(cls, path: Path, lane: Lane | None = None) -> TensorRtSession:
        """Run the engine at `path`.

        Args:
            path: written by `tweenrt build`.
            lane: where to run it, shared with other sessions; None for one of its own on the first GPU.

        Raises:
            EngineError: it is damaged, not ours, or does not fit this machine.
            BackendError: there is no GPU.
        """
        info = read_info(path).graph_info(str(path))
        find_gpu(lane.gpu if lane else 0, path)
        session = cls(info, lambda _: path, lane)
        session._is_engine = True
        loaded = session._load({})
        session.inputs, session.outputs = dict(loaded.inputs), dict(loaded.outputs)
        return session

    def most_at_once(self, frame: Extent) -> int:
        """See `tweenrt.runtime.session.Session.most_at_once`. A graph gets an engine for whatever comes."""
        return self._execution.most_at_once("frame0", frame) if self._execution and self._is_engine else 1

    def prepare_run(self, shapes: Mapping[str, Extent]) -> None:
        """See `tweenrt.runtime.session.PreparesRuns.prepare_run`."""
        self._load(dict(shapes))

    def place(self, array: Tensor) -> DeviceArray:
        """See `tweenrt.runtime.session.Session.place`."""
        self.lane.activate()
        if on_device(array):
            return borrow(array, self.lane)
        return self.lane.upload(np.asarray(array))

    def run(self, feeds: Mapping[str, Tensor], *, keep: bool = False) -> dict[str, Any]:
        """See `tweenrt.runtime.session.Session.run`."""
        placed, execution = self._ready(feeds)
        results = execution.run(placed)
        if keep:
            return dict(results)
        return dict(zip(results, self.lane.download(list(results.values())), strict=True))

    def run_timed(self, feeds: Mapping[str, Tensor]) -> RunTime:
        """See `tweenrt.runtime.timing.TimesRuns`."""
        placed, execution = self._ready(feeds)
        return execution.run_timed(placed)

    def layer_times(self, feeds: Mapping[str, Tensor], runs: int) -> list[LayerTime]:
        """See `tweenrt.runtime.timing.TimesLayers`."""
        placed, execution = self._ready(feeds)
        return execution.layer_times(placed, runs)

    @property
    def device_memory(self) -> int:
        """Bytes of GPU memory in use: what layers work in, and all arrays of the lane."""
        layers = self._execution.device_memory if self._execution else 0
        return layers + self.lane.bytes_held

    @property
    def not_captured(self) -> str:
        """Why runs do not go through a CUDA graph; empty if they do."""
        return self._execution.not_captured if self._execution else ""

    def close(self) -> None:
        """See `tweenrt.runtime.session.Session.close`."""
        self._unload()
        self._closed = True
        if self._owns_lane:
            self.lane.close()

    def _ready(self, feeds: Mapping[str, Tensor]) -> tuple[dict[str, DeviceArray], Execution]:
        """The inputs on the GPU, and the engine for their shapes."""
        if self._closed:
            raise BackendError(f"the session of {self.info.model} is closed")
        if feeds.keys() != self.inputs.keys():
            raise BackendError(
                f"{self.info.model}: expected the inputs {', '.join(self.inputs)}, got {', '.join(feeds)}"
            )
        execution = self._load({name: tuple(feeds[name].shape) for name in self.inputs})
        placed = {name: self.place(feeds[name]) for name in self.inputs}
        for name, array in placed.items():
            if array.dtype != execution.dtype(name):
                raise BackendError(
                    f"{self.info.model}: expected {name} as {execution.dtype(name)}, got {array.dtype}; convert it"
                )
        return placed, execution

    def _load(self, shapes: Shapes) -> Execution:
        """The engine for `shapes`; it stays loaded as long as the next one is the same."""
        if self._execution is None or shapes != self._shapes:
            path = self._engine(shapes)
            if self._execution is None or path != self._path:
                self._unload()
                self._execution = Execution(path, self.lane)
            self._path, self._shapes = path, shapes
        return self._execution

    def _unload(self) -> None:
        if self._execution is not None:
            self._execution.close()
        self._execution = None


__all__ = ["TensorRtSession"]
