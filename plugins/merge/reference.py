"""The merge of two frames of bytes in PyTorch: the oracle of the kernel that the runtime launches after an engine."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  (the field's usual name)
from torch import Tensor

from tweenrt.plugins.warp_blend.reference import warp_blend

_FILL = {"replicate": "replicate", "zeros": "constant"}


def merge_frames(
    frame0: Tensor, frame1: Tensor, refined: Tensor, top: int = 0, left: int = 0, fill: str = "replicate"
) -> Tensor:
    """Draw the new frame from what a network says of it, in bytes.

    Args:
        frame0: the earlier frame, uint8 [N,H,W,3], RGB.
        frame1: the later frame, like `frame0`.
        refined: [N,8,H',W'], the size of the padded frames: flow in pixels from the new frame into `frame0` (x, y)
            and into `frame1` (x, y), weight of `frame0` before the sigmoid, residual (R, G, B; 1 is white).
        top: row of the padded frame where the real one begins.
        left: column of the padded frame where the real one begins.
        fill: what the network saw around the real frame: its nearest pixel (``"replicate"``) or black (``"zeros"``).

    Returns:
        uint8 [N,H,W,3], RGB, rounded half to even.

    Source: the synthesis step of RIFE (Huang et al., 2022) and IFRNet (Kong et al., 2022).
    """
    drawn = draw(frame0, frame1, refined, top, left, fill)
    return (drawn * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def draw(
    frame0: Tensor, frame1: Tensor, refined: Tensor, top: int = 0, left: int = 0, fill: str = "replicate"
) -> Tensor:
    """What `merge_frames` rounds: float32 [N,3,H,W], RGB 0..1. Takes the same arguments."""
    height, width = frame0.shape[1:3]
    bottom, right = refined.shape[2] - top - height, refined.shape[3] - left - width
    around = (left, right, top, bottom)
    planar = (frame.permute(0, 3, 1, 2).float() / 255.0 for frame in (frame0, frame1))
    padded0, padded1 = (F.pad(frame, around, mode=_FILL[fill]) for frame in planar)
    flow0, flow1, logit, residual = refined.float().split((2, 2, 1, 3), dim=1)
    merged = warp_blend(padded0, padded1, flow0, flow1, logit.sigmoid(), residual)
    return merged[:, :, top : top + height, left : left + width].clamp(0.0, 1.0)
