"""RIFE as published at ECCV 2022, with its arbitrary-time and distance-indexed variants.

Three blocks estimate a flow into each frame and a blending mask, coarse to fine; a U-Net that sees features of both
frames, warped, adds what warping cannot give.

Source: Huang et al., "Real-Time Intermediate Flow Estimation for Video Frame Interpolation", ECCV 2022 (``rife``,
``rife-m``); Zhong et al., "Clearer Frames, Anytime: Resolving Velocity Ambiguity in Video Frame Interpolation", ECCV
2024 (``rife-d``, ``rife-dr``).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tweenrt.contract import Kind, Padding, TimeInput
from tweenrt.export.blocks.color import swap_red_and_blue
from tweenrt.export.blocks.ifr import resize, warp_both
from tweenrt.export.blocks.refine import Context, Unet
from tweenrt.export.blocks.rife_v4 import FLOW, IMAGE, MASK, Block, Body, Topology
from tweenrt.export.network import Frames, GraphPart, Network
from tweenrt.export.registry import register
from tweenrt.export.spec import FLOW_SCALES, ModelSpec, Published, Weights

_TOPOLOGY = Topology(widths=(240, 150, 90), scales=(4, 2, 1), body=Body.SKIP, predicted=FLOW + MASK, shuffled=False)
_CONTEXT = 16


class Rife(nn.Module):
    """What all variants do; they differ in what their blocks are told about time."""

    flow_scale: float
    conditions = 0
    """Channels that the blocks look at beside frames, mask and flow."""

    def __init__(self) -> None:
        super().__init__()
        first = 2 * IMAGE + self.conditions
        later = first + 2 * IMAGE + MASK + FLOW
        for k, (inputs, width) in enumerate(zip((first, later, later), _TOPOLOGY.widths, strict=True)):
            self.add_module(f"block{k}", Block(inputs, width, _TOPOLOGY))
        self.contextnet, self.unet = Context(_CONTEXT), Unet(_CONTEXT)

    def draw(self, frame0: Tensor, frame1: Tensor, *conditions: Tensor) -> Tensor:
        """The new frame, [N,3,H,W], RGB 0..1.

        Args:
            frame0: the earlier frame, [N,3,H,W], RGB 0..1.
            frame1: the later frame, like `frame0`.
            conditions: maps of the frames' size, `conditions` channels in all.
        """
        frame0, frame1 = swap_red_and_blue(frame0), swap_red_and_blue(frame1)
        flow, mask, warped0, warped1 = self._estimate(frame0, frame1, conditions)
        known = torch.cat((frame0, frame1, warped0, warped1, mask, flow), 1)
        contexts = (
            self.contextnet.warped(frame, f) for frame, f in zip((frame0, frame1), flow.chunk(2, 1), strict=True)
        )
        residual = self.unet(known, *contexts)
        # The U-Net needs the warped frames anyway, so they are blended as they are instead of sampled again.
        weight = torch.sigmoid(mask)
        blend = weight * warped0 + (1.0 - weight) * warped1
        return swap_red_and_blue((blend + residual).clamp(0.0, 1.0))

    def _estimate(
        self, frame0: Tensor, frame1: Tensor, conditions: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Flow [N,4,H,W], mask before the sigmoid [N,1,H,W], and both frames warped."""
        blocks = [m for m in self.children() if isinstance(m, Block)]
        always = (frame0, frame1, *conditions)
        scales = [round(scale / self.flow_scale) for scale in _TOPOLOGY.scales]
        motion = blocks[0](resize(torch.cat(always, 1), 1.0 / scales[0]), scales[0])
        flow, mask = motion.flow, motion.mask
        for block, scale in zip(blocks[1:], scales[1:], strict=True):
            before, after = torch.cat(always, 1), torch.cat((mask, flow * (1.0 / scale)), 1)
            warped = warp_both(frame0, frame1, flow, scale)
            update = block(torch.cat((resize(before, 1.0 / scale), *warped, resize(after, 1.0 / scale)), 1), scale)
            flow, mask = flow + update.flow, mask + update.mask
        return flow, mask, *warp_both(frame0, frame1, flow)


class MidpointRife(Rife, Network):
    """The published network: it draws the frame halfway."""

    takes_t = False

    def forward(self, frame0: Tensor, frame1: Tensor) -> Tensor:
        """The frame halfway between `frame0` and `frame1`, [N,3,H,W], RGB 0..1."""
        return self.draw(frame0, frame1)


