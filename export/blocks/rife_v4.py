"""The parts of Practical-RIFE 4.x: what distinguishes its versions, the encoder of a frame, and the flow block.

Attribute names are the checkpoints' key names. Source: Huang et al., "Real-Time Intermediate Flow Estimation for
Video Frame Interpolation", ECCV 2022, and the versions that its author released since as Practical-RIFE.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum

import torch
import torch.nn.functional as F  # noqa: N812  (the field's usual name)
from torch import Tensor, nn

from tweenrt.export.blocks.ifr import ConvPReLU, resize

IMAGE, TIME, MASK, FLOW = 3, 1, 1, 4
"""Channels of a frame, of the map that holds t, of the mask, and of both flow fields."""

_SLOPE = 0.2


class Head(Enum):
    """How a frame becomes the features that are warped along with it."""

    NONE = "no features"
    SHORT = "two layers in a sequence, no activation"
    SEQUENCE = "four layers in a sequence"
    NAMED = "four layers with names of their own"


class Body(Enum):
    """What the eight layers of a block are."""

    SKIP = "convolution and PReLU, one skip around all eight"
    PLAIN = "convolution and leaky ReLU"
    RESIDUAL = "residual convolution with a learnt strength per channel"


@dataclass(frozen=True)
class Topology:
    """What distinguishes one version from another.

    Attributes:
        widths: channels of each block, coarsest block first.
        scales: each block works on frames this many times smaller.
        body: the layers inside a block.
        head: the encoder of a frame.
        head_width: channels inside the encoder.
        features: channels that the encoder gives, at the resolution of the frame.
        predicted: channels that a block predicts: flow, mask, and what else it was trained with.
        hidden: how many of those after flow and mask are handed to the next block.
        shuffled: a block's last layer predicts at twice its resolution by a pixel shuffle.
        groups: groups of the residual convolutions.
        adds_mask: a block's mask is an update of the mask before it; otherwise it replaces it.
        retries: every scale is doubled where the motion turns out to be large.
    """

    widths: tuple[int, ...] = (192, 128, 96, 64)
    scales: tuple[int, ...] = (8, 4, 2, 1)
    body: Body = Body.RESIDUAL
    head: Head = Head.NONE
    head_width: int = 0
    features: int = 0
    predicted: int = 6
    hidden: int = 0
    shuffled: bool = True
    groups: int = 1
    adds_mask: bool = False
    retries: bool = False

    @property
    def inputs(self) -> list[int]:
        """Channels that each block looks at."""
        first = 2 * (IMAGE + self.features) + TIME
        return [first] + [first + MASK + self.hidden + FLOW] * (len(self.widths) - 1)

    @property
    def divisor(self) -> int:
        """What the sides of a frame must be multiples of: the coarsest block works at a quarter of its scale."""
        return 4 * max(self.scales) * (2 if self.retries else 1)


@dataclass
class Motion:
    """What is known about the new frame's motion, or what a block adds to it.

    Attributes:
        flow: pixels from the new frame into frame 0 (channels 0 and 1) and frame 1 (2 and 3), [N,4,H,W].
        mask: weight of frame 0 before the sigmoid, [N,1,H,W].
        hidden: features for the next block, [N,hidden,H,W], where the topology has any.
    """

    flow: Tensor
    mask: Tensor
    hidden: tuple[Tensor, ...]


@dataclass
class Prediction:
    """What a block predicts, at the resolution at which it does.

    Enlarging by `gain` and then shrinking by 2, 4, 8 or 16 is the same as enlarging by the ratio alone: both read the
    same straight line between two predictions at the same point, as long as the ratio is even. So what only the next
    block reads is never brought to the size of the frame.

    Attributes:
        values: flow in units of `gain` pixels, mask, and features for the next block, [N,C,H/gain,W/gain].
        gain: how many times larger the frame is.
    """

    values: Tensor
    gain: int

    def flow(self) -> Tensor:
        """The flow in pixels, [N,4,H,W]."""
        return resize(self.values[:, :FLOW], float(self.gain)) * self.gain

    def rest(self, scale: int) -> Tensor:
        """Mask and features, [N,C-4,H/scale,W/scale]."""
        return resize(self.values[:, FLOW:], self.gain / scale)


class ResidualConv(nn.Module):
    """``lrelu(conv(x) * beta + x)``."""

    beta: nn.Parameter | None

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1, groups=groups)
        self.beta = nn.Parameter(torch.ones(1, width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """[N,width,h,w] → the same shape."""
        change = self.conv(x) if self.beta is None else self.conv(x) * self.beta
        return F.leaky_relu(change + x, _SLOPE)

    def fold(self) -> None:
        """Multiply the strengths into the convolution, once and for all."""
        if self.beta is None or self.conv.bias is None:
            return
        self.conv.weight.data *= self.beta.data.reshape(-1, 1, 1, 1)
        self.conv.bias.data *= self.beta.data.flatten()
        self.beta = None


class Block(nn.Module):
    """One refinement of flow and mask, at one scale."""

    def __init__(self, inputs: int, width: int, topology: Topology) -> None:
        super().__init__()
        half = width // 2
        self.conv0 = nn.Sequential(_conv(inputs, half, topology.body, 2), _conv(half, width, topology.body, 2))
        self.convblock = nn.Sequential(*(_layer(width, topology) for _ in range(8)))
        self.lastconv = _last(width, topology)
        self.skips = topology.body is Body.SKIP
        self.hidden = topology.hidden
        self.upsampling = 1 if topology.shuffled else 2

    def forward(self, x: Tensor, scale: int) -> Motion:
        """What the block adds, from all that it looks at: [N,C,H/scale,W/scale], flow in pixels of that size last."""
        prediction = self.predict(x, scale, FLOW + MASK + self.hidden)
        rest = prediction.rest(1)
        return Motion(prediction.flow(), rest[:, :MASK], (rest[:, MASK:],) if self.hidden else ())

    def predict(self, x: Tensor, scale: int, channels: int) -> Prediction:
        """The first `channels` of the prediction from all that the block looks at, `scale` times smaller already."""
        features = self.conv0(x)
        body = self.convblock(features)
        values = self._predict(body + features if self.skips else body, channels)
        return Prediction(values, scale * self.upsampling)

    def _predict(self, x: Tensor, channels: int) -> Tensor:
        """The last layer, without the channels that nobody reads: they are a third of the finest block's work."""
        shuffled = isinstance(self.lastconv, nn.Sequential)
        last = self.lastconv[0] if isinstance(self.lastconv, nn.Sequential) else self.lastconv
        assert isinstance(last, nn.ConvTranspose2d)
        assert last.bias is not None
        count = channels * (4 if shuffled else 1)
        unused = count < last.out_channels
        weight, bias = (last.weight[:, :count], last.bias[:count]) if unused else (last.weight, last.bias)
        values = F.conv_transpose2d(x, weight, bias, stride=2, padding=1)
        return F.pixel_shuffle(values, 2) if shuffled else values


