"""CSPA: cross-scale pyramid alignment with deformable convolutions, no optical flow.

The paper (Zhou et al., "Exploring Motion Ambiguity and Alignment for High-Quality Video Frame Interpolation", CVPR
2023) gives the structure and its equations, but the authors published neither the network nor weights. Widths and
depths here are ours, chosen to meet the published size; they follow the first author's related networks where the paper
is silent. There is no checkpoint to load: train one, or use seeded weights to measure speed.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  (the field's usual name)
from torch import Tensor, nn

from tweenrt.contract import Padding, TimeInput
from tweenrt.export.network import Network
from tweenrt.export.registry import register
from tweenrt.export.spec import ModelSpec, Overview, Published, Weights
from tweenrt.plugins.deform_conv2d.reference import deform_conv2d

_WIDTH = 128
_GROUPS = 8
_TAPS = 9
_LEAK = 0.1


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions around a skip, no normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = _conv(_WIDTH, _WIDTH), _conv(_WIDTH, _WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """[N,128,H,W] → the same shape."""
        out: Tensor = x + self.conv2(F.relu(self.conv1(x)))
        return out


class Encoder(nn.Module):
    """Features of a frame at 1/2, 1/4 and 1/8 of its size."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _conv(3, _WIDTH)
        self.level0 = nn.Sequential(_Step(stride=2), _Step(), _Step(), ResidualBlock(), ResidualBlock())
        self.level1 = nn.Sequential(_Step(stride=2), ResidualBlock(), ResidualBlock())
        self.level2 = nn.Sequential(_Step(stride=2), *(ResidualBlock() for _ in range(5)))

    def forward(self, frame: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[N,3,H,W] → three maps of 128 channels, finest first."""
        x0 = self.level0(F.leaky_relu(self.stem(frame), _LEAK))
        x1 = self.level1(x0)
        return x0, x1, self.level2(x1)


class Align(nn.Module):
    """Predict where to sample one frame's features so that they match the other's, and sample there."""

    def __init__(self) -> None:
        super().__init__()
        self.merge = nn.Sequential(_Step(2 * _WIDTH), _Step())
        self.body = nn.Sequential(*(ResidualBlock() for _ in range(10)))
        self.offset = _conv(_WIDTH, 3 * _GROUPS * _TAPS)
        self.sample = _conv(_WIDTH, _WIDTH)

    def forward(self, source: Tensor, guide: Tensor) -> Tensor:
        """`source` aligned to `guide`, both [N,128,H,W]."""
        split = (2 * _GROUPS * _TAPS, _GROUPS * _TAPS)
        moved, weight = self.offset(self.body(self.merge(torch.cat((source, guide), dim=1)))).split(split, dim=1)
        assert self.sample.bias is not None
        return deform_conv2d(source, moved, weight.sigmoid(), self.sample.weight, self.sample.bias)


class CSPA(Network):
    """Draws the middle frame; see the module."""

    takes_t = False

    def __init__(self, recon_blocks: int = 44) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.align = nn.ModuleDict({f"l{level}": Align() for level in (2, 1, 0)})
        self.csf = nn.ModuleDict({"1": _conv(2 * _WIDTH, _WIDTH), "0": _conv(3 * _WIDTH, _WIDTH)})
        self.recon = nn.Sequential(*(ResidualBlock() for _ in range(recon_blocks)))
        self.head = nn.Sequential(_conv(_WIDTH, 2 * _WIDTH), nn.PixelShuffle(2), _conv(64, 64), nn.Conv2d(64, 3, 1))

    def forward(self, frame0: Tensor, frame1: Tensor) -> Tensor:
        """The middle frame between `frame0` and `frame1`, [N,3,H,W], RGB 0..1."""
        f0, f1 = self.encoder(frame0), self.encoder(frame1)
        a0, a1 = self._aligned(f0, f1), self._aligned(f1, f0)
        attention = (a0 * a1).sigmoid()
        out: Tensor = self.head(self.recon(attention * a0 + (1 - attention) * a1))
        return out.clamp(0.0, 1.0)

    def _aligned(self, source: tuple[Tensor, ...], guide: tuple[Tensor, ...]) -> Tensor:
        """Features of `source` aligned to `guide` from the coarsest level to the finest, [N,128,H/2,W/2].

        Every finer level starts from all coarser results beside its own features: that is the cross-scale fusion.
        """
        coarse = self.align["l2"](source[2], guide[2])
        fused = self.csf["1"](torch.cat((_grown(coarse, 2), source[1]), dim=1))
        middle = self.align["l1"](fused, guide[1])
        fused = self.csf["0"](torch.cat((_grown(coarse, 4), _grown(middle, 2), source[0]), dim=1))
        out: Tensor = self.align["l0"](fused, guide[0])
        return out


class _Step(nn.Module):
    """A 3×3 convolution to 128 channels and a leaky slope."""

    def __init__(self, inputs: int = _WIDTH, stride: int = 1) -> None:
        super().__init__()
        self.conv = _conv(inputs, _WIDTH, stride)

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.conv(x), _LEAK)


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, 1)


def _grown(x: Tensor, factor: int) -> Tensor:
    return F.interpolate(x, scale_factor=float(factor), mode="bilinear", align_corners=False)


register(
    ModelSpec(
        name="cspa",
        title="CSPA (Zhou et al., CVPR 2023)",
        build=CSPA,
        parameters=28_828_043,
        macs=(775.80, 6234.12),
        t=TimeInput.FIXED,
        divisor=8,
        padding=Padding.REPLICATE,
        code_licence="none published; this implementation is MIT",
        weights=Weights(page="", filename="", licence=""),
        opset=19,
        custom_ops=("DeformConv2d",),
        published=Published(36.76, 0.980, "Zhou et al., CVPR 2023"),
        overview=Overview(28.9, remark="the parameters are the authors'; their layers are not public, these are ours"),
        random_gains=(("conv2.", 0.1), ("offset.", 0.1)),
        notes="the authors published no weights: train your own, or use --random-weights to measure speed. "
        "TensorRT-RTX has no DeformConv: it needs our plugin library, whose DeformConv2d takes its place",
    )
)