class TimedRife(Rife, Network):
    """The variant for any time: t is the same for every pixel."""

    conditions = 1

    def forward(self, frame0: Tensor, frame1: Tensor, t: Tensor) -> Tensor:
        """The frame at t [N,1,1,1] between `frame0` and `frame1`, [N,3,H,W], RGB 0..1."""
        return self.draw(frame0, frame1, t.expand_as(frame0[:, :1]))


class DistanceRife(Rife, Network):
    """The [D] variant: t is a distance for every pixel."""

    conditions = 1

    def forward(self, frame0: Tensor, frame1: Tensor, t: Tensor) -> Tensor:
        """The frame at the distances t [N,1,H,W] between `frame0` and `frame1`, [N,3,H,W], RGB 0..1."""
        return self.draw(frame0, frame1, t)

    def part(self, kind: Kind, frames: Frames, t: Tensor) -> GraphPart:
        """See `Network.part`; the example's distances rise from left to right to t."""
        return super().part(kind, frames, _example_map(frames[0], t))


class ReferenceRife(Rife, Network):
    """The [D,R] variant: the blocks also see an earlier estimate and the distances it was drawn at."""

    conditions = 2 + IMAGE

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
        return self.draw(frame0, frame1, t, t_ref, swap_red_and_blue(frame_ref))

    def pair_part(self, frames: Frames, t: Tensor) -> GraphPart:
        """See `Network.pair_part`; the example's reference is the mean of both frames, at half the distances."""
        distances = _example_map(frames[0], t)
        example = {"frame0": frames[0], "frame1": frames[1], "t": distances}
        example |= {"frame_ref": (frames[0] + frames[1]) * 0.5, "t_ref": distances * 0.5}
        return GraphPart(self, example, ("frame_t",))


def _example_map(frame: Tensor, t: Tensor) -> Tensor:
    """Distances [N,1,H,W] for the frame [N,3,H,W] that rise from left to right to t [N,1,1,1]."""
    return (t * torch.linspace(0.5, 1.0, frame.shape[3])).expand(-1, 1, *frame.shape[2:]).contiguous()


def _spec(
    name: str,
    title: str,
    build: type[Network],
    parameters: int,
    macs: tuple[float, float],
    t: TimeInput,
    weights: Weights,
    published: Published | None = None,
    notes: str = "",
) -> ModelSpec:
    return ModelSpec(
        name=name,
        title=title,
        build=build,
        parameters=parameters,
        macs=macs,
        t=t,
        divisor=32,
        padding=Padding.ZEROS,
        code_licence="MIT",
        weights=weights,
        custom_ops=("BackwardWarp", "WarpResize"),
        published=published,
        optional_keys=("block_tea.",),
        random_gains=(("lastconv.", 0.1),),
        notes=notes,
        flow_scales=FLOW_SCALES,
    )


_LICENCE = "not stated separately (code: MIT)"
_AUTHORS = Weights(page="https://github.com/hzwer/ECCV2022-RIFE", filename="flownet.pkl", licence=_LICENCE)
_CLEARER = Weights(
    page="https://github.com/zzh-tech/InterpAny-Clearer",
    filename="flownet_sdi.pkl",
    licence=_LICENCE,
)

register(
    _spec(
        "rife",
        "RIFE (Huang et al., ECCV 2022)",
        MidpointRife,
        10_071_550,
        (14.54, 119.46),
        TimeInput.FIXED,
        _AUTHORS,
        published=Published(35.615, 0.9779, "the authors' README, evaluation on Vimeo90K"),
        notes="It draws the midpoint only.",
    ),
    _spec(
        "rife-m",
        "RIFEm (Huang et al., ECCV 2022)",
        TimedRife,
        10_073_710,
        (14.56, 119.61),
        TimeInput.INPUT,
        _AUTHORS,
        notes="Its file has the same layout as that of rife-d: the name says which it is.",
    ),
    _spec(
        "rife-d",
        "RIFE [D], distance indexing (Zhong et al., ECCV 2024)",
        DistanceRife,
        10_073_710,
        (14.56, 119.61),
        TimeInput.MAP,
        _CLEARER,
        notes="Its file has the same layout as that of rife-m: the name says which it is.",
    ),
    _spec(
        "rife-dr",
        "RIFE [D,R], distance indexing with iterative reference (Zhong et al., ECCV 2024)",
        ReferenceRife,
        10_082_350,
        (14.64, 120.22),
        TimeInput.MAP,
        _CLEARER,
        notes="One iteration: frame_ref and t_ref are the estimate before and its distances, at first frame0 and 0.",
    ),
)