class Encoder(nn.Sequential):
    """The features of a frame, at its own resolution."""

    def __init__(self, topology: Topology) -> None:
        width = topology.head_width
        first, last = nn.Conv2d(IMAGE, width, 3, 2, 1), nn.ConvTranspose2d(width, topology.features, 4, 2, 1)
        if topology.head is Head.SHORT:
            super().__init__(first, last)
            return
        convs = (first, nn.Conv2d(width, width, 3, 1, 1), nn.Conv2d(width, width, 3, 1, 1))
        if topology.head is Head.SEQUENCE:
            super().__init__(*(layer for conv in convs for layer in (conv, nn.LeakyReLU(_SLOPE))), last)
            return
        named: OrderedDict[str, nn.Module] = OrderedDict()
        for k, conv in enumerate(convs):
            named |= {f"cnn{k}": conv, f"relu{k}": nn.LeakyReLU(_SLOPE)}
        super().__init__(OrderedDict(named, cnn3=last))

    def forward(self, frame: Tensor) -> tuple[Tensor, ...]:
        """[N,3,H,W], RGB 0..1 → one tensor [N,features,H,W]."""
        features = frame
        for layer in self:
            features = layer(features)
        return (features,)


def _conv(inputs: int, outputs: int, body: Body, stride: int = 1) -> nn.Sequential:
    if body is Body.SKIP:
        return ConvPReLU(inputs, outputs, stride=stride)
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.LeakyReLU(_SLOPE))


def _layer(width: int, topology: Topology) -> nn.Module:
    if topology.body is Body.RESIDUAL:
        return ResidualConv(width, topology.groups)
    return _conv(width, width, topology.body)


def _last(width: int, topology: Topology) -> nn.Module:
    if not topology.shuffled:
        return nn.ConvTranspose2d(width, topology.predicted, 4, 2, 1)
    return nn.Sequential(nn.ConvTranspose2d(width, 4 * topology.predicted, 4, 2, 1), nn.PixelShuffle(2))
