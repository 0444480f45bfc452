"""DBVI, which deblurs its own estimate of the new frame in unrolled stages, for one or for seven new frames.

Source: Yu et al., "Deep Bayesian Video Frame Interpolation", ECCV 2022. Four frames give four flows (RAFT) and with
them a motion that accelerates; each stage measures where the estimate, moved onto the two inner frames, differs from
them, carries that back by splatting, and refines the estimate and both flows with its own network.

The authors subtract the mean colour of the frames before they pad them; here frames come in padded, so at sizes off
the divisor the mean includes the mirrored border.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812  (the field's usual name)
from torch import Tensor, nn

from tweenrt.contract import Kind, Padding, TimeInput
from tweenrt.errors import UsageError
from tweenrt.export.blocks.dbvi_stage import FEATURES, GRADIENTS, Stage, State
from tweenrt.export.blocks.norm import map_mean
from tweenrt.export.models.raft import SCALE, Context, Raft, stacked
from tweenrt.export.network import Frames, GraphPart, Network
from tweenrt.export.registry import register
from tweenrt.export.spec import Companion, ModelSpec, Overview, Weights

FLOWS = ("flow_0_prev", "flow_0_1", "flow_1_0", "flow_1_next")
HALVED_FROM = 1080 * 2048
"""From so many pixels on, the authors estimate the flow on frames of half the size. So does a graph of a fixed size;
one that leaves the size open estimates it at full size, always."""

Flows = tuple[Tensor, ...]
"""One displacement in pixels for each name in `FLOWS`, [N,2,H,W], x then y."""


class Dbvi(Network):
    """The network with any number of stages."""

    def __init__(self, stages: int) -> None:
        super().__init__()
        self.flow_net = Raft()
        for k in range(stages):
            self.add_module(f"subNet_{k}", Stage())
        self.stages = stages

    def forward(self, frame_prev: Tensor, frame0: Tensor, frame1: Tensor, frame_next: Tensor, t: Tensor) -> Tensor:
        """The frame at t between the inner two of four frames.

        Args:
            frame_prev: the frame before `frame0`, [N,3,H,W], RGB 0..1.
            frame0: the earlier frame.
            frame1: the later frame.
            frame_next: the frame after `frame1`.
            t: the moment, [N,1,1,1].
        """
        frames = (frame_prev, frame0, frame1, frame_next)
        return self.refine(frames, self.flows(frames), t)

    def flows(self, frames: Frames) -> Flows:
        """The flows named in `FLOWS`, from each inner frame to its neighbours, for the frames of `forward`.

        Raises:
            UsageError: frames are too small for RAFT, or are halved and then off its divisor.
        """
        mean = _mean(frames)
        images = torch.cat([2.0 * (frame - mean) for frame in frames])
        halve = _halves(*images.shape[2:])
        if halve:
            images = F.interpolate(images, scale_factor=0.5, mode="bilinear", align_corners=True)
        previous, first, second, following = stacked(self.flow_net.features(images), 4)
        context = self.flow_net.context(torch.cat(stacked(images, 4)[1:3]))
        contexts = Context(*(torch.cat([c0, c0, c1, c1]) for c0, c1 in (stacked(x, 2) for x in context)))
        sources = torch.cat((first, first, second, second))
        flow = self.flow_net.flow(contexts, sources, torch.cat((previous, second, first, following)))
        if halve:
            flow = F.interpolate(2.0 * flow, scale_factor=2.0, mode="bilinear", align_corners=True)
        return stacked(flow, 4)

    def refine(self, frames: Frames, flows: Flows, t: Tensor) -> Tensor:
        """The frame at t [N,1,1,1] from the frames of `forward` and the flows that `flows` gives for them."""
        mean = _mean(frames)
        image0, image1 = (2.0 * (frame - mean) for frame in frames[1:3])
        flow_0_prev, flow_0_1, flow_1_0, flow_1_next = flows
        zero = torch.zeros_like(image0[:, :1])
        state = State(
            image=zero.expand(-1, 3, -1, -1),
            features=zero.expand(-1, FEATURES, -1, -1),
            gradient=zero.expand(-1, GRADIENTS, -1, -1),
            flow0=_accelerated(flow_0_prev, flow_0_1, t),
            flow1=_accelerated(flow_1_next, flow_1_0, 1.0 - t),
        )
        for stage in self._stages():
            state = stage(state, image0, image1, t)
        return 0.5 * state.image + mean

    def fold(self) -> None:
        """See `Network.fold`: compute every stage's style."""
        for stage in self._stages():
            stage.fold()

    def part(self, kind: Kind, frames: Frames, t: Tensor) -> GraphPart:
        """See `Network.part`: ``pair``, ``flow`` and ``refine``."""
        example = dict(zip(("frame_prev", "frame0", "frame1", "frame_next"), frames, strict=True))
        if kind is Kind.PAIR:
            return GraphPart(self, example | {"t": t}, ("frame_t",), decides=True)
        if kind is Kind.FLOW:
            return GraphPart(_Flows(self), example, FLOWS)
        if kind is not Kind.REFINE:
            raise UsageError(f"DBVI has no '{kind.value}' graph, only 'pair', 'flow' and 'refine'")
        with torch.no_grad():
            flows = dict(zip(FLOWS, self.flows(frames), strict=True))
        return GraphPart(_Refine(self), example | flows | {"t": t}, ("frame_t",), decides=True)

    def _stages(self) -> Iterator[Stage]:
        for k in range(self.stages):
            yield cast(Stage, self.get_submodule(f"subNet_{k}"))


