"""What is evaluated on what: everything that decides which rows come out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tweenrt.errors import GraphError, UsageError
from tweenrt.runtime.evaluate.benchmarks import BENCHMARKS, Benchmark, open_series
from tweenrt.runtime.evaluate.dataset import Dataset
from tweenrt.runtime.evaluate.metrics import Metric
from tweenrt.runtime.evaluate.sample import Series
from tweenrt.runtime.session import ENGINE_ENDING, Backend


@dataclass(frozen=True)
class Job:
    """One evaluation.

    Attributes:
        graph: an ONNX file of ours, an engine, or the folder of a split export.
        dataset: what the network is evaluated on.
        root: where that lies.
        metrics: what is measured; none for those of the dataset's papers.
        groups: the parts that are wanted; none for all.
        limit: most frames of each part; None for all.
        every: for a video, one frame of this many is kept.
        first: for a video, number of the first frame to use.
        across_cuts: for a video, look for no scene changes.
        backend: what executes the graph.
        iterations: runs for each frame, for [D,R] networks.

    Raises:
        UsageError: `every` is below 2, or what is for videos is given for another dataset.
    """

    graph: Path
    dataset: Dataset
    root: Path
    metrics: Sequence[Metric] = ()
    groups: Sequence[str] = ()
    limit: int | None = None
    every: int = 2
    first: int = 0
    across_cuts: bool = False
    backend: Backend = Backend.AUTO
    iterations: int = 2

    def __post_init__(self) -> None:
        if self.every < 2:
            raise UsageError(f"expected to keep one frame of 2 or more, got {self.every}")
        if self.dataset is not Dataset.VIDEO and (self.every, self.first, self.across_cuts) != (2, 0, False):
            raise UsageError(
                f"{self.dataset.value} says itself which frames are held out; that is chosen for videos only"
            )

    @property
    def benchmark(self) -> Benchmark:
        """The protocol."""
        return BENCHMARKS[self.dataset]

    @property
    def measured(self) -> tuple[Metric, ...]:
        """What is measured of each frame."""
        return tuple(self.metrics) or self.benchmark.metrics

    def series(self) -> Series:
        """The samples; see `open_series`."""
        found = open_series(
            self.dataset, self.root, self.groups, every=self.every, first=self.first, across_cuts=self.across_cuts
        )
        return found.limited(self.limit)

    def identity(self) -> Mapping[str, object]:
        """What rows depend on. Rows of more groups or frames of the same evaluation have the same identity."""
        facts: dict[str, object] = {
            "dataset": self.dataset.value,
            "protocol": self.benchmark.protocol,
            "root": str(self.root.resolve()),
            "graph_sha256": graph_sha256(self.graph),
            "backend": self.backend.value,
            "iterations": self.iterations,
            "metrics": [metric.value for metric in self.measured],
        }
        if self.dataset is Dataset.VIDEO:
            size = self.root.stat().st_size if self.root.is_file() else None
            facts |= {"bytes": size, "every": self.every, "first": self.first, "across_cuts": self.across_cuts}
        return facts


def graph_sha256(graph: Path) -> str:
    """Of the file, or of the names and contents of the graphs in a folder.

    Raises:
        GraphError: there is no such graph.
    """
    if graph.is_file():
        return hashlib.sha256(graph.read_bytes()).hexdigest()
    files = sorted(path for path in graph.glob("*") if path.suffix in {".onnx", ENGINE_ENDING})
    if not files:
        raise GraphError(f"{graph}: no such graph; make one with `tweenrt export MODEL -o {graph}`")
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()
