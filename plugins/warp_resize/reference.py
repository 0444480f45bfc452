"""Backward warping onto a coarser grid in PyTorch: the oracle of the op, and the call that networks make."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812  (the field's usual name)
from torch import Tensor

from tweenrt.plugins.backward_warp.reference import backward_warp
from tweenrt.plugins.emit import emit, exporting


def warp_resize(x: Tensor, flow: Tensor, shrink: int) -> Tensor:
    """Sample `x` bilinearly at every pixel's position plus its flow, then make the result `shrink` times smaller.

    Bilinear resizing without antialiasing reads the 2×2 pixels in the middle of each `shrink`×`shrink` cell, so four
    samples for each output pixel are all that has to be computed. Outside of `x` lies its nearest edge pixel.

    Args:
        x: image or features, [N,C,H,W], any floating dtype and range; H and W multiples of `shrink`.
        flow: displacement in pixels of `x`, [N,2,H,W], x then y. Coordinates are computed in FP32.
        shrink: an even number.

    Returns:
        [N,C,H/shrink,W/shrink] in the dtype of `x`.

    Source: what coarse-to-fine interpolation networks compute before each coarse block (Huang et al., "Real-Time
    Intermediate Flow Estimation for Video Frame Interpolation", ECCV 2022).
    """
    n, channels, height, width = x.shape
    cells = (height // shrink, width // shrink)
    if exporting():
        return emit("WarpResize", (x, flow), like=x, shape=(n, channels, *cells), attributes={"shrink": shrink})
    warped = backward_warp(x, flow).float()
    return F.interpolate(warped, cells, mode="bilinear", align_corners=False).to(x.dtype)
