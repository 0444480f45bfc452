"""RAFT, the optical-flow network that DBVI is built on; exportable alone.

Source: Teed and Deng, "RAFT: Recurrent All-Pairs Field Transforms for Optical Flow", ECCV 2020: the larger of its two
networks, with 12 refinements. They are unrolled, and the head that weighs the upsampling runs after the last one only.

The correlation pyramid is made from pooled features of the second frame: averaging is linear, so this is the pooled
correlation volume, without reading the whole volume once per level.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812  (the field's usual name)
from torch import Tensor, nn

from tweenrt.contract import Kind, Padding, TimeInput
from tweenrt.errors import UsageError
from tweenrt.export.blocks.norm import InstanceNorm
from tweenrt.export.network import Frames, GraphPart, Network
from tweenrt.export.registry import register
from tweenrt.export.spec import ModelSpec, Weights
from tweenrt.plugins.correlation_lookup.reference import correlation_lookup

SCALE = 8
"""Flow is estimated at 1/8 of the frame's size."""
LEVELS = 4
SMALLEST_SIDE = SCALE * 2 ** (LEVELS - 1)
"""On smaller frames the coarsest level of the correlation pyramid would be empty."""
ITERATIONS = 12
_RADIUS = 4
_HIDDEN = 128
_NEIGHBOURS = 9
_MASK_SCALE = 0.25


class Context(NamedTuple):
    """What the refinements know about the first frame; both [N,128,H/8,W/8].

    Attributes:
        hidden: the recurrent unit's state before the first refinement, -1..1.
        inputs: what it sees in every refinement, 0 and above.
    """

    hidden: Tensor
    inputs: Tensor


class Raft(Network):
    """Optical flow from one frame to another."""

    takes_t = False

    def __init__(self) -> None:
        super().__init__()
        self.fnet = _Encoder(2 * _HIDDEN, InstanceNorm, keep_norms=False)
        self.cnet = _Encoder(2 * _HIDDEN, nn.BatchNorm2d, keep_norms=True)
        self.update_block = _Update()

    def forward(self, frame0: Tensor, frame1: Tensor) -> Tensor:
        """The flow from `frame0` to `frame1`.

        Args:
            frame0: the frame whose pixels move, [N,3,H,W], RGB 0..1.
            frame1: the frame that they move to, like `frame0`.

        Returns:
            Displacement in pixels, [N,2,H,W], x then y.
        """
        both = 2.0 * torch.cat((frame0, frame1)) - 1.0
        features0, features1 = stacked(self.features(both), 2)
        return self.flow(self.context(stacked(both, 2)[0]), features0, features1)

    def features(self, image: Tensor) -> Tensor:
        """What the correlation compares: [N,3,H,W], RGB -1..1 → [N,256,H/8,W/8].

        Raises:
            UsageError: the image is smaller than `SMALLEST_SIDE`.
        """
        sides = [side for side in image.shape[2:] if isinstance(side, int)]
        if sides and min(sides) < SMALLEST_SIDE:
            size = "x".join(str(side) for side in image.shape[2:])
            raise UsageError(f"RAFT needs frames of at least {SMALLEST_SIDE}x{SMALLEST_SIDE} pixels, got {size}")
        features: Tensor = self.fnet(image)
        return features

    def context(self, image: Tensor) -> Context:
        """What the refinements know about the first frame, [N,3,H,W], RGB -1..1."""
        hidden, inputs = self.cnet(image).chunk(2, dim=1)
        return Context(hidden.tanh(), inputs.relu())

    def flow(self, context: Context, features0: Tensor, features1: Tensor) -> Tensor:
        """The flow in pixels, [N,2,H,W], from what `context` and `features` gave for the frames."""
        pyramid = correlation_pyramid(features0, features1)
        hidden = context.hidden
        flow = torch.zeros_like(hidden[:, :2])
        for _ in range(ITERATIONS):
            hidden, change = self.update_block(hidden, context.inputs, look_up(pyramid, flow), flow)
            flow = flow + change
        return upsample(flow, _MASK_SCALE * self.update_block.mask(hidden))

    def part(self, kind: Kind, frames: Frames, t: Tensor) -> GraphPart:
        """See `Network.part`: ``flow``."""
        del t
        if kind is not Kind.FLOW:
            raise UsageError(f"raft has no '{kind.value}' graph, only 'flow'")
        return GraphPart(self, {"frame0": frames[0], "frame1": frames[1]}, ("flow",))


