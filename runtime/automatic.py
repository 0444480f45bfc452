"""`--backend auto` on a machine with a GPU: the fastest backend that runs the graph, also where that shows late."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tweenrt.contract import GraphInfo
from tweenrt.errors import BackendError, TweenrtError
from tweenrt.runtime.cuda import Lane
from tweenrt.runtime.device_memory import DeviceArray, Extent, borrow, on_device
from tweenrt.runtime.session import Backend, PreparesRuns, Session, Shape, Tensor

Way = tuple[Backend, Callable[[Path, int | None, Lane | None], Session]]
_ON_GPU = (Backend.TENSORRT, Backend.TENSORRT_RTX)


class AutomaticSession:
    """A `tweenrt.runtime.session.Session` on the first of several backends that can run the graph.

    Engines are built when frames of a size come, and only then it shows whether they can be. What the GPU cannot run
    goes to the next backend, and one line says why. Arrays that are in GPU memory by then stay there, and are
    downloaded for every run.

    Args:
        path: an ONNX file of ours.
        ways: backends and how to open them, the fastest first; what the last one says is told as it is.
        threads: CPU threads for one run.
        lane: where to run on a GPU, and who is told; None for a lane of its own.
    """

    def __init__(self, path: Path, ways: Sequence[Way], threads: int | None, lane: Lane | None) -> None:
        self._path, self._threads = path, threads
        self._lane, self._owns_lane = lane or Lane(), lane is None
        self._left = list(ways)
        self._lost: list[tuple[Backend, TweenrtError]] = []
        self._has_run = self._closed = False
        self._backend, self.executing = self._next()
        self.info: GraphInfo = self.executing.info

    @property
    def inputs(self) -> Mapping[str, Shape]:
        """See `tweenrt.runtime.session.Session`."""
        return self.executing.inputs

    @property
    def outputs(self) -> Mapping[str, Shape]:
        """See `tweenrt.runtime.session.Session`."""
        return self.executing.outputs

    @property
    def settings(self) -> Mapping[str, Shape]:
        """See `tweenrt.runtime.session.Session`."""
        return self.executing.settings

    def most_at_once(self, frame: Extent) -> int:
        """See `tweenrt.runtime.session.Session.most_at_once`."""
        return self.executing.most_at_once(frame)

    def place(self, array: Tensor) -> Tensor:
        """See `tweenrt.runtime.session.Session.place`."""
        if not isinstance(self.executing, PreparesRuns):
            return borrow(array, self._lane) if on_device(array) else self.executing.place(array)
        try:
            return self.executing.place(array)
        except TweenrtError as error:
            if self._has_run or on_device(array):
                raise
            self._fall(error)
        return self.place(array)

    def run(self, feeds: Mapping[str, Tensor], *, keep: bool = False) -> dict[str, Any]:
        """See `tweenrt.runtime.session.Session.run`."""
        if self._closed:
            raise BackendError(f"{self._path}: the session is closed")
        if feeds.keys() >= self.inputs.keys():
            self._prepare({name: tuple(feeds[name].shape) for name in self.inputs})
        if not isinstance(self.executing, PreparesRuns):
            feeds = {name: a.numpy() if isinstance(a, DeviceArray) else a for name, a in feeds.items()}
        return self.executing.run(feeds, keep=keep)

    def close(self) -> None:
        """See `tweenrt.runtime.session.Session.close`."""
        self.executing.close()
        self._closed = True
        if self._owns_lane:
            self._lane.close()

    def _prepare(self, shapes: Mapping[str, Extent]) -> None:
        """See that a backend runs inputs of these shapes, and say which did not."""
        if isinstance(self.executing, PreparesRuns):
            try:
                self.executing.prepare_run(shapes)
            except TweenrtError as error:
                self._fall(error)
                return self._prepare(shapes)
        self._has_run = True
        return self._tell()

    def _fall(self, error: TweenrtError) -> None:
        """Go on with the next backend."""
        self._lost.append((self._backend, error))
        before = self.executing
        self._backend, self.executing = self._next()
        with suppress(TweenrtError):
            before.close()

    def _next(self) -> tuple[Backend, Session]:
        backend, opened = self._left.pop(0)
        try:
            return backend, opened(self._path, self._threads, self._lane)
        except TweenrtError as error:
            if not self._left:
                raise
            self._lost.append((backend, error))
        return self._next()

    def _tell(self) -> None:
        lost = [(backend.value, " ".join(str(error).split())) for backend, error in self._lost if backend in _ON_GPU]
        self._lost.clear()
        if lost:
            names = " or ".join(dict.fromkeys(name for name, _ in lost))
            reasons = "; ".join(dict.fromkeys(reason for _, reason in lost))
            self._lane.tell(f"the network runs on {self._backend.value}, not on {names}: {reasons}")


__all__ = ["AutomaticSession"]
