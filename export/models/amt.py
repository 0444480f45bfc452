"""AMT in three sizes, and the distance-indexed variants of the small one.

Source: Li et al., "AMT: All-Pairs Multi-Field Transforms for Efficient Frame Interpolation", CVPR 2023. An IFRNet
whose flows and feature are corrected at every level by what they point at in a correlation volume of the pair, and
whose last level draws the new frame several times, with a flow, mask and residual each, and merges the drawings.
The variants are from Zhong et al., "Clearer Frames, Anytime: Resolving Velocity Ambiguity in Video Frame
Interpolation", ECCV 2024.

The authors' code is for non-commercial use; this file was written without it, from the papers, the shapes of the
checkpoints' entries and the measured multiply-accumulates. Those fix every width, kernel, stride and the resolution
that each layer runs at. They do not fix the order in which tensors are concatenated where no shape tells it, nor the
activations without parameters: there IFRNet and RAFT were followed (docs/decisions.md lists each choice).

One mean over both frames is subtracted before encoding, so features belong to a pair and not to a frame. The last
warp needs no mean: a weighted average of ``frame - mean`` plus the mean is the same average of the frame.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from tweenrt.contract import Kind, Padding, Reuse, TimeInput
from tweenrt.export.blocks.amt_correlation import BidirectionalLookup, CorrelationEncoder
from tweenrt.export.blocks.amt_update import FLOW, Update, UpdateWidths
from tweenrt.export.blocks.color import swap_red_and_blue
from tweenrt.export.blocks.ifr import Decoder, PyramidEncoder, double, finer, pair_mean, resize, warp_both
from tweenrt.export.network import Example, Frames, GraphPart, Network, PairEncodedNetwork
from tweenrt.export.registry import register
from tweenrt.export.spec import FLOW_SCALES, ModelSpec, Published, Weights
from tweenrt.plugins.warp_blend.reference import warp_blend

_LEVELS = 4
_CORRELATED = 8  # the correlation volume is at 1/8 of the frame's size
_COARSEST = 16
_NEVER_ZERO = 1e-6  # the distance-indexed variants divide by a distance that may be 0


@dataclass(frozen=True)
class Size:
    """What distinguishes one size from another; every other width follows.

    Attributes:
        levels: channels of the encoder at 1/2, 1/4, 1/8 and 1/16 of the frame's size.
        first_kernel: side of the encoder's first convolution.
        correlation: channels of the correlation encoder's stages, then of its features.
        bottleneck: its residual units are bottlenecks.
        deep: it has a fourth stage, and every level finer than 1/8 is corrected a second time at full resolution.
        update: channels inside of an update.
        fields: drawings of the new frame.
        merge_kernel: side of the convolutions that merge them.
    """

    levels: tuple[int, int, int, int]
    first_kernel: int
    correlation: tuple[int, int, int, int]
    bottleneck: bool
    deep: bool
    update: UpdateWidths
    fields: int
    merge_kernel: int


SIZE_S = Size(
    levels=(20, 32, 44, 56),
    first_kernel=3,
    correlation=(32, 64, 96, 84),
    bottleneck=True,
    deep=False,
    update=UpdateWidths(hidden=76, flow=20, correlation=(64,), motion=68),
    fields=3,
    merge_kernel=3,
)
SIZE_L = Size(
    levels=(48, 64, 72, 128),
    first_kernel=7,
    correlation=(64, 72, 128, 128),
    bottleneck=False,
    deep=False,
    update=UpdateWidths(hidden=128, flow=48, correlation=(256, 160), motion=124),
    fields=5,
    merge_kernel=7,
)
SIZE_G = replace(
    SIZE_L,
    levels=(84, 96, 112, 128),
    correlation=(64, 112, 160, 128),
    deep=True,
    update=UpdateWidths(hidden=192, flow=64, correlation=(256, 192), motion=188),
)


class AmtLayers(Network):
    """The layers of any size, with the authors' key names, and the way through them.

    Frames have at least 64 pixels a side: the coarsest correlations are at 1/64 of their size.
    """

    def __init__(self, size: Size, coarse_frames: int = 2, maps: int = 1) -> None:
        """Make the layers.

        Args:
            size: which size.
            coarse_frames: frames whose features the coarsest decoder level sees.
            maps: distance maps that it sees.
        """
        super().__init__()
        first, second, third, fourth = size.levels
        self.fields = size.fields
        self.refined = ("_low", "_high") if size.deep else ("",)
        self.feat_encoder = CorrelationEncoder(size.correlation, bottleneck=size.bottleneck, deep=size.deep)
        self.encoder = PyramidEncoder(size.levels, size.first_kernel)
        self.decoder4 = Decoder(coarse_frames * fourth + maps, 2 * fourth, FLOW + third, side=first)
        self.decoder3 = Decoder(3 * third + FLOW, 3 * third, FLOW + second, side=first)
        self.decoder2 = Decoder(3 * second + FLOW, 3 * second, FLOW + first, side=first)
        self.decoder1 = Decoder(3 * first + FLOW, 3 * first, size.fields * (FLOW + 1 + 3), side=first)
        self.update4 = Update(size.update, third)
        for suffix in self.refined:
            self.add_module(f"update3{suffix}", Update(size.update, second))
            self.add_module(f"update2{suffix}", Update(size.update, first))
        self.comb_block = _merger(3 * size.fields, size.merge_kernel)

    def encode(self, frame0: Tensor, frame1: Tensor) -> tuple[Tensor, ...]:
        """Features of a pair of frames [N,3,H,W].

        Returns:
            Four of the earlier frame, finest first, [N,C,H/2,W/2] to [N,C,H/16,W/16]; four of the later; and what
            is correlated, of the earlier and of the later, [N,C,H/8,W/8]; H and W here are those of flow.
        """
        mean = pair_mean(frame0, frame1)
        centred = tuple(resize(frame - mean, self.flow_scale) for frame in (frame0, frame1))
        pyramids = [feature for frame in centred for feature in self.encoder(frame)]
        return (*pyramids, *(self.feat_encoder(frame) for frame in centred))

    def refine(
        self,
        frame0: Tensor,
        frame1: Tensor,
        features: tuple[Tensor, ...],
        coarse: tuple[Tensor, ...],
        distances: tuple[Tensor, Tensor],
    ) -> Tensor:
        """Decode from the coarsest level to the new frame.

        Args:
            frame0: the earlier frame, [N,3,H,W], 0..1.
            frame1: the later frame, like `frame0`.
            features: what `encode` gives for them.
            coarse: what the coarsest level sees beside the features of the two frames, each [N,·,H/16,W/16].
            distances: of the new frame to the earlier and to the later one, each positive and [N,1,1,1] or
                [N,1,H/8,W/8]; they sum to 1. H and W of these and of `coarse` are those of flow.

        Returns:
            [N,3,H,W], 0..1.
        """
        levels0, levels1 = features[:_LEVELS], features[_LEVELS : 2 * _LEVELS]
        # Linear motion would divide each flow by its own distance. The published weights were trained with the two
        # exchanged, which is the same at the midpoint.
        stretch1, stretch0 = (1.0 / distance for distance in distances)
        correlated0, correlated1 = features[2 * _LEVELS :]
        lookup = BidirectionalLookup(correlated0, correlated1, stretch0, stretch1)
        flow, feature = self.decoder4(levels0[3], levels1[3], *coarse).tensor_split((FLOW,), dim=1)
        flow, feature = _corrected(flow, feature, lookup, (self.update4,), 1)
        for level, scale in ((3, 2), (2, 4)):
            warped = warp_both(levels0[level - 1], levels1[level - 1], flow)
            decoder = self.get_submodule(f"decoder{level}")
            change, feature = decoder(feature, *warped, flow).tensor_split((FLOW,), dim=1)
            updates = tuple(self.get_submodule(f"update{level}{suffix}") for suffix in self.refined)
            flow, feature = _corrected(change + double(flow), feature, lookup, updates, scale)
        warped = warp_both(levels0[0], levels1[0], flow)
        return self._draw(frame0, frame1, double(flow), self.decoder1(feature, *warped, flow))

    def _distances(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """A map [N,1,H,W] of 0..1 at the correlation's resolution, from both ends, never 0."""
        small = resize(t, self.flow_scale / _CORRELATED)
        return small + _NEVER_ZERO, 1.0 - small + _NEVER_ZERO

    def _draw(self, frame0: Tensor, frame1: Tensor, flow: Tensor, changes: Tensor) -> Tensor:
        """Draw the new frame once for each field and merge the drawings; `flow` and `changes` are as large as flow."""
        n, larger = self.fields, 1.0 / self.flow_scale
        changes0, changes1, masks, residuals = torch.split(changes, [2 * n, 2 * n, n, 3 * n], dim=1)
        flow0, flow1, changes0, changes1 = (finer(f, larger) for f in (*flow.chunk(2, dim=1), changes0, changes1))
        masks, residuals = resize(masks.sigmoid(), larger), resize(residuals, larger)
        drawings = [
            warp_blend(frame0, frame1, flow0 + change0, flow1 + change1, mask, residual)
            for change0, change1, mask, residual in zip(
                changes0.chunk(n, dim=1),
                changes1.chunk(n, dim=1),
                masks.chunk(n, dim=1),
                residuals.chunk(n, dim=1),
                strict=True,
            )
        ]
        average = sum(drawings[1:], start=drawings[0]) * (1.0 / n)
        out: Tensor = (average + self.comb_block(torch.cat(drawings, dim=1))).clamp(0.0, 1.0)
        return out


