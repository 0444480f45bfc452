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
        """`frame` as [1,3,H,W], RGB 0..1, float32."""
        planar = np.moveaxis(frame, 2, 0) if self.channels_last else frame
        return np.ascontiguousarray(planar, np.float32)[None] / np.float32(_PEAKS[self.dtype])

    def from_planar(self, planar: Planar) -> Frame:
        """[3,H,W] RGB 0..1 back in this format, clipped; integers are rounded half to even."""
        values = np.clip(planar, 0.0, 1.0)
        if self.dtype.kind == "u":
            values = np.rint(values * np.float32(_PEAKS[self.dtype]))
        if self.channels_last:
            values = np.moveaxis(values, 0, 2)
        return np.ascontiguousarray(values, self.dtype)


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
