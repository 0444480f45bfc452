"""Run a graph with ONNX Runtime: on the CPU, or on a GPU where its CUDA provider is installed."""

from __future__ import annotations

import importlib.util
import json
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tweenrt.contract import GraphInfo
from tweenrt.errors import BackendError, GraphError, require
from tweenrt.runtime.gpu import find_gpus
from tweenrt.runtime.node_names import NodeNames
from tweenrt.runtime.onnx_file import OnnxFile
from tweenrt.runtime.onnxruntime_events import kernel_times
from tweenrt.runtime.session import OnCpu, Shape, Tensor
from tweenrt.runtime.timing import LayerTime

_LOG_ERRORS_ONLY = 3
_CUDA = "CUDAExecutionProvider"


class OnnxRuntimeSession(OnCpu):
    """A `tweenrt.runtime.session.Session` on ONNX Runtime. Frames come and go through the CPU's memory.

    Args:
        path: an ONNX file of ours.
        threads: CPU threads for one run; None leaves the choice to ONNX Runtime.
        gpu: number of the GPU to use where the package ``onnxruntime-gpu`` finds one.
    """

    def __init__(self, path: Path, threads: int | None = None, gpu: int = 0) -> None:
        ort = require("onnxruntime", extra="video", why="Running a graph on the CPU")
        self._options = partial(_options, ort, threads)
        self._run_options = ort.RunOptions
        self._seen: set[tuple[Shape, ...]] = set()
        self._load = partial(ort.InferenceSession, providers=_providers(gpu))
        try:
            self._session: Any = self._load(str(path), self._options())
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

    def run(self, feeds: Mapping[str, Tensor], *, keep: bool = False) -> dict[str, Any]:  # noqa: ARG002
        """See `tweenrt.runtime.session.Session.run`."""
        if self._session is None:
            raise BackendError(f"{self.path}: the session is closed")
        try:
            results = self._session.run(None, dict(feeds), self._tidying(feeds))
        except Exception as error:  # ONNX Runtime's exceptions share no base class
            raise BackendError(f"{self.path}: ONNX Runtime failed: {_first_line(error)}") from error
        return dict(zip(self.outputs, results, strict=True))

    def _tidying(self, feeds: Mapping[str, Tensor]) -> Any:
        """Options that give memory back after the first run for inputs of these shapes; None for later runs.

        The first run takes memory piece by piece and the second, by then planned, in one block. Kept beside each other,
        pieces and block are twice of what AMT's correlation volumes take: 12 GB at 1080p.
        """
        shapes = tuple(array.shape for array in feeds.values())
        if shapes in self._seen:
            return None
        self._seen.add(shapes)
        return self._tidy()

    def _tidy(self) -> Any:
        options = self._run_options()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        return options

    def layer_times(self, feeds: Mapping[str, Tensor], runs: int) -> list[LayerTime]:
        """See `tweenrt.runtime.timing.TimesLayers`.

        A second session measures, since one that profiles is slower. The first of its runs is not counted. The first
        session is let go meanwhile: beside each other, the two would take twice the memory.

        Raises:
            MissingExtraError: the package ``onnx`` is not installed.
        """
        names = NodeNames(OnnxFile.load(self.path, extra="report", why="Timing layers").model)
        options = self._options()
        options.enable_profiling = True
        self._session = None
        with tempfile.TemporaryDirectory(prefix="tweenrt-") as folder:
            options.profile_file_prefix = str(Path(folder) / "run")
            session = self._load(names.model.SerializeToString(), options)
            session.run(None, dict(feeds), self._tidy())
            for _ in range(runs):
                session.run(None, dict(feeds))
            events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
        del session
        self._session = self._load(str(self.path), self._options())
        return names.gather(kernel_times(events, skipped=1))

    def close(self) -> None:
        """See `tweenrt.runtime.session.Session.close`."""
        self._session = None


def _options(ort: Any, threads: int | None) -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = _LOG_ERRORS_ONLY
    if threads is not None:
        options.intra_op_num_threads = threads
    # Spinning worker threads would take the cores that decoding and encoding need between two runs.
    # The rest stays at its defaults: with RIFE 4.25 at 480p, two nodes at a time (parallel execution) or no memory
    # arena each took half as much time again.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # INT8 kernels for CPUs without VNNI saturate sums at 16 bits. So Q/DQ nodes round, and layers compute in FP32: what
    # an engine computes, to rounding.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    return options


def has_gpu() -> bool:
    """Whether ONNX Runtime is there, and computes on a GPU."""
    if not find_gpus().found or not importlib.util.find_spec("onnxruntime"):
        return False
    import onnxruntime as ort

    return _CUDA in ort.get_available_providers()


def _providers(gpu: int) -> list[Any]:
    """What ONNX Runtime may use; nodes that the first does not take go to the second."""
    on_cpu = "CPUExecutionProvider"
    return [(_CUDA, {"device_id": gpu}), on_cpu] if has_gpu() else [on_cpu]


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
