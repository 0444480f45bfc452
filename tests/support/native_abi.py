"""libtweenrt's C functions as Python sees them, by ctypes: what `tweenrt.h` declares and nothing more."""

from __future__ import annotations

import ctypes
import functools
import os
import re
from collections.abc import Callable, Sequence
from ctypes import POINTER, Structure, byref, c_char_p, c_double, c_int32, c_int64, c_size_t, c_uint64, c_void_p
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.clips import moving
from support.native_build import NATIVE, built, onnxruntime_library

HEADER = NATIVE / "include" / "tweenrt" / "tweenrt.h"
LOG = ctypes.CFUNCTYPE(None, c_void_p, c_int32, c_char_p)


class Params(Structure):
    _fields_ = (
        ("struct_size", c_size_t),
        ("graph", c_char_p),
        ("backend", c_int32),
        ("threads", c_int32),
        ("gpu", c_int32),
        ("slots", c_int32),
        ("iterations", c_int32),
        ("midpoint_levels", c_int32),
        ("stream", c_void_p),
        ("backend_library", c_char_p),
        ("plugin_library", c_char_p),
        ("module_folder", c_char_p),
        ("log", LOG),
        ("log_user", c_void_p),
    )


class Format(Structure):
    _fields_ = tuple((name, c_int32) for name in ("width", "height", "pixels", "matrix", "range"))


class Frame(Structure):
    _fields_ = (("planes", c_void_p * 3), ("pitches", c_int64 * 3), ("memory", c_int32))


class Window(Structure):
    _fields_ = tuple((name, c_int32) for name in ("first", "second", "before", "after"))


class Info(Structure):
    _fields_ = (
        ("struct_size", c_size_t),
        *((name, c_char_p) for name in ("model", "precision", "backend", "backend_version")),
        *((name, c_int32) for name in ("time", "frames", "slots", "reuses_features", "takes_device", "divisor")),
    )


class Stats(Structure):
    _fields_ = (
        ("struct_size", c_size_t),
        *((name, c_uint64) for name in ("prepared", "drawn", "first_runs", "drawing_runs", "tensor_bytes")),
    )


STRUCTURES: dict[str, type[Structure]] = {
    "tweenrt_params": Params,
    "tweenrt_format": Format,
    "tweenrt_frame": Frame,
    "tweenrt_window": Window,
    "tweenrt_info": Info,
    "tweenrt_stats": Stats,
}


@functools.cache
def constants() -> dict[str, int]:
    """The numbers of the header, without the prefix ``TWEENRT_``."""
    return {
        name: int(value) for name, value in re.findall(r"^\s*TWEENRT_(\w+) = (\d+)", HEADER.read_text(), re.MULTILINE)
    }


@functools.cache
def library() -> Any:
    """The library; under the address sanitizer if the process was started with it."""
    abi = ctypes.CDLL(str(built(os.environ.get("TWEENRT_SANITIZE") == "1") / "libtweenrt.so"))
    abi.tweenrt_last_error.restype = c_char_p
    abi.tweenrt_status_text.restype = c_char_p
    abi.tweenrt_version_text.restype = c_char_p
    abi.tweenrt_default_params.argtypes = (POINTER(Params), c_size_t)
    return abi


class Refused(Exception):  # noqa: N818
    """A call that did not return OK."""

    def __init__(self, status: int) -> None:
        self.status = next(
            name.removeprefix("STATUS_")
            for name, value in constants().items()
            if name.startswith("STATUS_") and value == status
        )
        super().__init__(library().tweenrt_last_error().decode())


def check(status: int) -> None:
    if status != 0:
        raise Refused(status)


def default_params(graph: Path | None, **values: Any) -> Params:
    """Parameters for one CPU thread of the ONNX Runtime that Python uses."""
    params = Params()
    check(library().tweenrt_default_params(byref(params), ctypes.sizeof(params)))
    params.graph = None if graph is None else str(graph).encode()
    params.threads = 1
    params.backend_library = str(onnxruntime_library()).encode()
    for name, value in values.items():
        setattr(params, name, value)
    return params


def clip(count: int, height: int, width: int) -> list[np.ndarray[Any, Any]]:
    """Moving frames, [H,W,3] uint8, whose rows lie one after the other."""
    return [np.ascontiguousarray(frame) for frame in moving(count, height, width)]


def frame_of(*planes: np.ndarray[Any, Any]) -> Frame:
    """A host frame that lies in these arrays, one a plane, rows anywhere."""
    frame = Frame()
    for k, plane in enumerate(planes):
        frame.planes[k] = plane.ctypes.data
        frame.pitches[k] = plane.strides[0]
    return frame


class Native:
    """One handle, closed by `with`."""

    def __init__(self, graph: Path, **values: Any) -> None:
        self.handle = c_void_p()
        self.params = default_params(graph, **values)
        check(library().tweenrt_create(byref(self.params), byref(self.handle)))

    def set_format(self, width: int, height: int, pixels: str = "RGB8", matrix: int = 0, range_: int = 0) -> None:
        form = Format(width, height, constants()[f"PIXELS_{pixels}"], matrix, range_)
        check(library().tweenrt_set_format(self.handle, byref(form)))

    def prepare(self, slot: int, *planes: np.ndarray[Any, Any]) -> None:
        frame = frame_of(*planes)
        check(library().tweenrt_prepare(self.handle, slot, byref(frame)))

    def draw(
        self,
        window: tuple[int, ...],
        times: Sequence[float],
        outputs: Sequence[Sequence[np.ndarray[Any, Any]]],
    ) -> None:
        """Draw into `outputs`, the planes of a frame for each of `times`."""
        chosen = Window(*window, *(-1,) * (4 - len(window)))
        moments = (c_double * len(times))(*times)
        frames = (Frame * len(times))(*(frame_of(*planes) for planes in outputs))
        check(library().tweenrt_draw(self.handle, byref(chosen), moments, frames, len(times)))

    def info(self) -> Info:
        found = Info(struct_size=ctypes.sizeof(Info))
        check(library().tweenrt_describe(self.handle, byref(found)))
        return found

    def statistics(self) -> Stats:
        found = Stats(struct_size=ctypes.sizeof(Stats))
        check(library().tweenrt_statistics(self.handle, byref(found)))
        return found

    def close(self) -> None:
        check(library().tweenrt_close(self.handle))

    def __enter__(self) -> Native:  # noqa: PYI034
        return self

    def __exit__(self, *_: object) -> None:
        check(library().tweenrt_destroy(byref(self.handle)))


def refused(status: str, text: str, call: Callable[[], Any]) -> None:
    """Holds a call to one status and one text, in which `text` occurs."""
    with pytest.raises(Refused) as found:
        call()
    assert found.value.status == status, str(found.value)
    assert text in str(found.value)
