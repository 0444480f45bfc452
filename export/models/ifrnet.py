"""IFRNet in three sizes, and its distance-indexed variants with and without a reference frame.

Source: Kong et al., "IFRNet: Intermediate Feature Refine Network for Efficient Frame Interpolation", CVPR 2022. One
encoder-decoder refines, from 1/16 of the frame's size up to the full size, the flow into both frames together with
the features of the new frame. The variants are from Zhong et al., "Clearer Frames, Anytime: Resolving Velocity
Ambiguity in Video Frame Interpolation", ECCV 2024: a distance for every pixel takes the place of t, and the second
variant also looks at an earlier estimate. They were trained on BGR frames.

One mean over both frames is subtracted before encoding, so features belong to a pair and not to a frame. The last
warp needs no mean: a weighted average of ``frame - mean``, plus the mean, is the same average of the frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from tweenrt.contract import Kind, Padding, Reuse, TimeInput
from tweenrt.export.blocks.color import swap_red_and_blue
from tweenrt.export.blocks.ifr import Decoder, PyramidEncoder, double, finer, pair_mean, resize, warp_both
from tweenrt.export.network import Frames, GraphPart, Network, PairEncodedNetwork
from tweenrt.export.registry import register
from tweenrt.export.spec import FLOW_SCALES, Count, ModelSpec, Overview, Published, Weights
from tweenrt.plugins.warp_blend.reference import warp_blend

_LEVELS = 4
_COARSEST = 1.0 / 2**_LEVELS
_FLOW, _MASK, _RESIDUAL = 4, 1, 3
_OPS = ("WarpBlend", "WarpConcat")


@dataclass(frozen=True)
class Widths:
    """What distinguishes one size from another; every other width follows.

    Attributes:
        levels: channels of the encoder at 1/2, 1/4, 1/8 and 1/16 of the frame's size.
        first_kernel: side of the encoder's first convolution.
    """

    levels: tuple[int, int, int, int]
    first_kernel: int = 3


SMALL = Widths((24, 36, 54, 72))
BASE = Widths((32, 48, 72, 96))
LARGE = Widths((64, 96, 144, 192), first_kernel=7)


class Refined(NamedTuple):
    """What the decoder gives at the frame's size.

    Attributes:
        flow: pixels from the new frame into the earlier (channels 0 and 1) and the later frame, [N,4,H,W].
        mask: weight of the earlier frame, [N,1,H,W], 0..1.
        residual: what is added to the blend, [N,3,H,W], in the network's colour order.
    """

    flow: Tensor
    mask: Tensor
    residual: Tensor


class Refiner(Network):
    """The layers of every variant, with the authors' key names."""

    def __init__(self, widths: Widths, coarse_frames: int = 2, maps: int = 1) -> None:
        """Make the layers.

        Args:
            widths: which size.
            coarse_frames: frames whose features the coarsest decoder level sees.
            maps: maps of one channel that it sees.
        """
        super().__init__()
        first, second, third, fourth = widths.levels
        self.encoder = PyramidEncoder(widths.levels, widths.first_kernel)
        self.decoder4 = Decoder(coarse_frames * fourth + maps, 2 * fourth, _FLOW + third, side=first)
        self.decoder3 = Decoder(3 * third + _FLOW, 3 * third, _FLOW + second, side=first)
        self.decoder2 = Decoder(3 * second + _FLOW, 3 * second, _FLOW + first, side=first)
        self.decoder1 = Decoder(3 * first + _FLOW, 3 * first, _FLOW + _MASK + _RESIDUAL, side=first)

    def encode(self, frame0: Tensor, frame1: Tensor) -> tuple[Tensor, ...]:
        """Features of a pair of frames [N,3,H,W]: four of the earlier, then four of the later, finest first."""
        mean = pair_mean(frame0, frame1)
        return (*self.look(frame0 - mean), *self.look(frame1 - mean))

    def look(self, centred: Tensor) -> tuple[Tensor, ...]:
        """Features of a frame [N,3,H,W] less the mean, finest first."""
        features: tuple[Tensor, ...] = self.encoder(resize(centred, self.flow_scale))
        return features

    def refine(self, features: tuple[Tensor, ...], *coarse: Tensor) -> Refined:
        """Decode from the coarsest level to the full size.

        Args:
            features: what `encode` gives for the pair.
            coarse: what the coarsest level sees besides, each [N,·,H/16,W/16], with H and W of flow.
        """
        features0, features1 = features[:_LEVELS], features[_LEVELS:]
        flow, feature = _cut(self.decoder4(features0[-1], features1[-1], *coarse))
        for level, decoder in ((2, self.decoder3), (1, self.decoder2), (0, self.decoder1)):
            warped = warp_both(features0[level], features1[level], flow)
            update, feature = _cut(decoder(feature, *warped, flow))
            flow = update + double(flow)
        mask, residual = feature.split((_MASK, _RESIDUAL), dim=1)
        larger = 1.0 / self.flow_scale
        return Refined(finer(flow, larger), resize(mask.sigmoid(), larger), resize(residual, larger))

    def shrink(self, distances: Tensor) -> Tensor:
        """[N,1,H,W] as large as the coarsest level."""
        return resize(distances, _COARSEST * self.flow_scale)


