"""Inputs on which an op that samples shows whether it does so between pixels, and what must come out then.

Every picture is a ramp, and every position lies between pixels: there, bilinear sampling gives the mean of the
neighbours, which is the ramp's own value, and the nearest pixel is off by half a step or more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tweenrt.contract import OP_DOMAIN
from tweenrt.runtime.onnx_file import OnnxFile

Array = NDArray[np.float32]
_SIDE, _CHANNELS = 32, 8
_HALF = 0.5
_DOWN = 2.0  # the ramp's step from row to row; from column to column it is 1
_STRIPS = 8  # rows for each pixel that an op shrinks, so that what works in strips has some rows for each
_LINEAR = (b"bilinear", b"linear", b"nearest", b"")


@dataclass(frozen=True)
class Probe:
    """One op and what it is given.

    Attributes:
        node: the ``NodeProto`` of the graph.
        feeds: every input, in the node's order.
        shape: of the first output.
        seen: the part of it that shows how the op samples.
        expected: what that must be.
    """

    node: Any
    feeds: Sequence[Array]
    shape: tuple[int, ...]
    seen: tuple[slice | int, ...]
    expected: Array

    @property
    def op(self) -> str:
        """What kind of op it is."""
        return str(self.node.op_type)


def probes(graph: OnnxFile) -> list[Probe]:
    """One for every way in which `graph` samples: one of our ops, or plain ``GridSample``, with its attributes."""
    ways = {(n.domain, n.op_type, *sorted(a.SerializeToString() for a in n.attribute)): n for n in _sampling(graph)}
    made = (_MAKERS[node.op_type](_attributes(node)) for node in ways.values())
    return [Probe(node, *parts) for node, parts in zip(ways.values(), made, strict=True)]


def probe_model(graph: OnnxFile, found: Sequence[Probe]) -> Any:
    """A model that holds the nodes of `found` as they are in `graph`; see `feeds_of` and `output_of`."""
    from onnx import TensorProto, helper

    nodes, inputs, outputs = [], [], []
    for number, probe in enumerate(found):
        names = [f"in{number}_{k}" for k in range(len(probe.feeds))]
        results = [f"out{number}_{k}" if name else "" for k, name in enumerate(probe.node.output)]
        node = helper.make_node(probe.node.op_type, names, results, f"probe{number}", domain=probe.node.domain)
        node.attribute.extend(probe.node.attribute)
        nodes.append(node)
        shapes = zip(names, probe.feeds, strict=True)
        inputs += [helper.make_tensor_value_info(name, TensorProto.FLOAT, feed.shape) for name, feed in shapes]
        outputs.append(helper.make_tensor_value_info(results[0], TensorProto.FLOAT, probe.shape))
    made = helper.make_graph(nodes, "half_pixel", inputs, outputs)
    model = helper.make_model(made, opset_imports=graph.model.opset_import, functions=graph.model.functions)
    model.ir_version = graph.model.ir_version
    helper.set_model_props(model, graph.info.to_metadata())
    return model


def feeds_of(found: Sequence[Probe]) -> dict[str, Array]:
    """The inputs of `probe_model`."""
    return {f"in{number}_{k}": feed for number, probe in enumerate(found) for k, feed in enumerate(probe.feeds)}


def output_of(number: int) -> str:
    """The output of `probe_model` that shows what the probe with this number did."""
    return f"out{number}_0"


def _sampling(graph: OnnxFile) -> Iterator[Any]:
    """The nodes that sample; what is in the body of such an op belongs to the op."""
    bodies = [f.node for f in graph.model.functions if f.domain != OP_DOMAIN or f.name not in _MAKERS]
    for node in (node for nodes in (graph.model.graph.node, *bodies) for node in nodes):
        ours = node.domain == OP_DOMAIN and node.op_type in _MAKERS and node.op_type != "GridSample"
        if ours or (not node.domain and node.op_type == "GridSample" and _attributes(node).get("mode", b"") in _LINEAR):
            yield node


def _attributes(node: Any) -> Mapping[str, Any]:
    from onnx import helper

    return {a.name: helper.get_attribute_value(a) for a in node.attribute if not a.ref_attr_name}


_Parts = tuple[Sequence[Array], tuple[int, ...], tuple[slice | int, ...], Array]
_ALL, _INNER = slice(None), slice(4, -4)  # away from the edges, where samples are clamped


def _value(x: Any, y: Any) -> Any:
    return x + _DOWN * y


def _ramp(channels: int, side: int = _SIDE, offset: float = 0.0) -> Array:
    """[1,channels,side,side], each pixel what the ramp has `offset` pixels further right and down."""
    rows, columns = np.mgrid[:side, :side] + offset
    return np.ascontiguousarray(np.broadcast_to(_value(columns, rows), (1, channels, side, side)), np.float32)


def _full(value: float, *shape: int) -> Array:
    return np.full(shape, value, np.float32)


def _flow(side: int = _SIDE, by: float = _HALF) -> Array:
    return _full(by, 1, 2, side, side)


def _moved(channels: int) -> Array:
    return _ramp(channels, offset=_HALF)[..., _INNER, _INNER]


def _backward_warp(_: Mapping[str, Any]) -> _Parts:
    return (_ramp(_CHANNELS), _flow()), (1, _CHANNELS, _SIDE, _SIDE), _inside(_ALL), _moved(_CHANNELS)


def _warp_concat(attributes: Mapping[str, Any]) -> _Parts:
    step, coarse = _full(_HALF, 1, 4, _SIDE, _SIDE), _full(0, 1, 4, _SIDE // 2, _SIDE // 2)
    first = _CHANNELS if attributes.get("feature_first", 1) else 0
    features = (_ramp(_CHANNELS), _ramp(_CHANNELS), _full(0, 1, _CHANNELS, _SIDE, _SIDE))
    warped = _inside(slice(first, first + 2 * _CHANNELS))
    return (*features, step, coarse), (1, 3 * _CHANNELS + 4, _SIDE, _SIDE), warped, _moved(2 * _CHANNELS)


def _warp_blend(_: Mapping[str, Any]) -> _Parts:
    mask, residual = _full(_HALF, 1, 1, _SIDE, _SIDE), _full(0, 1, 3, _SIDE, _SIDE)
    return (_ramp(3), _ramp(3), _flow(), _flow(), mask, residual), (1, 3, _SIDE, _SIDE), _inside(_ALL), _moved(3)


def _warp_resize(attributes: Mapping[str, Any]) -> _Parts:
    """A quarter of a pixel: the mean of two samples hides half a pixel, since one is rounded up and one down."""
    shrink, by = int(attributes["shrink"]), _HALF / 2
    side = max(_SIDE, _STRIPS * shrink)
    rows, columns = np.mgrid[: side // shrink, : side // shrink] * shrink + (shrink - 1) / 2 + by
    expected = np.broadcast_to(_value(columns, rows), (1, _CHANNELS, *rows.shape)).astype(np.float32)
    seen = (_ALL, _ALL, slice(1, -1), slice(1, -1))
    return (_ramp(_CHANNELS, side), _flow(side, by)), expected.shape, seen, expected[seen]


def _correlation_lookup(attributes: Mapping[str, Any]) -> _Parts:
    """The middle of every window."""
    queries, wide = 4, 2 * int(attributes["radius"]) + 1
    at = _SIDE // 2 + _HALF
    correlation = np.repeat(_ramp(1), queries * queries, axis=0)
    expected = _full(_value(at, at), 1, queries, queries)
    feeds = (correlation, _full(at, 1, 2, queries, queries))
    return feeds, (1, wide * wide, queries, queries), (_ALL, wide * wide // 2), expected


def _deform_conv2d(attributes: Mapping[str, Any]) -> _Parts:
    """A kernel that takes its middle tap only."""
    groups = int(attributes.get("offset_group", 1))
    weight = _full(0, groups, groups, 3, 3)
    weight[0, 0, 1, 1] = 1
    offset, mask = (_full(v, 1, n * 9 * groups, _SIDE, _SIDE) for v, n in ((_HALF, 2), (1, 1)))
    feeds = (_ramp(groups), offset, mask, weight, _full(0, groups))
    return feeds, (1, groups, _SIDE, _SIDE), _inside(slice(1)), _moved(1)


def _grid_sample(attributes: Mapping[str, Any]) -> _Parts:
    pixels = np.arange(_SIDE) + _HALF
    corners = attributes.get("align_corners", 0)
    at = 2 * pixels / (_SIDE - 1) - 1 if corners else (2 * pixels + 1) / _SIDE - 1
    grid = np.stack(np.meshgrid(at, at), axis=-1)[None].astype(np.float32)
    return (_ramp(_CHANNELS), grid), (1, _CHANNELS, _SIDE, _SIDE), _inside(_ALL), _moved(_CHANNELS)


def _inside(channels: slice) -> tuple[slice | int, ...]:
    return (_ALL, channels, _INNER, _INNER)


_MAKERS: Mapping[str, Callable[[Mapping[str, Any]], _Parts]] = {
    "BackwardWarp": _backward_warp,
    "CorrelationLookup": _correlation_lookup,
    "DeformConv2d": _deform_conv2d,
    "GridSample": _grid_sample,
    "WarpBlend": _warp_blend,
    "WarpConcat": _warp_concat,
    "WarpResize": _warp_resize,
}

__all__ = ["Probe", "feeds_of", "output_of", "probe_model", "probes"]
