"""What is installed here, which backends can run a network, and why the others cannot."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

import tweenrt
from tweenrt import cache
from tweenrt.plugins import library
from tweenrt.runtime import openvino_session
from tweenrt.runtime.gpu import Gpus, find_gpus
from tweenrt.runtime.session import Array, Backend

# y = x + x for two floats (opset 18), serialised; the runtime has no package to write ONNX with.
_TINY_MODEL = bytes.fromhex(
    "08083a350a0e0a01780a017812017922034164641201675a0f0a0178120a0a08080112040a020802620f0a0179120a0a08080112040a02080242"
    "040a001012"
)
_PACKAGES = {
    "numpy": "everything",
    "onnxruntime": "running graphs on the CPU",
    "av": "reading and writing video (extra: video)",
    "torch": "exporting networks (extra: export)",
    "onnx": "exporting networks (extra: export)",
    "onnxscript": "exporting networks (extra: export)",
    "tensorrt": "TensorRT engines (extra: tensorrt)",
    "tensorrt-rtx": "TensorRT-RTX engines (extra: tensorrt-rtx)",
    "cuda-python": "GPU memory and streams (extra: tensorrt)",
    "matplotlib": "the HTML file of tweenrt profile (extra: report)",
    "nvidia-ml-py": "the power of NVIDIA GPUs (extra: report)",
    "openvino": "running graphs on the CPU, most of them faster (extra: openvino)",
}
_CODECS = ("libx264", "libx265", "ffv1", "libsvtav1", "h264_nvenc", "hevc_nvenc")
_GPU_BACKENDS = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}
_OPENVINO = "pip install 'tweenrt[openvino]' (optional)"


@dataclass(frozen=True)
class Package:
    """A package that some part of tweenrt uses; `version` is None where it is not installed."""

    name: str
    version: str | None
    used_for: str


@dataclass(frozen=True)
class BackendStatus:
    """Whether a backend can run a network here, and if not, why."""

    name: str
    installed: bool
    usable: bool
    detail: str


@dataclass(frozen=True)
class Report:
    """Everything `tweenrt doctor` says.

    Attributes:
        tweenrt: version.
        python: version and where it is.
        platform: operating system and processor architecture.
        cpus: logical processors this process may use.
        packages: what is installed, with versions.
        backends: which can run a network.
        gpus: what the driver shows.
        encoders: video encoder → whether PyAV has it; empty without PyAV.
        cache: the cache folder.
        cache_free_bytes: free space there.
    """

    tweenrt: str
    python: str
    platform: str
    cpus: int
    packages: tuple[Package, ...]
    backends: tuple[BackendStatus, ...]
    gpus: Gpus
    encoders: dict[str, bool]
    cache: str
    cache_free_bytes: int

    @property
    def healthy(self) -> bool:
        """Whether at least one backend can run a network."""
        return any(b.usable for b in self.backends if b.name in {known.value for known in Backend})


def examine() -> Report:
    """Look at this machine; nothing is changed and nothing heavy is imported."""
    gpus = find_gpus()
    folder = cache.root()
    return Report(
        tweenrt=tweenrt.__version__,
        python=f"{platform.python_version()} ({sys.executable})",
        platform=f"{platform.system()} {platform.release()}, {platform.machine()}",
        cpus=len(os.sched_getaffinity(0)),
        packages=tuple(Package(name, _version(name), use) for name, use in _PACKAGES.items()),
        backends=(_onnxruntime(), *(_gpu_backend(name, gpus) for name in _GPU_BACKENDS), _openvino(), _cuda(gpus)),
        gpus=gpus,
        encoders=_encoders(),
        cache=str(folder),
        cache_free_bytes=shutil.disk_usage(_nearest(folder)).free,
    )


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _onnxruntime() -> BackendStatus:
    return _cpu_backend(Backend.ONNXRUNTIME.value, ("onnxruntime",), "pip install onnxruntime", _double_in_onnxruntime)


def _openvino() -> BackendStatus:
    return _cpu_backend(Backend.OPENVINO.value, openvino_session.PACKAGES, _OPENVINO, _double_in_openvino)


def _cpu_backend(name: str, packages: Sequence[str], install: str, double: Callable[[Array], Array]) -> BackendStatus:
    """Runs a model of one node: an installed package whose library does not load is found out here."""
    if not all(importlib.util.find_spec(package) for package in packages):
        return BackendStatus(name, installed=False, usable=False, detail=install)
    try:
        doubled = double(np.array([1.0, 2.5], np.float32))
    except Exception as error:  # noqa: BLE001  (a broken installation may raise anything)
        return BackendStatus(name, installed=True, usable=False, detail=f"{type(error).__name__}: {error}")
    right = doubled.tolist() == [2.0, 5.0]
    detail = "ran a test model on the CPU" if right else f"a test model gave {doubled.tolist()} instead of [2.0, 5.0]"
    return BackendStatus(name, installed=True, usable=right, detail=detail)


def _double_in_onnxruntime(numbers: Array) -> Array:
    import onnxruntime

    session = onnxruntime.InferenceSession(_TINY_MODEL, providers=["CPUExecutionProvider"])
    doubled: Array = session.run(None, {"x": numbers})[0]
    return doubled


def _double_in_openvino(numbers: Array) -> Array:
    core = openvino_session.openvino_core()
    doubled: Array = core.compile_model(core.read_model(_TINY_MODEL), "CPU")([numbers])[0]
    return doubled


def _gpu_backend(name: str, gpus: Gpus) -> BackendStatus:
    if not all(importlib.util.find_spec(package) for package in (_GPU_BACKENDS[name], "cuda")):
        return BackendStatus(name, installed=False, usable=False, detail=f"pip install 'tweenrt[{name}]'")
    detail = gpus.detail or f"{gpus.found[0]}; {_kernels()}"
    return BackendStatus(name, installed=True, usable=bool(gpus.found), detail=detail)


def _kernels() -> str:
    if library.is_built():
        return "with our kernels"
    return "without our kernels, which are not built: make plugins"


def _cuda(gpus: Gpus) -> BackendStatus:
    if importlib.util.find_spec("cuda") is None:
        return BackendStatus("cuda", installed=False, usable=False, detail="pip install 'tweenrt[tensorrt]'")
    return BackendStatus("cuda", True, bool(gpus.found), gpus.detail or "the driver answers")


def _encoders() -> dict[str, bool]:
    if importlib.util.find_spec("av") is None:
        return {}
    from av.codec import codecs_available

    return {name: name in codecs_available for name in _CODECS}


def _nearest(folder: Path) -> Path:
    """`folder` or the closest folder above it that exists."""
    return next(p for p in (folder, *folder.parents) if p.exists())