class IFRNet(Refiner, PairEncodedNetwork):
    """The network of any size; t is one number for each sample."""

    def synthesize(self, frame0: Tensor, frame1: Tensor, features: tuple[Tensor, ...], t: Tensor) -> Tensor:
        """The frame at t [N,1,1,1] from two frames and the pair's features."""
        rows, columns = features[-1].shape[2:]
        flow, mask, residual = self.refine(features, t.expand(-1, 1, rows, columns))
        return _blend(frame0, frame1, flow, mask, residual)


class DistanceIFRNet(Refiner, PairEncodedNetwork):
    """The [D] variant: t is a distance for every pixel, [N,1,H,W]."""

    def __init__(self) -> None:
        super().__init__(BASE)

    def encode(self, frame0: Tensor, frame1: Tensor) -> tuple[Tensor, ...]:
        """See `Refiner.encode`; the frames are RGB."""
        return super().encode(swap_red_and_blue(frame0), swap_red_and_blue(frame1))

    def synthesize(self, frame0: Tensor, frame1: Tensor, features: tuple[Tensor, ...], t: Tensor) -> Tensor:
        """The frame at the distances t [N,1,H,W] from two frames and the pair's features."""
        flow, mask, residual = self.refine(features, self.shrink(t))
        return _blend(frame0, frame1, flow, mask, swap_red_and_blue(residual))

    def part(self, kind: Kind, frames: Frames, t: Tensor) -> GraphPart:
        """See `PairEncodedNetwork.part`; the example's distances rise from left to right to t."""
        return super().part(kind, frames, _example_map(frames[0], t))


class ReferenceIFRNet(Refiner):
    """The [D,R] variant: the coarsest level also sees an earlier estimate and the distances it was drawn at."""

    def __init__(self) -> None:
        super().__init__(BASE, coarse_frames=3, maps=2)

    def forward(self, frame0: Tensor, frame1: Tensor, t: Tensor, frame_ref: Tensor, t_ref: Tensor) -> Tensor:
        """Draw one frame.

        Args:
            frame0: the earlier frame, [N,3,H,W], RGB 0..1.
            frame1: the later frame, like `frame0`.
            t: distance of every pixel, [N,1,H,W], 0 to 1.
            frame_ref: an estimate between `frame0` and the new frame; the first time `frame0` itself.
            t_ref: the distances of `frame_ref`, [N,1,H,W]; zero for `frame0`.

        Returns:
            [N,3,H,W], RGB 0..1.
        """
        mean = pair_mean(frame0, frame1)
        first, second, reference = (self.look(swap_red_and_blue(f - mean)) for f in (frame0, frame1, frame_ref))
        flow, mask, residual = self.refine((*first, *second), reference[-1], self.shrink(t), self.shrink(t_ref))
        return _blend(frame0, frame1, flow, mask, swap_red_and_blue(residual))

    def pair_part(self, frames: Frames, t: Tensor) -> GraphPart:
        """See `Network.pair_part`; the example's reference is the mean of both frames, at half the distances."""
        distances = _example_map(frames[0], t)
        example = {"frame0": frames[0], "frame1": frames[1], "t": distances}
        example |= {"frame_ref": (frames[0] + frames[1]) * 0.5, "t_ref": distances * 0.5}
        return GraphPart(self, example, ("frame_t",))


def _cut(decoded: Tensor) -> tuple[Tensor, Tensor]:
    """(flow [N,4,H,W], the other channels) of a decoder level's output."""
    flow, rest = decoded.split((_FLOW, decoded.shape[1] - _FLOW), dim=1)
    return flow, rest


