"""Which node of a graph a kernel belongs to: backends inline, fuse and rename, and report times by names of their own.

Our graphs name every node ``<module>/<operation>``. What becomes of that:

* The body of one of our ops is put in the place of its node. The nodes of bodies have no names, so they get some
  here, and every one of them stands for the op's node.
* ONNX Runtime names convolutions in its blocked layout after the tensor that they write (``leaky_relu_nchwc``), which
  is that of an activation where one was fused into them.
* OpenVINO and TensorRT put more around a name, or list the names of all that was fused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from tweenrt.errors import require
from tweenrt.runtime.timing import LayerTime

_BLOCKED = "_nchwc"
_REORDER = "Reorder"  # kernels that change the layout only begin with this word, in ONNX Runtime and in OpenVINO
_FUSED_STEPS = 3  # a convolution, a sum, an activation


class Kernel(NamedTuple):
    """What a backend ran: its name (or several), the kind of operation, milliseconds."""

    name: str
    op: str
    milliseconds: float


class NodeNames:
    """The names of a graph, and where they come up again.

    Args:
        model: the ``ModelProto`` of one of our graphs; it stays as it is.

    Attributes:
        model: the same with the bodies of our ops in the place of their nodes, and a name for every node.
    """

    def __init__(self, model: Any) -> None:
        inliner = require("onnx.inliner", extra="report", why="Naming layers")
        self._nodes = {_name(node, number): node for number, node in enumerate(model.graph.node)}
        self._makers = {output: name for name, node in self._nodes.items() for output in node.output}
        self.model = inliner.inline_local_functions(model)
        self._of_node, self._of_tensor = self._name_bodies()
        known = sorted(self._of_node, key=len, reverse=True)
        self._known = re.compile(rf"(?<![\w./])(?:{'|'.join(map(re.escape, known))})(?![A-Za-z0-9]|_\d)")

    def source(self, kernel: str, op: str = "") -> str:
        """The node of the graph that a kernel belongs to; empty where none can be made out.

        Args:
            kernel: its name, or the names of all that is fused in it. The first that is known counts.
            op: what it does; a convolution belongs to the node of the convolution, not of what is fused behind it.
        """
        if kernel.endswith(_BLOCKED):
            found = self._of_tensor.get(kernel.removesuffix(_BLOCKED), "")
        else:
            match = self._known.search(kernel)
            found = self._of_node[match[0]] if match else ""
        return self._convolution(found) if "Conv" in op else found

    def gather(self, kernels: Iterable[Kernel]) -> list[LayerTime]:
        """The time of each node, all its kernels together, in the order in which they first came.

        Changes of layout stay apart from the node they are made for, and kernels of no node are one entry for each
        operation, without a name.
        """
        found: dict[tuple[str, str], float] = {}
        for kernel in kernels:
            name = self.source(kernel.name, kernel.op)
            op = kernel.op if not name or kernel.op.startswith(_REORDER) else self._nodes[name].op_type
            found[name, op] = found.get((name, op), 0.0) + kernel.milliseconds
        return [LayerTime(name, op, milliseconds) for (name, op), milliseconds in found.items()]

    def _name_bodies(self) -> tuple[dict[str, str], dict[str, str]]:
        """Name every node of the inlined model; (its nodes, its tensors) → node of the graph.

        A body stands where its node stood, so that both lists can be walked side by side; it ends where the last output
        of its node is made.
        """
        of_node: dict[str, str] = {}
        of_tensor: dict[str, str] = {}
        inlined = enumerate(self.model.graph.node)
        for name, node in self._nodes.items():
            missing = {output for output in node.output if output}
            while missing:
                place, part = next(inlined)
                missing -= set(part.output)
                part.name = name if part.name == node.name and part.op_type == node.op_type else f"{name}/{place}"
                of_node[part.name] = name
                of_tensor |= dict.fromkeys(part.output, name)
        return of_node, of_tensor

    def _convolution(self, name: str) -> str:
        """The nearest convolution at or before the node `name`; `name` itself if there is none close by."""
        near = [name] if name else []
        for _ in range(1 + _FUSED_STEPS):
            for candidate in near:
                if "Conv" in self._nodes[candidate].op_type:
                    return candidate
            inputs = [tensor for candidate in near for tensor in self._nodes[candidate].input]
            near = [self._makers[tensor] for tensor in inputs if tensor in self._makers]
        return name


def _name(node: Any, number: int) -> str:
    return node.name or f"{node.op_type}.{number}"


__all__ = ["Kernel", "NodeNames"]
