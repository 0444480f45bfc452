"""Run a graph with OpenVINO on the CPU."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tweenrt.errors import BackendError, require
from tweenrt.runtime.node_names import Kernel, NodeNames
from tweenrt.runtime.onnx_file import OnnxFile
from tweenrt.runtime.session import Array, OnCpu, Shape, Tensor
from tweenrt.runtime.timing import LayerTime

PACKAGES = ("openvino", "onnx")
"""What has to be installed: OpenVINO's ONNX reader knows neither functions nor metadata, so ``onnx`` handles them."""

_TELEMETRY = "openvino_telemetry"
_EXTRA = "openvino"
_WHY = "Running a graph with OpenVINO"
_DEVICE = "CPU"
_FUSED = "originalLayersNames"
_OPTIONS = {
    # Where the processor has bfloat16, OpenVINO would compute in that: 2 decimal digits.
    "INFERENCE_PRECISION_HINT": "f32",
    "EXECUTION_MODE_HINT": "ACCURACY",
    # One run at a time, as fast as it goes.
    "PERFORMANCE_HINT": "LATENCY",
    # Threads that are bound to a core cannot make way for decoding and encoding, nor for a second session.
    "ENABLE_CPU_PINNING": False,
}


class OpenVinoSession(OnCpu):
    """A `tweenrt.runtime.session.Session` on OpenVINO's CPU device, in FP32."""

    def __init__(self, path: Path, threads: int | None = None) -> None:
        core = openvino_core()
        file = OnnxFile.load(path, extra=_EXTRA, why=_WHY)
        graph = file.model.graph
        self.path = path
        self._threads = threads
        self.info = file.info
        self._settings = _take_defaults(graph)
        inputs = {v.name: _shape(v) for v in graph.input}
        self.inputs = {name: shape for name, shape in inputs.items() if name not in self._settings}
        self.settings = {name: shape for name, shape in inputs.items() if name in self._settings}
        self.outputs = {v.name: _shape(v) for v in graph.output}
        try:
            compiled = _compiled(core, file.model, threads)
        except Exception as error:  # OpenVINO's errors are all RuntimeError, those of onnx are not
            raise BackendError(
                f"{path}: OpenVINO cannot run this graph: {_reason(error)}; use the backend onnxruntime"
            ) from error
        self._read = {v.get_any_name() for v in compiled.inputs}  # an input that no node reads is not among them
        self._request: Any = compiled.create_infer_request()

    def run(self, feeds: Mapping[str, Tensor], *, keep: bool = False) -> dict[str, Any]:  # noqa: ARG002
        """See `tweenrt.runtime.session.Session.run`."""
        if self._request is None:
            raise BackendError(f"{self.path}: the session is closed")
        values = self._settings | dict(feeds)
        if values.keys() != self.inputs.keys() | self.settings.keys():
            # OpenVINO itself would take the value of the run before for an input that is not given.
            raise BackendError(f"{self.path}: expected the inputs {', '.join(self.inputs)}, got {', '.join(feeds)}")
        try:
            results = self._request.infer({n: v for n, v in values.items() if n in self._read}, share_inputs=True)
        except Exception as error:
            raise BackendError(f"{self.path}: OpenVINO failed: {_reason(error)}") from error
        return {name: results[place] for place, name in enumerate(self.outputs)}

    def layer_times(self, feeds: Mapping[str, Tensor], runs: int) -> list[LayerTime]:
        """See `tweenrt.runtime.timing.TimesLayers`. The graph is compiled again; the first run is not counted."""
        model = OnnxFile.load(self.path, extra=_EXTRA, why=_WHY).model
        _take_defaults(model.graph)
        names = NodeNames(model)
        compiled = _compiled(openvino_core(), names.model, self._threads, timed=True)
        fused = {node.get_friendly_name(): _fused(node) for node in compiled.get_runtime_model().get_ops()}
        request = compiled.create_infer_request()
        values = {name: value for name, value in (self._settings | dict(feeds)).items() if name in self._read}
        request.infer(values, share_inputs=True)
        kernels = []
        for _ in range(runs):
            request.infer(values, share_inputs=True)
            kernels += [
                Kernel(fused.get(k.node_name) or k.node_name, k.node_type, k.real_time.total_seconds() * 1000 / runs)
                for k in request.profiling_info
                if k.real_time
            ]
        return names.gather(kernels)

    def close(self) -> None:
        """See `tweenrt.runtime.session.Session.close`."""
        self._request = None


