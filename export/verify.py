"""Does a graph compute what the PyTorch network computes? Tolerances live here, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tweenrt.errors import require
from tweenrt.export.network import GraphPart

MIN_PSNR_DB = 80.0
"""Two FP32 runs of one network on frames in 0..1 agree to more than this."""

_SMALL_PIXELS = 256 * 448
_SMALL_MAX_ABS = 1e-4
_LARGE_MAX_ABS = 5e-4

_TIPPED = 1e-3
"""Share of the values that may lie beyond the bound where a network decides.

DBVI leaves out what moved out of the frame and divides by how much reaches a pixel, be it ever so little. Which way
that goes at a pixel hangs on the last digit of a flow, and the layers after it carry it to its neighbours. Seen on an
AMD EPYC: 10 values of 110592 beyond 1e-4, the largest 1.6e-4; moving DBVI's threshold by 1e-5 changes
1538 by up to 3e-3.
"""


@dataclass(frozen=True)
class Parity:
    """How a graph compares with the network it was made from, worst output first.

    Attributes:
        max_abs: largest absolute difference over all outputs; images are in 0..1.
        psnr_db: peak signal-to-noise ratio for a peak of 1; infinite for identical outputs.
        bound: what `max_abs` may be at most.
        beyond: share of the values that are further off than that.
        decides: the network decides, so that a few of them may be.
    """

    max_abs: float
    psnr_db: float
    bound: float
    beyond: float = 0.0
    decides: bool = False

    @property
    def passed(self) -> bool:
        """Whether both bounds hold."""
        close = self.max_abs <= self.bound or (self.decides and self.beyond <= _TIPPED)
        return close and self.psnr_db >= MIN_PSNR_DB

    def __str__(self) -> str:
        share = f", further off {self.beyond:.1e} of the values (at most {_TIPPED:.0e})" if self.decides else ""
        return (
            f"max abs difference {self.max_abs:.2e} (at most {self.bound:.0e}{share}), "
            f"PSNR {self.psnr_db:.1f} dB (at least {MIN_PSNR_DB:.0f})"
        )


def bound_for(height: int, width: int) -> float:
    """Largest difference allowed between two FP32 runs on frames of this size.

    The sampling position of a warp is one FP32 number; its rounding step doubles each time the frame doubles
    (at column 1280 it is 1.2e-4 pixels, and more after normalisation to -1..1), and steep edges turn a position
    error into a brightness error. So the bound is 1e-4 up to 256×448 and 5e-4 above.
    """
    return _SMALL_MAX_ABS if height * width <= _SMALL_PIXELS else _LARGE_MAX_ABS


def compare(expected: NDArray[np.floating[Any]], got: NDArray[np.floating[Any]]) -> tuple[float, float]:
    """(max abs difference, PSNR in dB for a peak of 1); NaN anywhere gives (inf, 0).

    Raises:
        AssertionError: the shapes differ, which is a bug of ours.
    """
    assert expected.shape == got.shape, f"shapes differ: {expected.shape} against {got.shape}"
    difference = expected.astype(np.float64) - got.astype(np.float64)
    if not np.isfinite(difference).all():
        return float("inf"), 0.0
    error = float(np.mean(difference**2))
    psnr = float("inf") if error == 0 else -10.0 * float(np.log10(error))
    return float(np.abs(difference).max()), psnr


def compare_part(part: GraphPart, outputs: tuple[Tensor, ...], path: Path) -> Parity:
    """Run the file `path` in ONNX Runtime on the example of `part` and compare with its PyTorch `outputs`."""
    results = compare_outputs(part, outputs, path)
    worst = max(results, key=lambda r: r.max_abs / r.bound)
    return replace(worst, psnr_db=min(r.psnr_db for r in results))


def compare_outputs(part: GraphPart, outputs: tuple[Tensor, ...], path: Path) -> list[Parity]:
    """As `compare_part`, one result for each output in the order of `part.outputs`."""
    ort = require("onnxruntime", extra="export", why="Verifying a graph")
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    got = session.run(list(part.outputs), {k: v.numpy() for k, v in part.example.items()})
    return _compare_all(part, [o.numpy() for o in outputs], got)


def _compare_all(part: GraphPart, expected: list[NDArray[np.float32]], got: list[NDArray[np.float32]]) -> list[Parity]:
    first = next(iter(part.example.values()))
    bound = bound_for(*(first.shape[1:3] if first.dtype == torch.uint8 else first.shape[2:4]))
    return [_compare_one(e, g, bound, part.decides) for e, g in zip(expected, got, strict=True)]


def _compare_one(expected: NDArray[Any], got: NDArray[Any], bound: float, decides: bool) -> Parity:
    if expected.dtype == np.uint8:
        # Rounding to 8 bits may tip either way where the two runs straddle a half: one step of 255.
        expected, got, bound = expected / 255.0, got / 255.0, bound + 1.0 / 255.0
    worst, psnr = compare(expected, got)
    return Parity(worst, psnr, bound, float(np.mean(np.abs(expected - got) > bound)), decides)
