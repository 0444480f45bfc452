"""Frames as 0..1 and as integers; smaller copies and windows of large frames, as protocols ask for them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tweenrt.errors import UsageError
from tweenrt.runtime.frames import Frame

Unit = NDArray[np.float32]


def unit(frame: Frame) -> Unit:
    """[H,W,3] uint8 (0..255), uint16 (0..65535) or float32 (0..1) as float32, 0..1."""
    if frame.dtype.kind == "f":
        return frame.astype(np.float32, copy=False)
    return frame.astype(np.float32) / np.float32(np.iinfo(frame.dtype).max)


def rounded(frame: Frame, dtype: type[np.uint8 | np.uint16] = np.uint8) -> Frame:
    """[H,W,3] float32 (0..1) as integers, halves to even as the interpolator rounds; integers stay as they are."""
    if frame.dtype.kind == "u":
        return frame
    levels: Frame = np.rint(frame * np.float32(np.iinfo(dtype).max)).astype(dtype)
    return levels


def halved(frame: Frame) -> Frame:
    """Half the size by means of 2×2 pixels, halves rounded up: OpenCV's INTER_AREA on 8 bits.

    Args:
        frame: [H,W,3] uint8 or uint16; H and W even.

    Raises:
        UsageError: a side is odd.
    """
    small: Frame = ((_block_sums(frame.astype(np.uint32)) + 2) // 4).astype(frame.dtype)
    return small


def halved_unit(frame: Frame) -> Frame:
    """The same as float32, 0..1, without rounding to 8 bits."""
    return _block_sums(unit(frame)) / np.float32(4)


def centre(frame: Frame) -> Frame:
    """The middle half of each side, [H/2,W/2,3]: 1080×2048 pixels of 2160×4096."""
    top, left = frame.shape[0] // 4, frame.shape[1] // 4
    return np.ascontiguousarray(frame[top : frame.shape[0] - top, left : frame.shape[1] - left])


def _block_sums(frame: Frame) -> Frame:
    height, width = frame.shape[:2]
    if height % 2 or width % 2:
        raise UsageError(f"expected frames with even sides to be halved, got {height}x{width}; check the dataset")
    sums: Frame = frame[::2, ::2] + frame[1::2, ::2] + frame[::2, 1::2] + frame[1::2, 1::2]
    return sums
