"""What a conversion did to a graph, in numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import ModelProto, numpy_helper

from tweenrt.calibration.policy import Decision, Precision, Reason
from tweenrt.calibration.view import FLOAT16
from tweenrt.runtime.compare import Difference


@dataclass(frozen=True)
class HalfWeights:
    """What FP16 does to the weights that are stored in it.

    Attributes:
        count: how many there are.
        small: below the smallest normal number, 6.1e-5: they keep fewer than 11 significant bits.
        lost: those that became zero.
    """

    count: int
    small: int
    lost: int


@dataclass(frozen=True)
class Converted:
    """One converted graph.

    Attributes:
        path: where it is.
        decisions: one for each node of the FP32 graph.
        casts: casts between FP32 and FP16 in the new graph.
        weights: what became of the weights.
    """

    path: Path
    decisions: tuple[Decision, ...]
    casts: int
    weights: HalfWeights

    @property
    def out_of_range(self) -> list[Decision]:
        """The nodes that stay FP32 because a number is too large for FP16."""
        return [d for d in self.decisions if d.reason in (Reason.RANGE, Reason.WEIGHT)]

    def counts(self) -> list[tuple[Precision, str, int]]:
        """(precision, why, how many nodes), FP16 first, then the most nodes first."""
        found = Counter((d.precision, d.words) for d in self.decisions if d.precision is not Precision.NONE)
        order = sorted(found.items(), key=lambda item: (item[0][0].value, -item[1]))
        return [(precision, why, count) for (precision, why), count in order]


@dataclass(frozen=True)
class Report:
    """What a conversion came to.

    Attributes:
        graphs: each graph.
        worst: where the converted graphs differ most from the FP32 ones.
    """

    graphs: tuple[Converted, ...]
    worst: Difference


def half_weights(before: ModelProto, after: ModelProto) -> HalfWeights:
    """Compare the FP16 weights of `after` with the FP32 weights of `before` that they were made from."""
    exact = {i.name: i for i in before.graph.initializer}
    halves = [i for i in after.graph.initializer if i.data_type == FLOAT16]
    count = small = lost = 0
    for half in halves:
        values = np.abs(numpy_helper.to_array(exact[half.name.rpartition("/")[0]]))
        count += values.size
        small += int(((values > 0) & (values < np.finfo(np.float16).smallest_normal)).sum())
        lost += int(((values > 0) & (numpy_helper.to_array(half) == 0)).sum())
    return HalfWeights(count, small, lost)
