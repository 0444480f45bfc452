"""Backward warping in PyTorch: the oracle of the op, and the call that networks make."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  (the field's usual name)
from torch import Tensor

from tweenrt.plugins.emit import emit, exporting


def backward_warp(x: Tensor, flow: Tensor, padding: str = "border") -> Tensor:
    """Sample `x` bilinearly at every pixel's position plus its flow.

    Args:
        x: image or features, [N,C,H,W], any floating dtype and range.
        flow: displacement in pixels, [N,2,H,W], x then y. Coordinates are computed in FP32.
        padding: outside of `x` lies its nearest edge pixel (``"border"``) or zero (``"zeros"``).

    Returns:
        [N,C,H,W] in the dtype of `x`.

    Source: spatial transformer sampling (Jaderberg et al., 2015), with pixel centres at the corners of the
    normalised grid (``align_corners``) as every flow-based interpolation network here was trained.
    """
    if exporting():
        return emit("BackwardWarp", (x, flow), like=x, attributes={"padding": padding})
    height, width = flow.shape[2:]
    xs = torch.arange(width, device=flow.device, dtype=torch.float32)
    ys = torch.arange(height, device=flow.device, dtype=torch.float32)[:, None]
    dx, dy = flow.float().unbind(1)
    # A side of one pixel has one column only: whatever the flow, the sample is that column.
    grid_x = (dx + xs) * (2.0 / max(width - 1, 1)) - 1.0
    grid_y = (dy + ys) * (2.0 / max(height - 1, 1)) - 1.0
    grid = torch.stack((grid_x, grid_y), dim=-1)
    return F.grid_sample(x.float(), grid, mode="bilinear", padding_mode=padding, align_corners=True).to(x.dtype)
