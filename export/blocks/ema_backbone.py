"""The two halves of EMA-VFI: the MotionFormer backbone, and the heads that turn its features into a frame.

Attribute names are the checkpoints' key names.

Source: Zhang et al., "Extracting Motion and Appearance via Inter-Frame Attention for Efficient Video Frame
Interpolation", CVPR 2023.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  (the field's usual name)
from torch import Tensor, nn

from tweenrt.export.blocks.ema_attention import SHIFT, MotionFormerBlock, places
from tweenrt.export.blocks.ifr import ConvPReLU, resize
from tweenrt.export.blocks.refine import Halving
from tweenrt.plugins.backward_warp.reference import backward_warp

_HEAD_CHANNELS = 32
_EXPANSION = 4
_COARSE = 5  # mask and two flows, as a head gives them


@dataclass(frozen=True)
class Config:
    """The sizes that set EMA-VFI and EMA-VFI-small apart.

    Attributes:
        width: channels at full resolution; every further level doubles them.
        depths: attention blocks at 1/8 and at 1/16 of the frame.
        inputs: channels that the backbone sees of one frame.
    """

    width: int
    depths: tuple[int, int]
    inputs: int = 3

    @property
    def channels(self) -> tuple[int, ...]:
        """Of the five levels, finest first."""
        return tuple(self.width << level for level in range(5))


@dataclass(frozen=True)
class Side:
    """What the backbone finds in one frame of a pair; every tensor [N,C,h,w].

    Attributes:
        appearance: five levels, at 1, 1/2, 1/4, 1/8 and 1/16 of the frame.
        motion: at 1/8 and 1/16.
    """

    appearance: tuple[Tensor, ...]
    motion: tuple[Tensor, ...]


class _Convolutions(nn.Module):
    """Two convolutions of one level."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        # Flat, not ConvPReLU twice: the checkpoints number all four layers in one row.
        self.conv = nn.Sequential(*ConvPReLU(inputs, outputs), *ConvPReLU(outputs, outputs))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x)
        return out


class CrossScaleEmbed(nn.Module):
    """Tokens at 1/8 from all three convolution levels, each seen through several dilations."""

    def __init__(self, channels: tuple[int, ...], outputs: int) -> None:
        """Make 1, 2 and 4 convolutions for the levels at 1/4, 1/2 and 1.

        Args:
            channels: of the three levels, finest first.
            outputs: channels of a token.
        """
        super().__init__()
        base = channels[0]
        self.layers = nn.ModuleList(
            nn.Conv2d(inputs, base, 3, stride=2 << step, padding=dilation, dilation=dilation)
            for step, inputs in enumerate(reversed(channels))
            for dilation in range(1, (1 << step) + 1)
        )
        self.proj = nn.Conv2d(base * len(self.layers), outputs, 1)
        self.norm = nn.LayerNorm(outputs)

    def forward(self, levels: tuple[Tensor, ...]) -> Tensor:
        """Three levels [S,C,·,·], finest first → tokens [S,H/8,W/8,C]."""
        sources = [x for step, x in enumerate(reversed(levels)) for _ in range(1 << step)]
        parts = [layer(x) for layer, x in zip(self.layers, sources, strict=True)]
        out: Tensor = self.norm(self.proj(torch.cat(parts, dim=1)).permute(0, 2, 3, 1))
        return out


class OverlapEmbed(nn.Module):
    """Tokens of half the size, from overlapping 3×3 patches."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(inputs, outputs, 3, 2, 1)
        self.norm = nn.LayerNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """[S,C,h,w] → [S,h/2,w/2,C]."""
        out: Tensor = self.norm(self.proj(x).permute(0, 2, 3, 1))
        return out


class MotionFormer(nn.Module):
    """The backbone: convolutions down to 1/4, inter-frame attention at 1/8 and 1/16."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        c = config.channels
        self.block1 = _Convolutions(config.inputs, c[0])
        self.patch_embed2 = ConvPReLU(c[0], c[1], stride=2)
        self.block2 = _Convolutions(c[1], c[1])
        self.patch_embed3 = ConvPReLU(c[1], c[2], stride=2)
        self.block3 = _Convolutions(c[2], c[2])
        self.patch_embed4 = CrossScaleEmbed(c[:3], c[3])
        self.block4 = _blocks(c[3], config.depths[0])
        self.norm4 = nn.LayerNorm(c[3], 1e-6)
        self.patch_embed5 = OverlapEmbed(c[3], c[4])
        self.block5 = _blocks(c[4], config.depths[1])
        self.norm5 = nn.LayerNorm(c[4], 1e-6)

    def forward(self, frames: Tensor) -> tuple[Side, Side]:
        """Look at both frames of every pair.

        Args:
            frames: [2N,C,H,W], the N first frames, then the N second frames.
        """
        x1 = self.block1(frames)
        x2 = self.block2(self.patch_embed2(x1))
        x3 = self.block3(self.patch_embed3(x2))
        x4, motion4 = _attend(self.block4, self.norm4, self.patch_embed4((x1, x2, x3)))
        x5, motion5 = _attend(self.block5, self.norm5, self.patch_embed5(x4.permute(0, 3, 1, 2)))
        maps = (x1, x2, x3, *(x.permute(0, 3, 1, 2) for x in (x4, x5, motion4, motion5)))
        count = frames.shape[0] // 2
        first, second = (tuple(x[part] for x in maps) for part in (slice(count), slice(count, None)))
        return Side(first[:5], first[5:]), Side(second[:5], second[5:])


