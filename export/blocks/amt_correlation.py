"""AMT's correlation: the features that are compared, the volumes of both directions, and the lookup in them.

Attribute names are the checkpoints' key names. Source: Li et al., "AMT: All-Pairs Multi-Field Transforms for
Efficient Frame Interpolation", CVPR 2023, which builds on RAFT (Teed and Deng, ECCV 2020); the residual units
and the order of convolution, normalisation and ReLU in them are RAFT's.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812  (the field's usual name)
from torch import Tensor, nn

from tweenrt.export.blocks.norm import InstanceNorm, instance_norm
from tweenrt.plugins.correlation_lookup.reference import correlation_lookup

RADIUS = 3
LEVELS = 4
CORRELATION = 2 * LEVELS * (2 * RADIUS + 1) ** 2
"""Channels that a lookup gives: a window in every level, in both directions."""


class ResidualUnit(nn.Module):
    """RAFT's residual unit: convolutions `conv1`, `conv2`, … around a skip, each normalised and rectified."""

    def __init__(self, channels: Sequence[int], kernels: Sequence[int], stride: int) -> None:
        """Make the convolutions.

        Args:
            channels: of the input, then of every convolution's output.
            kernels: side of every convolution.
            stride: of the unit; the first 3×3 convolution has it, and a 1×1 convolution in the skip if it is not 1.
        """
        super().__init__()
        striding = kernels.index(3)
        for i, (inputs, outputs) in enumerate(pairwise(channels)):
            step = stride if i == striding else 1
            conv = nn.Conv2d(inputs, outputs, kernels[i], step, kernels[i] // 2)
            self.add_module(f"conv{i + 1}", conv)
        self.count = len(kernels)
        shortcut = nn.Sequential(nn.Conv2d(channels[0], channels[-1], 1, stride), InstanceNorm())
        self.downsample = nn.Identity() if stride == 1 else shortcut

    def forward(self, x: Tensor) -> Tensor:
        """[N,C,H,W] → [N,C',H/stride,W/stride]."""
        y = x
        for i in range(self.count):
            y = instance_norm(self.get_submodule(f"conv{i + 1}")(y)).relu()
        out: Tensor = (self.downsample(x) + y).relu()
        return out


class CorrelationEncoder(nn.Module):
    """The features whose products are the correlation: a frame [N,3,H,W] → [N,C,H/8,W/8]."""

    def __init__(self, widths: tuple[int, int, int, int], *, bottleneck: bool, deep: bool) -> None:
        """Make the layers.

        Args:
            widths: channels at 1/2, 1/4 and 1/8 of the frame's size, and of the features.
            bottleneck: units of 1×1, 3×3 and 1×1 convolutions with a quarter of the channels inside, instead of
                two 3×3 convolutions.
            deep: a fourth stage, at 1/8 as well.
        """
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 7, 2, 3)
        self.layer1 = _stage(widths[0], widths[0], 1, bottleneck=bottleneck)
        self.layer2 = _stage(widths[0], widths[1], 2, bottleneck=bottleneck)
        self.layer3 = _stage(widths[1], widths[2], 2, bottleneck=bottleneck)
        self.layer3_2 = _stage(widths[2], widths[2], 1, bottleneck=bottleneck) if deep else nn.Identity()
        self.conv2 = nn.Conv2d(widths[2], widths[3], 1)

    def forward(self, frame: Tensor) -> Tensor:
        """[N,3,H,W], the pair's mean subtracted → [N,C,H/8,W/8]."""
        x = instance_norm(self.conv1(frame)).relu()
        x = self.layer3(self.layer2(self.layer1(x)))
        out: Tensor = self.conv2(self.layer3_2(x))
        return out


def _stage(inputs: int, outputs: int, stride: int, *, bottleneck: bool) -> nn.Sequential:
    """Two residual units; the first changes the width and the resolution."""

    def unit(width: int, step: int) -> ResidualUnit:
        if bottleneck:
            return ResidualUnit((width, outputs // 4, outputs // 4, outputs), (1, 3, 1), step)
        return ResidualUnit((width, outputs, outputs), (3, 3), step)

    return nn.Sequential(unit(inputs, stride), unit(outputs, 1))


class BidirectionalLookup:
    """Correlation volumes of a pair in both directions, and where a flow of the new frame points into them."""

    def __init__(self, features0: Tensor, features1: Tensor, stretch0: Tensor, stretch1: Tensor) -> None:
        """Build the volumes.

        Args:
            features0: of the earlier frame, [N,C,H,W] at 1/8 of its size.
            features1: of the later frame, like `features0`.
            stretch0: how many times longer the motion from the later to the earlier frame is than the flow from
                the new frame into the earlier, under linear motion; broadcasts to [N,2,H,W].
            stretch1: the same from the earlier to the later frame, for the flow into the later.
        """
        batch, channels, rows, columns = features0.shape
        queries = (features0 * channels**-0.5).flatten(2).transpose(1, 2)
        volume = torch.matmul(queries, features1.flatten(2))
        self.from0 = _levels(volume.reshape(batch * rows * columns, 1, rows, columns))
        self.from1 = _levels(volume.transpose(1, 2).reshape(batch * rows * columns, 1, rows, columns))
        self.stretch0, self.stretch1 = stretch0, stretch1
        ys = torch.arange(rows, device=features0.device, dtype=torch.float32)[:, None]
        xs = torch.arange(columns, device=features0.device, dtype=torch.float32)
        self.grid = torch.stack((xs.expand(rows, columns), ys.expand(rows, columns)))[None]

    def __call__(self, flow: Tensor) -> Tensor:
        """Correlations around the matches that `flow` implies.

        Args:
            flow: from the new frame into the earlier (channels 0 and 1) and the later frame (2 and 3), in pixels
                of the volumes' resolution, [N,4,H,W].

        Returns:
            [N,392,H,W]: all levels of the earlier frame's volume, then of the later frame's, finest first.
        """
        flow0, flow1 = flow.float().chunk(2, dim=1)
        windows0 = _windows(self.from0, self.grid + flow1 * self.stretch1)
        windows1 = _windows(self.from1, self.grid + flow0 * self.stretch0)
        return torch.cat((*windows0, *windows1), dim=1)


def _levels(volume: Tensor) -> tuple[Tensor, ...]:
    """[Q,1,H,W] and its averages over 2×2, 4×4 and 8×8 cells."""
    levels = [volume]
    for _ in range(LEVELS - 1):
        levels.append(F.avg_pool2d(levels[-1], 2))
    return tuple(levels)


def _windows(levels: tuple[Tensor, ...], coords: Tensor) -> list[Tensor]:
    return [correlation_lookup(level, coords * 0.5**i, RADIUS) for i, level in enumerate(levels)]