class Amt(AmtLayers, PairEncodedNetwork):
    """The network of any size; t is a scalar for each sample, above 0 and below 1."""

    def synthesize(self, frame0: Tensor, frame1: Tensor, features: tuple[Tensor, ...], t: Tensor) -> Tensor:
        """The frame at t [N,1,1,1] from two frames and their features."""
        rows, columns = features[_LEVELS - 1].shape[2:]
        return self.refine(frame0, frame1, features, (t.expand(-1, 1, rows, columns),), (t, 1.0 - t))


class DistanceAmt(AmtLayers, PairEncodedNetwork):
    """The small network with a distance for every pixel instead of t, trained on BGR: [D] AMT-S."""

    def __init__(self) -> None:
        super().__init__(SIZE_S)

    def encode(self, frame0: Tensor, frame1: Tensor) -> tuple[Tensor, ...]:
        """See `AmtLayers.encode`; the frames are RGB."""
        return super().encode(swap_red_and_blue(frame0), swap_red_and_blue(frame1))

    def synthesize(self, frame0: Tensor, frame1: Tensor, features: tuple[Tensor, ...], t: Tensor) -> Tensor:
        """The frame at the distances t [N,1,H,W], 0..1, from two frames and their features."""
        coarse = (resize(t, self.flow_scale / _COARSEST),)
        frame0, frame1 = swap_red_and_blue(frame0), swap_red_and_blue(frame1)
        return swap_red_and_blue(self.refine(frame0, frame1, features, coarse, self._distances(t)))

    def part(self, kind: Kind, frames: Frames, t: Tensor) -> GraphPart:
        """See `Network.part`; t becomes a map."""
        return super().part(kind, frames, _as_map(t, frames[0]))


