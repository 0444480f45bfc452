"""How long a network must take at least: for each layer its arithmetic or its memory traffic, whichever is longer.

The roofline of Williams, Waterman and Patterson (CACM 2009). It is a bound, not a forecast: no kernel reaches the full
rate of a GPU, and launches, layout changes, copies and the video around the network are not in it.

Three figures, each a bound under its own assumption:

* `Estimate.ms`: layers run one after the other, and each reads its inputs and writes its outputs to memory once, as
  engines do. A GPU whose cache holds a layer's tensors can be faster.
* `Estimate.overlapped_ms`: as before, but every layer's arithmetic overlaps with any layer's traffic.
* `Estimate.arithmetic_ms`: nothing is ever moved. Only an algorithm with fewer multiplications (Winograd's, for 3x3
  convolutions) or weights pruned 2 of 4 could be faster than this.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import groupby

from tweenrt.runtime.estimate.devices import Device, Precision

SOURCE_BUDGET_MS = 1000 / 30
"""For each new frame where 30 frames a second become 60: one new frame for each source frame."""
NEW_BUDGET_MS = 1000 / 60
"""For each new frame where 60 of them are drawn a second."""


class Bound(str, Enum):
    """What a layer waits for."""

    COMPUTE = "compute"
    MEMORY = "memory"


class Verdict(str, Enum):
    """What a bound says about a time to be met. It can rule out; it cannot promise."""

    IMPOSSIBLE = "ruled out: the arithmetic alone takes longer"
    CACHED_ONLY = "ruled out while layers pass their tensors through memory"
    POSSIBLE = "not ruled out"


@dataclass(frozen=True)
class Layer:
    """One layer with what it has to compute and to move; what is fused into it is part of it.

    Attributes:
        name: of the node, ``<module>/<operation>``.
        what: in words, such as ``"Conv 3x3, 24 to 36, 180x320"``.
        macs: multiplications with their additions.
        precision: of matrix arithmetic on tensor cores; None for FP32 arithmetic on CUDA cores.
        activation_bytes: of tensors read and written.
        weight_bytes: of weights read.
    """

    name: str
    what: str
    macs: float
    precision: Precision | None
    activation_bytes: float
    weight_bytes: float

    @property
    def module(self) -> str:
        """The part of the network it belongs to; where the graph names none, all of one operation count as a part."""
        return self.name.rpartition("/")[0] or re.sub(r"\.\d+$", "", self.name)

    @property
    def moved_bytes(self) -> float:
        """All bytes read and written."""
        return self.activation_bytes + self.weight_bytes


@dataclass(frozen=True)
class Timed:
    """A layer, or several, on a device.

    Attributes:
        name: of the layer or the module.
        layers: what it is made of, the slowest first.
        ms: least time; of several layers, the sum of their least times.
        arithmetic_ms: of the arithmetic alone.
        memory_ms: of the traffic alone.
    """

    name: str
    layers: tuple[Layer, ...]
    ms: float
    arithmetic_ms: float
    memory_ms: float

    @property
    def bound(self) -> Bound:
        """Which of the two takes longer."""
        return Bound.COMPUTE if self.arithmetic_ms >= self.memory_ms else Bound.MEMORY

    @property
    def macs(self) -> float:
        """Of all layers."""
        return sum(layer.macs for layer in self.layers)

    @property
    def moved_bytes(self) -> float:
        """Of all layers."""
        return sum(layer.moved_bytes for layer in self.layers)


@dataclass(frozen=True)
class Estimate:
    """What a device needs at least for all layers; see the module for what the figures mean.

    Attributes:
        device: which.
        layers: each layer on it, in the order of the graph.
    """

    device: Device
    layers: tuple[Timed, ...]

    @property
    def ms(self) -> float:
        """Layer by layer."""
        return sum(layer.ms for layer in self.layers)

    @property
    def arithmetic_ms(self) -> float:
        """If nothing had to be moved."""
        return sum(layer.arithmetic_ms for layer in self.layers)

    @property
    def memory_ms(self) -> float:
        """If nothing had to be computed."""
        return sum(layer.memory_ms for layer in self.layers)

    @property
    def overlapped_ms(self) -> float:
        """If arithmetic and traffic of all layers overlapped."""
        return max(self.arithmetic_ms, self.memory_ms)

    def modules(self) -> list[Timed]:
        """The layers of each module together, the longest first; the first is the one to attack."""
        ordered = sorted(self.layers, key=lambda layer: layer.layers[0].module)
        found = [_together(name, list(group)) for name, group in groupby(ordered, lambda t: t.layers[0].module)]
        return sorted(found, key=lambda module: -module.ms)

    def share(self, part: Timed) -> float:
        """What `part` takes of the whole, 0..1."""
        return part.ms / self.ms if self.ms else 0.0

    def verdict(self, budget_ms: float) -> Verdict:
        """Whether one new frame in `budget_ms` is ruled out."""
        if self.arithmetic_ms > budget_ms:
            return Verdict.IMPOSSIBLE
        return Verdict.CACHED_ONLY if self.ms > budget_ms else Verdict.POSSIBLE


def estimate(layers: Sequence[Layer], device: Device) -> Estimate:
    """The least time of each layer of `layers` on `device`."""
    return Estimate(device, tuple(_timed(layer, device) for layer in layers))


def _timed(layer: Layer, device: Device) -> Timed:
    rate = device.fp32_tflops * 1e12 if layer.precision is None else device.matrix_rate(layer.precision)
    arithmetic = 2 * layer.macs / rate * 1e3
    memory = layer.moved_bytes / (device.bandwidth_gbs * 1e9) * 1e3
    return Timed(layer.name, (layer,), max(arithmetic, memory), arithmetic, memory)


def _together(name: str, parts: list[Timed]) -> Timed:
    parts.sort(key=lambda part: -part.ms)
    return Timed(
        name,
        tuple(layer for part in parts for layer in part.layers),
        sum(part.ms for part in parts),
        sum(part.arithmetic_ms for part in parts),
        sum(part.memory_ms for part in parts),
    )
