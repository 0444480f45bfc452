"""Multiply-accumulates of a network, counted where they are made; shapes only, so nothing is computed."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from tweenrt.export.network import GraphPart
from tweenrt.export.spec import ModelSpec


class Macs(NamedTuple):
    """Counts in units of 1e9; a transposed convolution is counted at every pixel of its input."""

    total: float
    transposed: float
    """Those of transposed convolutions, which `total` includes."""


def macs(spec: ModelSpec, size: tuple[int, int]) -> Macs:
    """What one new frame of `size` takes, its sides grown to multiples of the divisor."""
    height, width = (-(-side // spec.divisor) * spec.divisor for side in size)
    with torch.device("meta"), torch.no_grad():
        frames = (torch.zeros(1, 3, height, width),) * spec.frames
        part = spec.build().eval().part(spec.kinds[0], frames, torch.full((1, 1, 1, 1), 0.5))
        return _counted(part)


def _counted(part: GraphPart) -> Macs:
    transposed = 0.0

    def note(layer: nn.Module, inputs: tuple[Tensor, ...], _: Tensor) -> None:
        nonlocal transposed
        assert isinstance(layer, nn.ConvTranspose2d)
        transposed += layer.weight.numel() * inputs[0].shape[0] * math.prod(inputs[0].shape[2:]) / 1e9

    for layer in part.module.modules():
        if isinstance(layer, nn.ConvTranspose2d):
            layer.register_forward_hook(note)
    with FlopCounterMode(display=False) as counter:
        part.run()
    return Macs(counter.get_total_flops() / 2e9, transposed)
