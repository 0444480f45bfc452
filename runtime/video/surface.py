"""Pictures of video decoders and encoders in GPU memory, and their conversion to RGB and back, on the GPU."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tweenrt.errors import BackendError
from tweenrt.plugins.library import last_error, library_path
from tweenrt.runtime.cuda import Lane
from tweenrt.runtime.device_memory import DeviceArray
from tweenrt.runtime.scene import Thumbnail, block_side, means_of
from tweenrt.runtime.video.color import ColorTags

_ALIGNMENT = 256  # bytes; NVDEC's and NVENC's own surfaces begin their rows so
_WHOLE_WHITE = 65535 / 255


@dataclass(frozen=True, eq=False)
class Surface:
    """A picture in GPU memory as NV12: luma uint8 [H,W], and chroma uint8 [H/2,W/2,2], Cb and Cr.

    Attributes:
        luma: address of the first row.
        chroma: likewise.
        pitch: bytes between rows, of both planes.
        height: in pixels, even.
        width: in pixels, even.
        owner: what keeps the memory.
    """

    luma: int
    chroma: int
    pitch: int
    height: int
    width: int
    owner: object

    @classmethod
    def empty(cls, lane: Lane, height: int, width: int) -> Surface:
        """New memory with undefined values; chroma lies right behind luma, as NVENC wants it.

        Raises:
            BackendError: the GPU is out of memory.
        """
        pitch = -(-width // _ALIGNMENT) * _ALIGNMENT
        memory = lane.empty((height + height // 2, pitch), np.uint8)
        return cls(memory.address, memory.address + height * pitch, pitch, height, width, memory)

    def copied(self, lane: Lane) -> Surface:
        """Queue a copy of it into memory of `lane`."""
        own = Surface.empty(lane, self.height, self.width)
        pitches = (own.pitch, self.pitch)
        lane.copy_rows(own.luma, self.luma, pitches, self.width, self.height)
        lane.copy_rows(own.chroma, self.chroma, pitches, self.width, self.height // 2)
        return own


class _Request(ctypes.Structure):
    """See ``tweenrt_nv12`` in plugins/include/tweenrt_plugins.h."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("luma", "chroma", "rgb")),
        *((name, ctypes.c_size_t) for name in ("pitch_luma", "pitch_chroma", "pitch_rgb")),
        *((name, ctypes.c_int32) for name in ("height", "width")),
        ("matrix", ctypes.c_float * 9),
        ("offset", ctypes.c_float * 3),
    )


class SurfaceConverter:
    """Converts pictures of one stream on one lane, with the stream's own matrix and range.

    Everything is queued; who hands a result to another thread or library waits for the lane first.

    Args:
        lane: where the work is queued.
        tags: the colours of the stream.
    """

    def __init__(self, lane: Lane, tags: ColorTags) -> None:
        self._lane = lane
        matrix, self._offset = tags.equation(8)
        self._matrix = matrix * _WHOLE_WHITE

    def to_rgb(self, picture: Surface) -> DeviceArray:
        """[H,W,3] RGB, uint8.

        Raises:
            BackendError: the GPU refuses the work or is out of memory.
        """
        frame = self._lane.empty((picture.height, picture.width, 3), np.uint8)
        inverse = np.linalg.inv(self._matrix)
        self._convert("tweenrt_nv12_to_rgb", picture, frame, inverse, -inverse @ self._offset)
        return frame

    def from_rgb(self, frame: DeviceArray) -> Surface:
        """[H,W,3] RGB, uint8, contiguous, H and W even, as a picture for an encoder.

        Raises:
            BackendError: the GPU refuses the work or is out of memory.
        """
        picture = Surface.empty(self._lane, *frame.shape[:2])
        self._convert("tweenrt_rgb_to_nv12", picture, frame, self._matrix, self._offset)
        return picture

    def thumbnail(self, frame: DeviceArray) -> Thumbnail:
        """What `tweenrt.runtime.scene.thumbnail` makes of `frame`, once all work is done; only sums are downloaded.

        Raises:
            BackendError: the GPU refuses the work or is out of memory.
        """
        height, width, colours = frame.shape
        side = block_side(height, width)
        sums = self._lane.empty((height // side, width // side, colours), np.uint32)
        self._call("tweenrt_sum_blocks", frame.address, width * colours, height, width, side, sums.address)
        return means_of(sums.numpy(), side)

    def _convert(
        self, name: str, picture: Surface, frame: DeviceArray, matrix: NDArray[Any], offset: NDArray[Any]
    ) -> None:
        pitches = (picture.pitch, picture.pitch, frame.shape[1] * frame.shape[2])
        factors = (ctypes.c_float * 9)(*matrix.ravel().tolist())
        request = _Request(
            *(picture.luma, picture.chroma, frame.address),
            *(*pitches, picture.height, picture.width, factors, (ctypes.c_float * 3)(*offset.tolist())),
        )
        self._call(name, ctypes.byref(request))

    def _call(self, name: str, *arguments: object) -> None:
        self._lane.activate()
        status = getattr(self._library, name)(*arguments, ctypes.c_void_p(self._lane.stream))
        if status:
            raise BackendError(f"GPU {self._lane.gpu}: {name} failed with CUDA error {status}: {last_error()}")

    @cached_property
    def _library(self) -> ctypes.CDLL:
        return conversions()


def conversions() -> ctypes.CDLL:
    """The plugin library, with its conversions declared.

    Raises:
        UsageError: it was not built.
        BackendError: it was built before it had them.
    """
    path = library_path()
    library = ctypes.CDLL(str(path))
    pointer = ctypes.c_void_p
    sums = (pointer, ctypes.c_size_t, *(ctypes.c_int32,) * 3, pointer, pointer)
    try:
        library.tweenrt_nv12_to_rgb.argtypes = library.tweenrt_rgb_to_nv12.argtypes = (pointer, pointer)
        library.tweenrt_sum_blocks.argtypes = sums
    except AttributeError as error:
        raise BackendError(f"{path} has no conversions for video; build it again with 'make plugins'") from error
    return library


__all__ = ["Surface", "SurfaceConverter", "conversions"]
