"""What a graph's layers cost in FP16 and in INT8, by the roofline of a device."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from tweenrt.calibration.int8.search import Gain
from tweenrt.runtime.estimate.devices import Device, Precision
from tweenrt.runtime.estimate.graph_cost import Workload, cost
from tweenrt.runtime.estimate.roofline import Layer, estimate
from tweenrt.runtime.onnx_file import OnnxFile

Name = tuple[str, str]
"""A layer: the name of its file, and of its node."""


@dataclass(frozen=True)
class _Cost:
    """One layer.

    Attributes:
        layer: with its multiplications.
        half_ms: its least time in FP16.
        int8_ms: in INT8.
    """

    layer: Layer
    half_ms: float
    int8_ms: float

    @property
    def macs(self) -> float:
        """Multiplications on tensor cores."""
        return self.layer.macs if self.layer.precision is not None else 0.0


class Costs:
    """The costs of all layers of one graph or several.

    Args:
        graphs: FP32 graphs of ours, with file names of their own.
        size: H and W of the frames in pixels.
        device: whose rates count.

    Raises:
        GraphError: the shape of a tensor cannot be worked out.
    """

    def __init__(self, graphs: Collection[OnnxFile], size: tuple[int, int], device: Device) -> None:
        self.device = device
        self._costs = {
            (graph.path.name, name): found for graph in graphs for name, found in _costs(graph, size, device).items()
        }

    def gain(self, layers: Collection[Name]) -> Gain:
        """What these layers save in INT8."""
        found = [self._costs[name] for name in layers]
        return Gain(sum(max(0.0, c.half_ms - c.int8_ms) for c in found), sum(c.macs for c in found))

    def ms(self, layers: Collection[Name] = ()) -> float:
        """The least time of a frame with these layers in INT8, the others in FP16."""
        return sum(c.int8_ms if name in layers else c.half_ms for name, c in self._costs.items())

    def share(self, layers: Collection[Name]) -> float:
        """Their share of all multiplications of convolutions and matrix products, 0..1."""
        total = sum(c.macs for c in self._costs.values())
        return self.gain(layers).macs / total if total else 0.0


def _costs(graph: OnnxFile, size: tuple[int, int], device: Device) -> dict[str, _Cost]:
    half, int8 = (cost(graph, Workload(size, precision)).layers for precision in (Precision.FP16, Precision.INT8))
    times = (estimate(layers, device).layers for layers in (half, int8))
    return {layer.name: _Cost(layer, slow.ms, fast.ms) for layer, slow, fast in zip(half, *times, strict=True)}
