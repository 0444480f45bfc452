"""The blocks of IFRNet that its descendants took over: AMT, and the distance-indexed variants of both.

Attribute names are the checkpoints' key names. Source: Kong et al., "IFRNet: Intermediate Feature Refine Network
for Efficient Frame Interpolation", CVPR 2022.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812  (the field's usual name)
from torch import Tensor, nn

from tweenrt.plugins.backward_warp.reference import backward_warp
from tweenrt.plugins.warp_resize.reference import warp_resize


class ConvPReLU(nn.Sequential):
    """A convolution that keeps the size (or halves it with stride 2), then a learnt slope per channel."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2), nn.PReLU(outputs))


class ResBlock(nn.Module):
    """Five 3×3 convolutions around a skip; the second and fourth work on the last `side` channels only."""

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.parts = (channels - side, side)
        self.conv1 = ConvPReLU(channels, channels)
        self.conv2 = ConvPReLU(side, side)
        self.conv3 = ConvPReLU(channels, channels)
        self.conv4 = ConvPReLU(side, side)
        self.conv5 = nn.Conv2d(channels, channels, 3, 1, 1)
        self.prelu = nn.PReLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        """[N,C,H,W] → the same shape."""
        # Split and concatenate, not assignment into a slice: that would become a ScatterND in the graph.
        kept, side = self.conv1(x).split(self.parts, dim=1)
        kept, side = self.conv3(torch.cat((kept, self.conv2(side)), dim=1)).split(self.parts, dim=1)
        out: Tensor = self.prelu(x + self.conv5(torch.cat((kept, self.conv4(side)), dim=1)))
        return out


class PyramidEncoder(nn.Module):
    """Features of a frame at 1/2, 1/4, 1/8 and 1/16 of its size."""

    def __init__(self, widths: Sequence[int], first_kernel: int = 3) -> None:
        """Make one level for each width.

        Args:
            widths: channels of the four levels, finest first.
            first_kernel: side of the very first convolution, odd.
        """
        super().__init__()
        inputs = (3, *widths)
        for level, outputs in enumerate(widths, start=1):
            kernel = first_kernel if level == 1 else 3
            stage = nn.Sequential(ConvPReLU(inputs[level - 1], outputs, kernel, 2), ConvPReLU(outputs, outputs))
            self.add_module(f"pyramid{level}", stage)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """[N,3,H,W] → its features, [N,C,H/2,W/2] first and [N,C,H/16,W/16] last."""
        features = [image]
        for stage in self.children():
            features.append(stage(features[-1]))
        return tuple(features[1:])


class Decoder(nn.Module):
    """One level of the decoder: 3×3 convolution, residual block, and a transposed convolution to twice the size."""

    def __init__(self, inputs: int, hidden: int, outputs: int, side: int) -> None:
        super().__init__()
        self.convblock = nn.Sequential(
            ConvPReLU(inputs, hidden), ResBlock(hidden, side), nn.ConvTranspose2d(hidden, outputs, 4, 2, 1)
        )

    def forward(self, *parts: Tensor) -> Tensor:
        """Everything the level sees, each [N,·,H,W], concatenated in order → [N,outputs,2H,2W]."""
        out: Tensor = self.convblock(torch.cat(parts, dim=1))
        return out


def warp_both(feature0: Tensor, feature1: Tensor, flow: Tensor, shrink: int = 1) -> tuple[Tensor, Tensor]:
    """Bring what belongs to the two frames to the new frame's moment.

    Args:
        feature0: of the earlier frame, [N,C,H,W].
        feature1: of the later frame, like `feature0`.
        flow: pixels from the new frame into the earlier (channels 0 and 1) and the later frame (2 and 3),
            [N,4,H,W].
        shrink: 1, or an even number by which H and W can be divided.

    Returns:
        Both warped and `shrink` times smaller, each [N,C,H/shrink,W/shrink].
    """
    flow0, flow1 = flow.chunk(2, dim=1)
    if shrink == 1:
        return backward_warp(feature0, flow0), backward_warp(feature1, flow1)
    return warp_resize(feature0, flow0, shrink), warp_resize(feature1, flow1, shrink)


def double(flow: Tensor) -> Tensor:
    """A flow field [N,C,H,W] in pixels at twice the resolution, [N,C,2H,2W]."""
    return finer(flow, 2.0)


def finer(flow: Tensor, factor: float) -> Tensor:
    """A flow field [N,C,H,W] in pixels at `factor` times the resolution."""
    return flow if factor == 1 else factor * resize(flow, factor)


def resize(x: Tensor, factor: float) -> Tensor:
    """[N,C,H,W] at `factor` times its size, bilinear, pixel centres kept; values stay."""
    return x if factor == 1 else F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


def pair_mean(frame0: Tensor, frame1: Tensor) -> Tensor:
    """One number for each pair: the mean of all channels and pixels of two frames [N,C,H,W], as [N,1,1,1]."""
    # Axis by axis, because a single FP32 sum over a whole frame loses digits on some backends.
    total = (frame0 + frame1).mean(dim=3, keepdim=True).mean(dim=2, keepdim=True).mean(dim=1, keepdim=True)
    return total * 0.5
