"""Forward splatting in PyTorch: the oracle of the op, and the call that networks make."""

from __future__ import annotations

import torch
from torch import Tensor

from tweenrt.plugins.emit import emit, exporting


def forward_splat(x: Tensor, flow: Tensor) -> Tensor:
    """Move every pixel of `x` along its flow; where several land, take their weighted average.

    Each pixel is shared bilinearly among the four pixels around where it lands. What lands outside is lost, and
    a pixel that nothing reaches is zero.

    Args:
        x: image or features, [N,C,H,W], any floating dtype and range; summed in FP32.
        flow: displacement in pixels, [N,2,H,W], x then y, finite. Positions are computed in FP32.

    Returns:
        [N,C,H,W] in the dtype of `x`.

    Source: average splatting, section 3.1 of Niklaus and Liu, "Softmax Splatting for Video Frame Interpolation"
    (CVPR 2020).
    """
    if exporting():
        return emit("ForwardSplat", (x, flow), like=x)
    batch, channels, height, width = x.shape
    ones = torch.ones_like(x[:, :1], dtype=torch.float32)
    source = torch.cat((x.float(), ones), dim=1).flatten(2)
    sums = torch.zeros_like(source)
    for target, share in _corners(flow.float()):
        sums = sums.scatter_add(2, target.expand_as(source), source * share)
    weight = sums[:, channels:]
    averages = sums[:, :channels] / torch.where(weight == 0, 1.0, weight)
    return averages.reshape(batch, channels, height, width).to(x.dtype)


def _corners(flow: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The four pixels that each pixel lands on: their index in the frame and its share there, both [N,1,H·W].

    A pixel outside of the frame has the index of the nearest one inside and the share 0.
    """
    height, width = flow.shape[2:]
    dx, dy = flow.split(1, dim=1)
    x = dx + torch.arange(width, device=flow.device)
    y = dy + torch.arange(height, device=flow.device)[:, None]
    left, top = x.floor(), y.floor()
    found = []
    for column, row in ((left, top), (left + 1, top), (left, top + 1), (left + 1, top + 1)):
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        share = (1 - (x - column).abs()) * (1 - (y - row).abs()) * inside
        index = row.clamp(0, height - 1).long() * width + column.clamp(0, width - 1).long()
        found.append((index.flatten(2), share.flatten(2)))
    return found
