"""Modulated deformable convolution in PyTorch: the oracle of the op, and the call that networks make."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  (the field's usual name)
from torch import Tensor

from tweenrt.plugins.emit import emit, exporting

_TAPS = 9


def deform_conv2d(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A 3×3 convolution whose nine taps are moved and weighted at every pixel.

    Args:
        x: features, [N,C,H,W], float32.
        offset: displacement of every tap in pixels, [N,G*9*2,H,W]; for each of G groups of channels and each tap,
            row by row, first y then x. Samples are bilinear, zero outside of `x`.
        mask: weight of every tap, [N,G*9,H,W].
        weight: [D,C,3,3]; stride 1, one pixel of padding.
        bias: [D].

    Returns:
        [N,D,H,W].

    Source: Zhu et al., "Deformable ConvNets v2", CVPR 2019.
    """
    if exporting():
        groups = mask.shape[1] // _TAPS
        shape = (x.shape[0], weight.shape[0], *x.shape[2:])
        inputs = (x, offset, mask, weight, bias)
        return emit("DeformConv2d", inputs, like=x, shape=shape, attributes={"offset_group": groups})
    n, channels, height, width = x.shape
    groups = mask.shape[1] // _TAPS
    planes = x.reshape(n * groups, channels // groups, height, width)
    moved = offset.reshape(n * groups, _TAPS, 2, height, width)
    weights = mask.reshape(n * groups, 1, _TAPS, height, width)
    columns = torch.stack([_sample(planes, moved[:, k], k) for k in range(_TAPS)], dim=2) * weights
    columns = columns.reshape(n, channels * _TAPS, height * width)
    out = weight.reshape(weight.shape[0], -1) @ columns + bias[:, None]
    return out.reshape(n, -1, height, width)


def _sample(planes: Tensor, offset: Tensor, tap: int) -> Tensor:
    """`planes` [B,C,H,W] at the position of one tap moved by `offset` [B,2,H,W] (y, x)."""
    height, width = planes.shape[2:]
    ys = torch.arange(height, device=offset.device, dtype=torch.float32)[:, None] + (tap // 3 - 1)
    xs = torch.arange(width, device=offset.device, dtype=torch.float32) + (tap % 3 - 1)
    # Not by the corners' centres, which coincide along a side of one pixel: there, too, everything outside is zero.
    grid_y = (2.0 * (offset[:, 0] + ys) + 1.0) / height - 1.0
    grid_x = (2.0 * (offset[:, 1] + xs) + 1.0) / width - 1.0
    grid = torch.stack((grid_x, grid_y), dim=-1)
    return F.grid_sample(planes, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