class ReferenceAmt(AmtLayers):
    """[D] AMT-S that also sees an earlier drawing and its distances: one iteration of [D,R] AMT-S."""

    def __init__(self) -> None:
        super().__init__(SIZE_S, coarse_frames=3, maps=2)

    def forward(self, frame0: Tensor, frame1: Tensor, t: Tensor, frame_ref: Tensor, t_ref: Tensor) -> Tensor:
        """The frame at the distances `t`.

        Args:
            frame0: the earlier frame, [N,3,H,W], RGB 0..1.
            frame1: the later frame, like `frame0`.
            t: distance of every pixel from `frame0`, [N,1,H,W], 0..1.
            frame_ref: what was drawn for `t_ref`, or `frame0` at first, like `frame0`.
            t_ref: distances of `frame_ref`, or 0 at first, like `t`.

        Returns:
            [N,3,H,W], RGB 0..1.
        """
        frame0, frame1 = swap_red_and_blue(frame0), swap_red_and_blue(frame1)
        centred = swap_red_and_blue(frame_ref) - pair_mean(frame0, frame1)
        seen = self.encoder(resize(centred, self.flow_scale))[-1]
        coarse = (seen, *(resize(distance, self.flow_scale / _COARSEST) for distance in (t, t_ref)))
        features = self.encode(frame0, frame1)
        return swap_red_and_blue(self.refine(frame0, frame1, features, coarse, self._distances(t)))

    def pair_part(self, frames: Frames, t: Tensor) -> GraphPart:
        """The whole network as one graph, its first iteration as the example."""
        t = _as_map(t, frames[0])
        example: Example = {"frame0": frames[0], "frame1": frames[1], "t": t}
        return GraphPart(self, example | {"frame_ref": frames[0], "t_ref": torch.zeros_like(t)}, ("frame_t",))


def _corrected(
    flow: Tensor, feature: Tensor, lookup: BidirectionalLookup, updates: tuple[nn.Module, ...], scale: int
) -> tuple[Tensor, Tensor]:
    """Flow and feature after one level's updates.

    Args:
        flow: in pixels of this level, [N,4,H,W].
        feature: of the new frame, [N,C,H,W].
        lookup: the pair's correlation.
        updates: the first at the correlation's resolution; the second, where there is one, at the level's own, with
            the same correlations enlarged.
        scale: how many times finer the level is than the correlation.
    """
    small_flow = resize(flow, 1.0 / scale) * (1.0 / scale)
    correlation = lookup(small_flow)
    coarse, *fine = updates
    flow_change, feature_change = coarse(small_flow, resize(feature, 1.0 / scale), correlation)
    flow, feature = flow + scale * resize(flow_change, scale), feature + resize(feature_change, scale)
    for update in fine:
        flow_change, feature_change = update(flow, feature, resize(correlation, scale))
        flow, feature = flow + flow_change, feature + feature_change
    return flow, feature


