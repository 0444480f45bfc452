"""Which precision each node of a graph computes in, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np
from onnx import NodeProto, numpy_helper

from tweenrt.calibration.bodies import COMPUTE_IN_OWN_TYPE
from tweenrt.calibration.halves import half_input, half_output
from tweenrt.calibration.ranges import Range, body_of
from tweenrt.calibration.roles import MOVES, Role, is_standard, roles_of
from tweenrt.calibration.view import GraphView, key

HEADROOM = 4.0
"""How many times larger than anything measured a value may get before it overflows."""

MOST = float(np.finfo(np.float16).max) / HEADROOM


class Precision(str, Enum):
    """In which type a node computes."""

    FP16 = "fp16"
    FP32 = "fp32"
    NONE = "none"  # it makes no floats, and reads them in the type they have


class Reason(str, Enum):
    """Why a node computes in its precision."""

    ROLE = "role"  # what its numbers stand for
    MOVES = "moves"  # it copies numbers, and they keep the type they have
    RANGE = "range"  # a value that it reads or makes is too large for FP16
    WEIGHT = "weight"  # a weight is


@dataclass(frozen=True)
class Decision:
    """What was decided for one node.

    Attributes:
        node: which.
        role: what it computes.
        precision: in which type.
        reason: why.
        detail: the tensor and its size where a range decided, else empty.
    """

    node: NodeProto
    role: Role
    precision: Precision
    reason: Reason = Reason.ROLE
    detail: str = ""

    @property
    def words(self) -> str:
        """The reason in words, the same for all nodes that share it."""
        if self.reason is Reason.MOVES:
            return "copies: numbers keep the type they have"
        if self.reason is Reason.ROLE:
            return self.role.words
        what = "values" if self.reason is Reason.RANGE else "weights"
        return f"range: {what} beyond {MOST:.0f}, a quarter of the largest FP16 number"


def decide(view: GraphView, ranges: Mapping[str, Range] | None = None) -> list[Decision]:
    """The precision of every node of a graph, in their order.

    Features are FP16; everything else that has floats is FP32 (`Role`), and so is a node that reads or makes a value
    whose measured range leaves less than `HEADROOM` to FP16's largest number.

    Args:
        view: an FP32 graph.
        ranges: tensor → its range; tensors without one are taken to be small.
    """
    return _Decider(view, ranges or {}).decisions


class _Decider:
    def __init__(self, view: GraphView, ranges: Mapping[str, Range]) -> None:
        self._view, self._ranges = view, ranges
        self._roles = roles_of(view)
        self._large = {name: extent for name, extent in _weight_extents(view).items() if extent > MOST}
        self._half: set[str] = set()  # the tensors that are FP16
        self.decisions = [self._decided(node) for node in view.nodes]

    def _decided(self, node: NodeProto) -> Decision:
        decision = self._wanted(node)
        if decision.precision is Precision.FP16:
            decision = self._too_large(decision) or decision
        if decision.precision is Precision.FP16:
            outputs = self._view.float_outputs(node)
            self._half |= {name for place, name in outputs if half_output(node, place, self._view.opset)}
        return decision

    def _wanted(self, node: NodeProto) -> Decision:
        """The decision, ranges apart."""
        role = self._roles[key(node)]
        if role is Role.INDEX:
            return Decision(node, role, Precision.NONE)
        moved = self._moved(node) if is_standard(node, MOVES) else set()
        if len(moved) == 1:
            return Decision(node, role, moved.pop(), Reason.MOVES)
        return Decision(node, role, Precision.FP16 if role is Role.FEATURE else Precision.FP32)

    def _moved(self, node: NodeProto) -> set[Precision]:
        """The types of what a node copies; weights have none of their own."""
        names = (name for _, name in self._view.float_inputs(node) if name not in self._view.weights)
        return {Precision.FP16 if name in self._half else Precision.FP32 for name in names}

    def _too_large(self, wanted: Decision) -> Decision | None:
        """FP32 for a node that would have to hold a number in FP16 that is too large for it."""
        for name in self._held(wanted.node):
            if name in self._large:
                return self._instead(wanted, Reason.WEIGHT, name, self._large[name])
            if name in self._ranges and self._ranges[name].extent > MOST:
                return self._instead(wanted, Reason.RANGE, name, self._ranges[name].extent)
        return None

    def _held(self, node: NodeProto) -> list[str]:
        """What an FP16 node holds in FP16: its inputs, its outputs, and what is inside its body."""
        opset = self._view.opset
        read = [name for place, name in self._view.float_inputs(node) if half_input(node, place, opset)]
        made = [name for place, name in self._view.float_outputs(node) if half_output(node, place, opset)]
        inside = [body_of(node)] if node.op_type in COMPUTE_IN_OWN_TYPE else []
        return [*read, *made, *inside]

    def _instead(self, wanted: Decision, reason: Reason, tensor: str, extent: float) -> Decision:
        detail = f"{tensor} reaches {extent:.3g}"
        return Decision(wanted.node, wanted.role, Precision.FP32, reason, detail)


def _weight_extents(view: GraphView) -> dict[str, float]:
    """FP32 weight → its largest absolute value."""
    return {
        name: float(np.abs(numpy_helper.to_array(weight)).max(initial=0.0))
        for name, weight in view.weights.items()
        if view.is_float(name)
    }
