"""Measure what the INT8 layers of a network read, on frames that it draws."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper

from tweenrt.calibration.int8.balance import factors
from tweenrt.calibration.int8.candidates import Candidate, Place
from tweenrt.calibration.int8.histograms import HistogramSession, Watched, groups
from tweenrt.calibration.int8.judge import draw_all
from tweenrt.calibration.int8.record import Calibration, Measured, versions
from tweenrt.calibration.int8.samples import Chosen
from tweenrt.calibration.int8.scales import Histogram, Method, threshold
from tweenrt.calibration.ranges import RangeSession
from tweenrt.runtime.estimate.graph_shapes import shapes_of
from tweenrt.runtime.onnx_file import OnnxFile
from tweenrt.runtime.progress import Meter
from tweenrt.runtime.session import Session

_FLOAT_BYTES = 4
Models = Mapping[Path, ModelProto]
Layers = Mapping[Path, Sequence[Candidate]]
Factors = NDArray[np.float32]


class Measuring:
    """One measurement.

    Args:
        source: the graph, or the folder of a split export.
        graphs: its files.
        models: what was read of them, by path.
        layers: the layers of each that can compute in INT8, by path.
        scratch: a folder for what is not yet to be seen.
        threads: CPU threads for one run.
    """

    def __init__(
        self,
        source: Path,
        graphs: Sequence[OnnxFile],
        models: Models,
        layers: Layers,
        scratch: Path,
        threads: int | None,
    ) -> None:
        self._source, self._graphs, self._models, self._layers = source, graphs, models, layers
        self._scratch, self._threads = scratch, threads

    def run(self, chosen: Chosen, meter: Meter) -> Calibration:
        """Draw the calibration samples: once for the ranges, then for the histograms of as many tensors as fit."""
        sessions = self._ranges(chosen, meter)
        found: dict[str, dict[str, Measured]] = {}
        for graph in self._graphs:
            watched = self._watched(graph.path, sessions[graph.path])
            histograms = self._histograms(graph, watched, chosen, meter)
            found[graph.path.name] = {w.name: _measured(w, histograms[w.name]) for w in watched}
        ranges = {path.name: session.ranges for path, session in sessions.items()}
        return Calibration(digests(self._graphs), chosen.sha256, len(chosen.calibration), found, ranges, versions())

    def _ranges(self, chosen: Chosen, meter: Meter) -> dict[Path, RangeSession]:
        """The graphs after they have drawn."""
        sessions: dict[Path, RangeSession] = {}

        def opened(path: Path) -> Session:
            uneven = [readers[0].tensor for readers in _by_tensor(self._layers[path]) if _is_uneven(readers)]
            scratch = self._scratch / f"ranges-{path.name}"
            sessions[path] = RangeSession(self._models[path], scratch, self._threads, uneven)
            return sessions[path]

        draw_all(self._source, opened, chosen.calibration, meter)
        return sessions

    def _watched(self, path: Path, session: RangeSession) -> list[Watched]:
        """What the layers of a graph read, each tensor once."""
        weights = {i.name: i for i in self._models[path].graph.initializer}
        watched = []
        for readers in _by_tensor(self._layers[path]):
            tensor = readers[0].tensor
            if tensor in session.extents:
                extents = session.extents[tensor]
                by = factors(extents, [r.by_input(numpy_helper.to_array(weights[r.weight])) for r in readers])
                watched.append(Watched(tensor, float((extents * by).max()), by))
            else:
                watched.append(Watched(tensor, session.ranges[tensor].extent))
        return watched

    def _histograms(
        self, graph: OnnxFile, watched: Sequence[Watched], chosen: Chosen, meter: Meter
    ) -> dict[str, Histogram]:
        size = chosen.calibration[0].frame0.rgb.shape[:2]
        height, width = (-(-side // graph.info.divisor) * graph.info.divisor for side in size)
        sizes = {n: _FLOAT_BYTES * int(np.prod(shape)) for n, shape in shapes_of(graph, (height, width)).items()}
        found: dict[str, Histogram] = {}
        for group in groups(watched, sizes):
            found |= self._group(graph.path, group, chosen, meter)
        return found

    def _group(self, path: Path, group: list[Watched], chosen: Chosen, meter: Meter) -> dict[str, Histogram]:
        watching: dict[Path, HistogramSession] = {}

        def opened(which: Path) -> Session:
            here = group if which == path else []
            scratch = self._scratch / f"histograms-{which.name}"
            watching[which] = HistogramSession(self._models[which], here, scratch, self._threads)
            return watching[which]

        draw_all(self._source, opened, chosen.calibration, meter)
        return watching[path].histograms()


def digests(graphs: Sequence[OnnxFile]) -> dict[str, str]:
    """File name → sha256 of each graph."""
    return {graph.path.name: hashlib.sha256(graph.serialised).hexdigest() for graph in graphs}


def _by_tensor(layers: Sequence[Candidate]) -> list[list[Candidate]]:
    """The layers that read the same, together."""
    found: dict[str, list[Candidate]] = {}
    for layer in layers:
        found.setdefault(layer.tensor, []).append(layer)
    return list(found.values())


def _is_uneven(readers: Sequence[Candidate]) -> bool:
    """Whether the channels of what they read are to be balanced."""
    return any(r.place is Place.ENTRY for r in readers) and all(r.has_own_channels for r in readers)


def _measured(watched: Watched, found: Histogram) -> Measured:
    return Measured({method: threshold(found, method) for method in Method}, watched.factors)
