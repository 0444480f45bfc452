"""Read a tensor itself where a graph puts it into a concatenation and cuts it out again.

RIFE concatenates each frame with its features, warps the whole, and blends the frames that it slices out of it. In one
precision that is only a detour. In two it would round the frames of the blend, because the whole is a feature.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx
from onnx import ModelProto, NodeProto, helper, numpy_helper

_STEP = 4  # a slice's inputs are data, starts, ends, axes, steps


def take_shortcuts(model: ModelProto) -> int:
    """Let readers of such slices read what was concatenated, in place, and drop slices that nobody reads then.

    Args:
        model: an exported graph.

    Returns:
        How many slices are gone.
    """
    found = _Finder(model).found()
    for node in model.graph.node:
        node.input[:] = [found.get(name, name) for name in node.input]
    kept_names = {o.name for o in model.graph.output}
    kept = [n for n in model.graph.node if n.output[0] not in found or n.output[0] in kept_names]
    gone = len(model.graph.node) - len(kept)
    del model.graph.node[:]
    model.graph.node.extend(kept)
    return gone


class _Finder:
    """Finds the slices that take exactly one input of a concatenation."""

    def __init__(self, model: ModelProto) -> None:
        self._model = model
        self._numbers = {
            i.name: numpy_helper.to_array(i).ravel().tolist() for i in model.graph.initializer if i.dims == [1]
        }
        graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
        self._shapes = {v.name: v.type.tensor_type.shape.dim for v in (*graph.input, *graph.value_info, *graph.output)}

    def found(self) -> Mapping[str, str]:
        """Output of a slice → the input of the concatenation that it equals."""
        joins = {n.output[0]: n for n in self._model.graph.node if n.op_type == "Concat"}
        cuts = [n for n in self._model.graph.node if n.op_type == "Slice" and n.input[0] in joins]
        same = {n.output[0]: self._same(n, joins[n.input[0]]) for n in cuts}
        return {cut: whole for cut, whole in same.items() if whole}

    def _same(self, cut: NodeProto, join: NodeProto) -> str | None:
        axis = helper.get_node_attr_value(join, "axis")
        numbers = [self._numbers.get(name) for name in cut.input[1:]]
        if len(numbers) < _STEP or None in numbers or numbers[2:] != [[axis], [1]]:
            return None
        (first,), (last,) = numbers[0] or [None], numbers[1] or [None]
        start = 0
        for name in join.input:
            size = self._size(name, axis)
            if size is None:
                return None
            if (first, last) == (start, start + size):
                return str(name)
            start += size
        return None

    def _size(self, tensor: str, axis: int) -> int | None:
        """The size of a tensor along `axis`, None where it is open or unknown."""
        dims = self._shapes.get(tensor, ())
        return dims[axis].dim_value or None if axis < len(dims) else None
