"""Frames as callers have them, and as networks want them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tweenrt.contract import Padding
from tweenrt.errors import UsageError
from tweenrt.runtime.device_memory import DeviceArray

Frame = NDArray[Any]
Planar = NDArray[np.float32]

_PEAKS = {
    np.dtype(np.uint8): 255.0,
    np.dtype(np.uint16): 65535.0,
    np.dtype(np.float32): 1.0,
    np.dtype(np.float16): 1.0,
}
_PAD_MODES: dict[str, Any] = {"zeros": "constant", "replicate": "edge", "reflect": "reflect"}


@dataclass(frozen=True)
class FrameFormat:
    """How a caller's frame is laid out.

    Attributes:
        channels_last: [H,W,3] if true, else [3,H,W].
        dtype: uint8 (0..255), uint16 (0..65535), float16 or float32 (0..1).
        height: in pixels.
        width: in pixels.
    """

    channels_last: bool
    dtype: np.dtype[Any]
    height: int
    width: int

    @classmethod
    def of(cls, frame: Frame | DeviceArray) -> FrameFormat:
        """The format of `frame`.

        Raises:
            UsageError: not three channels, or a dtype that is no frame.
        """
        if frame.ndim != 3 or 3 not in (frame.shape[0], frame.shape[2]):
            raise UsageError(f"expected a frame [H,W,3] or [3,H,W], got an array of shape {list(frame.shape)}")
        if frame.dtype not in _PEAKS:
            raise UsageError(f"expected a frame of uint8, uint16, float16 or float32, got {frame.dtype}")
        last = frame.shape[2] == 3
        height, width = frame.shape[:2] if last else frame.shape[1:]
        return cls(last, frame.dtype, int(height), int(width))

    def to_planar(self, frame: Frame) -> Planar:
        """`frame` as [1,3,H,W], RGB 0..1, float32; the same memory where it is contiguous [3,H,W] float32."""
        planar = np.ascontiguousarray(np.moveaxis(frame, 2, 0) if self.channels_last else frame, np.float32)[None]
        peak = _PEAKS[self.dtype]
        return planar if peak == 1.0 else planar / np.float32(peak)

    def from_planar(self, planar: Planar) -> Frame:
        """[3,H,W] RGB 0..1 back in this format, clipped; integers are rounded half to even.

        `planar` is the caller's to give away: [3,H,W] float32 is clipped in place and returned.
        """
        fits = planar.flags.writeable and planar.flags.c_contiguous
        values = np.clip(planar, 0.0, 1.0, out=planar if fits else None)
        if self.dtype.kind == "u":
            values = np.rint(values * np.float32(_PEAKS[self.dtype]))
        if self.channels_last:
            values = np.moveaxis(values, 0, 2)
        return np.ascontiguousarray(values, self.dtype)


def on_host(frame: Any) -> Frame:
    """`frame` as a numpy array on the same memory, which it keeps.

    Args:
        frame: a numpy array, or what another library hands on through DLPack in memory of the CPU, such as a tensor
            of PyTorch.

    Raises:
        UsageError: it is neither, or its library does not let it be shared.
    """
    if isinstance(frame, np.ndarray):
        return frame
    if not hasattr(frame, "__dlpack__"):
        raise UsageError(
            "expected a frame as a numpy array, or as an object with __dlpack__ or __cuda_array_interface__, got "
            f"{type(frame).__name__}"
        )
    try:
        return np.from_dlpack(frame)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise UsageError(
            f"this {type(frame).__name__} cannot be shared through DLPack: {error}; hand over a plain array of uint8, "
            "uint16, float16 or float32 (PyTorch: tensor.detach())"
        ) from error


def pad(planar: Planar, padding: Padding, divisor: int) -> Planar:
    """Grow [N,3,H,W] so that H and W are multiples of `divisor`.

    Raises:
        UsageError: the frame is too small to be mirrored that far.
    """
    rows, columns = (padding.amounts(size, divisor) for size in planar.shape[2:])
    if not any((*rows, *columns)):
        return planar
    if padding.fill == "reflect" and (max(rows) >= planar.shape[2] or max(columns) >= planar.shape[3]):
        raise UsageError(
            f"frames of {planar.shape[2]}x{planar.shape[3]} are too small for this network, which mirrors the border "
            f"out to a multiple of {divisor}; scale the video up or choose another model"
        )
    return np.pad(planar, ((0, 0), (0, 0), rows, columns), mode=_PAD_MODES[padding.fill])


def pad_map(planar: Planar, padding: Padding, divisor: int) -> Planar:
    """Grow a map [N,1,H,W] like the frame it belongs to, its edge repeated."""
    rows, columns = (padding.amounts(size, divisor) for size in planar.shape[2:])
    return np.pad(planar, ((0, 0), (0, 0), rows, columns), mode="edge")


def crop(planar: Planar, padding: Padding, divisor: int, height: int, width: int) -> Planar:
    """Undo `pad`: the window of H×W pixels inside [...,H',W']."""
    top, left = padding.amounts(height, divisor)[0], padding.amounts(width, divisor)[0]
    return planar[..., top : top + height, left : left + width]
