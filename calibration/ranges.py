"""How large the values of a graph get: the least and the greatest value of every tensor over the frames it has drawn.

The graph itself finds them: each tensor gets two reductions to one number as extra outputs. So one run measures every
tensor, and takes no more memory than a run without measuring, since no tensor has to outlive its last reader.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from tweenrt.calibration.bodies import COMPUTE_IN_OWN_TYPE, inlined
from tweenrt.calibration.view import GraphView, key
from tweenrt.runtime.onnxruntime_session import OnnxRuntimeSession
from tweenrt.runtime.session import Tensor

_LEAST, _MOST = "ReduceMin", "ReduceMax"
_CHANNELS = "channels"
_NOT_CHANNELS = (0, 2, 3)
_MARK = "@"  # between a tensor's name and what is measured; no exporter puts it into a name


@dataclass(frozen=True)
class Range:
    """The least and the greatest value of a tensor."""

    least: float
    most: float

    @property
    def extent(self) -> float:
        """The largest absolute value; infinite where a value was not finite."""
        extent = max(abs(self.least), abs(self.most))
        return extent if math.isfinite(extent) else math.inf

    def __or__(self, other: Range) -> Range:
        """The range of both together; what is not a number stays so."""
        if math.isnan(self.least + self.most):
            return self
        if math.isnan(other.least + other.most):
            return other
        return Range(min(self.least, other.least), max(self.most, other.most))


def body_of(node: NodeProto) -> str:
    """The name under which the tensors inside the body of a custom op are measured, all of them together."""
    return f"{key(node)}{_MARK}body"


class RangeSession(OnnxRuntimeSession):
    """An FP32 graph that measures its tensors whenever it runs; see `tweenrt.runtime.session.Session`.

    Attributes:
        ranges: tensor → its range over all runs so far. What is inside the body of a custom op that computes in the
            type of its features goes by `body_of`.
        extents: tensor of `by_channel` → [channels] float32, the largest absolute value of each.

    Example:
        >>> session = RangeSession(path, model, scratch)  # doctest: +SKIP
        >>> for feeds in samples:  # doctest: +SKIP
        ...     session.run(feeds)
        >>> session.ranges["conv2d"].extent  # doctest: +SKIP

    Args:
        model: the graph.
        scratch: an empty file name for the graph that measures.
        threads: CPU threads for one run; None leaves the choice to ONNX Runtime.
        by_channel: tensors [N,C,H,W] whose channels are measured too.

    Raises:
        GraphError: ONNX Runtime cannot load it.
    """

    def __init__(
        self,
        model: ModelProto,
        scratch: Path,
        threads: int | None = None,
        by_channel: Sequence[str] = (),
    ) -> None:
        self._by_channel = by_channel
        measuring, self._measured = _measuring(model, self._by_channel)
        onnx.save(measuring, scratch)
        super().__init__(scratch, threads)
        self.ranges: dict[str, Range] = {}
        self.extents: dict[str, NDArray[np.float32]] = {}

    def run(self, feeds: Mapping[str, Tensor], *, keep: bool = False) -> dict[str, Any]:
        """See `tweenrt.runtime.session.Session.run`.

        Raises:
            BackendError: ONNX Runtime failed.
        """
        results = super().run(feeds, keep=keep)
        for tensor, counted_as in self._measured.items():
            least, most = (float(results.pop(f"{tensor}{_MARK}{what}")) for what in (_LEAST, _MOST))
            found = Range(least, most)
            self.ranges[counted_as] = self.ranges.get(counted_as, found) | found
        for tensor in self._by_channel:
            extents = results.pop(f"{tensor}{_MARK}{_CHANNELS}")
            self.extents[tensor] = np.maximum(self.extents.get(tensor, extents), extents)
        return results


def _measuring(model: ModelProto, by_channel: Sequence[str]) -> tuple[ModelProto, dict[str, str]]:
    """The graph with its extra outputs; and tensor → the name under which it is counted."""
    flat = inlined(model)
    view = GraphView(flat)
    measured = {name: name for name in view.inputs if view.is_float(name)}
    inside = _inside_bodies(model, flat)
    for node in view.nodes:
        for _, name in view.float_outputs(node):
            owner = inside.get(name)
            if owner is None:
                measured[name] = name
            elif owner.op_type in COMPUTE_IN_OWN_TYPE:
                measured[name] = body_of(owner)
    for tensor in measured:
        for reduction in (_LEAST, _MOST):
            output = f"{tensor}{_MARK}{reduction}"
            flat.graph.node.append(helper.make_node(reduction, [tensor], [output], keepdims=0))
            flat.graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, []))
    for tensor in by_channel:
        _measure_channels(flat, tensor)
    return flat, measured


def _measure_channels(flat: ModelProto, tensor: str) -> None:
    """Add the largest absolute value of each channel as an output."""
    size, axes_name, output = f"{tensor}{_MARK}abs", f"{tensor}{_MARK}axes", f"{tensor}{_MARK}{_CHANNELS}"
    flat.graph.initializer.append(numpy_helper.from_array(np.array(_NOT_CHANNELS, np.int64), axes_name))
    flat.graph.node.append(helper.make_node("Abs", [tensor], [size]))
    flat.graph.node.append(helper.make_node(_MOST, [size, axes_name], [output], keepdims=0))
    flat.graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, None))


def _inside_bodies(model: ModelProto, flat: ModelProto) -> dict[str, NodeProto]:
    """Tensor inside a body → the node whose body it is. A body's nodes stand together in the flat graph."""
    makers = {name: node for node in model.graph.node for name in node.output}
    owners: dict[str, NodeProto] = {}
    waiting: list[str] = []
    for node in flat.graph.node:
        outer = next((makers[name] for name in node.output if name in makers), None)
        if outer is None:
            waiting += node.output
        else:
            owners |= dict.fromkeys(waiting, outer)
            waiting = []
    return owners