def is_installed() -> bool:
    """Whether everything that an `OpenVinoSession` imports is there; nothing is imported."""
    return all(importlib.util.find_spec(name) for name in PACKAGES)


def _import_openvino() -> Any:
    """Import OpenVINO without its telemetry.

    On import it starts a thread that reports to Google Analytics, and writes an identifier into the home folder, unless
    the user has opted out. It uses a stub where its package for that is absent, and so it is made to seem.

    Raises:
        MissingExtraError: it is not installed.
    """
    modules: dict[str, Any] = sys.modules
    hide = _TELEMETRY not in modules
    if hide:
        modules[_TELEMETRY] = None
    try:
        return require("openvino", extra=_EXTRA, why=_WHY)
    finally:
        if hide:
            del modules[_TELEMETRY]


def openvino_core() -> Any:
    """The process's ``openvino.Core``.

    Raises:
        MissingExtraError: OpenVINO is not installed.
    """
    return _core(_import_openvino())


@cache
def _core(ov: Any) -> Any:
    # It is never let go: with the first one, the CPU plugin gives the thread a new stack for signals, and it frees that
    # with the last one, on whatever thread. On another one, Ctrl-C then kills the process without a word (2026.4).
    return ov.Core()


def _take_defaults(graph: Any) -> dict[str, Array]:
    """Turn the settings of `graph` into inputs like any other, in place; name → default.

    A setting is an initializer that is an input as well. OpenVINO takes it for a constant.
    """
    from onnx import numpy_helper

    inputs = {v.name for v in graph.input}
    places = [place for place, i in enumerate(graph.initializer) if i.name in inputs]
    taken = [graph.initializer.pop(place) for place in reversed(places)]
    return {i.name: numpy_helper.to_array(i) for i in taken}


def _shape(value: Any) -> Shape:
    axes = value.type.tensor_type.shape.dim
    return tuple(a.dim_value if a.HasField("dim_value") else a.dim_param or "?" for a in axes)


def _fused(node: Any) -> str:
    """The names of everything that a node of the compiled graph stands for."""
    info = node.get_rt_info()
    return str(info[_FUSED].astype(str)) if _FUSED in info else ""


def _compiled(core: Any, model: Any, threads: int | None, *, timed: bool = False) -> Any:
    """`model` for the CPU, with the bodies of our ops in the place of their nodes."""
    from onnx import inliner

    plain = inliner.inline_local_functions(model)
    if any(node.op_type == "If" for node in plain.graph.node):
        # OpenVINO 2026.4 loads UGSP with gathering bodies, and gives memory away that the result of an If still needs:
        # the picture was off by up to 1.0, and right as soon as every such result was also an output of the graph.
        raise ValueError("it chooses between branches (If), which OpenVINO computes wrongly")
    options = _OPTIONS | {"PERF_COUNT": timed} | ({} if threads is None else {"INFERENCE_NUM_THREADS": threads})
    return core.compile_model(core.read_model(plain.SerializeToString()), _DEVICE, options)


def _reason(error: Exception) -> str:
    """The line that names the cause, in a message that ends with it or lists what is unknown before advice."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    unknown = [line for line in lines if "No conversion rule found" in line]
    return (unknown or lines[-1:] or [type(error).__name__])[0].removeprefix("-- ")


__all__ = ["PACKAGES", "OpenVinoSession", "is_installed", "openvino_core"]
