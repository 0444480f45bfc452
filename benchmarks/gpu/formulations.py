"""What the kernels are compared with: the same work in torch, as a user without them would write it.

The ops' own references (plugins/*/reference.py) compute in FP32 whatever they are given; these compute in the type of
their inputs, so that FP16 is as fast as torch makes it. They are for speed; what is right is said by the references.
"""

from __future__ import annotations

from importlib.util import find_spec

import torch
import torch.nn.functional as F  # noqa: N812  (the field's usual name)
from torch import Tensor

TAPS = 9


def grid_of(flow: Tensor) -> Tensor:
    """Positions for `grid_sample` (align_corners) in the type of the flow: [N,2,H,W] → [N,H,W,2]."""
    return _normalised(flow, *_pixels(flow), *flow.shape[2:])


def _pixels(flow: Tensor) -> tuple[Tensor, Tensor]:
    """The numbers of a map's columns and rows in its type."""
    rows, columns = (torch.arange(side, device=flow.device, dtype=flow.dtype) for side in flow.shape[2:])
    return columns, rows


def _normalised(flow: Tensor, columns: Tensor, rows: Tensor, height: int, width: int) -> Tensor:
    """Flow [N,2,h,w] at these columns [w] and rows [h] of a map of height x width → [N,h,w,2] for `grid_sample`."""
    grid_x = (flow[:, 0] + columns) * (2.0 / max(width - 1, 1)) - 1.0
    grid_y = (flow[:, 1] + rows[:, None]) * (2.0 / max(height - 1, 1)) - 1.0
    return torch.stack((grid_x, grid_y), dim=-1)


def sample(x: Tensor, grid: Tensor) -> Tensor:
    """`x` [N,C,H,W] at the positions of `grid`, which takes its type; border padding."""
    return F.grid_sample(x, grid.to(x.dtype), mode="bilinear", padding_mode="border", align_corners=True)


def warp(x: Tensor, flow: Tensor) -> Tensor:
    """BackwardWarp."""
    return sample(x, grid_of(flow))


def warp_resize(x: Tensor, flow: Tensor, shrink: int) -> Tensor:
    """WarpResize as networks write it: all of the warp, then the resize."""
    return F.interpolate(warp(x, flow), scale_factor=1 / shrink, mode="bilinear", align_corners=False)


def middle_grid_of(flow: Tensor, shrink: int) -> Tensor:
    """Of `grid_of`, the positions that count for WarpResize: [N,2,H,W] → [N,2H/shrink,2W/shrink,2]."""
    columns, rows = (_middle(side, 0, shrink) for side in _pixels(flow))
    return _normalised(_middle(_middle(flow, 2, shrink), 3, shrink), columns, rows, *flow.shape[2:])


def _middle(x: Tensor, axis: int, shrink: int) -> Tensor:
    """The two in the middle of every `shrink` along an axis."""
    return x.unflatten(axis, (-1, shrink)).narrow(axis + 1, shrink // 2 - 1, 2).flatten(axis, axis + 1)


def mean_of_samples(x: Tensor, grid: Tensor) -> Tensor:
    """WarpResize, given `middle_grid_of` the flow."""
    return F.avg_pool2d(sample(x, grid), 2)


def warp_concat(feature0: Tensor, feature1: Tensor, feature: Tensor, step: Tensor, coarse: Tensor) -> Tensor:
    """WarpConcat with `feature` first; the flow stays inside."""
    flow = step + 2.0 * F.interpolate(coarse, scale_factor=2.0, mode="bilinear", align_corners=False)
    warped = warp(feature0, flow[:, :2]), warp(feature1, flow[:, 2:])
    return torch.cat((feature, *warped, flow.to(feature.dtype)), dim=1)


def warp_blend(frame0: Tensor, frame1: Tensor, flow0: Tensor, flow1: Tensor, mask: Tensor, residual: Tensor) -> Tensor:
    """WarpBlend."""
    return mask * warp(frame0, flow0) + (1 - mask) * warp(frame1, flow1) + residual


def deform_by_columns(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """DeformConv2d as a gather of all taps into columns and one matrix product; see its reference for the shapes."""
    n, channels, height, width = x.shape
    groups = mask.shape[1] // TAPS
    grid = _tap_grid(offset.reshape(n * groups, TAPS, 2, height, width))
    planes = x.reshape(n * groups, channels // groups, height, width)
    columns = F.grid_sample(planes, grid.to(x.dtype), mode="bilinear", padding_mode="zeros", align_corners=False)
    columns = columns.unflatten(2, (TAPS, height)) * mask.reshape(n * groups, 1, TAPS, height, width).to(x.dtype)
    out = weight.flatten(1) @ columns.reshape(n, channels * TAPS, height * width) + bias[:, None]
    return out.reshape(n, -1, height, width)


def _tap_grid(moved: Tensor) -> Tensor:
    """Offsets [B,9,2,H,W] (y, x) → positions [B,9·H,W,2] for `grid_sample` by the edges of pixels."""
    height, width = moved.shape[3:]
    taps = torch.arange(TAPS, device=moved.device)
    ys = torch.arange(height, device=moved.device)[:, None] + (taps // 3 - 1)[:, None, None]
    xs = torch.arange(width, device=moved.device) + (taps % 3 - 1)[:, None, None]
    grid_y = (2.0 * (moved[:, :, 0] + ys) + 1.0) / height - 1.0
    grid_x = (2.0 * (moved[:, :, 1] + xs) + 1.0) / width - 1.0
    return torch.stack((grid_x, grid_y), dim=-1).flatten(1, 2)


def has_torchvision() -> bool:
    """Whether torchvision's own deformable convolution can be called."""
    return find_spec("torchvision") is not None


def deform_by_torchvision(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """DeformConv2d by torchvision: a kernel that fills columns, and a matrix product."""
    from torchvision.ops import deform_conv2d

    out: Tensor = deform_conv2d(x, offset.to(x.dtype), weight, bias, padding=1, mask=mask.to(x.dtype))
    return out


def masked_conv(x: Tensor, mask: Tensor, weight: Tensor, bias: Tensor, slope: Tensor) -> Tensor:
    """MaskedConv2d computed everywhere: convolution, slope, mask."""
    return F.prelu(F.conv2d(x, weight, bias, padding=1), slope) * mask
