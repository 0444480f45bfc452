"""One unrolled stage of DBVI: where the estimate is wrong, and the network that corrects it.

Attribute names are the checkpoints' key names. Source: Yu et al., "Deep Bayesian Video Frame Interpolation", ECCV 2022.

The style that modulates a stage is a function of an input that is always zero, so it is computed once from the weights.
The log-determinant of the authors' 1×1 convolution only served training.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812  (the field's usual name)
from torch import Tensor, nn

from tweenrt.export.blocks.norm import GroupNorm, instance_norm
from tweenrt.plugins.backward_warp.reference import backward_warp
from tweenrt.plugins.forward_splat.reference import forward_splat

FEATURES = 16
"""Channels that one stage hands to the next."""
GRADIENTS = 32
"""Channels in which the flows' prior is modelled."""

_GROUPS = 4
_CODE, _STYLE = 128, 512
_VISIBLE = 0.9999  # a warped pixel counts where at least this share of it comes from inside the frame


class State(NamedTuple):
    """What one stage hands to the next.

    Attributes:
        image: the estimate of the new frame, [N,3,H,W], RGB -1..1 less the window's mean.
        features: [N,16,H,W].
        gradient: [N,32,H,W]; the first four channels of what a stage adds to it are changes of the flows.
        flow0: from the new frame into the earlier frame, pixels, [N,2,H,W].
        flow1: into the later frame.
    """

    image: Tensor
    features: Tensor
    gradient: Tensor
    flow0: Tensor
    flow1: Tensor


class Stage(nn.Module):
    """One unrolled stage."""

    def __init__(self) -> None:
        super().__init__()
        widths = (_CODE, *[_STYLE] * 8)
        layers = [m for a, b in pairwise(widths) for m in (nn.Linear(a, b), nn.LeakyReLU(0.2))]
        self.mapping = nn.Sequential(*layers)
        self.convUV = nn.Sequential(_block(FEATURES, FEATURES), _block(FEATURES, 2 * GRADIENTS, 1))
        self.invConv = _Rotation()
        self.compConv = _block(GRADIENTS, 4, 1)
        inputs = 3 + 3 + 3 + 3 + 3 + 2 + 2 + FEATURES + 4
        conv = nn.Conv2d(inputs, FEATURES, 3, padding=1, bias=False)
        self.inConv = _Block(conv, GroupNorm(_GROUPS, FEATURES), nn.GELU())
        self.style_block = _StyleBlock()
        self.convNext = nn.Sequential(_block(FEATURES, FEATURES), _block(FEATURES, FEATURES))
        self.toRGB = _block(FEATURES, 3)
        self.toFlow = nn.Sequential(_block(FEATURES, FEATURES), _block(FEATURES, GRADIENTS, 1))

    def fold(self) -> None:
        """Compute the style, which is the same for every frame."""
        with torch.no_grad():
            self.style_block.fold(self.mapping(torch.zeros(1, _CODE)))

    def forward(self, state: State, image0: Tensor, image1: Tensor, t: Tensor) -> State:
        """The next state, from the inner frames [N,3,H,W] (-1..1 less the mean) and the moment t [N,1,1,1]."""
        lack0 = _mismatch(state.image, image0, state.flow0) * (1.0 - t)
        lack1 = _mismatch(state.image, image1, state.flow1) * t
        seen = (image0, image1, state.image, lack0, lack1, state.flow0, state.flow1, state.features)
        x = self.inConv(torch.cat((*seen, self._smoothness(state)), dim=1))
        features = self.convNext(self.style_block(x))
        change = self.toFlow(features)
        return State(
            image=state.image + self.toRGB(features),
            features=features,
            gradient=state.gradient + change,
            flow0=state.flow0 + change[:, 0:2],
            flow1=state.flow1 + change[:, 2:4],
        )

    def _smoothness(self, state: State) -> Tensor:
        """Where the learnt prior of the flows wants them to go, [N,4,H,W]."""
        mean, precision = self.convUV(state.features).chunk(2, dim=1)
        off = self.invConv(state.gradient) - mean
        out: Tensor = self.compConv(self.invConv.back(off * precision.sigmoid()))
        return out


def _mismatch(image: Tensor, frame: Tensor, flow: Tensor) -> Tensor:
    """What the estimate lacks to look like `frame`, at the estimate's pixels; zero where it cannot be seen."""
    seen = (_share_inside(flow) >= _VISIBLE).to(frame.dtype)
    return forward_splat((frame - backward_warp(image, flow, "zeros")) * seen, flow)


