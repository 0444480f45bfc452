"""One decoder level of the IFRNet family in PyTorch: the oracle of the op."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  (the field's usual name)
from torch import Tensor

from tweenrt.plugins.backward_warp.reference import backward_warp


def warp_concat(
    feature0: Tensor, feature1: Tensor, feature: Tensor, step: Tensor, coarse: Tensor, feature_first: bool = True
) -> tuple[Tensor, Tensor]:
    """Add what a level found to twice the coarser level's flow, and gather what the next convolution sees.

    No network calls this: the pass `tweenrt.export.passes.fuse_warps` finds the op in graphs that spell it out.

    Args:
        feature0: features of the earlier frame, [N,C,H,W], H and W even, any floating dtype.
        feature1: features of the later frame, like `feature0`.
        feature: features of the new frame, [N,F,H,W], dtype of `feature0`.
        step: what this level adds to the flow, in its own pixels, [N,4,H,W]: x and y into the earlier frame, x and
            y into the later one. Summed and warped in FP32 whatever its dtype.
        coarse: flow of the coarser level in that level's pixels, [N,4,H/2,W/2], dtype of `step`; zero where there
            is no coarser level.
        feature_first: whether `feature` comes before the warped features or after them.

    Returns:
        What the next convolution sees, [N,F+2C+4,H,W] in the dtype of `feature`: (feature, warped feature0, warped
        feature1, flow) or (warped feature0, warped feature1, feature, flow); and the flow, [N,4,H,W] in the dtype
        of `step`.

    Source: the decoder of IFRNet (Kong et al., 2022), which UGSP and AMT took over.
    """
    doubled = 2.0 * F.interpolate(coarse.float(), scale_factor=2.0, mode="bilinear", align_corners=False)
    flow = step.float() + doubled
    flow0, flow1 = flow.chunk(2, dim=1)
    warped = (backward_warp(feature0, flow0), backward_warp(feature1, flow1))
    parts = (feature, *warped) if feature_first else (*warped, feature)
    return torch.cat((*parts, flow.to(feature.dtype)), dim=1), flow.to(step.dtype)
