"""NV12 (BT.709, limited range) in numpy, by the equations of docs/embed-in-cpp.md in double precision."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

KR, KB = 0.2126, 0.0722
Bytes = NDArray[np.uint8]


def from_rgb(frame: Bytes) -> Bytes:
    """A frame in NV12.

    Args:
        frame: [H,W,3] RGB, even sides.

    Returns:
        [H*3/2,W]: rows of Y, then of Cb and Cr in turns; rounded half to even.
    """
    red, green, blue = np.moveaxis(frame / 255.0, 2, 0)
    luma = KR * red + (1 - KR - KB) * green + KB * blue
    colours = np.stack([(blue - luma) / (2 - 2 * KB), (red - luma) / (2 - 2 * KR)], 2)
    height, width = luma.shape
    chroma = colours.reshape(height // 2, 2, width // 2, 2, 2).mean((1, 3)).reshape(height // 2, width)
    picture: Bytes = np.rint(np.concatenate([16 + 219 * luma, 128 + 224 * chroma])).astype(np.uint8)
    return picture


def to_rgb(picture: Bytes) -> Bytes:
    """A frame in RGB.

    Args:
        picture: [H*3/2,W], see `from_rgb`.

    Returns:
        [H,W,3], limited to 0..255 and rounded half to even.
    """
    width, height = picture.shape[1], picture.shape[0] * 2 // 3
    luma = (picture[:height] - 16.0) / 219
    chroma = (picture[height:].reshape(height // 2, width // 2, 2) - 128.0) / 224
    cb, cr = np.moveaxis(chroma.repeat(2, 0).repeat(2, 1), 2, 0)
    red, blue = luma + 2 * (1 - KR) * cr, luma + 2 * (1 - KB) * cb
    green = (luma - KR * red - KB * blue) / (1 - KR - KB)
    frame: Bytes = np.rint(255 * np.clip(np.stack([red, green, blue], 2), 0, 1)).astype(np.uint8)
    return frame
