"""The last step of flow-based interpolation in PyTorch: warp both frames, merge them, add the residual."""

from __future__ import annotations

from torch import Tensor

from tweenrt.plugins.backward_warp.reference import backward_warp
from tweenrt.plugins.emit import emit, exporting


def warp_blend(frame0: Tensor, frame1: Tensor, flow0: Tensor, flow1: Tensor, mask: Tensor, residual: Tensor) -> Tensor:
    """Compute ``mask * warp(frame0, flow0) + (1 - mask) * warp(frame1, flow1) + residual``.

    Args:
        frame0: the earlier frame, [N,3,H,W], any floating dtype and range.
        frame1: the later frame, like `frame0`.
        flow0: displacement in pixels from the new frame into `frame0`, [N,2,H,W], x then y.
        flow1: the same into `frame1`.
        mask: weight of `frame0`, [N,1,H,W], 0 to 1.
        residual: what is added at the end; any shape that broadcasts to [N,3,H,W].

    Returns:
        [N,3,H,W] in the dtype of `frame0`, not clamped. Warps sample bilinearly with border padding.

    Source: the synthesis step of RIFE (Huang et al., 2022) and IFRNet (Kong et al., 2022).
    """
    if exporting():
        return emit("WarpBlend", (frame0, frame1, flow0, flow1, mask, residual), like=frame0)
    warped0 = backward_warp(frame0, flow0)
    warped1 = backward_warp(frame1, flow1)
    return mask * warped0 + (1 - mask) * warped1 + residual
