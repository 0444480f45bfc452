"""Frames into tensors and back, held against the equations in double precision."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.native_abi import constants, frame_of
from support.native_build import shared_library

from tweenrt.contract import Padding
from tweenrt.runtime.frames import pad

HEIGHT, WIDTH = 37, 51
UINT8, HALF, FLOAT = range(3)
DTYPES = {UINT8: np.uint8, HALF: np.float16, FLOAT: np.float32}
MATRICES = {"BT601": (0.299, 0.114), "BT709": (0.2126, 0.0722), "BT2020": (0.2627, 0.0593)}
FILLS = {"zeros": 0, "replicate": 1, "reflect": 2}
Array = NDArray[Any]


@pytest.fixture(scope="module")
def native() -> Any:
    return ctypes.CDLL(str(shared_library("native_convert.cpp", "convert.cpp")))


def numbers(
    element: int, pixels: str, matrix: str = "BT709", range_: str = "LIMITED", padding: Padding = Padding.ZEROS
) -> Any:
    """A geometry for frames padded to multiples of 16."""
    rows, columns = (padding.amounts(size, 16 if element != UINT8 else 1) for size in (HEIGHT, WIDTH))
    known = constants()
    values = (element, HEIGHT + sum(rows), WIDTH + sum(columns), rows[0], columns[0], FILLS[padding.fill])
    form = (known[f"PIXELS_{pixels}"], HEIGHT, WIDTH, known[f"MATRIX_{matrix}"], known[f"RANGE_{range_}"])
    return (ctypes.c_int32 * 11)(*values, *form)


def tensor(element: int, geometry: Any) -> Array:
    shape = (HEIGHT, WIDTH, 3) if element == UINT8 else (3, geometry[1], geometry[2])
    return np.full(shape, 99, DTYPES[element])


def inside(array: Array, element: int, geometry: Any) -> Array:
    """The frame in a tensor, [H,W,3] in 0..1 and double precision."""
    if element == UINT8:
        return array / 255.0
    top, left = geometry[3:5]
    return np.moveaxis(array[:, top : top + HEIGHT, left : left + WIDTH], 0, 2).astype(np.float64)


def scales(range_: str) -> tuple[float, float, float]:
    """Offset and span of luma, span of chroma."""
    return (0, 255, 255) if range_ == "FULL" else (16, 219, 224)


def rgb_of(luma: Array, chroma: Array, matrix: str, range_: str) -> Array:
    """R'G'B' of NV12 planes, by H.273 solved for it."""
    (kr, kb), (offset, span, chroma_span) = MATRICES[matrix], scales(range_)
    y = (luma.astype(np.float64) - offset) / span
    cb, cr = np.moveaxis((chroma.repeat(2, 0).repeat(2, 1)[:HEIGHT, :WIDTH] - 128.0) / chroma_span, 2, 0)
    r, b = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
    return np.clip(np.dstack((r, (y - kr * r - kb * b) / (1 - kr - kb), b)), 0, 1)


def planes_of(rgb: Array, matrix: str, range_: str) -> tuple[Array, Array]:
    """NV12 planes of R'G'B', not rounded."""
    (kr, kb), (offset, span, chroma_span) = MATRICES[matrix], scales(range_)

    def parts(c: Array) -> tuple[Array, Array, Array]:
        y = kr * c[..., 0] + (1 - kr - kb) * c[..., 1] + kb * c[..., 2]
        return y, (c[..., 2] - y) / (2 - 2 * kb), (c[..., 0] - y) / (2 - 2 * kr)

    even = np.pad(rgb, ((0, HEIGHT % 2), (0, WIDTH % 2), (0, 0)), mode="edge")
    blocks = even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2, 3).mean((1, 3))
    return offset + span * parts(rgb)[0], 128 + chroma_span * np.dstack(parts(blocks)[1:])