class _Flows(nn.Module):
    """`Dbvi.flows` as a module of its own."""

    def __init__(self, network: Dbvi) -> None:
        super().__init__()
        self.network = network

    def forward(self, frame_prev: Tensor, frame0: Tensor, frame1: Tensor, frame_next: Tensor) -> tuple[Tensor, ...]:
        return self.network.flows((frame_prev, frame0, frame1, frame_next))


class _Refine(nn.Module):
    """`Dbvi.refine` as a module of its own."""

    def __init__(self, network: Dbvi) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.network.refine(inputs[:4], inputs[4:8], inputs[8])


def _mean(frames: Frames) -> Tensor:
    """The mean colour of several frames, [N,3,1,1]."""
    return torch.stack([map_mean(frame) for frame in frames]).mean(dim=0)


def _halves(height: int, width: int) -> bool:
    """Whether flow is estimated at half the size; only where the size is known when the graph is made."""
    if not (isinstance(height, int) and isinstance(width, int)) or height * width < HALVED_FROM:
        return False
    if height % (2 * SCALE) or width % (2 * SCALE):
        raise UsageError(
            f"from 1080x2048 pixels on, flow is estimated at half the size, so sides are multiples of {2 * SCALE}; "
            f"got {height}x{width}"
        )
    return True


def _accelerated(flow_away: Tensor, flow_towards: Tensor, t: Tensor) -> Tensor:
    """Where a pixel is after the time t, if a steady force moved it from one neighbour's position to the other's."""
    acceleration, speed = (flow_towards + flow_away) * 0.5, (flow_towards - flow_away) * 0.5
    return acceleration * (t * t) + speed * t


def _spec(
    name: str,
    title: str,
    stages: int,
    parameters: int,
    macs: tuple[float, float],
    filename: str,
    overview: Overview | None = None,
) -> ModelSpec:
    return ModelSpec(
        name=name,
        title=title,
        build=lambda: Dbvi(stages),
        parameters=parameters,
        macs=macs,
        t=TimeInput.INPUT,
        divisor=SCALE,
        padding=Padding.REFLECT_BOTTOM_RIGHT,
        frames=4,
        kinds=(Kind.PAIR, Kind.FLOW, Kind.REFINE),
        custom_ops=("BackwardWarp", "CorrelationLookup", "ForwardSplat"),
        code_licence="MIT",
        weights=Weights("https://github.com/Oceanlib/DBVI", filename, "not stated"),
        overview=overview,
        companions=(Companion("flow_net", "raft"),),
        random_gains=(("flow_head.conv2", 0.05), ("toFlow.1", 0.1), ("toRGB", 0.25)),
        notes="Looks at four frames. Its flow network, RAFT, has a weights file of its own, is not in the parameter "
        "count, and takes 284.5 / 2532.5 G of the MACs, once for all frames of a pair. TensorRT-RTX refuses the "
        "ScatterElements of its pair and refine graphs: it needs our plugin library with ForwardSplat.",
    )


register(
    _spec("dbvi-2x", "DBVI 2x (ECCV 2022)", 6, 22_779_072, (352.7, 3080.5), "train_on_vimeo_sep_Iter0.pth"),
    _spec(
        "dbvi-8x",
        "DBVI 8x (ECCV 2022)",
        4,
        15_186_048,
        (329.9, 2897.8),
        "train_on_X4K1000FPS_Iter0.pth",
        Overview(15.18, 1.28, remark="no count that was tried gives the printed figure; the parameters leave RAFT out"),
    ),
)
