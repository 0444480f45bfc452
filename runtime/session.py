"""One loaded graph, ready to run: the interface that every backend fulfils, and how one is chosen."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from tweenrt.contract import GraphInfo
from tweenrt.errors import GraphError, TweenrtError

Array = NDArray[Any]
Shape = tuple[int | str, ...]


class Backend(str, Enum):
    """What executes a graph."""

    AUTO = "auto"  # OpenVINO where it is installed and takes the graph, else ONNX Runtime
    ONNXRUNTIME = "onnxruntime"
    OPENVINO = "openvino"


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

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run once.

        Args:
            feeds: a contiguous array for every input, of the graph's dtype and shape; settings where wanted.

        Returns:
            Output name → array.

        Raises:
            BackendError: the backend failed.
        """

    def close(self) -> None:
        """Free what the session holds; it cannot run after that."""


def open_session(path: Path, backend: Backend = Backend.AUTO, threads: int | None = None) -> Session:
    """Load the graph at `path`.

    Args:
        path: an ONNX file written by tweenrt.
        backend: what executes it; ``AUTO`` takes the fastest that works here.
        threads: CPU threads for one run; None leaves the choice to the backend.

    Raises:
        GraphError: the file is missing, damaged or not ours.
        BackendError: the backend that was asked for cannot run this graph.
        MissingExtraError: the backend is not installed.
    """
    if not path.is_file():
        raise GraphError(f"{path}: no such graph; make one with `tweenrt export MODEL -o {path}`")
    return _OPENERS[backend](path, threads)


def _onnxruntime(path: Path, threads: int | None) -> Session:
    from tweenrt.runtime.onnxruntime_session import OnnxRuntimeSession

    return OnnxRuntimeSession(path, threads)


def _openvino(path: Path, threads: int | None) -> Session:
    from tweenrt.runtime.openvino_session import OpenVinoSession

    return OpenVinoSession(path, threads)


def _fastest(path: Path, threads: int | None) -> Session:
    """What OpenVINO refuses goes to ONNX Runtime, which runs every graph and says what is wrong with a bad one."""
    from tweenrt.runtime.openvino_session import is_installed

    if is_installed():
        try:
            return _openvino(path, threads)
        except TweenrtError:
            pass
    return _onnxruntime(path, threads)


_OPENERS = {Backend.AUTO: _fastest, Backend.ONNXRUNTIME: _onnxruntime, Backend.OPENVINO: _openvino}


def is_open(size: int | str) -> bool:
    """Whether an axis of a session's input is left open."""
    return not isinstance(size, int)


__all__ = ["Array", "Backend", "Session", "Shape", "is_open", "open_session"]