def _share_inside(flow: Tensor) -> Tensor:
    """How much of each pixel, moved along `flow` [N,2,H,W] (pixels), lies inside the frame: [N,1,H,W], 0..1."""
    # A warped map of ones would say the same, but the threshold on it makes its last digits count, and there a warp
    # is off by the rounding of normalised coordinates, 1e-5 pixels and more.
    dx, dy = flow.split(1, dim=1)
    height, width = flow.shape[2:]
    columns = dx + torch.arange(width, device=flow.device)
    rows = dy + torch.arange(height, device=flow.device)[:, None]
    inside_x, inside_y = _overlap(columns, width), _overlap(rows, height)
    return inside_x * inside_y


def _overlap(position: Tensor, size: int) -> Tensor:
    """1 from the first to the last of `size` pixels, falling to 0 within one pixel on either side."""
    return (1.0 - (-position).relu() - (position - (size - 1)).relu()).relu()


def _block(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, *, norm: bool = True) -> nn.Module:
    """Normalise, activate, convolve."""
    layers = [GroupNorm(_GROUPS, inputs)] if norm else []
    return _Block(*layers, nn.GELU(), nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False))


class _Block(nn.Module):
    """Some layers under the checkpoints' name ``block``."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.block = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.block(x)
        return out


class _Down(nn.Module):
    """Half the size."""

    def __init__(self, inputs: int, outputs: int, *, norm: bool = True) -> None:
        super().__init__()
        self.downConv1 = _block(inputs, outputs, stride=2, norm=norm)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.downConv1(x)
        return out


class _Up(nn.Module):
    """Double the size."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.upConv1 = nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), _block(inputs, outputs))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.upConv1(x)
        return out


class _Bottleneck(nn.Module):
    """Convolve with a quarter of the channels, around a skip."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv0 = _block(channels, channels // 4, 1)
        self.conv1 = _block(channels // 4, channels // 4)
        self.conv2 = _block(channels // 4, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.conv2(self.conv1(self.conv0(x)))
        return out


class _UNet(nn.Module):
    """Down to 1/8 of the size and back, with sums as skips."""

    def __init__(self, *, first_norm: bool = True) -> None:
        super().__init__()
        self.block1 = nn.Sequential(_Down(16, 16, norm=first_norm))
        self.block2 = nn.Sequential(_Down(16, 64))
        self.block3 = nn.Sequential(_Down(64, 256), _Bottleneck(256), _Bottleneck(256))
        self.deBlock0 = nn.Sequential(_Up(256, 64))
        self.deBlock1 = nn.Sequential(_Up(64, 16))
        self.deBlock2 = nn.Sequential(_Up(16, 16))

    def forward(self, x: Tensor) -> Tensor:
        half = self.block1(x)
        quarter = self.block2(half)
        up = self.deBlock0(self.block3(quarter)) + quarter
        up = self.deBlock1(up) + half
        full: Tensor = self.deBlock2(up) + x
        return full


class _TwoUNets(nn.Module):
    """Two U-Nets around a skip."""

    def __init__(self, *, first_norm: bool) -> None:
        super().__init__()
        self.RDB1 = _UNet(first_norm=first_norm)
        self.RDB2 = _UNet()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.RDB2(self.RDB1(x)) + x
        return out


class _StyleBlock(nn.Module):
    """The trunk of a stage; after each half, the style scales and shifts the normalised channels."""

    def __init__(self) -> None:
        super().__init__()
        for i in range(2):
            self.add_module(str(i), _TwoUNets(first_norm=i == 0))
            self.add_module(f"trans{i}", nn.Linear(_STYLE, 2 * FEATURES))
        self.lrConv = _block(FEATURES, FEATURES)
        self.register_buffer("style", torch.zeros(2, 2, 1, FEATURES, 1, 1), persistent=False)

    def fold(self, style: Tensor) -> None:
        """Keep the scales and shifts that `style` [1,512] gives."""
        rows = [self.get_submodule(f"trans{i}")(style).reshape(2, 1, FEATURES, 1, 1) for i in range(2)]
        self.style = torch.stack([torch.stack((1.0 + scale.tanh(), shift)) for scale, shift in rows])

    def forward(self, x: Tensor) -> Tensor:
        skip = x
        for i in range(2):
            scale, shift = self.style[i].unbind(0)
            x = scale * instance_norm(self.get_submodule(str(i))(x)) + shift
        out: Tensor = (self.lrConv(x) + skip) * 0.5
        return out


class _Rotation(nn.Module):
    """The matrix of a 1×1 convolution that is also applied transposed."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(GRADIENTS))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight[:, :, None, None])

    def back(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight.t()[:, :, None, None])
