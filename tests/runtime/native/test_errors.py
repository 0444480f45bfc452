"""Every wrong use has a status and a text, and leaves the process and the handle as they were."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from ctypes import byref, c_double, c_void_p
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.graphs import HEAD, blend, save
from support.native_abi import (
    LOG,
    Format,
    Frame,
    Info,
    Native,
    Params,
    Refused,
    Stats,
    Window,
    check,
    clip,
    constants,
    default_params,
    frame_of,
    library,
    refused,
)
from support.native_graphs import fixed

from tweenrt.contract import Padding


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return blend(tmp_path_factory.mktemp("graphs") / "blend.onnx")


def ready(graph: Path) -> Native:
    native = Native(graph)
    native.set_format(16, 8)
    for slot, frame in enumerate(clip(2, 8, 16)):
        native.prepare(slot, frame)
    return native


def test_null_pointers(graph: Path) -> None:
    abi = library()
    params, handle, window, time = default_params(graph), c_void_p(), Window(0, 1, -1, -1), c_double(0.5)
    refused("INVALID_ARGUMENT", "params", lambda: check(abi.tweenrt_default_params(None, 8)))
    refused("INVALID_ARGUMENT", "struct_size", lambda: check(abi.tweenrt_default_params(byref(params), 7)))
    refused("INVALID_ARGUMENT", "params", lambda: check(abi.tweenrt_create(None, byref(handle))))
    refused("INVALID_ARGUMENT", "handle", lambda: check(abi.tweenrt_create(byref(params), None)))
    refused("INVALID_ARGUMENT", "handle", lambda: check(abi.tweenrt_destroy(None)))
    refused(
        "INVALID_ARGUMENT",
        "params.graph",
        lambda: check(abi.tweenrt_create(byref(default_params(None)), byref(handle))),
    )
    check(abi.tweenrt_destroy(byref(handle)))
    with ready(graph) as native:
        frames = byref(frame_of(clip(1, 8, 16)[0]))
        draw = abi.tweenrt_draw
        refused("INVALID_ARGUMENT", "window", lambda: check(draw(native.handle, None, byref(time), frames, 1)))
        refused("INVALID_ARGUMENT", "times", lambda: check(draw(native.handle, byref(window), None, frames, 1)))
        refused("INVALID_ARGUMENT", "outputs", lambda: check(draw(native.handle, byref(window), byref(time), None, 1)))
        refused("INVALID_ARGUMENT", "count", lambda: check(draw(native.handle, byref(window), None, None, -1)))
        check(draw(native.handle, byref(window), None, None, 0))
        for call in (abi.tweenrt_set_format, abi.tweenrt_describe, abi.tweenrt_statistics):
            refused("INVALID_ARGUMENT", "", lambda call=call: check(call(native.handle, None)))
        refused("INVALID_ARGUMENT", "frame", lambda: check(abi.tweenrt_prepare(native.handle, 0, None)))


def calls(handle: Any) -> dict[str, Callable[[], int]]:
    """Every function that takes a handle."""
    abi, frame = library(), frame_of(np.zeros((8, 16, 3), np.uint8))
    info, stats = Info(struct_size=ctypes.sizeof(Info)), Stats(struct_size=ctypes.sizeof(Stats))
    return {
        "set_format": lambda: abi.tweenrt_set_format(handle, byref(Format(16, 8))),
        "prepare": lambda: abi.tweenrt_prepare(handle, 0, byref(frame)),
        "draw": lambda: abi.tweenrt_draw(handle, byref(Window(0, 1)), byref(c_double(0.5)), byref(frame), 1),
        "synchronize": lambda: abi.tweenrt_synchronize(handle),
        "describe": lambda: abi.tweenrt_describe(handle, byref(info)),
        "statistics": lambda: abi.tweenrt_statistics(handle, byref(stats)),
    }


def test_no_handle() -> None:
    memory = (ctypes.c_uint64 * 8)()
    for handle in (None, c_void_p(ctypes.addressof(memory)), c_void_p(ctypes.addressof(memory) + 1)):
        for call in (*calls(handle).values(), lambda h=handle: library().tweenrt_close(h)):
            refused("INVALID_HANDLE", "tweenrt_create()", lambda call=call: check(call()))
    refused("INVALID_HANDLE", "", lambda: check(library().tweenrt_destroy(byref(c_void_p(ctypes.addressof(memory))))))


def test_use_after_close(graph: Path) -> None:
    with ready(graph) as native:
        native.close()
        for call in calls(native.handle).values():
            refused("CLOSED", "closed", lambda call=call: check(call()))
        native.close()
    assert not native.handle.value
    check(library().tweenrt_destroy(byref(native.handle)))


def said(call: Callable[[], int]) -> tuple[str, str]:
    """Status and text of a call that is refused."""
    with pytest.raises(Refused) as found:
        check(call())
    return found.value.status, str(found.value)


def test_two_threads_on_one_handle(graph: Path) -> None:
    """The log callback runs inside of a call, so another thread that calls from there meets it."""
    found: dict[str, tuple[str, str]] = {}
    native = Native.__new__(Native)

    def other() -> None:
        handle, abi = native.handle, library()
        closing = {"close": lambda: abi.tweenrt_close(handle), "destroy": lambda: abi.tweenrt_destroy(byref(handle))}
        for name, call in (calls(handle) | closing).items():
            found[name] = said(call)

    def log(_: object, __: int, ___: bytes) -> None:
        if getattr(native, "handle", None):
            thread = threading.Thread(target=other)
            thread.start()
            thread.join()

    callback = LOG(log)
    native.__init__(graph, log=callback)  # type: ignore[misc]
    with native:
        native.set_format(16, 8)
        assert set(found) == {*calls(None), "close", "destroy"}
        assert {status for status, _ in found.values()} == {"BUSY"}
        assert all("another thread" in text for _, text in found.values())
        native.prepare(0, clip(1, 8, 16)[0])


def test_messages_belong_to_their_thread(graph: Path) -> None:
    refused("NOT_FOUND", "gone.onnx", lambda: Native(graph.with_name("gone.onnx")))
    said: list[bytes] = []
    thread = threading.Thread(target=lambda: said.append(library().tweenrt_last_error()))
    thread.start()
    thread.join()
    assert said == [b""]
    assert b"gone.onnx" in library().tweenrt_last_error()


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"backend": 9}, "params.backend in 0..3, got 9"),
        ({"threads": -1}, "params.threads"),
        ({"gpu": -1}, "params.gpu"),
        ({"slots": 1}, "params.slots in 2..64, got 1"),
        ({"slots": 65}, "params.slots"),
        ({"iterations": 0}, "params.iterations"),
        ({"midpoint_levels": 11}, "params.midpoint_levels"),
        ({"struct_size": 0}, "struct_size"),
    ],
)
def test_parameters(graph: Path, values: dict[str, int], text: str) -> None:
    refused("INVALID_ARGUMENT", text, lambda: Native(graph, **values))


def test_structures_of_an_older_caller(graph: Path) -> None:
    """What it does not know keeps its default, and nothing is written past its end."""
    old = ctypes.sizeof(Params) - 16
    params = default_params(graph)
    params.struct_size, handle = old, c_void_p()
    ctypes.memset(byref(params, old), 0x55, 16)  # a callback that would crash
    check(library().tweenrt_create(byref(params), byref(handle)))
    info = Info(struct_size=24, backend=b"untouched")
    check(library().tweenrt_describe(handle, byref(info)))
    assert (info.struct_size, info.model, info.backend) == (24, b"blend", b"untouched")
    refused("INVALID_ARGUMENT", "struct_size", lambda: check(library().tweenrt_describe(handle, byref(Info()))))
    check(library().tweenrt_destroy(byref(handle)))
    check(library().tweenrt_default_params(byref(params), old))
    assert ctypes.string_at(ctypes.addressof(params) + old, 16) == b"\x55" * 16


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((0, 8), "format.width in 1..32768, got 0"),
        ((16, 1 << 20), "format.height"),
        ((16, 8, 7), "format.pixels in 0..6, got 7"),
        ((16, 8, 6, 3), "format.matrix"),
        ((16, 8, 6, 0, 2), "format.range"),
    ],
)
def test_formats(graph: Path, values: tuple[int, ...], text: str) -> None:
    with ready(graph) as native:
        call = library().tweenrt_set_format
        refused("INVALID_ARGUMENT", text, lambda: check(call(native.handle, byref(Format(*values)))))
        native.draw((0, 1), [0.5], [[np.empty((8, 16, 3), np.uint8)]])  # the format from before still holds


def test_frames_and_slots(graph: Path) -> None:
    frame, small = clip(1, 8, 16)[0], np.zeros((8, 4, 3), np.uint8)
    with Native(graph) as native:
        refused("NOT_READY", "tweenrt_set_format()", lambda: native.prepare(0, frame))
        refused("NOT_READY", "tweenrt_set_format()", lambda: native.draw((0, 1), [0.5], [[frame]]))
        native.set_format(16, 8)
        refused("INVALID_ARGUMENT", "slot in 0..1, got 2", lambda: native.prepare(2, frame))
        refused("INVALID_ARGUMENT", "slot in 0..1, got -1", lambda: native.prepare(-1, frame))
        refused("INVALID_ARGUMENT", "pitches[0] of at least 48 bytes, got 12", lambda: native.prepare(0, small))
        refused("INVALID_ARGUMENT", "planes[0], got NULL", lambda: native.prepare(0))
        there = frame_of(frame)
        for memory, status in ((constants()["MEMORY_DEVICE"], "UNSUPPORTED"), (5, "INVALID_ARGUMENT")):
            there.memory = memory
            refused(status, "memory", lambda: check(library().tweenrt_prepare(native.handle, 0, byref(there))))
        native.prepare(0, frame)
        refused("NOT_READY", "slot 1 holds no frame", lambda: native.draw((0, 1), [0.5], [[frame]]))
        native.prepare(1, frame)
        refused("INVALID_ARGUMENT", "window.second", lambda: native.draw((0, 2), [0.5], [[frame]]))
        refused("INVALID_ARGUMENT", "output: expected pitches", lambda: native.draw((0, 1), [0.5], [[small]]))
        for time in (0.0, 1.0, -3.0, float("nan"), float("inf")):
            refused("INVALID_ARGUMENT", "between 0 and 1", lambda t=time: native.draw((0, 1), [t], [[frame]]))
        native.set_format(16, 8)
        refused("NOT_READY", "slot 0 holds no frame", lambda: native.draw((0, 1), [0.5], [[frame]]))
        native.set_format(16, 8, "RGB_F32")
        crooked = np.zeros((3, 8, 65), np.uint8)[..., 1:]
        refused("INVALID_ARGUMENT", "aligned to 4 bytes", lambda: native.prepare(0, *crooked))


def test_midpoints_and_sizes(tmp_path: Path) -> None:
    frame = clip(1, 8, 16)[0]
    with ready(fixed(tmp_path / "fixed.onnx")) as native:
        refused("INVALID_ARGUMENT", "multiples of 1/8", lambda: native.draw((0, 1), [1 / 16], [[frame]]))
        refused("INVALID_ARGUMENT", "midpoints only", lambda: native.draw((0, 1), [1 / 3], [[frame]]))
    with Native(fixed(tmp_path / "mirror.onnx", Padding.REFLECT, 64)) as native:
        refused("UNSUPPORTED", "too small for this network", lambda: native.set_format(16, 8))
        refused("NOT_READY", "tweenrt_set_format()", lambda: native.prepare(0, frame))
    text = f"""{HEAD} one (float[1,3,64,32] frame0, float[1,3,64,32] frame1, float[1,1,1,1] t)
        => (float[1,3,64,32] frame_t) {{ frame_t = Identity (frame0) }}"""
    with Native(save(tmp_path / "sized.onnx", text)) as native:
        refused("UNSUPPORTED", "made for frames of 64x32 pixels, got 8x16", lambda: native.set_format(16, 8))
        native.set_format(30, 60)


def test_memory_of_a_frame_that_is_none(graph: Path) -> None:
    with ready(graph) as native:
        outputs = (Frame * 2)(*(frame_of(np.empty((8, 16, 3), np.uint8)) for _ in range(2)))
        outputs[1].memory = constants()["MEMORY_DEVICE"]
        times = (c_double * 2)(0.25, 0.75)
        draw = library().tweenrt_draw
        call = lambda: check(draw(native.handle, byref(Window(0, 1)), times, outputs, 2))  # noqa: E731
        refused("INVALID_ARGUMENT", "one kind of memory", call)