class Head(nn.Module):
    """Flows and mask from the features of one level."""

    def __init__(self, features: int, pictures: int, hidden: int, step: int) -> None:
        """Make the three convolutions.

        Args:
            features: channels of the features, at 1/(4·step) of the frame.
            pictures: channels of what is looked at beside them.
            hidden: channels between the convolutions.
            step: the convolutions work at 1/step of the frame.
        """
        super().__init__()
        self.step = step
        layers = (ConvPReLU(features // 16 + pictures, hidden), ConvPReLU(hidden, hidden), ConvPReLU(hidden, _COARSE))
        self.conv = nn.Sequential(*layers)

    def forward(self, features: Tensor, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Estimate once.

        Args:
            features: [N,C,h,w].
            pictures: frames, and after the first head the warped frames, the mask and the flows in pixels of this
                size, [N,·,H/step,W/step].

        Returns:
            What to add to the flows, in pixels, [N,4,H,W] (into the first frame, then into the second, x then y),
            and to the mask, [N,1,H,W].
        """
        features = F.pixel_shuffle(F.pixel_shuffle(features, 2), 2)
        x = torch.cat((features, pictures), dim=1)
        x = resize(self.conv(x), float(self.step))
        return x[:, :4] * float(self.step), x[:, 4:]


class Unet(nn.Module):
    """Draws what the blend of the warped frames lacks, from the frames and their warped features."""

    def __init__(self, width: int) -> None:
        """Make four levels down and up.

        Args:
            width: channels of the output's last layer; twice the backbone's width.
        """
        super().__init__()
        c = width
        self.down0 = Halving(17 + c, 2 * c)
        self.down1 = Halving(4 * c, 4 * c)
        self.down2 = Halving(8 * c, 8 * c)
        self.down3 = Halving(16 * c, 16 * c)
        self.up0 = _up(32 * c, 8 * c)
        self.up1 = _up(16 * c, 4 * c)
        self.up2 = _up(8 * c, 2 * c)
        self.up3 = _up(4 * c, c)
        self.conv = nn.Conv2d(c, 3, 3, 1, 1)

    def forward(self, pictures: Tensor, features: list[tuple[Tensor, Tensor]]) -> Tensor:
        """Draw.

        Args:
            pictures: frames, warped frames, mask and flows, [N,17,H,W].
            features: of five levels, warped from either side, each [N,C,·,·].

        Returns:
            What to add to the blended frame, [N,3,H,W], -1..1.
        """
        s0 = self.down0(torch.cat((pictures, *features[0]), dim=1))
        s1 = self.down1(torch.cat((s0, *features[1]), dim=1))
        s2 = self.down2(torch.cat((s1, *features[2]), dim=1))
        s3 = self.down3(torch.cat((s2, *features[3]), dim=1))
        x = self.up0(torch.cat((s3, *features[4]), dim=1))
        x = self.up1(torch.cat((x, s2), dim=1))
        x = self.up2(torch.cat((x, s1), dim=1))
        x = self.up3(torch.cat((x, s0), dim=1))
        return torch.sigmoid(self.conv(x)) * 2.0 - 1.0


def warp_levels(first: Side, second: Side, flows: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The appearance of both frames at every level, moved to the new frame by `flows` [N,4,H,W], in pixels."""
    warped = []
    for level, (x0, x1) in enumerate(zip(first.appearance, second.appearance, strict=True)):
        if level:
            flows = resize(flows, 0.5) * 0.5
        warped.append((backward_warp(x0, flows[:, :2]), backward_warp(x1, flows[:, 2:])))
    return warped


def _blocks(channels: int, depth: int) -> nn.ModuleList:
    """The attention blocks of one level; every second one shifts its windows."""
    heads, motion = channels // _HEAD_CHANNELS, channels // depth
    shifts = [SHIFT * (index % 2) for index in range(depth)]
    return nn.ModuleList(MotionFormerBlock(channels, motion, heads, _EXPANSION, shift) for shift in shifts)


def _attend(blocks: nn.ModuleList, norm: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens [S,h,w,C] → appearance [S,h,w,C] and the motion of all blocks [S,h,w,C']."""
    place = places(x.shape[1], x.shape[2], x.device)
    motions = []
    for block in blocks:
        x, motion = block(x, place)
        motions.append(motion)
    return norm(x), torch.cat(motions, dim=-1)


def _up(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.ConvTranspose2d(inputs, outputs, 4, 2, 1), nn.PReLU(outputs))
