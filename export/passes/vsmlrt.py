"""Lay a graph out as the scripts of vs-mlrt feed RIFE: both frames, the moment and more as channels of one input."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, compose, helper, inliner, numpy_helper

from tweenrt.contract import GraphInfo, TimeInput
from tweenrt.export.options import Layout

INPUT, OUTPUT = "input", "output"
CHANNELS = {Layout.VSMLRT_V1: 11, Layout.VSMLRT_V2: 7}
"""Frame 0 (3), frame 1 (3), t; v1 also has a sampling grid in x and y and its two scales, which our graphs make."""

_PREFIX = "network/"
_FRAMES = {"frame0": (0, 3), "frame1": (3, 6)}
_TIME = (6, 7)
_MODES = {"zeros": "constant", "replicate": "edge", "reflect": "reflect"}


def in_layout(model: ModelProto, info: GraphInfo, layout: Layout) -> ModelProto:
    """A copy of `model` with one input ``input`` and one output ``output``, in standard operators only.

    Where H and W are open, the graph pads frames to the divisor and crops what it has drawn, so that any size can be
    given; a host that pads by itself loses nothing by it. Bodies of custom ops are put in the place of their nodes,
    because hosts of this layout may know neither functions nor our plugins. Outputs beside the frame are left out.

    Args:
        model: a ``pair`` graph of two float frames, with N = 1.
        info: its metadata.
        layout: one of vs-mlrt's.

    Returns:
        ``input`` [1,11,H,W] or [1,7,H,W], RGB 0..1, in the type of the graph's frames: see `CHANNELS`. ``output``
        [1,3,H,W] likewise. It has none of our metadata, since its inputs are not those of our contract.

    Raises:
        AssertionError: `model` has inputs that this layout has no place for.
    """
    plain = compose.add_prefix(inliner.inline_local_functions(model), _PREFIX, rename_nodes=False)
    graph = plain.graph
    inputs = _given(graph)
    unknown = inputs.keys() - {*_FRAMES, "t"}
    assert not unknown, f"no channel of {layout.value} holds {', '.join(unknown)}"
    nodes = _Nodes(inputs["frame0"], layout, info)
    nodes.feed(inputs.get("t"))
    network = [*graph.node]
    nodes.deliver(graph.output[0])
    for field in ("node", "input", "output"):
        graph.ClearField(field)
    graph.node.extend([*nodes.before, *network, *nodes.after])
    graph.initializer.extend(nodes.constants)
    graph.input.append(_picture(INPUT, inputs["frame0"], CHANNELS[layout]))
    graph.output.append(_picture(OUTPUT, inputs["frame0"], 3))
    _drop_function_domain(plain)
    helper.set_model_props(plain, _description(info, layout))
    return plain


class _Nodes:
    """What stands around the network: ``before`` takes `INPUT` apart, ``after`` makes `OUTPUT`."""

    def __init__(self, frame: ValueInfoProto, layout: Layout, info: GraphInfo) -> None:
        self.before: list[NodeProto] = []
        self.after: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self._name, self._info = layout.value, info
        self._type = frame.type.tensor_type.elem_type
        dims = frame.type.tensor_type.shape.dim[2:]
        self._pads = info.divisor > 1 and not all(d.HasField("dim_value") for d in dims)

    def feed(self, time: ValueInfoProto | None) -> None:
        """The network's inputs from the channels."""
        if self._pads:
            self._amounts()
        for name, channels in _FRAMES.items():
            frame = self._slice(INPUT, channels, 1, name)
            self._into(name, self._padded(frame, _MODES[self._info.padding.fill]) if self._pads else frame)
        if time is not None:
            self._into("t", self._moment(time.type.tensor_type.elem_type))

    def deliver(self, drawn: ValueInfoProto) -> None:
        """`OUTPUT` from what the network has drawn."""
        if self._pads:
            ends = [self._value("first"), self._value("last"), self._constant("sides", [2, 3])]
            self.after.append(helper.make_node("Slice", [drawn.name, *ends], [OUTPUT], f"{self._name}/crop"))
        else:
            self.after.append(helper.make_node("Identity", [drawn.name], [OUTPUT], f"{self._name}/frame"))

    def _moment(self, element: int) -> str:
        """The plane of t as the network takes it: one number, or one for every pixel."""
        plane = self._slice(INPUT, _TIME, 1, "plane")
        if self._info.t is TimeInput.MAP:
            plane = self._padded(plane, "edge") if self._pads else plane
        else:
            plane = self._slice(self._slice(plane, (0, 1), 2, "row"), (0, 1), 3, "pixel")
        return plane if element == self._type else self._add("Cast", [plane], "moment", to=element)

    def _amounts(self) -> None:
        """How far to pad: ``pads`` for Pad, and ``first`` and ``last`` of the original rows and columns for Slice."""
        divisor, most = (
            self._constant("divisor", [self._info.divisor]),
            self._constant("most", [self._info.divisor - 1]),
        )
        size = self._add("Shape", [INPUT], "size", start=2)
        parts = self._add("Div", [self._add("Add", [size, most], "reach"), divisor], "parts")
        short = self._add("Sub", [self._add("Mul", [parts, divisor], "whole"), size], "short")
        if self._info.padding.value.endswith("centred"):
            first = self._add("Div", [short, self._constant("two", [2])], "first")
        else:
            first = self._add("Sub", [short, short], "first")
        others = self._constant("others", [0, 0])
        self._add("Concat", [others, first, others, self._add("Sub", [short, first], "behind")], "pads", axis=0)
        self._add("Add", [first, size], "last")

    def _padded(self, value: str, mode: str) -> str:
        return self._add("Pad", [value, self._value("pads")], f"{value.split('/')[-1]}_padded", mode=mode)

    def _slice(self, value: str, span: tuple[int, int], axis: int, name: str) -> str:
        bounds = [self._constant(f"{name}_{k}", [number]) for k, number in enumerate((*span, axis))]
        return self._add("Slice", [value, *bounds], name)

    def _into(self, name: str, value: str) -> None:
        self.before.append(helper.make_node("Identity", [value], [_PREFIX + name], f"{self._name}/{name}_ready"))

    def _add(self, op: str, inputs: list[str], name: str, **attributes: Any) -> str:
        self.before.append(helper.make_node(op, inputs, [self._value(name)], self._value(name), **attributes))
        return self._value(name)

    def _constant(self, name: str, numbers: list[int]) -> str:
        self.constants.append(numpy_helper.from_array(np.array(numbers, np.int64), self._value(name)))
        return self._value(name)

    def _value(self, name: str) -> str:
        return f"{self._name}/{name}"


def _given(graph: onnx.GraphProto) -> dict[str, ValueInfoProto]:
    """Inputs without a default, by the name that they had."""
    held = {i.name for i in graph.initializer}
    return {v.name.removeprefix(_PREFIX): v for v in graph.input if v.name not in held}


def _picture(name: str, frame: ValueInfoProto, channels: int) -> ValueInfoProto:
    """[1,`channels`,H,W] in the type and size of `frame`."""
    kind = frame.type.tensor_type
    sides = [d.dim_value if d.HasField("dim_value") else "HW"[k] for k, d in enumerate(kind.shape.dim[2:])]
    return helper.make_tensor_value_info(name, kind.elem_type, [1, channels, *sides])


def _drop_function_domain(model: ModelProto) -> None:
    used = {node.domain for node in model.graph.node}
    kept = [o for o in model.opset_import if o.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)


def _description(info: GraphInfo, layout: Layout) -> dict[str, str]:
    """Where the file comes from, for people."""
    return {
        "layout": layout.value,
        "model": info.model,
        "t": info.t.value,
        "precision": info.precision,
        "weights_sha256": info.weights_sha256,
        "tweenrt_version": info.version,
    }
