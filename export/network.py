"""The base class of every network: what it computes, and the parts it can be exported in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tweenrt.contract import Kind
from tweenrt.errors import UsageError

Example = dict[str, Tensor]
Frames = tuple[Tensor, ...]
"""As many consecutive frames as the network looks at, each [N,3,H,W]."""


@dataclass(frozen=True)
class GraphPart:
    """One graph to export.

    Attributes:
        module: takes the tensors of `example` in order and returns a tensor or a tuple of tensors.
        example: input name → tensor, for N frames of H×W; the exporter reads from the shapes which axes
            follow N, H and W.
        outputs: names of the outputs, in order; a drawn frame comes first and is called ``frame_t``.
        settings: buffers of the module that a caller may change at run time.
        decides: its outputs jump where a number passes a threshold, so that single pixels may tip from one runtime to
            another.
    """

    module: nn.Module
    example: Example
    outputs: tuple[str, ...]
    settings: tuple[str, ...] = ()
    decides: bool = False

    def run(self) -> tuple[Tensor, ...]:
        """What the module gives for the example."""
        with torch.no_grad():
            out = self.module(*self.example.values())
        return out if isinstance(out, tuple) else (out,)


class Network(nn.Module):
    """A network that draws a frame between frames.

    A subclass implements `forward`; one that can be cut also implements `encode` and `synthesize` and gives
    `forward` as their composition. Frames are RGB, [N,3,H,W], float, 0..1; the network itself turns them to
    whatever it was trained with.
    """

    takes_t = True
    flow_scale = 1.0
    """See `tweenrt.export.spec.ModelSpec.flow_scale`; networks that have no other one never look."""

    def fold(self) -> None:
        """Compute once what depends on the weights alone; called when the weights are in place."""

    def part(self, kind: Kind, frames: Frames, t: Tensor) -> GraphPart:
        """The graph of `kind`, with example inputs made from frames [N,3,H,W] and t [N,1,1,1].

        A network that takes more than two frames, a distance map or a reference frame overrides this and makes
        those inputs from the same frames and t, under the names of the graph contract.

        Raises:
            UsageError: the network has no such graph.
        """
        if kind is not Kind.PAIR:
            raise UsageError(f"{type(self).__name__} has no '{kind.value}' graph, only 'pair'")
        return self.pair_part(frames, t)

    def pair_part(self, frames: Frames, t: Tensor) -> GraphPart:
        """The whole network as one graph."""
        example = {"frame0": frames[0], "frame1": frames[1]} | ({"t": t} if self.takes_t else {})
        return GraphPart(self, example, ("frame_t",))


class FrameEncodedNetwork(Network):
    """A network whose encoder looks at one frame at a time, so features serve both pairs of a frame."""

    encode: Callable[[Tensor], tuple[Tensor, ...]]
    """Features of a frame [N,3,H,W]; every tensor [N,C,H/k,W/k]. A method, or a submodule where checkpoints have one
    of this name."""

    def synthesize(
        self,
        frame0: Tensor,
        frame1: Tensor,
        features0: tuple[Tensor, ...],
        features1: tuple[Tensor, ...],
        t: Tensor,
    ) -> Tensor:
        """The frame at t [N,1,1,1] from two frames and their features."""
        raise NotImplementedError

    def forward(self, frame0: Tensor, frame1: Tensor, t: Tensor) -> Tensor:
        """The frame at t [N,1,1,1] between `frame0` and `frame1`, [N,3,H,W], RGB 0..1."""
        return self.synthesize(frame0, frame1, self.encode(frame0), self.encode(frame1), t)

    def part(self, kind: Kind, frames: Frames, t: Tensor) -> GraphPart:
        """See `Network.part`: ``pair``, ``encoder`` and ``synthesis``."""
        if kind is Kind.PAIR:
            return self.pair_part(frames, t)
        with torch.no_grad():
            features = [self.encode(frame) for frame in frames]
        if kind is Kind.ENCODER:
            names = tuple(f"feature_{i}" for i in range(len(features[0])))
            return GraphPart(_Encoder(self), {"frame": frames[0]}, names)
        if kind is not Kind.SYNTHESIS:
            return super().part(kind, frames, t)
        example = {"frame0": frames[0], "frame1": frames[1]}
        for side in (0, 1):
            example |= {f"feature{side}_{i}": f for i, f in enumerate(features[side])}
        return GraphPart(_FrameSynthesis(self), example | {"t": t}, ("frame_t",))


class PairEncodedNetwork(Network):
    """A network whose encoder needs both frames of a pair; features serve every t of that pair."""

    def encode(self, frame0: Tensor, frame1: Tensor) -> tuple[Tensor, ...]:
        """Features of the pair; every tensor [N,C,H/k,W/k] or [N,C,1,1]."""
        raise NotImplementedError

    def synthesize(self, frame0: Tensor, frame1: Tensor, features: tuple[Tensor, ...], t: Tensor) -> Tensor:
        """The frame at t [N,1,1,1] from two frames and the pair's features."""
        raise NotImplementedError

    def forward(self, frame0: Tensor, frame1: Tensor, t: Tensor) -> Tensor:
        """The frame at t [N,1,1,1] between `frame0` and `frame1`, [N,3,H,W], RGB 0..1."""
        return self.synthesize(frame0, frame1, self.encode(frame0, frame1), t)

    def part(self, kind: Kind, frames: Frames, t: Tensor) -> GraphPart:
        """See `Network.part`: ``pair``, ``encoder`` and ``synthesis``."""
        if kind is Kind.PAIR:
            return self.pair_part(frames, t)
        with torch.no_grad():
            features = self.encode(*frames)
        example = {"frame0": frames[0], "frame1": frames[1]}
        if kind is Kind.ENCODER:
            return GraphPart(_Encoder(self), example, tuple(f"feature_{i}" for i in range(len(features))))
        if kind is not Kind.SYNTHESIS:
            return super().part(kind, frames, t)
        example |= {f"feature_{i}": f for i, f in enumerate(features)}
        return GraphPart(_PairSynthesis(self), example | {"t": t}, ("frame_t",))


class _Encoder(nn.Module):
    """`encode` as a module of its own."""

    def __init__(self, network: FrameEncodedNetwork | PairEncodedNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, *frames: Tensor) -> tuple[Tensor, ...]:
        return self.network.encode(*frames)


class _FrameSynthesis(nn.Module):
    """`synthesize` with the features of both frames as flat inputs."""

    def __init__(self, network: FrameEncodedNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, frame0: Tensor, frame1: Tensor, *rest: Tensor) -> Tensor:
        *features, t = rest
        half = len(features) // 2
        return self.network.synthesize(frame0, frame1, tuple(features[:half]), tuple(features[half:]), t)


class _PairSynthesis(nn.Module):
    """`synthesize` with the pair's features as flat inputs."""

    def __init__(self, network: PairEncodedNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, frame0: Tensor, frame1: Tensor, *rest: Tensor) -> Tensor:
        *features, t = rest
        return self.network.synthesize(frame0, frame1, tuple(features), t)
