"""What quantising a network came to, in numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the command line prints reports, and starts without the package onnx
    from tweenrt.calibration.int8.candidates import Candidate
    from tweenrt.calibration.int8.scales import Method
    from tweenrt.calibration.int8.search import Judged, Point, Sensitivity


@dataclass(frozen=True)
class WrittenGraph:
    """One graph.

    Attributes:
        path: where it is.
        int8: the layers that compute in INT8.
        kept: those that could and do not.
        bytes_before: size of the FP32 file.
        bytes_after: of the new one.
    """

    path: Path
    int8: tuple[Candidate, ...]
    kept: tuple[Candidate, ...]
    bytes_before: int
    bytes_after: int


@dataclass(frozen=True)
class Rated:
    """A set of INT8 layers, with what it costs and what it saves.

    Attributes:
        point: the set, and what it does to frames.
        share: of the multiplications of convolutions and matrix products that is INT8, 0..1.
        ms: least time of a frame by the roofline.
    """

    point: Point
    share: float
    ms: float


@dataclass(frozen=True)
class QuantizeReport:
    """All of it.

    Attributes:
        graphs: each file.
        method: how ranges were chosen.
        exact: the FP32 graph's frames.
        written: the new graph, as it was written.
        front: what was tried; empty where no budget was given.
        sensitivities: each block alone; likewise.
        device: whose roofline gives the times.
        samples: how many frames it was calibrated on, and judged by.
    """

    graphs: tuple[WrittenGraph, ...]
    method: Method
    exact: Judged
    written: Rated
    front: tuple[Rated, ...]
    sensitivities: tuple[Sensitivity, ...]
    device: str
    samples: tuple[int, int]

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "graphs": [_graph(g) for g in self.graphs],
            "method": self.method.value,
            "device": self.device,
            "samples": {"calibration": self.samples[0], "judging": self.samples[1]},
            "fp32_psnr_db": self.exact.psnr_db,
            "written": _rated(self.written),
            "front": [_rated(r) for r in self.front],
            "blocks": [_sensitivity(s) for s in self.sensitivities],
        }


def pareto(rated: Sequence[Rated]) -> list[Rated]:
    """Those that no other beats in both time and PSNR, the slowest first."""
    best: list[Rated] = []
    for one in sorted(rated, key=lambda r: (r.ms, r.point.drop_db)):
        if not best or one.point.drop_db < best[-1].point.drop_db:
            best.append(one)
    return best[::-1]


def psnr_db(mse: float) -> float:
    """Of frames in 0..1."""
    return -10 * math.log10(mse) if mse > 0 else math.inf


def worst(found: Sequence[Sensitivity], count: int) -> list[tuple[str, float]]:
    """The blocks that lose most alone: (block, PSNR against FP32 in dB), the worst first."""
    ordered = sorted(found, key=lambda s: -s.judged.mse)[:count]
    return [(s.block, psnr_db(s.judged.mse)) for s in ordered]


def _graph(graph: WrittenGraph) -> dict[str, Any]:
    return {
        "path": str(graph.path),
        "int8_layers": [c.node.name for c in graph.int8],
        "kept_layers": {c.node.name: c.place.value for c in graph.kept},
        "bytes_before": graph.bytes_before,
        "bytes_after": graph.bytes_after,
    }


def _rated(rated: Rated) -> dict[str, Any]:
    return {
        "blocks": list(rated.point.blocks),
        "drop_db": rated.point.drop_db,
        "psnr_db": rated.point.judged.psnr_db,
        "psnr_against_fp32_db": _finite(psnr_db(rated.point.judged.mse)),
        "int8_share": rated.share,
        "ms": rated.ms,
    }


def _sensitivity(found: Sensitivity) -> dict[str, Any]:
    return {
        "block": found.block,
        "psnr_db": found.judged.psnr_db,
        "psnr_against_fp32_db": _finite(psnr_db(found.judged.mse)),
        "saves_ms": found.gain.ms,
        "macs": found.gain.macs,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
