"""What the numbers of each node stand for: features, flow, coordinates, the blend, time, statistics, decisions.

A number format suits a meaning, not an operator: the same ``Add`` sums features, which forgive rounding, or
accumulates flow, which does not. The meaning is found from where a value ends (the flow input of a warp, the new
frame, a comparison) and from where it comes (frames, t, means), through all nodes that carry a quantity on, up to the
nearest layer that was learned.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from onnx import NodeProto

from tweenrt.calibration.view import GraphView, Reader, key
from tweenrt.contract import OP_DOMAIN


class Role(str, Enum):
    """What a node computes; where several meet, the first of them decides."""

    FLOW = "flow"
    COORDINATES = "coordinates"
    BLEND = "blend"
    DECISION = "decision"
    IMAGE = "image"
    STATISTICS = "statistics"
    TIME = "time"
    FEATURE = "feature"
    INDEX = "index"

    @property
    def words(self) -> str:
        """The role in a few words, for reports."""
        return _WORDS[self]


_WORDS = {
    Role.FLOW: "flow: its accumulation, scaling and resizing",
    Role.COORDINATES: "coordinates: where a lookup or a deformable convolution samples",
    Role.BLEND: "blend: masks, the final merge and what is added to it",
    Role.DECISION: "decisions: what is compared with a threshold",
    Role.IMAGE: "images: what is done to the frames before the first layer",
    Role.STATISTICS: "statistics: means over the picture and normalisation with them",
    Role.TIME: "time: t and what is computed from it alone",
    Role.FEATURE: "features: convolutions, matrix products and what lies between them",
    Role.INDEX: "sizes, indices and logic",
}
_BY_STRENGTH = tuple(Role)

ASKED: dict[tuple[str, str], dict[int, Role]] = {
    (OP_DOMAIN, "BackwardWarp"): {1: Role.FLOW},
    (OP_DOMAIN, "WarpResize"): {1: Role.FLOW},
    (OP_DOMAIN, "WarpConcat"): {3: Role.FLOW, 4: Role.FLOW},
    (OP_DOMAIN, "WarpBlend"): {
        0: Role.BLEND,
        1: Role.BLEND,
        2: Role.FLOW,
        3: Role.FLOW,
        4: Role.BLEND,
        5: Role.BLEND,
    },
    (OP_DOMAIN, "ForwardSplat"): {1: Role.FLOW},
    (OP_DOMAIN, "CorrelationLookup"): {1: Role.COORDINATES},
    (OP_DOMAIN, "DeformConv2d"): {1: Role.COORDINATES},
    ("", "GridSample"): {1: Role.COORDINATES},
    ("", "DeformConv"): {2: Role.COORDINATES},
}
"""What ops want at their inputs, where it is no feature: op → place → role."""

MADE: dict[tuple[str, str], dict[int, Role]] = {(OP_DOMAIN, "WarpConcat"): {1: Role.FLOW}}
"""The same of what comes out."""

WARPS = {
    (OP_DOMAIN, "BackwardWarp"),
    (OP_DOMAIN, "ForwardSplat"),
    (OP_DOMAIN, "WarpResize"),
    ("", "GridSample"),
}
"""Ops that move their first input about: it means the same after as before."""

MOVES = {
    "Concat",
    "DepthToSpace",
    "Expand",
    "Flatten",
    "Gather",
    "Identity",
    "Reshape",
    "Slice",
    "SpaceToDepth",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
}
"""Operators that copy numbers without computing on them."""

_ARITHMETIC = {"Add", "Div", "Mul", "Sub"}
_CARRIERS = {
    *MOVES,
    *_ARITHMETIC,
    "Abs",
    "AveragePool",
    "Cast",
    "CastLike",
    "Ceil",
    "Clip",
    "ConstantOfShape",
    "Exp",
    "Floor",
    "Log",
    "Max",
    "Min",
    "Neg",
    "Pad",
    "Pow",
    "Reciprocal",
    "Resize",
    "Round",
    "Sigmoid",
    "Sign",
    "Softmax",
    "Sqrt",
    "Tanh",
    "Where",
}
"""Operators whose result means what their input means."""

_FORGETFUL = {"Relu"}
"""Operators that carry on what no layer has touched, and make features of features."""

_REDUCTIONS = {"GlobalAveragePool", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum"}
_COMPARISONS = {"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"}
_CUTS = {"Slice", "Split"}


def roles_of(view: GraphView) -> dict[str, Role]:
    """The role of every node: the name of its first output → role."""
    demands = _Demands(view)
    origins = _Origins(view, demands.by_node)
    return origins.roles


def op_of(node: NodeProto) -> tuple[str, str]:
    """(domain, op) of a node, the standard domain as ``""``."""
    return (node.domain if node.domain != "ai.onnx" else "", node.op_type)


def is_standard(node: NodeProto, operators: Iterable[str]) -> bool:
    """Whether a node is one of these standard operators."""
    return op_of(node)[0] == "" and node.op_type in operators


def _strongest(roles: Iterable[Role]) -> Role:
    """The role that decides where several meet."""
    return min(roles, key=_BY_STRENGTH.index, default=Role.FEATURE)


def _agreed(roles: list[Role]) -> Role:
    """The strongest, unless one of the parts is a feature: then the whole is a mixture, which a learned layer made."""
    return Role.FEATURE if Role.FEATURE in roles else _strongest(roles)


class _Demands:
    """What those who read a node's outputs want them for: node → role. Found from the end of the graph."""

    def __init__(self, view: GraphView) -> None:
        self._view = view
        self.by_node: dict[str, Role] = {}
        for node in reversed(view.nodes):
            asked = [self._of_tensor(name) for name in node.output if name]
            self.by_node[key(node)] = _agreed(asked) if is_standard(node, ("Split",)) else _strongest(asked)

    def _of_tensor(self, tensor: str) -> Role:
        readers = self._view.readers[tensor]
        whole = [self._of_reader(r) for r in readers if not is_standard(r.node, _CUTS)]
        parts = [self._of_reader(r) for r in readers if is_standard(r.node, _CUTS)]
        if tensor in self._view.outputs:
            whole.append(_of_output(tensor))
        return _strongest([*whole, _agreed(parts)])

    def _of_reader(self, reader: Reader) -> Role:
        node, op = reader.node, op_of(reader.node)
        if reader.place in ASKED.get(op, {}):
            return ASKED[op][reader.place]
        carries = (op in WARPS and reader.place == 0) or is_standard(node, _CARRIERS | _REDUCTIONS)
        if carries:
            return self.by_node[key(node)]
        return Role.DECISION if is_standard(node, _COMPARISONS) else Role.FEATURE


