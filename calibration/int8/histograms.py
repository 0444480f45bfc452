"""How the values of the tensors that INT8 layers read are distributed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from tweenrt.calibration.bodies import inlined
from tweenrt.calibration.int8.scales import Histogram
from tweenrt.runtime.onnxruntime_session import OnnxRuntimeSession
from tweenrt.runtime.session import Tensor

BINS = 2048
MOST_BYTES = 1 << 30
"""What the tensors that one run hands out may take together."""


@dataclass(frozen=True)
class Watched:
    """A tensor to be measured.

    Attributes:
        name: of the tensor.
        largest: its largest absolute value, after `factors`.
        factors: [C], what each channel of [N,C,H,W] is multiplied by before it is counted; None for 1.
    """

    name: str
    largest: float
    factors: NDArray[np.float32] | None = None


class HistogramSession(OnnxRuntimeSession):
    """An FP32 graph that measures some of its tensors whenever it runs; see `tweenrt.runtime.session.Session`.

    Args:
        model: the graph.
        watched: what to measure; each run hands all of it out.
        scratch: an empty file name for the graph that measures.
        threads: CPU threads for one run; None leaves the choice to ONNX Runtime.

    Raises:
        GraphError: ONNX Runtime cannot load it.
    """

    def __init__(self, model: ModelProto, watched: Sequence[Watched], scratch: Path, threads: int | None) -> None:
        self._sums = {w.name: _Sums(w) for w in watched}
        onnx.save(_handing_out(model, self._sums), scratch)
        super().__init__(scratch, threads)
        self._own = [o.name for o in model.graph.output]

    def run(self, feeds: Mapping[str, Tensor], *, keep: bool = False) -> dict[str, Any]:
        """See `tweenrt.runtime.session.Session.run`.

        Raises:
            BackendError: ONNX Runtime failed.
        """
        results = super().run(feeds, keep=keep)
        for name, sums in self._sums.items():
            sums.add(np.asarray(feeds[name] if name in feeds else results[name]))
        return {name: results[name] for name in self._own}

    def histograms(self) -> dict[str, Histogram]:
        """Tensor → its histogram over all runs so far."""
        return {name: Histogram(sums.counts, sums.watched.largest) for name, sums in self._sums.items()}


def groups(watched: Sequence[Watched], sizes: Mapping[str, int], most: int = MOST_BYTES) -> Iterator[list[Watched]]:
    """Parts of `watched` whose tensors together take `most` bytes or less; a larger tensor is alone.

    Args:
        watched: what is to be measured.
        sizes: tensor → its bytes; unknown tensors count nothing.
        most: bytes.
    """
    group: list[Watched] = []
    total = 0
    for tensor in watched:
        size = sizes.get(tensor.name, 0)
        if group and total + size > most:
            yield group
            group, total = [], 0
        group.append(tensor)
        total += size
    if group:
        yield group


class _Sums:
    """The running counts of one tensor."""

    def __init__(self, watched: Watched) -> None:
        self.watched = watched
        self.counts = np.zeros(BINS, np.int64)

    def add(self, tensor: NDArray[np.float32]) -> None:
        """Count one more run."""
        if not self.watched.largest > 0:
            return
        size = np.abs(tensor)
        if self.watched.factors is not None:
            size = size * self.watched.factors.reshape(1, -1, 1, 1)
        bins = (size.ravel() * np.float32(BINS / self.watched.largest)).astype(np.int32)
        self.counts += np.bincount(np.minimum(bins, BINS - 1, out=bins), minlength=BINS)


def _handing_out(model: ModelProto, tensors: Iterable[str]) -> ModelProto:
    """The graph with `tensors` as further outputs."""
    flat = inlined(model)
    known = {value.name for value in (*flat.graph.input, *flat.graph.output)}
    new = (helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in tensors if name not in known)
    flat.graph.output.extend(new)
    return flat