def _as_map(t: Tensor, frame: Tensor) -> Tensor:
    """A moment [N,1,1,1] as a map: the same for every pixel of `frame`, [N,1,H,W]."""
    return t.expand(-1, 1, *frame.shape[2:]).contiguous()


def _merger(inputs: int, kernel: int) -> nn.Sequential:
    """Two convolutions that keep the size, [N,inputs,H,W] → [N,3,H,W]."""
    hidden, margin = 2 * inputs, kernel // 2
    return nn.Sequential(
        nn.Conv2d(inputs, hidden, kernel, 1, margin),
        nn.PReLU(hidden),
        nn.Conv2d(hidden, 3, kernel, 1, margin),
    )


_LICENCE = "CC BY-NC 4.0"
_AMT_PAGE = "https://github.com/MCG-NKU/AMT"
_CLEARER_PAGE = "https://github.com/zzh-tech/InterpAny-Clearer"
_PAPER = "Li et al., CVPR 2023"
_OPS = ("CorrelationLookup", "WarpBlend", "WarpConcat")
_ALL = (Kind.PAIR, Kind.ENCODER, Kind.SYNTHESIS)
_RANDOM_GAINS = (("flow_head.2.", 0.25), ("decoder1.convblock.2.", 0.1), ("comb_block.2.", 0.2))
_UNVERIFIED = "Written without the authors' code: their files load, but their output was never compared with ours."


def _spec(name: str, size: Size, parameters: int, macs: tuple[float, float], published: Published) -> ModelSpec:
    other = (
        "for other moments take gopro_amt-s.pth, from the same page" if name == "amt-s" else "no others were published"
    )
    return ModelSpec(
        name=name,
        title=f"{name.upper()} (CVPR 2023)",
        build=lambda: Amt(size),
        parameters=parameters,
        macs=macs,
        t=TimeInput.INPUT,
        divisor=_COARSEST,
        padding=Padding.REPLICATE,
        code_licence=_LICENCE,
        weights=Weights(_AMT_PAGE, f"{name}.pth", _LICENCE),
        reuse=Reuse.PAIR,
        kinds=_ALL,
        custom_ops=_OPS,
        random_gains=_RANDOM_GAINS,
        published=published,
        flow_scales=FLOW_SCALES,
        notes=f"{_UNVERIFIED} The weights are for non-commercial use, and for the midpoint; {other}.",
    )


def _variant(name: str, build: type[Network], parameters: int, macs: tuple[float, float], notes: str) -> ModelSpec:
    splits = build is DistanceAmt
    return ModelSpec(
        name=name,
        title=f"{'[D]' if splits else '[D,R]'} AMT-S (ECCV 2024)",
        build=build,
        parameters=parameters,
        macs=macs,
        t=TimeInput.MAP,
        divisor=_COARSEST,
        padding=Padding.REPLICATE,
        code_licence=_LICENCE,
        weights=Weights(_CLEARER_PAGE, "ckpts/latest.pth", _LICENCE),
        reuse=Reuse.PAIR if splits else Reuse.NONE,
        kinds=_ALL if splits else (Kind.PAIR,),
        custom_ops=_OPS,
        random_gains=_RANDOM_GAINS,
        flow_scales=FLOW_SCALES,
        notes=f"{notes} {_UNVERIFIED} The weights are for non-commercial use.",
    )


register(
    _spec("amt-s", SIZE_S, 2_990_543, (12.53, 115.9), Published(35.72, 0.9788, _PAPER)),
    _spec("amt-l", SIZE_L, 12_935_367, (69.3, 580.1), Published(36.35, 0.9815, _PAPER)),
    _spec("amt-g", SIZE_G, 30_638_919, (253.4, 2059.0), Published(36.53, 0.9819, _PAPER)),
    _variant(
        "amt-s-d", DistanceAmt, 2_990_543, (12.53, 115.9), "t is a map: how far each pixel is on its way, 0 to 1."
    ),
    _variant(
        "amt-s-dr",
        ReferenceAmt,
        3_047_999,
        (12.86, 118.6),
        "One iteration: frame_ref and t_ref are the drawing before and its map, at first frame0 and 0.",
    ),
)
