"""From a graph to its layers: what each has to compute and to move, counted so that no engine can do with less.

What counts:

* Convolutions and matrix products: their multiplications; each input tensor and the weights read once, the output
  written once. Multiplications with the zeros of the padding count, those of a transposed convolution with what is
  cropped too: about 1 per cent.
* Our own ops (domain ``tweenrt``) and GridSample, as one kernel each: inputs read once, outputs written once, their
  matrix products on tensor cores, and four multiplications for every bilinear sample on CUDA cores.
* Everything else counts nothing. Pointwise operations are taken to be fused into the convolution before them, a second
  operand included, and Concat, Split, Resize and other moves of data to be avoided. TensorRT does so often, not
  always; counting none of it keeps this a bound.

INT8 is for convolutions and matrix products; our ops stay in FP16, as their kernels do.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tweenrt.contract import OP_DOMAIN, Kind
from tweenrt.errors import GraphError, require
from tweenrt.runtime.estimate.devices import Precision
from tweenrt.runtime.estimate.graph_shapes import Shape, shapes_of
from tweenrt.runtime.estimate.roofline import Layer
from tweenrt.runtime.onnx_file import OnnxFile

_SAMPLE = 4  # multiplications of one bilinear sample
_NOTHING: Shape = (0,)  # of a further input whose size is not known, such as the zeros at the coarsest level
_WHY = "Knowing what layers compute"
_HALVES = ((Kind.FLOW, Kind.REFINE), (Kind.ENCODER, Kind.SYNTHESIS))


@dataclass(frozen=True)
class Workload:
    """What is estimated.

    Attributes:
        size: H and W of the frames in pixels, before they are padded to the network's divisor.
        precision: of the engine.
        density: share of the pixels, 0..1, that mask-guided convolutions compute.
    """

    size: tuple[int, int]
    precision: Precision = Precision.FP16
    density: float = 1.0


@dataclass(frozen=True)
class Cost:
    """The layers of one graph.

    Attributes:
        graph: the file.
        padded: H and W the network sees.
        layers: what counts, in the order of the graph.
        uncounted: the other operations and how many there are of each.
    """

    graph: OnnxFile
    padded: tuple[int, int]
    layers: tuple[Layer, ...]
    uncounted: Mapping[str, int]


@dataclass(frozen=True)
class _Node:
    """A node with what the counting rules ask for."""

    proto: Any
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]
    density: float

    def attribute(self, name: str, default: Any) -> Any:
        onnx = require("onnx", extra="report", why="Estimating a graph")
        found = next((a for a in self.proto.attribute if a.name == name), None)
        return default if found is None else onnx.helper.get_attribute_value(found)


@dataclass(frozen=True)
class _Count:
    """Multiplications, and numbers read and written beside the weights where that is not all of them."""

    macs: float
    matrix: bool = True
    read: float | None = None


def open_graphs(path: Path) -> list[OnnxFile]:
    """The graphs that draw a frame: the file `path`, or both halves that the folder `path` holds.

    Raises:
        GraphError: there is none, or it is not ours.
    """
    if not path.is_dir():
        return [OnnxFile.load(path, extra="report", why=_WHY)]
    for kinds in _HALVES:
        files = [path / f"{kind.value}.onnx" for kind in kinds]
        if all(file.is_file() for file in files):
            return [OnnxFile.load(file, extra="report", why=_WHY) for file in files]
    raise GraphError(
        f"{path}: expected a folder with encoder.onnx and synthesis.onnx, or flow.onnx and refine.onnx, found neither; "
        f"make one with `tweenrt export MODEL --kind split -o {path}`"
    )


def cost(graph: OnnxFile, work: Workload) -> Cost:
    """What `graph` has to compute and to move for one frame.

    Args:
        graph: an ONNX file of ours, of any size or of the size of `work`.
        work: what is asked.

    Raises:
        UsageError: the graph has another size.
        GraphError: the shape of a tensor cannot be worked out.
    """
    padded = graph.info.padded(work.size)
    shapes = shapes_of(graph, padded)
    held = {i.name for i in graph.model.graph.initializer}
    layers, uncounted = [], Counter[str]()
    for node in graph.model.graph.node:
        rule = _RULES.get((node.domain, node.op_type))
        if rule is None:
            uncounted[node.op_type] += 1
        else:
            layers.append(_layer(node, rule, shapes, held, work, graph))
    return Cost(graph, padded, tuple(layers), uncounted)


def _layer(
    proto: Any,
    rule: Callable[[_Node], _Count],
    shapes: Mapping[str, Shape],
    held: set[str],
    work: Workload,
    graph: OnnxFile,
) -> Layer:
    inputs = [n for n in proto.input if n]
    needed = [inputs[0], *(n for n in proto.output if n)]
    missing = [n for n in needed if n not in shapes]
    if missing:
        raise GraphError(
            f"{graph.path}: the shape of {missing[0]!r} at the node {proto.name!r} cannot be worked out; export the "
            "graph with a fixed --size and estimate that"
        )
    known = {n: shapes.get(n, _NOTHING) for n in inputs}
    node = _Node(proto, tuple(known[n] for n in inputs), tuple(shapes[n] for n in needed[1:]), work.density)
    count = rule(node)
    weights = sum(math.prod(known[n]) for n in inputs if n in held)
    read = sum(math.prod(known[n]) for n in inputs if n not in held) if count.read is None else count.read
    written = sum(math.prod(shape) for shape in node.outputs)
    ours = proto.domain == OP_DOMAIN
    precision = Precision.FP16 if ours and work.precision is Precision.INT8 else work.precision
    return Layer(
        proto.name,
        _words(node),
        count.macs,
        precision if count.matrix else None,
        (read + written) * precision.size,
        weights * precision.size,
    )


def _words(node: _Node) -> str:
    """Such as ``Conv 3x3, 24 to 36, 180x320``: kernel, channels, size."""
    out = node.outputs[0]
    if len(out) != 4:
        return f"{node.proto.op_type}, {'x'.join(map(str, out))}"
    maps = [shape[2:] for shape in node.inputs[1:] if len(shape) == 4]  # of a convolution, the least is its kernel
    kernel = " {}x{}".format(*min(maps, key=math.prod)) if maps and "Conv" in node.proto.op_type else ""
    return f"{node.proto.op_type}{kernel}, {node.inputs[0][1]} to {out[1]}, {out[2]}x{out[3]}"


def _conv(node: _Node) -> _Count:
    weight = node.inputs[1]  # [D, C/groups, ...]
    return _Count(math.prod(node.outputs[0]) * math.prod(weight[1:]))


def _conv_transpose(node: _Node) -> _Count:
    weight = node.inputs[1]  # [C, D/groups, ...]
    return _Count(math.prod(node.inputs[0]) * math.prod(weight[1:]))


def _matmul(node: _Node) -> _Count:
    return _Count(math.prod(node.outputs[0]) * node.inputs[0][-1])


def _gemm(node: _Node) -> _Count:
    return _Count(math.prod(node.outputs[0]) * node.inputs[0][0 if node.attribute("transA", 0) else 1])


def _sampled(node: _Node) -> _Count:
    """Each number of the output is one bilinear sample."""
    return _Count(_SAMPLE * math.prod(node.outputs[0]), matrix=False)


def _warp_concat(node: _Node) -> _Count:
    return _Count(_SAMPLE * (math.prod(node.inputs[0]) + math.prod(node.inputs[1])), matrix=False)


def _warp_resize(node: _Node) -> _Count:
    """Four samples for each number of the output; of x and flow only what they touch is read."""
    samples = _SAMPLE * math.prod(node.outputs[0])
    n, _, rows, columns = node.outputs[0]
    flow = 2 * _SAMPLE * n * rows * columns
    return _Count(_SAMPLE * samples, matrix=False, read=min(samples, math.prod(node.inputs[0])) + flow)


def _warp_blend(node: _Node) -> _Count:
    """Two samples and a blend of two products."""
    return _Count((2 * _SAMPLE + 2) * math.prod(node.outputs[0]), matrix=False)


def _correlation_lookup(node: _Node) -> _Count:
    """Of each query's map only the window is read, one pixel larger than its samples."""
    maps, coords = node.inputs
    queries = coords[0] * coords[2] * coords[3]
    window = (2 * node.attribute("radius", 0) + 2) ** 2
    read = min(math.prod(maps), queries * window) + math.prod(coords)
    return _Count(_SAMPLE * math.prod(node.outputs[0]), matrix=False, read=read)


