"""EMA-VFI: motion and appearance from one attention between the two frames, in all its published versions.

The backbone looks at both frames together; two heads estimate flows and a mask; a U-net repairs the blend.

Sources: Zhang et al., "Extracting Motion and Appearance via Inter-Frame Attention for Efficient Video Frame
Interpolation", CVPR 2023; for the versions that take a distance map and a reference frame: Zhong et al., "Clearer
Frames, Anytime: Resolving Velocity Ambiguity in Video Frame Interpolation", ECCV 2024.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tweenrt.contract import Kind, Padding, Reuse, TimeInput
from tweenrt.export.blocks.color import swap_red_and_blue
from tweenrt.export.blocks.ema_backbone import Config, Head, MotionFormer, Side, Unet, warp_levels
from tweenrt.export.blocks.ifr import finer, resize, warp_both
from tweenrt.export.network import Frames, GraphPart, Network, PairEncodedNetwork
from tweenrt.export.registry import register
from tweenrt.export.spec import FLOW_SCALES, ModelSpec, Published, Weights

SMALL = Config(width=16, depths=(2, 2))
FULL = Config(width=32, depths=(4, 4))
FULL_WITH_REFERENCE = Config(width=32, depths=(4, 4), inputs=7)

_LEVELS, _MOTIONS = 5, 2
_STEPS = (4, 2)  # the two heads work on frames this many times smaller
_LEFT_BEHIND = (".attn_mask", ".HW")

Times = tuple[Tensor | float, Tensor | float]
"""The moment at 1/16 and at 1/8 of the frame: a number, [N,1,1,1], or [N,1,h,w]."""


class Seen(NamedTuple):
    """Features of both frames.

    Attributes:
        at_flow: on frames as large as flow is looked for.
        whole: on the frames themselves; of these only the appearance is used.
    """

    at_flow: tuple[Side, Side]
    whole: tuple[Side, Side]


class EmaLayers(nn.Module):
    """The layers of every version, and what they compute from RGB frames."""

    flow_scale: float

    def __init__(self, config: Config) -> None:
        super().__init__()
        c = config.channels
        self.feature_bone = MotionFormer(config)
        heads = [Head(4 * c[4], 6, 4 * c[0], _STEPS[0]), Head(4 * c[3], 17, 4 * c[0], _STEPS[1])]
        self.block = nn.ModuleList(heads)
        self.unet = Unet(2 * c[0])

    def look(self, first: Tensor, second: Tensor) -> Seen:
        """Features of both frames, [N,inputs,H,W] as the network was trained with."""
        pair = torch.cat((first, second))
        at_flow: tuple[Side, Side] = self.feature_bone(resize(pair, self.flow_scale))
        return Seen(at_flow, at_flow if self.flow_scale == 1 else self.feature_bone(pair))

    def draw(self, frame0: Tensor, frame1: Tensor, seen: Seen, times: Times) -> Tensor:
        """The new frame [N,3,H,W] from the frames, their features and the moment."""
        frame0, frame1 = swap_red_and_blue(frame0), swap_red_and_blue(frame1)
        frames = torch.cat((frame0, frame1), dim=1)
        flows, mask = self._estimate(resize(frames, self.flow_scale), seen.at_flow, times)
        flows, mask = finer(flows, 1.0 / self.flow_scale), resize(mask, 1.0 / self.flow_scale)
        warped0, warped1 = warp_both(frame0, frame1, flows)
        known = torch.cat((frames, warped0, warped1, mask, flows), dim=1)
        residual = self.unet(known, warp_levels(*seen.whole, flows))
        weight = torch.sigmoid(mask)
        blended = warped0 * weight + warped1 * (1.0 - weight)
        return swap_red_and_blue((blended + residual).clamp(0.0, 1.0))

    def _estimate(self, frames: Tensor, sides: tuple[Side, Side], times: Times) -> tuple[Tensor, Tensor]:
        """Flows [N,4,H,W] in pixels and the mask before the sigmoid [N,1,H,W], from both frames [N,6,H,W]."""
        flows, mask = self.block[0](_weighted(sides, 1, times[0]), resize(frames, 1.0 / _STEPS[0]))
        frame0, frame1 = frames.chunk(2, dim=1)
        warped = warp_both(frame0, frame1, flows, _STEPS[1])
        motion = torch.cat((mask, flows * (1.0 / _STEPS[1])), dim=1)
        seen = torch.cat((resize(frames, 1.0 / _STEPS[1]), *warped, resize(motion, 1.0 / _STEPS[1])), dim=1)
        flows_step, mask_step = self.block[1](_weighted(sides, 0, times[1]), seen)
        return flows + flows_step, mask + mask_step

    def levels(self, t: Tensor) -> Times:
        """A distance map [N,1,H,W] at the sizes of the motion features."""
        return resize(t, self.flow_scale / 16.0), resize(t, self.flow_scale / 8.0)


class EmaMidpoint(EmaLayers, Network):
    """Trained for the midpoint alone."""

    takes_t = False

    def forward(self, frame0: Tensor, frame1: Tensor) -> Tensor:
        """The frame halfway between `frame0` and `frame1`, [N,3,H,W], RGB 0..1."""
        seen = self.look(swap_red_and_blue(frame0), swap_red_and_blue(frame1))
        return self.draw(frame0, frame1, seen, (0.5, 0.5))


class EmaAnytime(EmaLayers, PairEncodedNetwork):
    """Trained for any moment: t weighs the motion towards either frame."""

    def encode(self, frame0: Tensor, frame1: Tensor) -> tuple[Tensor, ...]:
        """Features of the pair: of the first frame, then as many of the second; see `Side`.

        Where flow is looked for on smaller frames, the appearance of the first frame and of the second follow.
        """
        seen = self.look(swap_red_and_blue(frame0), swap_red_and_blue(frame1))
        features = tuple(x for side in seen.at_flow for x in (*side.appearance, *side.motion))
        if self.flow_scale == 1:
            return features
        return (*features, *seen.whole[0].appearance, *seen.whole[1].appearance)

    def synthesize(self, frame0: Tensor, frame1: Tensor, features: tuple[Tensor, ...], t: Tensor) -> Tensor:
        """The frame at t from two frames and the pair's features."""
        both = 2 * (_LEVELS + _MOTIONS)
        at_flow = _sides(features[:both])
        whole = _sides(features[both:]) if features[both:] else at_flow
        return self.draw(frame0, frame1, Seen(at_flow, whole), self.times(t))

    def times(self, t: Tensor) -> Times:
        """The moment as the heads take it."""
        return t, t