def _blend(frame0: Tensor, frame1: Tensor, flow: Tensor, mask: Tensor, residual: Tensor) -> Tensor:
    """The new frame, 0..1, from RGB frames and an RGB residual."""
    flow0, flow1 = flow.chunk(2, dim=1)
    return warp_blend(frame0, frame1, flow0, flow1, mask, residual).clamp(0.0, 1.0)


def _example_map(frame: Tensor, t: Tensor) -> Tensor:
    """Distances [N,1,H,W] for the frame [N,3,H,W] that rise from left to right to t [N,1,1,1]."""
    return (t * torch.linspace(0.5, 1.0, frame.shape[3])).expand(-1, 1, *frame.shape[2:]).contiguous()


@dataclass(frozen=True)
class _Facts:
    """What the registry says about one size."""

    widths: Widths
    suffix: str
    parameters: int
    macs: tuple[float, float]
    psnr: float
    ssim: float
    overview: Overview


def _printed(teraflops: float, recount: float, remark: str = "") -> Overview:
    return Overview(None, teraflops, Count.INFLATED, (720, 1280), recount, remark)


_SIZES = {
    "ifrnet-s": _Facts(SMALL, "_S", 2_803_610, (12.60, 101.2), 35.59, 0.9786, _printed(0.12, 0.122)),
    "ifrnet": _Facts(BASE, "", 4_959_692, (22.18, 178.2), 35.80, 0.9794, _printed(0.21, 0.211)),
    "ifrnet-l": _Facts(
        LARGE, "_L", 19_699_460, (87.85, 705.9), 36.20, 0.9808, _printed(0.79, 0.817, "3 % off, unexplained")
    ),
}


def _spec(name: str, facts: _Facts) -> ModelSpec:
    return ModelSpec(
        name=name,
        title=f"IFRNet{facts.suffix.replace('_', '-')} (CVPR 2022)",
        build=lambda: IFRNet(facts.widths),
        parameters=facts.parameters,
        macs=facts.macs,
        t=TimeInput.INPUT,
        divisor=16,
        padding=Padding.REPLICATE,
        reuse=Reuse.PAIR,
        kinds=(Kind.PAIR, Kind.ENCODER, Kind.SYNTHESIS),
        custom_ops=_OPS,
        code_licence="MIT",
        weights=Weights("https://github.com/ltkong218/IFRNet", f"IFRNet{facts.suffix}_Vimeo90K.pth", "MIT"),
        published=Published(facts.psnr, facts.ssim, "IFRNet paper, Table 1"),
        overview=facts.overview,
        flow_scales=FLOW_SCALES,
        notes=(
            f"IFRNet{facts.suffix}_Vimeo90K.pth was trained at t = 0.5 only; for any other t take "
            f"IFRNet{facts.suffix}_GoPro.pth from the same page."
        ),
    )


def _variant(
    name: str, title: str, build: type[Network], parameters: int, macs: tuple[float, float], notes: str
) -> ModelSpec:
    split = issubclass(build, PairEncodedNetwork)
    return ModelSpec(
        name=name,
        title=title,
        build=build,
        parameters=parameters,
        macs=macs,
        t=TimeInput.MAP,
        divisor=16,
        padding=Padding.REPLICATE,
        reuse=Reuse.PAIR if split else Reuse.NONE,
        kinds=(Kind.PAIR, Kind.ENCODER, Kind.SYNTHESIS) if split else (Kind.PAIR,),
        custom_ops=_OPS,
        code_licence="CC BY-NC 4.0",
        weights=Weights("https://github.com/zzh-tech/InterpAny-Clearer", "ckpts/latest.pth", "CC BY-NC 4.0"),
        flow_scales=FLOW_SCALES,
        notes=notes,
    )


register(
    *(_spec(name, facts) for name, facts in _SIZES.items()),
    _variant(
        "ifrnet-d",
        "IFRNet [D] of InterpAny-Clearer (ECCV 2024)",
        DistanceIFRNet,
        4_959_692,
        (22.18, 178.2),
        "Takes a distance for every pixel as t; the weights are for non-commercial use.",
    ),
    _variant(
        "ifrnet-dr",
        "IFRNet [D,R] of InterpAny-Clearer (ECCV 2024)",
        ReferenceIFRNet,
        5_127_308,
        (22.99, 184.8),
        "Takes a distance for every pixel as t, and an earlier estimate with its own distances; run it once per "
        "step from frame0 to t. The weights are for non-commercial use.",
    ),
)
