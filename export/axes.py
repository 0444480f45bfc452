"""Which axes of a graph's inputs and outputs follow the batch, the height and the width of the frames."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from tweenrt.contract import FrameIO
from tweenrt.export.options import ExportOptions
from tweenrt.export.spec import ModelSpec


@dataclass(frozen=True)
class Axes:
    """The example's sizes, and which of them stay open in the graph.

    Attributes:
        sizes: N, H and W of the example.
        open_batch: N is dynamic.
        open_size: H and W are dynamic.
        step: dynamic H and W are multiples of this.
    """

    sizes: tuple[int, int, int]
    open_batch: bool
    open_size: bool
    step: int

    @classmethod
    def of(cls, sizes: tuple[int, int, int], options: ExportOptions, spec: ModelSpec) -> Axes:
        """The axes of a graph of `spec` exported with `options` from an example of `sizes`."""
        step = 1 if options.io is FrameIO.UINT8 else spec.divisor
        return cls(sizes, options.batch is None, options.size is None, step)

    @property
    def dynamic(self) -> bool:
        """Whether any axis is."""
        return self.open_batch or self.open_size

    def names(self, tensor: Tensor) -> dict[int, str]:
        """Axis → its name where it is dynamic: ``N``, ``H``, ``W``, or a part such as ``H/2``."""
        return {axis: letter + _spell(ratio) for axis, (letter, ratio) in self._ratios(tensor).items()}

    def dims(self, tensor: Tensor) -> dict[int, object]:
        """Axis → the torch dimension it follows, for `torch.onnx.export`."""
        found: dict[int, object] = {}
        for axis, (letter, ratio) in self._ratios(tensor).items():
            factor = 1 if letter == "N" else int(self.step * ratio)
            dim = torch.export.Dim(letter)
            found[axis] = dim if factor == 1 else factor * dim
        return found

    def _ratios(self, tensor: Tensor) -> dict[int, tuple[str, Fraction]]:
        """Dynamic axis → the letter it follows and which part of it it is."""
        batch, height, width = self.sizes
        found: dict[int, tuple[str, Fraction]] = {}
        if self.open_batch and tensor.dim() and tensor.shape[0] == batch:
            found[0] = ("N", Fraction(1))
        if self.open_size and tensor.dim() == 4:
            rows, columns = (1, 2) if tensor.dtype == torch.uint8 else (2, 3)
            for axis, letter, full in ((rows, "H", height), (columns, "W", width)):
                if tensor.shape[axis] != 1:
                    found[axis] = (letter, Fraction(tensor.shape[axis], full))
        return found


def _spell(ratio: Fraction) -> str:
    """``""`` for the whole, ``/2`` for a half, ``*3/2`` for anything else."""
    if ratio.numerator == 1:
        return "" if ratio == 1 else f"/{ratio.denominator}"
    return f"*{ratio}"
