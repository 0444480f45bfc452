"""From an engine file to an engine that TensorRT has loaded, once for all of a process that use it on one GPU."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any
from weakref import WeakValueDictionary

from tweenrt import cache
from tweenrt.errors import BackendError, EngineError
from tweenrt.runtime.engines.advice import why
from tweenrt.runtime.engines.engine_cache import plugins_sha256, read_timings, write_timings
from tweenrt.runtime.engines.engine_file import EngineInfo, unpack
from tweenrt.runtime.engines.tensorrt import Flavour, TensorRT, open_tensorrt
from tweenrt.runtime.gpu import Gpu, find_gpus

_REBUILD = "build it again with `tweenrt build` on this machine"
_AMPERE = 80


_loading = Lock()


@dataclass(frozen=True, eq=False)
class Engine:
    """An engine in TensorRT's hands, with its weights in GPU memory. It goes when nobody refers to it any more.

    Attributes:
        info: what its file says.
        trt: the TensorRT that loaded it.
        handle: its ``ICudaEngine``.
        key: identifies the engine and what runs it.
    """

    info: EngineInfo
    trt: TensorRT
    handle: Any
    key: str
    _making: Lock = field(default_factory=Lock, repr=False)

    def context(self, path: Path) -> Any:
        """A new ``IExecutionContext``, with device memory of its own.

        Args:
            path: the engine file, for messages.

        Raises:
            BackendError: TensorRT gives none.
        """
        with self._making, self.trt.listening() as (_, log):
            made = self.trt.context(self.handle, read_timings(_kernels_path(self.key)))
        if made is None:
            raise BackendError(f"{path}: {self.trt.title} cannot run it: {why(log.errors)}")
        return made

    def keep_kernels(self, context: Any) -> None:
        """Keep what TensorRT-RTX compiled for this GPU, so that the next start is quicker."""
        compiled = self.trt.compiled_kernels(context)
        if compiled:
            write_timings(_kernels_path(self.key), compiled)


_loaded: WeakValueDictionary[tuple[object, int, str], Engine] = WeakValueDictionary()
"""Package, GPU and SHA-256 of the file → the engine, as long as somebody uses it."""


def load_engine(path: Path, gpu: int = 0) -> Engine:
    """Load the engine file at `path`, or share one that was loaded from a file of the same bytes for the same GPU.

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
    check_fits(info, trt, find_gpu(gpu, path), path)
    if info.plugins:
        _load_plugins(info, trt, path)
    key = hashlib.sha256(content).hexdigest()
    with _loading:
        known = _loaded.get((trt.module, gpu, key))
        if known is None:
            known = _loaded[trt.module, gpu, key] = load_plan(info, trt, plan, key, path)
    return known


def load_plan(info: EngineInfo, trt: TensorRT, plan: bytes, key: str, path: Path) -> Engine:
    """Load a plan whose header was checked.

    Args:
        info: what is known of it.
        trt: the TensorRT that it was built with.
        plan: TensorRT's serialised engine.
        key: identifies it and what runs it.
        path: where it comes from, for messages.

    Raises:
        BackendError: TensorRT does not take it.
    """
    with trt.listening() as (logger, log):
        try:
            runtime = trt.module.Runtime(logger)
        except TypeError as error:  # what the bindings make of a runtime that TensorRT does not give
            raise BackendError(
                f"{path}: {trt.title} cannot start: {why(log.errors)}; `tweenrt doctor` shows what is installed"
            ) from error
        handle = runtime.deserialize_cuda_engine(plan)
    if handle is None:
        raise BackendError(f"{path}: {trt.title} cannot load it: {why(log.errors)}")
    return Engine(info, trt, handle, key)


def find_gpu(number: int, engine: Path | None = None) -> Gpu:
    """The GPU with this number.

    Args:
        number: counted from 0.
        engine: what is to run there, if it is an engine, which nothing else can run.

    Raises:
        BackendError: there is none.
    """
    gpus = find_gpus()
    if number >= len(gpus.found):
        what = gpus.detail or f"this machine has {len(gpus.found)}, numbered from 0"
        instead = (
            "Without a GPU use --backend onnxruntime"
            if engine is None
            else f"An engine runs nowhere else: run the graph that {engine.name} was built from"
        )
        raise BackendError(f"GPU {number} was asked for: {what}. {instead}")
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


def _kernels_path(key: str) -> Path:
    return cache.root() / "kernels" / f"{key[:24]}.cache"


__all__ = ["Engine", "check_fits", "find_gpu", "load_engine", "load_plan"]