class EmaDistance(EmaAnytime):
    """Takes the distance that each pixel has moved, t [N,1,H,W], instead of a moment."""

    def times(self, t: Tensor) -> Times:
        """See `EmaAnytime.times`."""
        return self.levels(t)

    def part(self, kind: Kind, frames: Frames, t: Tensor) -> GraphPart:
        """See `Network.part`; the example's map rises from left to right around t."""
        return super().part(kind, frames, _example_map(frames[0], t))


class EmaReference(EmaLayers, Network):
    """Takes a distance map, and an earlier estimate of the new frame with the map that it was drawn for."""

    def forward(self, frame0: Tensor, frame1: Tensor, t: Tensor, frame_ref: Tensor, t_ref: Tensor) -> Tensor:
        """Draw the frame at the distances t.

        Args:
            frame0: the earlier frame, [N,3,H,W], RGB 0..1.
            frame1: the later frame.
            t: distance from `frame0` per pixel, [N,1,H,W], 0..1.
            frame_ref: an earlier estimate, like the frames; at first `frame0`.
            t_ref: the distances it was drawn for, like `t`; at first zero.

        Returns:
            [N,3,H,W], RGB 0..1.
        """
        reference = swap_red_and_blue(frame_ref)
        first = torch.cat((swap_red_and_blue(frame0), reference, t_ref), dim=1)
        second = torch.cat((swap_red_and_blue(frame1), reference, 1.0 - t_ref), dim=1)
        return self.draw(frame0, frame1, self.look(first, second), self.levels(t))

    def pair_part(self, frames: Frames, t: Tensor) -> GraphPart:
        """See `Network.pair_part`; the example's reference is the mean of both frames, at half the distance."""
        distance = _example_map(frames[0], t)
        example = {"frame0": frames[0], "frame1": frames[1], "t": distance}
        example |= {"frame_ref": (frames[0] + frames[1]) * 0.5, "t_ref": distance * 0.5}
        return GraphPart(self, example, ("frame_t",))


def drop_buffers(state: Mapping[str, object]) -> Mapping[str, object]:
    """Remove the attention masks that the authors' code leaves in checkpoints, sized for the training frames."""
    return {key: value for key, value in state.items() if not key.endswith(_LEFT_BEHIND)}


