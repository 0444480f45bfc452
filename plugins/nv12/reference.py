"""NV12 to RGB and back in PyTorch: the oracle of the kernels between video decoders, networks and video encoders."""

from __future__ import annotations

import torch
from torch import Tensor

_A = -0.6  # swscale's cubic; Keys' own is -0.5


def nv12_to_rgb(luma: Tensor, chroma: Tensor, matrix: Tensor, offset: Tensor) -> Tensor:
    """Convert a picture of a decoder to RGB, before it is rounded.

    Args:
        luma: uint8 [H,W]; H and W even.
        chroma: uint8 [H/2,W/2,2], Cb and Cr; a sample lies in the middle of its four pixels.
        matrix: float64 [3,3].
        offset: float64 [3]; RGB (0..255) = matrix · (Y, Cb, Cr) + offset.

    Returns:
        float64 [H,W,3], limited to 0..255; rounded half to even it is what the kernel writes.

    Source: R. Keys, "Cubic convolution interpolation for digital image processing", 1981, with a = -0.6.
    """
    height, width = luma.shape
    down, across = _upward(height), _upward(width)
    whole = torch.einsum("hj,wi,jic->hwc", down, across, chroma.double())
    return (torch.cat((luma.double()[..., None], whole), 2) @ matrix.T + offset).clamp(0, 255)


def rgb_to_nv12(rgb: Tensor, matrix: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
    """Convert an RGB picture for an encoder, before it is rounded.

    Args:
        rgb: uint8 [H,W,3]; H and W even.
        matrix: float64 [3,3].
        offset: float64 [3]; (Y, Cb, Cr) (0..255) = matrix · RGB + offset.

    Returns:
        float64 [H,W] and [H/2,W/2,2], limited to 0..255.
    """
    height, width, _ = rgb.shape
    halved = torch.einsum("jh,iw,hwc->jic", _downward(height), _downward(width), rgb.double())
    luma = (rgb.double() @ matrix.T + offset)[..., 0]
    return luma.clamp(0, 255), (halved @ matrix.T + offset)[..., 1:].clamp(0, 255)


def sum_blocks(rgb: Tensor, step: int) -> Tensor:
    """Sums over blocks of step x step pixels; rows and columns that fill no block are left out.

    Args:
        rgb: uint8 [H,W,3].
        step: side of a block.

    Returns:
        int64 [H//step,W//step,3].
    """
    down, across = rgb.shape[0] // step, rgb.shape[1] // step
    whole = rgb[: down * step, : across * step].long().reshape(down, step, across, step, 3)
    return whole.sum((1, 3))


def _upward(pixels: int) -> Tensor:
    """How much of every chroma sample is in every pixel along a side, [pixels, pixels/2]."""
    places = (torch.arange(pixels, dtype=torch.float64) + 0.5) / 2 - 0.5
    return _weights(places, pixels // 2, 1.0)


def _downward(pixels: int) -> Tensor:
    """How much of every pixel is in every chroma sample along a side, [pixels/2, pixels]."""
    places = torch.arange(pixels // 2, dtype=torch.float64) * 2 + 0.5
    return _weights(places, pixels, 2.0)


def _weights(places: Tensor, samples: int, stretch: float) -> Tensor:
    """The cubic around `places`, `stretch` times as wide; what lies beyond an edge is the sample at the edge."""
    reach = int(2 * stretch)
    taps = torch.floor(places)[:, None] + torch.arange(1 - reach, reach + 1, dtype=torch.float64)
    amounts = _cubic((taps - places[:, None]).abs() / stretch) / stretch
    out = torch.zeros(len(places), samples, dtype=torch.float64)
    return out.scatter_add_(1, taps.clamp(0, samples - 1).long(), amounts)


def _cubic(distance: Tensor) -> Tensor:
    near = (_A + 2) * distance**3 - (_A + 3) * distance**2 + 1
    far = _A * (distance**3 - 5 * distance**2 + 8 * distance - 4)
    return torch.where(distance < 1, near, torch.where(distance < 2, far, torch.zeros_like(distance)))
