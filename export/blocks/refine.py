"""The refinement of RIFE, taken over by UGSP: features of both frames, and a U-Net adding what warping cannot give.

Attribute names are the checkpoints' key names. Source: Huang et al., "Real-Time Intermediate Flow Estimation for Video
Frame Interpolation", ECCV 2022.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  (the field's usual name)
from torch import Tensor, nn

from tweenrt.export.blocks.ifr import ConvPReLU
from tweenrt.export.blocks.rife_v4 import FLOW, IMAGE, MASK
from tweenrt.plugins.backward_warp.reference import backward_warp


class Halving(nn.Module):
    """Two convolutions, the first to half the size."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = ConvPReLU(inputs, outputs, stride=2)
        self.conv2 = ConvPReLU(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """[N,C,H,W] → [N,outputs,H/2,W/2]."""
        out: Tensor = self.conv2(self.conv1(x))
        return out


class Context(nn.Module):
    """Features of a frame at 1/2, 1/4, 1/8 and 1/16 of its size, `c` channels and twice as many each time."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = Halving(IMAGE, c), Halving(c, 2 * c)
        self.conv3, self.conv4 = Halving(2 * c, 4 * c), Halving(4 * c, 8 * c)

    def forward(self, frame: Tensor) -> list[Tensor]:
        """Of a frame [N,3,H,W], where the frame has them."""
        features = [frame]
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            features.append(conv(features[-1]))
        return features[1:]

    def warped(self, frame: Tensor, flow: Tensor) -> list[Tensor]:
        """Of a frame [N,3,H,W], where the new frame has them: `flow` [N,2,H,W] leads from the new frame into it."""
        moved = []
        for features in self(frame):
            flow = 0.5 * F.interpolate(flow, scale_factor=0.5, mode="bilinear", align_corners=False)
            moved.append(backward_warp(features, flow))
        return moved


class Unet(nn.Module):
    """What to add to the blend of the warped frames; `c` is the width of its finest level."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.down0, self.down1 = Halving(4 * IMAGE + MASK + FLOW, 2 * c), Halving(4 * c, 4 * c)
        self.down2, self.down3 = Halving(8 * c, 8 * c), Halving(16 * c, 16 * c)
        self.up0, self.up1 = _up(32 * c, 8 * c), _up(16 * c, 4 * c)
        self.up2, self.up3 = _up(8 * c, 2 * c), _up(4 * c, c)
        self.conv = nn.Conv2d(c, IMAGE, 3, 1, 1)

    def forward(self, known: Tensor, context0: list[Tensor], context1: list[Tensor]) -> Tensor:
        """The residual, [N,3,H,W], -1..1.

        Args:
            known: both frames, both warped frames, mask before the sigmoid, flow, [N,17,H,W].
            context0: what `Context` gives for the earlier frame.
            context1: for the later frame.
        """
        sides = [torch.cat(pair, 1) for pair in zip(context0, context1, strict=True)]
        skips = [self.down0(known)]
        for down, side in zip((self.down1, self.down2, self.down3), sides, strict=False):
            skips.append(down(torch.cat((skips[-1], side), 1)))
        x = self.up0(torch.cat((skips.pop(), sides[-1]), 1))
        for up in (self.up1, self.up2, self.up3):
            x = up(torch.cat((x, skips.pop()), 1))
        return torch.sigmoid(self.conv(x)) * 2.0 - 1.0


def _up(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.ConvTranspose2d(inputs, outputs, 4, 2, 1), nn.PReLU(outputs))
