"""One loaded graph, ready to run: the interface that every backend fulfils, and how one is chosen."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from tweenrt.contract import GraphInfo
from tweenrt.errors import EngineError, GraphError, TweenrtError, UsageError
from tweenrt.runtime.cuda import Lane
from tweenrt.runtime.device_memory import DeviceArray, Extent, on_device
from tweenrt.runtime.gpu import find_gpus

Array = NDArray[Any]
Tensor = Array | DeviceArray
"""An array where a session computes: in the memory of the CPU, or in that of a GPU."""

Shape = tuple[int | str, ...]
ENGINE_ENDING = ".engine"


class Backend(str, Enum):
    """What executes a graph."""

    AUTO = "auto"  # TensorRT where a GPU runs the graph; else OpenVINO where it is installed and takes it
    ONNXRUNTIME = "onnxruntime"  # on the GPU where its CUDA provider is installed and finds one
    OPENVINO = "openvino"
    TENSORRT = "tensorrt"
    TENSORRT_RTX = "tensorrt-rtx"


class Session(Protocol):
    """One loaded graph.

    Attributes:
        info: the graph's own metadata.
    """

    info: GraphInfo

    @property
    def inputs(self) -> Mapping[str, Shape]:
        """Name → shape; a size that is open is a name such as ``"H"``."""

    @property
    def outputs(self) -> Mapping[str, Shape]:
        """The same for what comes out."""

    @property
    def settings(self) -> Mapping[str, Shape]:
        """Inputs that need not be given, because the graph holds a default: name → shape."""

    def most_at_once(self, frame: Extent) -> int:
        """How many moments a run is best given where N is open: as many as an engine was built for, else 1.

        Args:
            frame: shape of ``frame0``; its N does not matter.
        """

    def place(self, array: Tensor) -> Tensor:
        """Bring an array, numpy's or one in GPU memory, to where the session computes, for more than one run.

        Raises:
            UsageError: it is in GPU memory and the session does not compute there.
        """

    def run(self, feeds: Mapping[str, Tensor], *, keep: bool = False) -> dict[str, Any]:
        """Run once.

        Args:
            feeds: a contiguous array for every input, of the graph's dtype and shape; settings where wanted.
            keep: leave the outputs where they were computed, for another run on the same lane. Otherwise they are
                numpy arrays.

        Returns:
            Output name → array.

        Raises:
            BackendError: the backend failed.
        """

    def close(self) -> None:
        """Free what the session holds; it cannot run after that."""


@runtime_checkable
class PreparesRuns(Protocol):
    """A session on a GPU, whose engines are built and loaded when inputs of new shapes come."""

    def prepare_run(self, shapes: Mapping[str, Extent]) -> None:
        """Build and load what runs inputs of these shapes: name → shape.

        Raises:
            TweenrtError: that cannot be done; nothing has run.
        """


class OnCpu:
    """What all sessions on the CPU share."""

    def most_at_once(self, frame: Extent) -> int:  # noqa: ARG002
        """See `Session.most_at_once`. A batch is slower than one moment after the other: docs/decisions.md."""
        return 1

    def place(self, array: Tensor) -> Array:
        """See `Session.place`."""
        if on_device(array):
            raise UsageError(
                "got a frame in GPU memory, but this graph runs on the CPU; open it with the backend tensorrt or "
                "tensorrt-rtx, or give numpy arrays"
            )
        return array  # type: ignore[return-value]  # on_device() has ruled out the other kind


def open_session(
    path: Path, backend: Backend = Backend.AUTO, threads: int | None = None, lane: Lane | None = None
) -> Session:
    """Load the graph or engine at `path`.

    Args:
        path: an ONNX file written by tweenrt, or an engine.
        backend: what executes it; ``AUTO`` takes the fastest that works here, also where that shows only when frames
            of a size come; a warning, or `Lane.tell`, says why a GPU does not run it.
        threads: CPU threads for one run; None leaves the choice to the backend.
        lane: the GPU to use, and what sessions that work together share on it; None for the first GPU alone.

    Raises:
        GraphError: the file is missing, damaged or not ours.
        EngineError: the engine is damaged, not ours, or does not fit this machine.
        BackendError: the backend that was asked for cannot run this graph.
        MissingExtraError: the backend is not installed.
    """
    if not path.is_file():
        raise GraphError(f"{path}: no such graph; make one with `tweenrt export MODEL -o {path}`")
    if path.suffix == ENGINE_ENDING:
        return _engine(path, backend, lane)
    return _OPENERS[backend](path, threads, lane)


def _onnxruntime(path: Path, threads: int | None, lane: Lane | None) -> Session:
    from tweenrt.runtime.onnxruntime_session import OnnxRuntimeSession

    return OnnxRuntimeSession(path, threads, lane.gpu if lane else 0)


def _openvino(path: Path, threads: int | None, _: Lane | None) -> Session:
    from tweenrt.runtime.openvino_session import OpenVinoSession

    return OpenVinoSession(path, threads)


def _tensorrt(path: Path, _: int | None, lane: Lane | None) -> Session:
    from tweenrt.runtime.engines.tensorrt import Flavour
    from tweenrt.runtime.engines.tensorrt_session import TensorRtSession

    return TensorRtSession.of_graph(path, Flavour.TENSORRT, lane)


def _tensorrt_rtx(path: Path, _: int | None, lane: Lane | None) -> Session:
    from tweenrt.runtime.engines.tensorrt import Flavour
    from tweenrt.runtime.engines.tensorrt_session import TensorRtSession

    return TensorRtSession.of_graph(path, Flavour.RTX, lane)


def _engine(path: Path, backend: Backend, lane: Lane | None) -> Session:
    from tweenrt.runtime.engines.engine_file import read_info
    from tweenrt.runtime.engines.tensorrt_session import TensorRtSession

    flavour = read_info(path).flavour
    if backend not in {Backend.AUTO, Backend(flavour)}:
        raise EngineError(f"{path}: an engine for {flavour} cannot run on {backend.value}; use --backend {flavour}")
    return TensorRtSession.of_engine(path, lane)


def _fastest(path: Path, threads: int | None, lane: Lane | None) -> Session:
    """What the others refuse goes to ONNX Runtime, which runs every graph and says what is wrong with a bad one."""
    on_gpu = _flavours()
    if not on_gpu:
        return _without_tensorrt(path, threads, lane)
    from tweenrt.runtime.automatic import AutomaticSession

    backends = [*on_gpu, *_openvino_if_fastest(), Backend.ONNXRUNTIME]
    return AutomaticSession(path, [(backend, _OPENERS[backend]) for backend in backends], threads, lane)


def _without_tensorrt(path: Path, threads: int | None, lane: Lane | None) -> Session:
    for backend in _openvino_if_fastest():
        with suppress(TweenrtError):
            return _OPENERS[backend](path, threads, lane)
    return _onnxruntime(path, threads, lane)


def _flavours() -> list[Backend]:
    """The backends on a GPU that are installed, the fastest first; none without a GPU."""
    flavours = {Backend.TENSORRT: "tensorrt", Backend.TENSORRT_RTX: "tensorrt_rtx"} if find_gpus().found else {}
    return [backend for backend, package in flavours.items() if importlib.util.find_spec(package)]


def _openvino_if_fastest() -> list[Backend]:
    """OpenVINO where it is installed; none where ONNX Runtime has a GPU."""
    from tweenrt.runtime.onnxruntime_session import has_gpu
    from tweenrt.runtime.openvino_session import is_installed

    return [Backend.OPENVINO] if is_installed() and not has_gpu() else []


_OPENERS = {
    Backend.AUTO: _fastest,
    Backend.ONNXRUNTIME: _onnxruntime,
    Backend.OPENVINO: _openvino,
    Backend.TENSORRT: _tensorrt,
    Backend.TENSORRT_RTX: _tensorrt_rtx,
}


def executing(session: Session) -> Session:
    """The session that runs `session`: itself, or what ``AUTO`` has come to."""
    found: Session = getattr(session, "executing", session)
    return found


def is_open(size: int | str) -> bool:
    """Whether an axis of a session's input is left open."""
    return not isinstance(size, int)


__all__ = [
    "ENGINE_ENDING",
    "Array",
    "Backend",
    "OnCpu",
    "PreparesRuns",
    "Session",
    "Shape",
    "Tensor",
    "executing",
    "is_open",
    "open_session",
]
