"""Drives a TensorRT module of libtweenrt through its inner interface, runtime/native/src/backend.h, on the fakes."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import byref, c_bool, c_char_p, c_float, c_int32, c_int64, c_size_t, c_void_p
from typing import Any

import numpy as np

from support.native_abi import Format, Frame, constants, frame_of
from support.native_tensorrt import Build

Array = np.ndarray[Any, Any]
ELEMENTS = ("uint8", "half", "float")
FILLS = ("zeros", "replicate", "reflect")
NUMPY = {"uint8": np.uint8, "half": np.float16, "float": np.float32}


class Shape(ctypes.Structure):
    _fields_ = (("rank", c_int32), ("sizes", c_int64 * 8))


class Geometry(ctypes.Structure):
    _fields_ = (
        ("format", Format),
        *((name, c_int32) for name in ("element", "padded_height", "padded_width", "top", "left", "fill")),
    )


class Header(ctypes.Structure):
    """``EngineHeader``."""

    _fields_ = (
        *((name, c_char_p) for name in ("flavour", "tensorrt", "device", "targets")),
        ("portable", c_bool),
        *((name, c_char_p) for name in ("plugins", "plugins_sha256", "file_sha256")),
    )


class Refused(Exception):  # noqa: N818
    """A call that did not return OK; `status` is its name without ``STATUS_``."""

    def __init__(self, status: int, text: str) -> None:
        names = {value: name for name, value in constants().items() if name.startswith("STATUS_")}
        self.status = names.get(status, str(status)).removeprefix("STATUS_")
        super().__init__(text)


class Fakes:
    """The CUDA runtime and the TensorRT that a module runs on."""

    def __init__(self, build: Build) -> None:
        self._cuda, self._tensorrt = ctypes.CDLL(str(build.cuda)), ctypes.CDLL(str(build.library))
        self._cuda.fake_cuda_get.restype = self._tensorrt.fake_nvinfer_get.restype = ctypes.c_long
        self._cuda.fake_cuda_first_fault.restype = c_char_p

    def reset(self) -> None:
        self._cuda.fake_cuda_reset()
        self._tensorrt.fake_nvinfer_reset()

    def cuda(self, name: str) -> int:
        """A count of fake_cuda.h."""
        return int(self._cuda.fake_cuda_get(name.encode()))

    def set_cuda(self, name: str, value: int) -> None:
        self._cuda.fake_cuda_set(name.encode(), ctypes.c_long(value))

    def tensorrt(self, name: str) -> int:
        """A count of fake_nvinfer.cpp."""
        return int(self._tensorrt.fake_nvinfer_get(name.encode()))

    def set_tensorrt(self, name: str, value: int) -> None:
        self._tensorrt.fake_nvinfer_set(name.encode(), ctypes.c_long(value))

    @property
    def fault(self) -> str:
        """What was done that CUDA leaves undefined; empty if nothing was."""
        return str(self._cuda.fake_cuda_first_fault().decode())

    def stream(self) -> int:
        """A stream of a caller's."""
        made = c_void_p()
        self._cuda.fake_cudaStreamCreateWithFlags(byref(made), 1)
        return int(made.value or 0)

    def wait(self, stream: int) -> None:
        self._cuda.fake_cudaStreamSynchronize(c_void_p(stream))

    def destroy(self, stream: int) -> None:
        self._cuda.fake_cudaStreamDestroy(c_void_p(stream))

    def on_device(self, array: Array) -> int:
        """Memory of a GPU that holds a copy of `array`; see `release`."""
        made = c_void_p()
        self._cuda.fake_cudaMalloc(byref(made), c_size_t(array.nbytes))
        ctypes.memmove(made, array.ctypes.data, array.nbytes)
        return int(made.value or 0)

    def release(self, address: int) -> None:
        self._cuda.fake_cudaFree(c_void_p(address))


class Tensor:
    """An array in the memory of the GPU."""

    def __init__(self, driver: Driver, element: str, shape: Sequence[int]) -> None:
        self.shape, self.dtype = tuple(shape), NUMPY[element]
        self.handle = c_void_p()
        sizes = (c_int64 * len(shape))(*shape)
        driver.call("tensor", ELEMENTS.index(element), len(shape), sizes, byref(self.handle))
        self._driver = driver
        driver.tensors.append(self)

    @property
    def address(self) -> int:
        return int(self._driver.library.driver_data(self.handle))

    def now(self) -> Array:
        """What the memory holds at this moment, whatever is queued."""
        size = self._driver.library.driver_bytes(self.handle)
        raw = np.frombuffer((ctypes.c_uint8 * size).from_address(self.address), np.uint8)
        return raw.copy().view(self.dtype).reshape(self.shape)

    def set(self, values: Array) -> Tensor:
        """Change the memory at this moment."""
        content = np.ascontiguousarray(np.broadcast_to(values, self.shape), self.dtype)
        ctypes.memmove(self.address, content.ctypes.data, content.nbytes)
        return self


