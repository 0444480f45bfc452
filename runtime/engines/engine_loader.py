"""From an engine file to an engine that TensorRT has loaded, after all checks that can be made before."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tweenrt import cache
from tweenrt.errors import BackendError, EngineError
from tweenrt.runtime.engines.engine_cache import plugins_sha256, read_timings, write_timings
from tweenrt.runtime.engines.engine_file import EngineInfo, unpack
from tweenrt.runtime.engines.tensorrt import Flavour, TensorRT, open_tensorrt
from tweenrt.runtime.gpu import Gpu, find_gpus

_REBUILD = "build it again with `tweenrt build` on this machine"
_AMPERE = 80


@dataclass(frozen=True)
class Engine:
    """An engine in TensorRT's hands.

    Attributes:
        info: what its file says.
        trt: the TensorRT that loaded it.
        handle: its ``ICudaEngine``.
        context: an ``IExecutionContext``.
        key: identifies the engine and what runs it.
    """

    info: EngineInfo
    trt: TensorRT
    handle: Any
    context: Any
    key: str

    def another_context(self) -> Any:
        """A further ``IExecutionContext``, with device memory of its own."""
        return _context(self.trt, self.handle, self.key)

    def keep_kernels(self) -> None:
        """Keep what TensorRT-RTX compiled for this GPU, so that the next start is quicker."""
        compiled = self.trt.compiled_kernels(self.context)
        if compiled:
            write_timings(_kernels_path(self.key), compiled)


def load_engine(path: Path, gpu: int = 0) -> Engine:
    """Load the engine file at `path`.

    Args:
        path: written by `tweenrt build`.
        gpu: number of the GPU that will run it; it must be the current one of this thread.

    Raises:
        EngineError: it is missing, damaged, not ours, or was built for another TensorRT, GPU or plugin library.
        MissingExtraError: its TensorRT is not installed.
        BackendError: there is no GPU, or TensorRT does not take the engine.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EngineError(f"{path}: cannot read the engine ({error.strerror}); {_REBUILD}") from error
    info, plan = unpack(content, str(path))
    trt = open_tensorrt(Flavour(info.flavour))
    check_fits(info, trt, find_gpu(gpu), path)
    if info.plugins:
        _load_plugins(info, trt, path)
    key = hashlib.sha256(content).hexdigest()
    with trt.listening() as (logger, log):
        handle = trt.module.Runtime(logger).deserialize_cuda_engine(plan)
        context = _context(trt, handle, key) if handle is not None else None
    if context is None:
        said = log.errors[-1].splitlines()[0] if log.errors else "it gave no reason"
        raise BackendError(f"{path}: {trt.title} cannot load it: {said}")
    return Engine(info, trt, handle, context, key)


def find_gpu(number: int) -> Gpu:
    """The GPU with this number.

    Raises:
        BackendError: there is none.
    """
    gpus = find_gpus()
    if number >= len(gpus.found):
        what = gpus.detail or f"this machine has {len(gpus.found)}, numbered from 0"
        raise BackendError(f"GPU {number} was asked for: {what}. Without a GPU use --backend onnxruntime")
    return gpus.found[number]


def check_fits(info: EngineInfo, trt: TensorRT, gpu: Gpu, path: Path) -> None:
    """Refuse an engine that was built for something else.

    Raises:
        EngineError: it was; the message says what for.
    """
    version = ".".join(map(str, trt.version))
    if info.tensorrt != version:
        raise EngineError(f"{path}: built with {info.flavour} {info.tensorrt}, {version} is installed; {_REBUILD}")
    if info.targets and gpu.architecture not in {target.lower() for target in info.targets}:
        raise EngineError(f"{path}: built for {', '.join(info.targets)}, this GPU is {gpu}; {_REBUILD}")
    if info.portable and int(gpu.architecture.removeprefix("sm")) >= _AMPERE:
        return
    if info.device and info.device != str(gpu):
        raise EngineError(f"{path}: built for {info.device}, this GPU is {gpu}; {_REBUILD}")


def _load_plugins(info: EngineInfo, trt: TensorRT, path: Path) -> None:
    from tweenrt.plugins.library import load

    if info.plugins_sha256 and plugins_sha256() != info.plugins_sha256:
        raise EngineError(f"{path}: built with another version of our plugin library; {_REBUILD}")
    load(trt.module)


def _context(trt: TensorRT, handle: Any, key: str) -> Any:
    return trt.context(handle, read_timings(_kernels_path(key)))


def _kernels_path(key: str) -> Path:
    return cache.root() / "kernels" / f"{key[:24]}.cache"


__all__ = ["Engine", "check_fits", "find_gpu", "load_engine"]