def _splat(node: _Node) -> _Count:
    return _Count(_SAMPLE * math.prod(node.inputs[0]), matrix=False)


def _mask_tiles(node: _Node) -> _Count:
    """No multiplication: the mask is read, the list written."""
    del node
    return _Count(0.0, matrix=False)


def _masked_conv(node: _Node) -> _Count:
    """The set pixels only are read and computed; which they are, the tiles say. The result is written everywhere."""
    x, _, weight = node.inputs[:3]
    tiles = node.inputs[5]
    dense = math.prod(node.outputs[0]) * math.prod(weight[1:])
    return _Count(dense * node.density, read=math.prod(x) * node.density + math.prod(tiles))


def _deform_conv(node: _Node) -> _Count:
    return _Count(math.prod(node.outputs[0]) * math.prod(node.inputs[3][1:]))


def _window_attention(node: _Node) -> _Count:
    """Every token with each of its window, for the scores and for the values."""
    tokens = int(node.attribute("window", 1)) ** 2
    return _Count(tokens * (math.prod(node.inputs[0]) + math.prod(node.inputs[2])))


_RULES: dict[tuple[str, str], Callable[[_Node], _Count]] = {
    ("", "Conv"): _conv,
    ("", "ConvTranspose"): _conv_transpose,
    ("", "MatMul"): _matmul,
    ("", "Gemm"): _gemm,
    ("", "GridSample"): _sampled,
    (OP_DOMAIN, "BackwardWarp"): _sampled,
    (OP_DOMAIN, "CorrelationLookup"): _correlation_lookup,
    (OP_DOMAIN, "DeformConv2d"): _deform_conv,
    (OP_DOMAIN, "ForwardSplat"): _splat,
    (OP_DOMAIN, "MaskTiles"): _mask_tiles,
    (OP_DOMAIN, "MaskedConv2d"): _masked_conv,
    (OP_DOMAIN, "WarpBlend"): _warp_blend,
    (OP_DOMAIN, "WarpConcat"): _warp_concat,
    (OP_DOMAIN, "WarpResize"): _warp_resize,
    (OP_DOMAIN, "WindowAttention"): _window_attention,
}


def layers_of(costs: Sequence[Cost]) -> list[Layer]:
    """The layers of all graphs, one after the other."""
    return [layer for part in costs for layer in part.layers]
