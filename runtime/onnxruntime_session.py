"""Run a graph with ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tweenrt.contract import GraphInfo
from tweenrt.errors import BackendError, GraphError, require
from tweenrt.runtime.session import Array, Shape

_LOG_ERRORS_ONLY = 3


class OnnxRuntimeSession:
    """A `tweenrt.runtime.session.Session` on ONNX Runtime's CPU provider."""

    def __init__(self, path: Path, threads: int | None = None) -> None:
        ort = require("onnxruntime", extra="video", why="Running a graph on the CPU")
        options = ort.SessionOptions()
        options.log_severity_level = _LOG_ERRORS_ONLY
        if threads is not None:
            options.intra_op_num_threads = threads
        # Spinning worker threads would take the cores that decoding and encoding need between two runs.
        # The rest stays at its defaults: with RIFE 4.25 at 480p, two nodes at a time (parallel execution) or no memory
        # arena each took half as much time again.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session: Any = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's exceptions share no base class
            raise GraphError(
                f"{path}: expected an ONNX file that ONNX Runtime can load, it said: {_first_line(error)}; "
                "export the graph again"
            ) from error
        self.path = path
        self.info = GraphInfo.from_metadata(self._session.get_modelmeta().custom_metadata_map, str(path))
        self.inputs: dict[str, Shape] = {v.name: tuple(v.shape) for v in self._session.get_inputs()}
        overridable = self._session.get_overridable_initializers()
        self.settings: dict[str, Shape] = {v.name: tuple(v.shape) for v in overridable}
        self.outputs: dict[str, Shape] = {v.name: tuple(v.shape) for v in self._session.get_outputs()}

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """See `tweenrt.runtime.session.Session.run`."""
        if self._session is None:
            raise BackendError(f"{self.path}: the session is closed")
        try:
            results = self._session.run(None, dict(feeds))
        except Exception as error:  # ONNX Runtime's exceptions share no base class
            raise BackendError(f"{self.path}: ONNX Runtime failed: {_first_line(error)}") from error
        return dict(zip(self.outputs, results, strict=True))

    def close(self) -> None:
        """See `tweenrt.runtime.session.Session.close`."""
        self._session = None


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