def stacked(x: Tensor, count: int) -> tuple[Tensor, ...]:
    """Take `count` batches of one size N apart that were put together to [count·N,…]."""
    # Not chunk: it turns N into a number, and a traced graph would run with that N only.
    return tuple(x.reshape(count, -1, *x.shape[1:]).unbind(0))


def correlation_pyramid(features0: Tensor, features1: Tensor) -> list[Tensor]:
    """How alike every pixel of the first is to every pixel of the second, at four sizes of the second.

    Args:
        features0: [N,C,h,w].
        features1: like `features0`.

    Returns:
        `LEVELS` times [N·h·w,1,h',w'], finest first, h' = h, h/2, h/4, h/8, rounded down.
    """
    batch, channels, rows, columns = features0.shape
    # Scaled last: a product before the reshape stops TensorRT-RTX 1.7 (docs/tensorrt.md).
    queries = features0.reshape(batch, channels, rows * columns).transpose(1, 2) * channels**-0.5
    pyramid = []
    for level in range(LEVELS):
        if level:
            features1 = F.avg_pool2d(features1, 2)
        height, width = features1.shape[2:]
        corr = queries @ features1.reshape(batch, channels, height * width)
        pyramid.append(corr.reshape(batch * rows * columns, 1, height, width))
    return pyramid


def look_up(pyramid: list[Tensor], flow: Tensor) -> Tensor:
    """The correlation around where `flow` [N,2,h,w] points in every level: [N,`LEVELS`·81,h,w]."""
    height, width = flow.shape[2:]
    columns = torch.arange(width, device=flow.device, dtype=flow.dtype).expand(height, width)
    rows = torch.arange(height, device=flow.device, dtype=flow.dtype)[:, None].expand(height, width)
    coords = flow + torch.stack((columns, rows))
    windows = [correlation_lookup(corr, coords * 0.5**level, _RADIUS) for level, corr in enumerate(pyramid)]
    return torch.cat(windows, dim=1)


def upsample(flow: Tensor, logits: Tensor) -> Tensor:
    """Every fine pixel is a weighted average of the 3×3 coarse pixels around it.

    Args:
        flow: in pixels of 1/8 of the frame's size, [N,2,h,w].
        logits: of the nine weights of each of the 64 fine pixels, [N,9·64,h,w].

    Returns:
        Flow in pixels, [N,2,8h,8w].
    """
    batch, _, height, width = flow.shape
    weights = logits.reshape(batch, _NEIGHBOURS, SCALE**2, height, width).softmax(dim=1)
    padded = F.pad(SCALE * flow, (1, 1, 1, 1))
    near = [padded[:, :, y : y + height, x : x + width] for y in range(3) for x in range(3)]
    neighbours = torch.stack(near, dim=2)[:, :, :, None]
    fine = [(weights * axis.squeeze(1)).sum(dim=1) for axis in neighbours.split(1, dim=1)]
    return F.pixel_shuffle(torch.cat(fine, dim=1), SCALE)


class _Residual(nn.Module):
    """Two 3×3 convolutions around a skip, each normalised and rectified."""

    def __init__(self, inputs: int, outputs: int, stride: int, norm: type[nn.Module], *, keep_norms: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.norm1, self.norm2 = (_norm(norm, outputs, keep=keep_norms) for _ in range(2))
        self.downsample: nn.Module | None = None
        if stride != 1:
            # The checkpoint has this layer under both names.
            self.norm3 = _norm(norm, outputs, keep=keep_norms)
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride), self.norm3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(self.conv1(x)).relu()
        y = self.norm2(self.conv2(y)).relu()
        skip = x if self.downsample is None else self.downsample(x)
        return F.relu(skip + y)