def _of_output(tensor: str) -> Role:
    """What an output of a graph is, by the names of the graph contract."""
    return Role.BLEND if tensor == "frame_t" else Role.FLOW if tensor.startswith("flow") else Role.FEATURE


def _of_input(tensor: str) -> Role:
    """The same of an input."""
    if tensor.startswith("frame"):
        return Role.IMAGE
    if tensor.startswith("flow"):
        return Role.FLOW
    return Role.TIME if tensor in ("t", "t_ref") else Role.FEATURE


class _Origins:
    """What the values come from, and with it the roles. Found from the start of the graph.

    A tensor that no learned layer has touched keeps the role of what it was computed from, whoever reads it.
    """

    def __init__(self, view: GraphView, demands: dict[str, Role]) -> None:
        self._view, self._demands = view, demands
        self._made = {name: _of_input(name) for name in view.inputs}
        self.roles: dict[str, Role] = {}
        for node in view.nodes:
            role = self.roles[key(node)] = self._role(node)
            for place, name in enumerate(node.output):
                self._made[name] = MADE.get(op_of(node), {}).get(place, self._origin(node, role))

    def _role(self, node: NodeProto) -> Role:
        op, demand = op_of(node), self._demands[key(node)]
        if is_standard(node, _COMPARISONS) and any(self._view.float_inputs(node)):
            return Role.DECISION
        if not any(self._view.float_outputs(node)):
            return Role.INDEX
        if op == (OP_DOMAIN, "WarpBlend"):
            return Role.BLEND
        if is_standard(node, _FORGETFUL):
            return self._unasked(node)
        if op in WARPS or is_standard(node, _CARRIERS | _REDUCTIONS):
            return demand if demand is not Role.FEATURE else self._unasked(node)
        return Role.FEATURE

    def _unasked(self, node: NodeProto) -> Role:
        """The role of a node that carries or reduces what only features are made of."""
        if is_standard(node, _REDUCTIONS):
            return Role.STATISTICS
        sources = self._sources(node)
        if op_of(node) in WARPS or not sources:
            return Role.FEATURE
        if Role.FEATURE not in sources:
            return _strongest(sources)
        normalises = Role.STATISTICS in sources and is_standard(node, _ARITHMETIC)
        return Role.STATISTICS if normalises or self._is_squared_for_a_mean(node) else Role.FEATURE

    def _sources(self, node: NodeProto) -> list[Role]:
        """What the inputs come from, weights apart."""
        names = (name for _, name in self._view.float_inputs(node) if name not in self._view.weights)
        return [self._made[name] for name in names]

    def _is_squared_for_a_mean(self, node: NodeProto) -> bool:
        if not is_standard(node, ("Mul",)) or node.input[0] != node.input[1]:
            return False
        return any(is_standard(r.node, _REDUCTIONS) for r in self._view.readers[node.output[0]])

    def _origin(self, node: NodeProto, role: Role) -> Role:
        if role in (Role.FLOW, Role.COORDINATES):
            return Role.FLOW
        if is_standard(node, _REDUCTIONS):
            return Role.STATISTICS
        sources = self._sources(node)
        if not is_standard(node, _CARRIERS | _FORGETFUL) or not sources:
            return Role.FEATURE
        return Role.FEATURE if Role.FEATURE in sources else _strongest(sources)
