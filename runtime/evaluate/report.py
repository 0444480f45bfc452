"""What an evaluation found, beside what was published, and what its reader must know."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tweenrt
from tweenrt.contract import FrameIO, GraphInfo
from tweenrt.errors import UsageError
from tweenrt.runtime.drawing import FOUR
from tweenrt.runtime.evaluate.job import Job, graph_sha256
from tweenrt.runtime.evaluate.metrics import Metric
from tweenrt.runtime.evaluate.published import Published, published
from tweenrt.runtime.evaluate.run import Row
from tweenrt.runtime.evaluate.summary import Means, summarise


@dataclass(frozen=True)
class Report:
    """An evaluation.

    Attributes:
        job: what was evaluated.
        info: the graph's metadata.
        rows: every frame that was held out.
        means: of each part of the dataset, then of all of it where it has several.
        published: part → what was published for weights of the authors; parts without are left out.
        remarks: what the reader must know, in sentences.
    """

    job: Job
    info: GraphInfo
    rows: Sequence[Row]
    means: Sequence[Means]
    published: Mapping[str, Published]
    remarks: Sequence[str]

    def beside(self, means: Means) -> dict[Metric, float]:
        """The published figures that belong beside `means`, each under the metric that it is to be compared with."""
        found = self.published.get(means.group)
        if found is None:
            return {}
        figures = {m: getattr(found, m.family) for m in self.job.benchmark.published if m in means.values}
        return {metric: value for metric, value in figures.items() if value is not None}

    def facts(self) -> dict[str, Any]:
        """Everything as JSON values; null stands for infinity, which JSON does not have."""
        return {
            "tweenrt": tweenrt.__version__,
            "model": self.info.model,
            "graph": str(self.job.graph),
            "graph_sha256": graph_sha256(self.job.graph),
            "weights_sha256": self.info.weights_sha256,
            "precision": self.info.precision,
            "backend": self.job.backend.value,
            "dataset": self.job.dataset.value,
            "root": str(self.job.root),
            "protocol": self.job.benchmark.protocol,
            "metrics": [metric.value for metric in self.job.measured],
            "summary": [self._summary(means) for means in self.means],
            "remarks": list(self.remarks),
            "frames": [_frame(row) for row in self.rows],
        }

    def _summary(self, means: Means) -> dict[str, Any]:
        beside = {metric.value: value for metric, value in self.beside(means).items()}
        return {
            "subset": means.group,
            "frames": means.count,
            "identical": means.identical,
            "seconds_per_frame": means.seconds,
            **_figures(means.values),
            "published": beside | {"source": self.published[means.group].source} if beside else None,
        }


def report(job: Job, info: GraphInfo, rows: Sequence[Row], remarks: Sequence[str] = ()) -> Report:
    """Put together what an evaluation found.

    Args:
        job: what was evaluated.
        info: the graph's metadata.
        rows: what came out.
        remarks: those of the dataset's series.

    Raises:
        UsageError: there are no rows.
    """
    if not rows:
        raise UsageError(f"{job.root}: no frame was held out{''.join(f'; {text}' for text in remarks)}")
    means = summarise(rows, list(job.benchmark.sizes))
    trained = not info.weights_sha256.startswith("random:")
    known = published(info.model, job.dataset) if trained else {}
    return Report(job, info, rows, means, known, [*remarks, *_remarks(job, info, means)])


def _remarks(job: Job, info: GraphInfo, means: Sequence[Means]) -> Iterator[str]:
    if info.frames == FOUR:
        yield f"{info.model} looks at four frames; besides the pair it got: {job.benchmark.neighbours}"
    if info.io is FrameIO.UINT8 and any(metric.unrounded for metric in job.measured):
        yield "the graph draws uint8 frames, so the figures called _float are of rounded frames too"
    for found in means:
        size = job.benchmark.sizes.get(found.group)
        part = found.group or "all"
        if size is not None and found.count != size:
            yield f"{part}: {found.count} of the {size} frames that papers take the mean over"
        if found.identical:
            yield f"{part}: {found.identical} frames equal the truth; their PSNR is infinite and not in the mean"


def _frame(row: Row) -> dict[str, Any]:
    facts = {"subset": row.group, "frame": row.name, "t": float(row.t), "seconds": row.seconds}
    return facts | _figures(row.values)


def _figures(values: Mapping[Metric, float]) -> dict[str, float | None]:
    return {metric.value: value if math.isfinite(value) else None for metric, value in values.items()}