def picture(seed: int = 3) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    half = ((HEIGHT + 1) // 2, (WIDTH + 1) // 2, 2)
    return rng.integers(0, 256, (HEIGHT, WIDTH), np.uint8), rng.integers(0, 256, half, np.uint8)


def drawn(element: int, geometry: Any) -> Array:
    """What a network might draw, a little of it outside of 0..1."""
    rng = np.random.default_rng(5)
    array = tensor(element, geometry)
    values = rng.integers(0, 256, array.shape) if element == UINT8 else rng.uniform(-0.2, 1.2, array.shape)
    array[:] = values
    return array


@pytest.mark.parametrize("range_", ["LIMITED", "FULL"])
@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("element", DTYPES)
def test_nv12_comes_in(native: Any, element: int, matrix: str, range_: str) -> None:
    geometry, (luma, chroma) = numbers(element, "NV12", matrix, range_), picture()
    target = tensor(element, geometry)
    native.pack(geometry, ctypes.byref(frame_of(luma, chroma)), target.ctypes.data_as(ctypes.c_void_p))
    error = {UINT8: 0.5 / 255 + 1e-6, HALF: 2.0**-11, FLOAT: 1e-6}[element]
    got = inside(target, element, geometry)
    np.testing.assert_allclose(got, rgb_of(luma, chroma, matrix, range_), rtol=0, atol=error)


@pytest.mark.parametrize("range_", ["LIMITED", "FULL"])
@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("element", DTYPES)
def test_nv12_goes_out(native: Any, element: int, matrix: str, range_: str) -> None:
    geometry = numbers(element, "NV12", matrix, range_)
    array, (luma, chroma) = drawn(element, geometry), picture()
    native.unpack(geometry, array.ctypes.data_as(ctypes.c_void_p), ctypes.byref(frame_of(luma, chroma)))
    wanted = planes_of(np.clip(inside(array, element, geometry), 0, 1), matrix, range_)
    for got, want in zip((luma, chroma), wanted, strict=True):
        assert np.abs(got - np.clip(want, 0, 255)).max() <= 0.5 + 1e-4


@pytest.mark.parametrize("pixels", ["RGB8", "NV12", "RGB_F16", "RGB_F32"])
@pytest.mark.parametrize("element", DTYPES)
def test_a_drawn_frame_comes_in_again_as_it_went_out(native: Any, element: int, pixels: str) -> None:
    geometry = numbers(element, pixels, padding=Padding.REPLICATE)
    array, target = drawn(element, geometry), tensor(element, geometry)
    native.requantise(geometry, *(a.ctypes.data_as(ctypes.c_void_p) for a in (array, target)))
    if element == UINT8:
        np.testing.assert_array_equal(target, array)
        return
    values = np.clip(np.moveaxis(inside(array, element, geometry), 2, 0).astype(np.float32), 0, 1)
    if pixels in ("RGB8", "NV12"):
        values = np.rint(values * np.float32(255)) / np.float32(255)
    elif pixels == "RGB_F16":
        values = values.astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(target, pad(values[None], Padding.REPLICATE, 16)[0].astype(target.dtype))


@pytest.mark.parametrize("padding", Padding)
def test_halves_are_padded_like_floats(native: Any, padding: Padding) -> None:
    geometry = numbers(HALF, "RGB8", padding=padding)
    frame = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    target = tensor(HALF, geometry)
    native.pack(geometry, ctypes.byref(frame_of(frame)), target.ctypes.data_as(ctypes.c_void_p))
    planar = (np.moveaxis(frame, 2, 0) / np.float32(255)).astype(np.float32)
    np.testing.assert_array_equal(target, pad(planar[None], padding, 16)[0].astype(np.float16))


def test_every_half_and_what_lies_between_them(native: Any) -> None:
    every = np.arange(1 << 16, dtype=np.uint16)
    values = np.empty(every.size, np.float32)
    native.floats(every.ctypes.data_as(ctypes.c_void_p), values.ctypes.data_as(ctypes.c_void_p), every.size)
    np.testing.assert_array_equal(values, every.view(np.float16).astype(np.float32))
    finite = np.sort(values[np.isfinite(values)])
    middles = (finite[1:] + finite[:-1]) / 2
    beyond = np.array([65504, 65519.996, 65520, 1e9, np.inf, -np.inf, np.nan, 1e-30, -1e-30], np.float32)
    around = [np.nextafter(middles, side, dtype=np.float32) for side in (np.float32(-np.inf), np.float32(np.inf))]
    asked = np.concatenate((values, middles, *around, beyond)).astype(np.float32)
    got = np.empty(asked.size, np.uint16)
    native.halves(asked.ctypes.data_as(ctypes.c_void_p), got.ctypes.data_as(ctypes.c_void_p), asked.size)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(got.view(np.float16), asked.astype(np.float16))
