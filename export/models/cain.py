"""CAIN: the midpoint of two frames by channel attention, without flow.

Source: Choi et al., "Channel Attention Is All You Need for Video Frame Interpolation", AAAI 2020. Both frames are
folded into channels at 1/8 of their size, five groups of residual blocks with channel attention draw the midpoint
there, and the result is unfolded.

The network works on multiples of 128 pixels, mirrored around the frame, and its authors subtract each channel's mean
before they mirror. A frame that was padded by the caller has another mean, so here the padding belongs to the graph:
it takes frames of any size, and draws exactly what the authors' code draws.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  (the field's usual name)
from torch import Tensor, nn

from tweenrt.contract import Padding, TimeInput
from tweenrt.errors import UsageError
from tweenrt.export.blocks.norm import map_mean
from tweenrt.export.network import Frames, GraphPart, Network
from tweenrt.export.registry import register
from tweenrt.export.spec import Count, ModelSpec, Overview, Published, Weights
from tweenrt.export.uint8 import FramePadding

MIN_SIDE = 44
"""The smallest side that mirroring, which repeats no pixel of the border, can bring to a multiple of 128."""

_TILES = FramePadding(128, Padding.REFLECT)
_FOLD = 8
_WIDTH = 3 * _FOLD**2
_SQUEEZE = 16
_GROUPS, _BLOCKS = 5, 12


class ReflectConv(nn.Module):
    """A 3×3 convolution that mirrors the border; key ``conv``."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1, padding_mode="reflect")

    def forward(self, x: Tensor) -> Tensor:
        """[N,192,H,W] → the same shape."""
        out: Tensor = self.conv(x)
        return out


class ChannelAttention(nn.Module):
    """Scale every channel by what all channels' means suggest; key ``conv_du``."""

    def __init__(self) -> None:
        super().__init__()
        narrow = _WIDTH // _SQUEEZE
        self.conv_du = nn.Sequential(
            nn.Conv2d(_WIDTH, narrow, 1), nn.ReLU(), nn.Conv2d(narrow, _WIDTH, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """[N,192,H,W] → the same shape."""
        out: Tensor = x * self.conv_du(map_mean(x))
        return out


class AttentionBlock(nn.Module):
    """Two convolutions and channel attention around a skip; key ``body``."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(ReflectConv(), nn.LeakyReLU(0.2), ReflectConv(), ChannelAttention())

    def forward(self, x: Tensor) -> Tensor:
        """[N,192,H,W] → the same shape."""
        out: Tensor = x + self.body(x)
        return out


class ResidualGroup(nn.Module):
    """Twelve attention blocks and a convolution around a skip; key ``body``."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(*(AttentionBlock() for _ in range(_BLOCKS)), ReflectConv())

    def forward(self, x: Tensor) -> Tensor:
        """[N,192,H,W] → the same shape."""
        out: Tensor = x + self.body(x)
        return out


class Trunk(nn.Module):
    """Everything between folding and unfolding; keys ``headConv``, ``body``, ``tailConv``."""

    def __init__(self) -> None:
        super().__init__()
        self.headConv = nn.Conv2d(2 * _WIDTH, _WIDTH, 3, padding=1)
        self.body = nn.Sequential(*(ResidualGroup() for _ in range(_GROUPS)))
        self.tailConv = nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1)

    def forward(self, folded: Tensor) -> Tensor:
        """Two folded frames [N,384,H/8,W/8] → the folded midpoint [N,192,H/8,W/8]."""
        head = self.headConv(folded)
        out: Tensor = self.tailConv(head + self.body(head))
        return out


class CAIN(Network):
    """The network; keys below ``encoder.interpolate``."""

    takes_t = False

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.ModuleDict({"interpolate": Trunk()})

    def forward(self, frame0: Tensor, frame1: Tensor) -> Tensor:
        """The midpoint of `frame0` and `frame1`, [N,3,H,W] of any size, RGB 0..1 (not clipped)."""
        both = torch.cat((frame0, frame1), dim=1)
        means = map_mean(both)
        folded = F.pixel_unshuffle(_TILES(both - means), _FOLD)
        drawn = F.pixel_shuffle(self.encoder["interpolate"](folded), _FOLD)
        mean0, mean1 = means.chunk(2, dim=1)
        return drawn[_TILES.window(*frame0.shape[2:])] + (mean0 + mean1) * 0.5

    def pair_part(self, frames: Frames, t: Tensor) -> GraphPart:
        """See `Network.pair_part`.

        Raises:
            UsageError: the frames are too small to be mirrored.
        """
        height, width = frames[0].shape[2:]
        if min(height, width) < MIN_SIDE:
            raise UsageError(f"cain takes frames of at least {MIN_SIDE} pixels a side, got {height}x{width}")
        return super().pair_part(frames, t)


register(
    ModelSpec(
        name="cain",
        title="CAIN (AAAI 2020)",
        build=CAIN,
        parameters=42_780_432,
        macs=(86.97, 652.3),
        t=TimeInput.FIXED,
        divisor=1,
        padding=Padding.REFLECT,
        custom_ops=(),
        code_licence="MIT",
        weights=Weights("https://github.com/myungsub/CAIN", "pretrained_cain.pth", "not stated"),
        published=Published(34.65, 0.9730, "IFRNet paper, Table 1"),
        overview=Overview(42.8, 1.29, Count.DOUBLE, (720, 1280), 1.305, "of frames padded to 768x1280"),
        random_gains=(("tailConv", 0.01),),
        notes=(
            "Draws midpoints only, so factors are 2, 4 or 8; takes frames of any size from 44x44 and mirrors them to "
            "multiples of 128 inside the graph."
        ),
    )
)
