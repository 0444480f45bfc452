"""Which layers can compute in INT8, and where in the network they stand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from tweenrt.calibration.roles import ASKED, MOVES, Role, is_standard, op_of, roles_of
from tweenrt.calibration.view import FLOAT, GraphView, Reader, key

Floats = NDArray[np.float32]

CHANNEL_AXIS = {"Conv": 0, "MatMul": 1}
"""Operators with INT8 kernels, and the axis of their weights along which outputs differ.

TensorRT-RTX computes transposed convolutions in floats even between Q/DQ nodes.
"""

_LEARNED_SIZES = {"Conv": 4, "MatMul": 2}
_CARRY = {*MOVES, "AveragePool", "Cast", "Pad", "Resize"}
_EXACT = {Role.FLOW, Role.COORDINATES, Role.BLEND, Role.DECISION}
_RAW = {*_EXACT, Role.IMAGE, Role.TIME}
_TIMES = ("t", "t_ref")


class Place(str, Enum):
    """Where a layer stands."""

    BODY = "body"  # it reads features and makes features
    ENTRY = "entry"  # it reads frames, flow or t themselves, perhaps beside features
    HEAD = "head"  # what it makes is used as flow, as a mask or in the new frame


@dataclass(frozen=True)
class Candidate:
    """A layer that an engine can compute in INT8.

    Attributes:
        node: the convolution or matrix product.
        place: where it stands.
    """

    node: NodeProto
    place: Place

    @property
    def key(self) -> str:
        """See `tweenrt.calibration.view.key`."""
        return key(self.node)

    @property
    def tensor(self) -> str:
        """What it reads beside its weights."""
        return str(self.node.input[0])

    @property
    def weight(self) -> str:
        """Its weights."""
        return str(self.node.input[1])

    @property
    def axis(self) -> int:
        """The axis of its weights along which outputs differ."""
        return CHANNEL_AXIS[self.node.op_type]

    @property
    def has_own_channels(self) -> bool:
        """Whether its weights have a slice for each channel of what it reads, which is [N,C,H,W]."""
        grouped = any(a.name == "group" and a.i > 1 for a in self.node.attribute)
        return self.node.op_type != "MatMul" and not grouped

    def by_input(self, weights: Floats) -> Floats:
        """Its weights with the channels of what it reads first."""
        return np.moveaxis(weights, 1 - self.axis, 0)

    def divided(self, weights: Floats, factors: Floats) -> Floats:
        """Its weights for an input whose channels are multiplied by `factors`, [channels]."""
        shape = [1] * weights.ndim
        shape[1 - self.axis] = -1
        return weights / factors.reshape(shape)

    @property
    def block(self) -> str:
        """The part of the network it belongs to: its module; itself where the graph names none."""
        return self.node.name.rpartition("/")[0] or self.node.name or self.key


def candidates(view: GraphView) -> list[Candidate]:
    """The layers of an FP32 graph that can compute in INT8, in their order.

    Those are convolutions and matrix products of features with weights that the file holds.
    The ops of the domain ``tweenrt`` have no INT8 kernels.
    """
    roles = roles_of(view)
    found = (node for node in view.nodes if _can(view, node) and roles[key(node)] is Role.FEATURE)
    return [Candidate(node, _place(view, roles, node)) for node in found]


def _can(view: GraphView, node: NodeProto) -> bool:
    if not is_standard(node, CHANNEL_AXIS):
        return False
    weight = view.weights.get(node.input[1])
    return (
        weight is not None
        and weight.data_type == FLOAT
        and len(weight.dims) == _LEARNED_SIZES[node.op_type]
        and node.input[0] not in view.weights
    )


def _place(view: GraphView, roles: dict[str, Role], node: NodeProto) -> Place:
    if _is_used_exactly(view, roles, node.output):
        return Place.HEAD
    return Place.ENTRY if _reads_raw(view, roles, node.input[0]) else Place.BODY


def _is_used_exactly(view: GraphView, roles: dict[str, Role], tensors: Iterable[str]) -> bool:
    """Whether flow, a mask or a frame is made of `tensors` without another layer in between."""
    return any(_wants_exact(view, roles, reader) for name in tensors for reader in view.readers[name])


def _wants_exact(view: GraphView, roles: dict[str, Role], reader: Reader) -> bool:
    node = reader.node
    if ASKED.get(op_of(node), {}).get(reader.place) in _EXACT or roles[key(node)] in _EXACT:
        return True
    return is_standard(node, _CARRY) and _is_used_exactly(view, roles, node.output)


def _reads_raw(view: GraphView, roles: dict[str, Role], tensor: str) -> bool:
    """Whether `tensor` holds frames, flow or t that no layer has turned into features."""
    maker = view.makers.get(tensor)
    if maker is None:
        return tensor in view.inputs and (tensor in _TIMES or tensor.startswith(("frame", "flow")))
    if roles[key(maker)] in _RAW:
        return True
    return is_standard(maker, _CARRY) and any(_reads_raw(view, roles, name) for _, name in view.float_inputs(maker))
