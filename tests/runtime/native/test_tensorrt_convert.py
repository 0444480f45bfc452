"""Frames into tensors and back as the TensorRT backends do it: the same bytes as on the CPU.

The code of the kernels runs on the CPU here, pixel by pixel; on a GPU it was not run.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from ctypes import byref, c_void_p
from typing import Any

import numpy as np
import pytest
from support.native_abi import Format, Frame, constants
from support.native_tensorrt import build
from support.tensorrt_driver import ELEMENTS, FILLS, NUMPY, Array, Driver, Fakes, Geometry, Refused, frame_of

HEIGHT, WIDTH = 13, 21
PADDED = (24, 32)
TOP, LEFT = 5, 8
PIXELS = ("RGB8", "BGR8", "RGBA8", "BGRA8", "RGB_F32", "RGB_F16", "NV12")


@pytest.fixture(scope="module")
def fakes() -> Fakes:
    return Fakes(build())


@pytest.fixture
def driver(fakes: Fakes) -> Iterator[Driver]:
    fakes.reset()
    with Driver(build()) as opened:
        yield opened
        opened.synchronize()
    assert fakes.fault == ""
    assert fakes.cuda("live") == 0


def geometry(element: str, pixels: str, fill: str = "reflect", matrix: str = "BT709", range_: str = "LIMITED") -> Any:
    known = constants()
    form = Format(WIDTH, HEIGHT, known[f"PIXELS_{pixels}"], known[f"MATRIX_{matrix}"], known[f"RANGE_{range_}"])
    return Geometry(form, ELEMENTS.index(element), *PADDED, TOP, LEFT, FILLS.index(fill))


def planes(pixels: str, seed: int = 1, pitch: int = 0) -> tuple[Array, ...]:
    """The planes of a frame of noise, whose rows are `pitch` elements longer than they need be."""
    rng = np.random.default_rng(seed)

    def noise(rows: int, columns: int, kind: Any) -> Array:
        if kind is np.uint8:
            return rng.integers(0, 256, (rows, columns + pitch), np.uint8)
        return rng.uniform(-0.1, 1.1, (rows, columns + pitch)).astype(kind)

    if pixels == "NV12":
        return noise(HEIGHT, WIDTH, np.uint8), noise((HEIGHT + 1) // 2, (WIDTH + 1) // 2 * 2, np.uint8)
    if pixels in ("RGB_F32", "RGB_F16"):
        return tuple(noise(HEIGHT, WIDTH, np.float32 if pixels == "RGB_F32" else np.float16) for _ in range(3))
    return (noise(HEIGHT, WIDTH * (4 if "A8" in pixels else 3), np.uint8),)


def tensor_shape(element: str) -> tuple[int, ...]:
    return (1, HEIGHT, WIDTH, 3) if element == "uint8" else (1, 3, *PADDED)


def drawn(element: str) -> Array:
    """What a network might draw, some of it outside of 0..1."""
    rng = np.random.default_rng(7)
    if element == "uint8":
        return rng.integers(0, 256, tensor_shape(element)).astype(np.uint8)
    return rng.uniform(-0.2, 1.2, tensor_shape(element)).astype(NUMPY[element])


def cpu(driver: Driver, name: str, asked: Geometry, *arguments: Any) -> None:
    getattr(driver.library, f"driver_{name}_frame")(byref(asked), *arguments)


def place(fakes: Fakes, arrays: tuple[Array, ...]) -> Frame:
    frame = frame_of(*arrays)
    for k, array in enumerate(arrays):
        frame.planes[k] = fakes.on_device(array)
    frame.memory = constants()["MEMORY_DEVICE"]
    return frame


def release(fakes: Fakes, frame: Frame) -> None:
    for address in frame.planes:
        if address:
            fakes.release(address)


CASES = [(pixels, element) for pixels in PIXELS for element in ELEMENTS]


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize(("pixels", "element"), CASES)
def test_frames_come_in(driver: Driver, fakes: Fakes, pixels: str, element: str, fill: str) -> None:
    asked, source = geometry(element, pixels, fill), planes(pixels, pitch=6)
    wanted = np.empty(tensor_shape(element), NUMPY[element])
    cpu(driver, "pack", asked, byref(frame_of(*source)), wanted.ctypes.data_as(c_void_p))
    driver.set_geometry(asked)
    for frame in (frame_of(*source), place(fakes, source)):
        tensor = driver.tensor(element, *tensor_shape(element))
        driver.pack(frame, tensor)
        driver.synchronize()
        assert tensor.now().tobytes() == wanted.tobytes()
        if frame.memory:
            release(fakes, frame)


@pytest.mark.parametrize("range_", ["LIMITED", "FULL"])
@pytest.mark.parametrize("matrix", ["BT601", "BT709", "BT2020"])
def test_nv12_in_every_matrix(driver: Driver, matrix: str, range_: str) -> None:
    asked, source, target = geometry("float", "NV12", "zeros", matrix, range_), planes("NV12"), planes("NV12", 2)
    wanted, shape = planes("NV12", 2), tensor_shape("float")
    middle = np.empty(shape, np.float32)
    cpu(driver, "pack", asked, byref(frame_of(*source)), middle.ctypes.data_as(c_void_p))
    cpu(driver, "unpack", asked, middle.ctypes.data_as(c_void_p), byref(frame_of(*wanted)))
    driver.set_geometry(asked)
    tensor = driver.tensor("float", *shape)
    driver.pack(frame_of(*source), tensor)
    driver.unpack(tensor, frame_of(*target))
    driver.finish()
    assert [p.tobytes() for p in target] == [p.tobytes() for p in wanted]


@pytest.mark.parametrize(("pixels", "element"), CASES)
def test_frames_go_out(driver: Driver, fakes: Fakes, pixels: str, element: str) -> None:
    asked, wanted, target = geometry(element, pixels), planes(pixels, pitch=6), planes(pixels, pitch=6)
    source = drawn(element)
    cpu(driver, "unpack", asked, source.ctypes.data_as(c_void_p), byref(frame_of(*wanted)))
    driver.set_geometry(asked)
    tensor = driver.tensor(element, *source.shape).set(source)
    driver.unpack(tensor, frame_of(*target))
    driver.finish()
    assert [p.tobytes() for p in target] == [p.tobytes() for p in wanted]
    on_device = place(fakes, planes(pixels, pitch=6))
    driver.unpack(tensor, on_device)
    driver.synchronize()
    for plane, address in zip(wanted, on_device.planes, strict=False):
        assert ctypes.string_at(address, plane.nbytes) == plane.tobytes()
    release(fakes, on_device)


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize(("pixels", "element"), CASES)
def test_what_was_drawn_comes_in_again(driver: Driver, pixels: str, element: str, fill: str) -> None:
    asked, source = geometry(element, pixels, fill), drawn(element)
    wanted = np.empty_like(source)
    cpu(driver, "requantise", asked, source.ctypes.data_as(c_void_p), wanted.ctypes.data_as(c_void_p))
    driver.set_geometry(asked)
    tensor, target = (driver.tensor(element, *source.shape) for _ in range(2))
    driver.requantise(tensor.set(source), target)
    driver.synchronize()
    assert target.now().tobytes() == wanted.tobytes()


@pytest.mark.parametrize("element", ["half", "float"])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 1, 70, 90)])
def test_fill(driver: Driver, element: str, shape: tuple[int, ...]) -> None:
    tensor = driver.tensor(element, *shape)
    driver.fill(tensor, 0.3)
    driver.synchronize()
    assert (tensor.now() == NUMPY[element](0.3)).all()


def test_a_host_frame_may_be_changed_at_once(driver: Driver) -> None:
    driver.set_geometry(geometry("uint8", "RGB8"))
    tensors = [driver.tensor("uint8", *tensor_shape("uint8")) for _ in range(5)]
    (frame,) = planes("RGB8")
    for k, tensor in enumerate(tensors):
        frame[:] = k
        driver.pack(frame_of(frame), tensor)
    frame[:] = 99
    driver.synchronize()
    assert [int(t.now().max()) for t in tensors] == list(range(5))


def test_host_frames_are_written_by_finish(driver: Driver) -> None:
    driver.set_geometry(geometry("uint8", "RGB8"))
    tensors = [driver.tensor("uint8", *tensor_shape("uint8")).set(np.uint8(k)) for k in range(1, 10)]
    targets = [np.zeros((HEIGHT, WIDTH * 3), np.uint8) for _ in tensors]
    for tensor, target in zip(tensors, targets, strict=True):
        driver.unpack(tensor, frame_of(target))
    assert not targets[-1].any(), "it was written before anybody waited"
    driver.finish()
    assert [set(t.flat) for t in targets] == [{k} for k in range(1, 10)]
    targets[-1][:] = 77
    driver.finish()
    assert set(targets[-1].flat) == {77}, "it was written twice"


def test_frames_of_before_a_failure_are_not_written(driver: Driver) -> None:
    """The caller got an error, so that his memory may be gone."""
    driver.set_geometry(geometry("uint8", "RGB8"))
    tensor = driver.tensor("uint8", *tensor_shape("uint8")).set(np.uint8(5))
    lost, wanted = (np.zeros((HEIGHT, WIDTH * 3), np.uint8) for _ in range(2))
    driver.unpack(tensor, frame_of(lost))
    with pytest.raises(Refused):
        driver.load(b"", None)
    driver.unpack(tensor, frame_of(wanted))
    driver.finish()
    assert not lost.any()
    assert (wanted == 5).all()


def test_nothing_is_allocated_for_a_frame(driver: Driver, fakes: Fakes) -> None:
    driver.set_geometry(geometry("float", "NV12"))
    tensor, before = driver.tensor("float", *tensor_shape("float")), fakes.cuda("allocations")
    for _ in range(20):
        driver.pack(frame_of(*planes("NV12")), tensor)
        driver.unpack(tensor, frame_of(*planes("NV12")))
        driver.finish()
    assert fakes.cuda("allocations") == before