def _weighted(sides: tuple[Side, Side], level: int, t: Tensor | float) -> Tensor:
    """What a head reads: motion weighed by the moment, and appearance; level 0 is 1/8 of the frame, 1 is 1/16."""
    first, second = sides
    motion = (first.motion[level] * t, second.motion[level] * (1.0 - t))
    return torch.cat((*motion, first.appearance[3 + level], second.appearance[3 + level]), dim=1)


def _sides(features: tuple[Tensor, ...]) -> tuple[Side, Side]:
    """As many features of the first frame as of the second, appearance before motion."""
    half = len(features) // 2
    first, second = features[:half], features[half:]
    return Side(first[:_LEVELS], first[_LEVELS:]), Side(second[:_LEVELS], second[_LEVELS:])


def _example_map(frame: Tensor, t: Tensor) -> Tensor:
    """A map [N,1,H,W] that rises from 3/4 of t [N,1,1,1] to 5/4, so that an upside-down resize would be seen."""
    height, width = frame.shape[2:]
    return (t * torch.linspace(0.75, 1.25, width)).expand(-1, -1, height, -1).contiguous()


_AUTHORS = "https://github.com/MCG-NJU/EMA-VFI"
_CLEARER = "https://github.com/zzh-tech/InterpAny-Clearer"
_LICENCE = "not stated separately (code: Apache-2.0)"
_COSTS = {
    SMALL: (14_489_815, (25.16, 206.5)),
    FULL: (65_662_359, (109.9, 902.5)),
    FULL_WITH_REFERENCE: (65_663_511, (110.2, 904.7)),
}
"""Parameters, and MACs of one run on frames of 256 by 448 and of 736 by 1280 pixels, in units of 1e9.

The authors' code takes about 1 % more: it also projects the tokens that only fill up windows.
"""


def _spec(
    name: str,
    title: str,
    network: type[Network],
    config: Config,
    t: TimeInput,
    weights: Weights,
    published: Published | None = None,
    notes: str = "",
) -> ModelSpec:
    split = issubclass(network, PairEncodedNetwork)
    return ModelSpec(
        name=name,
        title=title,
        build=partial(network, config),
        parameters=_COSTS[config][0],
        macs=_COSTS[config][1],
        t=t,
        divisor=32,
        padding=Padding.REPLICATE,
        code_licence="Apache-2.0",
        weights=weights,
        reuse=Reuse.PAIR if split else Reuse.NONE,
        kinds=(Kind.PAIR, Kind.ENCODER, Kind.SYNTHESIS) if split else (Kind.PAIR,),
        custom_ops=("BackwardWarp", "WarpResize", "WindowAttention"),
        published=published,
        adapt=drop_buffers,
        flow_scales=FLOW_SCALES,
        notes=notes,
    )


def _original(size: str, config: Config, filename: str, published: Published) -> tuple[ModelSpec, ModelSpec]:
    """The two checkpoints of one size: for the midpoint, and for any moment."""
    title = f"EMA-VFI{size} (CVPR 2023)"
    fixed = Weights(_AUTHORS, f"{filename}.pkl", _LICENCE)
    anytime = Weights(_AUTHORS, f"{filename}_t.pkl", _LICENCE)
    notes = "The file for the midpoint and the one for any moment have the same shapes; name the right model."
    return (
        _spec(f"ema-vfi{size}", title, EmaMidpoint, config, TimeInput.FIXED, fixed, published, notes),
        _spec(f"ema-vfi{size}-t", f"{title}, any moment", EmaAnytime, config, TimeInput.INPUT, anytime, notes=notes),
    )


register(
    *_original("-small", SMALL, "ours_small", Published(36.07, 0.9797, "EMA-VFI paper, table 1")),
    *_original("", FULL, "ours", Published(36.64, 0.9819, "EMA-VFI paper, table 1, mean with a flipped second run")),
    _spec(
        "ema-vfi-d",
        "EMA-VFI [D] of InterpAny-Clearer (ECCV 2024)",
        EmaDistance,
        FULL,
        TimeInput.MAP,
        Weights(_CLEARER, "D-EMA-VFI/train_sdi_log/ema-vfi.pkl", _LICENCE),
        notes="Takes a distance for every pixel as t.",
    ),
    _spec(
        "ema-vfi-dr",
        "EMA-VFI [D,R] of InterpAny-Clearer (ECCV 2024)",
        EmaReference,
        FULL_WITH_REFERENCE,
        TimeInput.MAP,
        Weights(_CLEARER, "DR-EMA-VFI/train_sdi_log/ema-vfi.pkl", _LICENCE),
        notes="Takes a distance for every pixel as t, and an earlier estimate with its own distances; run it once per "
        "step from frame0 to t.",
    ),
)