class Engine:
    """A loaded engine."""

    def __init__(self, driver: Driver, handle: c_void_p) -> None:
        self._driver, self.handle = driver, handle

    def names(self, *, inputs: bool) -> list[str]:
        library = self._driver.library
        count = library.driver_ports(self.handle, int(inputs))
        return [library.driver_port_name(self.handle, int(inputs), k).decode() for k in range(count)]

    def set_shapes(self, *shapes: Sequence[int]) -> None:
        self._driver.call("set_shapes", self.handle, (Shape * len(shapes))(*map(_shape, shapes)))

    def output_shape(self, index: int = 0) -> tuple[int, ...]:
        found = Shape()
        self._driver.library.driver_output_shape(self.handle, index, byref(found))
        return tuple(found.sizes[: found.rank])

    def run(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        self._driver.call("run", self.handle, _handles(inputs), _handles(outputs))


class Driver:
    """A backend, opened; close it with `with`.

    Args:
        build: what to load.
        gpu: number of the GPU.
        stream: the caller's, if any.
        library: file of TensorRT, if another one than the build's.
        plugins: file of the plugin library, if any.
    """

    def __init__(
        self, build: Build, *, gpu: int = 0, stream: int = 0, library: str | None = None, plugins: str | None = None
    ) -> None:
        self.library = ctypes.CDLL(str(build.driver))
        self.tensors: list[Tensor] = []
        self._engines: list[Engine] = []
        for name in ("open", "data"):
            getattr(self.library, f"driver_{name}").restype = c_void_p
        for name in ("text", "log", "version", "port_name"):
            getattr(self.library, f"driver_{name}").restype = c_char_p
        self.library.driver_bytes.restype = c_size_t
        status = c_int32()
        module, named = str(build.module).encode(), (library or str(build.library)).encode()
        chosen = plugins.encode() if plugins else None
        self._handle = c_void_p(
            self.library.driver_open(module, gpu, c_void_p(stream or None), named, chosen, byref(status))
        )
        if status.value:
            text = self.text
            self.library.driver_close(self._handle)
            raise Refused(status.value, text)

    @property
    def text(self) -> str:
        """What was wrong with the last call that failed."""
        return str(self.library.driver_text(self._handle).decode())

    @property
    def log(self) -> list[str]:
        """What the caller was told: level and text."""
        return self.library.driver_log(self._handle).decode().splitlines()  # type: ignore[no-any-return]

    @property
    def version(self) -> str:
        return str(self.library.driver_version(self._handle).decode())

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function of driver.cpp.

        Raises:
            Refused: it did not return OK.
        """
        status = getattr(self.library, f"driver_{name}")(self._handle, *arguments)
        if status:
            raise Refused(status, self.text)

    def load(self, plan: bytes, header: Header | None, path: str = "x.engine") -> Engine:
        """Load an engine; with no header, what is at `path` is no engine."""
        handle = c_void_p()
        named = byref(header) if header is not None else None
        self.call("load", path.encode(), named, plan, c_size_t(len(plan)), byref(handle))
        self._engines.append(Engine(self, handle))
        return self._engines[-1]

    def tensor(self, element: str, *shape: int) -> Tensor:
        return Tensor(self, element, shape)

    def set_geometry(self, geometry: Geometry) -> None:
        self.call("geometry", byref(geometry))

    def fill(self, tensor: Tensor, value: float) -> None:
        self.call("fill", tensor.handle, c_float(value))

    def pack(self, frame: Frame, tensor: Tensor) -> None:
        self.call("pack", byref(frame), tensor.handle)

    def unpack(self, tensor: Tensor, frame: Frame) -> None:
        self.call("unpack", tensor.handle, byref(frame))

    def requantise(self, drawn: Tensor, target: Tensor) -> None:
        self.call("requantise", drawn.handle, target.handle)

    def finish(self) -> None:
        self.call("finish")

    def synchronize(self) -> None:
        self.call("synchronize")

    def unload(self) -> None:
        """Free all engines."""
        for engine in self._engines:
            self.library.driver_unload(engine.handle)
        self._engines.clear()

    def __enter__(self) -> Driver:  # noqa: PYI034
        return self

    def __exit__(self, *_: object) -> None:
        self.unload()
        for tensor in self.tensors:
            self.library.driver_drop(tensor.handle)
        self.library.driver_close(self._handle)


def _shape(sizes: Sequence[int]) -> Shape:
    return Shape(len(sizes), (c_int64 * 8)(*sizes))


def _handles(tensors: Sequence[Tensor]) -> Any:
    return (c_void_p * len(tensors))(*(t.handle for t in tensors))


__all__ = ["Driver", "Engine", "Fakes", "Geometry", "Header", "Refused", "Tensor", "frame_of"]
