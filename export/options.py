"""What a user may choose when exporting."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from tweenrt.contract import FrameIO, Kind


class MaskedConv(str, Enum):
    """Which portable body a mask-guided convolution (UGSP) carries."""

    DENSE = "dense"  # convolve everywhere, then apply the mask: every runtime, TensorRT included, can build it
    GATHER = "gather"  # compute the set pixels only: faster on ONNX Runtime's CPU, needs NonZero and If


class Layout(str, Enum):
    """Which inputs a finished graph has."""

    TWEENRT = "tweenrt"  # our contract: frame0, frame1, t
    VSMLRT_V1 = "vsmlrt-v1"  # one input of 11 channels, as vs-mlrt's scripts feed RIFE
    VSMLRT_V2 = "vsmlrt-v2"  # one input of 7 channels, likewise


@dataclass(frozen=True)
class ExportOptions:
    """What to export.

    Attributes:
        kinds: which graphs; several share one pair id.
        size: H and W in pixels, or None to leave both dynamic.
        batch: N, or None to leave it dynamic.
        io: how frames enter and leave.
        masked_conv: the body of mask-guided convolutions; without effect on networks that have none.
    """

    kinds: tuple[Kind, ...] = (Kind.PAIR,)
    size: tuple[int, int] | None = None
    batch: int | None = None
    io: FrameIO = FrameIO.FLOAT
    masked_conv: MaskedConv = MaskedConv.DENSE
