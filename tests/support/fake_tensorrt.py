"""A TensorRT whose engines are run by ONNX Runtime, on `support.fake_cuda`.

Engine files, their headers and the cache are the real ones; the plan in them is the ONNX file. Every class here has
only what the class of the same name in the real package has. As there, a context starts on the first optimisation
profile and takes the shapes of the one that it is on, an engine lives on the GPU that was current when it was loaded,
and a captured run may not be launched any more once its context was told other shapes.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np
import onnx
import onnxruntime
import pytest
import tensorrt_rtx as real

from support.fake_cuda import FakeCuda
from tweenrt.cache import VARIABLE
from tweenrt.plugins import library
from tweenrt.runtime import cuda, gpu, session
from tweenrt.runtime.engines import builder, engine_cache, engine_loader, half_pixel
from tweenrt.runtime.engines.builder import BuildOptions, Built
from tweenrt.runtime.engines.tensorrt import Flavour, TensorRT
from tweenrt.runtime.gpu import Gpu, Gpus
from tweenrt.runtime.onnx_file import OnnxFile

VERSIONS = {Flavour.TENSORRT: (10, 16, 1), Flavour.RTX: (1, 7, 1)}
DEVICE = Gpu("Test GPU", "sm86")


OUT_OF_MEMORY = "[defaultAllocator.cpp::allocate::57] Error Code 1: Cuda Runtime (out of memory)\nmore"


class FakeTensorRt:
    """Stands for the package: the real one, but for what would need a GPU.

    Attributes:
        contexts: how many contexts were made.
        profiles: the active profile at every run that was queued.
        told: what the last of these reads and writes: name → address.
        batches: the N of every run that was done.
        loaded: the current GPU of every deserialisation, in order.
        engines: those that are still there.
        kernels: what TensorRT-RTX was given to start with.
        fails_after: runs that succeed before all others fail; None for all.
        full_at: where GPU memory runs out: "engine", "context" or "run".
        when_freed: told the current GPU when an engine goes.
    """

    def __init__(self, cuda_runtime: FakeCuda) -> None:
        self.cuda = cuda_runtime
        self.contexts = 0
        self.profiles: list[int] = []
        self.told: dict[str, int] = {}
        self.batches: list[int] = []
        self.loaded: list[int] = []
        self.engines: WeakSet[FakeEngine] = WeakSet()
        self.kernels: list[bytes] = []
        self.fails_after: int | None = None
        self.full_at = ""
        self.when_freed: Callable[[int], object] = lambda _: None
        self.Runtime = lambda logger: FakeRuntime(self, logger)

    def __getattr__(self, name: str) -> Any:
        return getattr(real, name)


class FakeRuntime:
    def __init__(self, package: FakeTensorRt, logger: Any) -> None:
        self._package, self._logger = package, logger

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> FakeEngine | None:
        if not serialized_engine.startswith(b"\x80"):
            self._logger.log(real.ILogger.ERROR, "the plan is not for this GPU\nmore")
            return None
        if self._full("engine"):
            return None
        self._package.loaded.append(self._package.cuda.gpu)
        engine = FakeEngine(self._package, self, *pickle.loads(serialized_engine))
        self._package.engines.add(engine)
        return engine

    def _full(self, where: str) -> bool:
        if self._package.full_at == where:
            self._logger.log(real.ILogger.ERROR, OUT_OF_MEMORY)
        return self._package.full_at == where


class FakeEngine:
    device_memory_size_v2 = 4096

    def __init__(self, package: FakeTensorRt, runtime: FakeRuntime, graph: bytes, inputs: dict[str, Any]) -> None:
        self._package, self._runtime, self._ranges = package, runtime, inputs
        self._gpu = package.cuda.gpu
        self._session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        self._values = [*self._session.get_inputs(), *self._session.get_outputs()]
        self._inputs = {v.name for v in self._session.get_inputs()}

    def __del__(self) -> None:
        self._package.when_freed(self._package.cuda.gpu)

    @property
    def num_io_tensors(self) -> int:
        return len(self._values)

    def get_tensor_name(self, index: int) -> str:
        return str(self._values[index].name)

    def get_tensor_mode(self, name: str) -> Any:
        return real.TensorIOMode.INPUT if name in self._inputs else real.TensorIOMode.OUTPUT

    def get_tensor_shape(self, name: str) -> list[int]:
        return [size if isinstance(size, int) else -1 for size in self._value(name).shape]

    @property
    def num_optimization_profiles(self) -> int:
        return max(len(self._profiles(name)) for name in self._inputs)

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[tuple[int, ...]]:
        profiles = self._profiles(name)
        return profiles[profile_index if len(profiles) > 1 else 0]

    def get_tensor_dtype(self, name: str) -> Any:
        kinds = {"tensor(float)": real.float32, "tensor(uint8)": real.uint8, "tensor(float16)": real.float16}
        return kinds[self._value(name).type]

    def create_runtime_config(self) -> FakeConfig:
        return FakeConfig(self._package)

    def create_execution_context(self, runtime_config: FakeConfig | None = None) -> FakeContext | None:
        assert self._package.cuda.gpu == self._gpu, "the engine is on another GPU than the current one"
        if self._runtime._full("context"):
            return None
        self._package.contexts += 1
        return FakeContext(self._package, self, runtime_config)

    def _profiles(self, name: str) -> list[list[tuple[int, ...]]]:
        """The least, best and most shape of each profile; one for all of an input of a fixed shape."""
        known = self._ranges[name]
        return known if isinstance(known[0], (list, tuple)) else [[tuple(known)] * 3]

    def _value(self, name: str) -> Any:
        return next(v for v in self._values if v.name == name)


class FakeConfig:
    dynamic_shapes_kernel_specialization_strategy: Any = None

    def __init__(self, package: FakeTensorRt) -> None:
        self._package = package
        self._cache: FakeKernels | None = None

    def create_runtime_cache(self) -> FakeKernels:
        return FakeKernels(self._package)

    def set_runtime_cache(self, cache: FakeKernels) -> bool:
        self._cache = cache
        return True

    def get_runtime_cache(self) -> FakeKernels | None:
        return self._cache


class FakeKernels:
    def __init__(self, package: FakeTensorRt) -> None:
        self._package = package

    def deserialize(self, serialized: bytes) -> bool:
        self._package.kernels.append(bytes(serialized))
        return True

    def serialize(self) -> bytes:
        return b"compiled kernels"


class FakeContext:
    profiler: Any = None

    def __init__(self, package: FakeTensorRt, engine: FakeEngine, config: FakeConfig | None) -> None:
        self._package, self._engine, self._config = package, engine, config
        self._profile = 0
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}

    def get_runtime_config(self) -> FakeConfig | None:
        return self._config

    @property
    def active_optimization_profile(self) -> int:
        return self._profile

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        assert not self._package.cuda.capturing(stream_handle), "a change of profile cannot be captured"
        if profile_index >= self._engine.num_optimization_profiles:
            return False
        self._profile, self._shapes = profile_index, {}
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        least, _, most = self._engine.get_tensor_profile_shape(name, self._profile)
        fits = all(a <= s <= c for a, s, c in zip(least, shape, most, strict=True))
        if fits:
            self._shapes = {**self._shapes, name: tuple(shape)}
        return fits

    def get_tensor_shape(self, name: str) -> list[int]:
        sizes = {
            letter: size
            for i in self._engine._inputs
            for letter, size in zip(self._engine._value(i).shape, self._shapes[i], strict=True)
        }
        return [size if isinstance(size, int) else sizes[size] for size in self._engine._value(name).shape]

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self._addresses[name] = memory
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        cuda = self._package.cuda
        assert cuda.gpu == cuda.gpu_of[stream_handle] == self._engine._gpu, "not the GPU of the engine and the stream"
        if self._engine._runtime._full("run"):
            return False
        if self._package.fails_after is not None:
            self._package.fails_after -= 1
            if self._package.fails_after < 0:
                return False
        self._package.profiles.append(self._profile)
        self._package.told = addresses = dict(self._addresses)
        shapes, captured = self._shapes, cuda.capturing(stream_handle)

        def work() -> None:
            assert not captured or shapes == self._shapes, "a captured run of a context that was told other shapes"
            self._run(addresses, shapes)

        cuda.enqueue(work, stream_handle)
        return True

    def _run(self, addresses: dict[str, int], shapes: dict[str, tuple[int, ...]]) -> None:
        def at(name: str, shape: tuple[int, ...]) -> Any:
            dtype = np.dtype(real.nptype(self._engine.get_tensor_dtype(name)))
            size = int(np.prod(shape)) * dtype.itemsize
            return np.frombuffer(self._package.cuda.bytes_at(addresses[name], size), dtype).reshape(shape)

        self._package.batches.append(next(iter(shapes.values()))[0])
        outputs = [v.name for v in self._engine._session.get_outputs()]
        results = self._engine._session.run(outputs, {name: at(name, shape) for name, shape in shapes.items()})
        for name, value in zip(outputs, results, strict=True):
            at(name, value.shape)[...] = value
        if self.profiler is not None:
            self.profiler.report_layer_time("encoder.conv", 2.0)
            self.profiler.report_layer_time("merge", 1.0)


for fake, its in (
    (FakeRuntime, real.Runtime),
    (FakeEngine, real.ICudaEngine),
    (FakeConfig, real.IRuntimeConfig),
    (FakeKernels, real.IRuntimeCache),
    (FakeContext, real.IExecutionContext),
):
    for name in vars(fake):
        assert name.startswith("_") or hasattr(its, name), f"{its.__name__} has no {name}"


def build_quickly(path: Path, options: BuildOptions, *_: object) -> Built:
    """Stands for `tweenrt.runtime.engines.builder.build_plan`."""
    file = OnnxFile.load(path)
    inputs = builder._shapes(file, options)
    model = onnx.load(path)
    held = {i.name for i in model.graph.initializer}
    kept = [i for i in model.graph.input if i.name not in held]  # as TensorRT, which makes settings constants
    del model.graph.input[:]
    model.graph.input.extend(kept)
    return Built(pickle.dumps((model.SerializeToString(), inputs)), (), {}, inputs, b"", ())


def install(monkeypatch: pytest.MonkeyPatch, cache: Path, gpus: int = 1) -> tuple[FakeCuda, FakeTensorRt, list[Path]]:
    """Let tweenrt find GPUs and both flavours: (their CUDA, their TensorRT, the graphs that were built)."""
    runtime = FakeCuda(gpus)
    package = FakeTensorRt(runtime)
    built: list[Path] = []

    def build(path: Path, *rest: Any) -> Built:
        if path.stem != "half_pixel":  # the self-test's probe
            built.append(path)
        return build_quickly(path, *rest)

    def opened(flavour: Flavour) -> TensorRT:
        return TensorRT(flavour, package, VERSIONS[flavour])  # type: ignore[arg-type]

    def found() -> Gpus:
        return Gpus((DEVICE,) * gpus, "")

    kernels = cache.with_name("kernels.so")
    kernels.write_bytes(b"the plugin library, which nothing here loads")
    monkeypatch.setenv(library.VARIABLE, str(kernels))
    monkeypatch.setenv(VARIABLE, str(cache))
    monkeypatch.setattr(cuda.Lane, "_runtime", runtime)
    monkeypatch.setattr(engine_cache, "build_plan", build)
    set_everywhere: list[tuple[str, Callable[..., Any], tuple[Any, ...]]] = [
        ("open_tensorrt", opened, (engine_cache, engine_loader, half_pixel)),
        ("find_gpus", found, (engine_cache, engine_loader, half_pixel, session, gpu)),
    ]
    for name, stand_in, modules in set_everywhere:
        for module in modules:
            monkeypatch.setattr(module, name, stand_in)
    return runtime, package, built


__all__ = ["DEVICE", "OUT_OF_MEMORY", "FakeTensorRt", "build_quickly", "install"]