class _Encoder(nn.Module):
    """A frame [N,3,H,W] → features [N,C,H/8,W/8]."""

    def __init__(self, outputs: int, norm: type[nn.Module], *, keep_norms: bool) -> None:
        super().__init__()
        self.norm1 = _norm(norm, 64, keep=keep_norms)
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3)
        widths = ((64, 64, 1), (64, 96, 2), (96, 128, 2))
        for i, (inputs, width, stride) in enumerate(widths, start=1):
            first = _Residual(inputs, width, stride, norm, keep_norms=keep_norms)
            second = _Residual(width, width, 1, norm, keep_norms=keep_norms)
            self.add_module(f"layer{i}", nn.Sequential(first, second))
        self.conv2 = nn.Conv2d(128, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1(self.conv1(x)).relu()
        for name in ("layer1", "layer2", "layer3", "conv2"):
            x = self.get_submodule(name)(x)
        return x


def _norm(norm: type[nn.Module], channels: int, *, keep: bool) -> nn.Module:
    """A layer of `channels` where the checkpoint holds its parameters, else one that has none."""
    return norm(channels) if keep else norm()


class _MotionEncoder(nn.Module):
    """What the correlation and the flow so far say about the motion: 128 channels, the last two the flow."""

    def __init__(self) -> None:
        super().__init__()
        self.convc1 = nn.Conv2d(LEVELS * (2 * _RADIUS + 1) ** 2, 256, 1)
        self.convc2 = nn.Conv2d(256, 192, 3, padding=1)
        self.convf1 = nn.Conv2d(2, 128, 7, padding=3)
        self.convf2 = nn.Conv2d(128, 64, 3, padding=1)
        self.conv = nn.Conv2d(64 + 192, 128 - 2, 3, padding=1)

    def forward(self, corr: Tensor, flow: Tensor) -> Tensor:
        seen = self.convc2(self.convc1(corr).relu()).relu()
        moved = self.convf2(self.convf1(flow).relu()).relu()
        return torch.cat((self.conv(torch.cat((seen, moved), dim=1)).relu(), flow), dim=1)


class _Gru(nn.Module):
    """A gated recurrent unit whose convolutions run along the rows first, then along the columns."""

    def __init__(self) -> None:
        super().__init__()
        for i, kernel in ((1, (1, 5)), (2, (5, 1))):
            for gate in "zrq":
                padding = (kernel[0] // 2, kernel[1] // 2)
                self.add_module(f"conv{gate}{i}", nn.Conv2d(3 * _HIDDEN, _HIDDEN, kernel, padding=padding))

    def forward(self, hidden: Tensor, x: Tensor) -> Tensor:
        for i in (1, 2):
            update, reset, candidate = (self.get_submodule(f"conv{gate}{i}") for gate in "zrq")
            both = torch.cat((hidden, x), dim=1)
            z, r = update(both).sigmoid(), reset(both).sigmoid()
            q = candidate(torch.cat((r * hidden, x), dim=1)).tanh()
            hidden = (1 - z) * hidden + z * q
        return hidden


class _FlowHead(nn.Module):
    """Hidden state → change of the flow, in pixels of 1/8 of the frame's size."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(_HIDDEN, 256, 3, padding=1)
        self.conv2 = nn.Conv2d(256, 2, 3, padding=1)

    def forward(self, hidden: Tensor) -> Tensor:
        change: Tensor = self.conv2(self.conv1(hidden).relu())
        return change


class _Update(nn.Module):
    """One refinement."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = _MotionEncoder()
        self.gru = _Gru()
        self.flow_head = _FlowHead()
        weights = _NEIGHBOURS * SCALE**2
        self.mask = nn.Sequential(nn.Conv2d(_HIDDEN, 256, 3, padding=1), nn.ReLU(), nn.Conv2d(256, weights, 1))

    def forward(self, hidden: Tensor, inputs: Tensor, corr: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.gru(hidden, torch.cat((inputs, self.encoder(corr, flow)), dim=1))
        return hidden, self.flow_head(hidden)


register(
    ModelSpec(
        name="raft",
        title="RAFT (ECCV 2020), the flow network of DBVI",
        build=Raft,
        parameters=5_257_536,
        macs=(82.8, 727.1),
        t=TimeInput.FIXED,
        divisor=SCALE,
        padding=Padding.REFLECT_BOTTOM_RIGHT,
        kinds=(Kind.FLOW,),
        custom_ops=("CorrelationLookup",),
        code_licence="BSD-3-Clause",
        weights=Weights(
            page="https://github.com/princeton-vl/RAFT",
            filename="raft-things.pth",
            licence="not stated",
        ),
        random_gains=(("flow_head.conv2", 0.05),),
        notes="Draws no frame: it gives the flow between two; frames of at least 64x64 pixels.",
    )
)
