"""How many bytes do our ops move as one kernel each, and how many as the operators of their bodies? No GPU needed.

    python benchmarks/fused_bytes.py [MODEL ...]

Updates results/fused_bytes.json and .md for the named networks (for all of `GRAPHS`, without a name). What is on record
of the other networks stays. Nothing is measured: shapes come from exported graphs. A byte is one that passes between a
kernel and memory.
"""

from __future__ import annotations

import json
import logging
import math
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx_ir as ir
import record
from onnx import ModelProto, NodeProto, TensorProto, helper, inliner
from onnx_ir.passes.common import RemoveUnusedNodesPass
from onnxscript import optimizer

from tweenrt.contract import OP_DOMAIN, OP_VERSION, Kind
from tweenrt.export import registry
from tweenrt.export.checkpoint import load_random
from tweenrt.export.exporter import export
from tweenrt.export.options import ExportOptions
from tweenrt.export.passes.attach_bodies import attach_bodies
from tweenrt.plugins import OPS
from tweenrt.runtime.estimate.graph_shapes import shapes_of
from tweenrt.runtime.onnx_file import OnnxFile

NAME = "fused_bytes"
SIZES = {"720p": (720, 1280), "1080p": (1080, 1920)}
GRAPHS = {
    "ifrnet-s": (Kind.PAIR,),
    "ifrnet": (Kind.PAIR,),
    "ifrnet-l": (Kind.PAIR,),
    "rife-4.25": (Kind.PAIR,),
    "ugsp": (Kind.PAIR,),
    "cspa": (Kind.PAIR,),
    "dbvi-2x": (Kind.FLOW, Kind.REFINE),
}
TYPES = {
    "BackwardWarp": {1: TensorProto.FLOAT},
    "CorrelationLookup": {0: TensorProto.FLOAT, 1: TensorProto.FLOAT},
    "ForwardSplat": {1: TensorProto.FLOAT},
    "MaskedConv2d": {5: TensorProto.INT32},
    "WarpBlend": {2: TensorProto.FLOAT, 3: TensorProto.FLOAT},
    "WarpConcat": {3: TensorProto.FLOAT, 4: TensorProto.FLOAT},
    "WarpResize": {1: TensorProto.FLOAT},
}
"""Types of an op's inputs by their number, where they are not FP16: flows, coordinates, the list of tiles.

Correlation volumes as well, because the body would widen all of an FP16 volume for each of a dozen lookups.
"""
VIEWS = frozenset(("Identity", "Reshape", "Squeeze", "Unsqueeze"))
CASTS = frozenset(("Cast", "CastLike"))
TAPS = 9
SINGLE = 4  # bytes of an FP32 number
CORNERS = 4  # what a bilinear sample reads
ONE_STRIP = (1, 2, 1, 1)  # a flow so small that BackwardWarp's body samples it at once

Shape = tuple[int, ...]

_NOTES = """
Megabytes (1e6) that our ops move for one frame at N = 1, sides padded to the network's divisor. Features, frames and
masks are FP16, flows, coordinates and correlation volumes FP32.

- **fused**: each op is one kernel that reads its inputs and weights once and writes its outputs once. Of a correlation
  volume only the window around each coordinate is read, and for WarpResize what the four samples of a cell touch.
- **unfused**: each operator of the op's body is a kernel that reads its inputs once and writes its outputs once. Bodies
  widen what they sample to FP32, and a sample reads four numbers at most. Sizes are constants and folded; views and
  casts to the same type are free. The body of BackwardWarp samples in one piece here; its strips, which help ONNX
  Runtime's CPU, would move more. ForwardSplat's body scatters each number four times, each time with an index of
  8 bytes.
- **im2col**: DeformConv2d in two kernels, one that writes the {taps} sampled values of every channel and pixel and a
  matrix product that reads them back. Its body is the standard operator DeformConv, so unfused says nothing there.

An engine may fuse some operators of a body by itself, most easily pointwise ones, so the ratio is an upper limit of
what a kernel saves. Convolutions and all else outside our ops are not in the table. MaskedConv2d is counted with every
pixel set; its kernel reads and computes only the set ones.

IFRNet base by hand: with flows in FP16 everywhere and frames in uint8, its three levels and the last blend move 167 MB
at 720p and 378 MB at 1080p. The table has {own}. A level takes 12C + 44 bytes a pixel, by hand 12C + 26: 18 more,
because step, coarser flow and the sum for the next level are FP32. The last blend takes 42, by hand 27: 15 more, for
frames in FP16 and flow in FP32 against uint8 frames and flow, mask and residual in one FP16 tensor (`plugins/merge`).
"""


@dataclass(frozen=True)
class Moved:
    """Bytes that one node moves.

    Attributes:
        fused: as one kernel.
        unfused: as the operators of its body.
        im2col: as sampling and matrix product; None where that is no way to compute it.
    """

    fused: int
    unfused: int
    im2col: int | None = None


def moved(node: NodeProto, shapes: Mapping[str, Shape], opset: int) -> Moved:
    """What a node of ours moves.

    Args:
        node: of the graph.
        shapes: of the graph's tensors.
        opset: of the graph.
    """
    body = unfolded(node, shapes, opset)
    sizes = sizes_of(body)
    inputs = [value.name for value in body.graph.input]
    fused = sum(sizes[name] for name in inputs) + sum(sizes[value.name] for value in body.graph.output)
    if node.op_type == "CorrelationLookup":
        fused -= max(0, sizes[inputs[0]] - windows_of(node, shapes) * SINGLE)
    if node.op_type == "WarpResize":
        fused -= unread_by_resized_warp(node, sizes)
    unfused = sum(operator_bytes(operator, sizes) for operator in body.graph.node)
    im2col = fused + 2 * TAPS * sizes[inputs[0]] if node.op_type == "DeformConv2d" else None
    return Moved(fused, unfused, im2col)


def windows_of(node: NodeProto, shapes: Mapping[str, Shape]) -> int:
    """Numbers in the windows of a lookup, each one pixel larger than its samples."""
    queries, _, rows, columns = shapes[node.input[1]]
    return queries * rows * columns * (2 * helper.get_node_attr_value(node, "radius") + 2) ** 2


def unread_by_resized_warp(node: NodeProto, sizes: Mapping[str, int]) -> int:
    """Bytes of image and flow beyond what the four samples of each cell touch."""
    image, flow = node.input
    kept = 4 / helper.get_node_attr_value(node, "shrink") ** 2
    sampled = 4 * CORNERS * sizes[node.output[0]]
    return max(0, sizes[image] - sampled) + round(sizes[flow] * (1 - kept))


def unfolded(node: NodeProto, shapes: Mapping[str, Shape], opset: int) -> ModelProto:
    """The operators that `node` stands for, with the shape and type of every tensor, sizes worked out."""
    types = TYPES.get(node.op_type, {})
    inputs = [
        helper.make_tensor_value_info(name, types.get(k, TensorProto.FLOAT16), shapes[name])
        for k, name in enumerate(node.input)
        if name not in node.input[:k]
    ]
    outputs = [helper.make_empty_tensor_value_info(name) for name in node.output]
    imports = [helper.make_opsetid("", opset), helper.make_opsetid(OP_DOMAIN, OP_VERSION)]
    model = helper.make_model(helper.make_graph([node], "node", inputs, outputs), opset_imports=imports, ir_version=10)
    warp = helper.make_node("BackwardWarp", ["x", "flow"], ["y"], domain=OP_DOMAIN)
    attach_bodies(model, {"BackwardWarp": OPS["BackwardWarp"].body(opset, warp, {"flow": ONE_STRIP})})
    plain = ir.from_proto(inliner.inline_local_functions(model))
    optimizer.fold_constants(plain, onnx_shape_inference=True)
    RemoveUnusedNodesPass()(plain)
    return onnx.shape_inference.infer_shapes(ir.to_proto(plain), strict_mode=True, data_prop=True)


def sizes_of(model: ModelProto) -> dict[str, int]:
    """Bytes of every tensor."""
    graph = model.graph
    found = {i.name: math.prod(i.dims) * width_of(i.data_type) for i in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        tensor = value.type.tensor_type
        assert all(d.HasField("dim_value") for d in tensor.shape.dim), f"an open size of {value.name}"
        found[value.name] = math.prod(d.dim_value for d in tensor.shape.dim) * width_of(tensor.elem_type)
    return found


def width_of(kind: int) -> int:
    """Bytes of one number."""
    return helper.tensor_dtype_to_np_dtype(kind).itemsize


def operator_bytes(node: NodeProto, sizes: Mapping[str, int]) -> int:
    """What an operator of a body moves."""
    names = {name for name in (*node.input, *node.output) if name}
    same_type = node.op_type in CASTS and sizes[node.input[0]] == sizes[node.output[0]]
    if same_type or node.op_type in VIEWS:
        return 0
    total = sum(sizes[name] for name in names)
    if node.op_type != "GridSample":
        return total
    return total - max(0, sizes[node.input[0]] - CORNERS * sizes[node.output[0]])


def rows_of(name: str) -> list[record.Row]:
    """What the ops of one network move, a row for each graph, size and op, and one for all ops."""
    spec = registry.get(name)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / (name if len(GRAPHS[name]) > 1 else f"{name}.onnx")
        results = export(load_random(spec, 1), ExportOptions(kinds=GRAPHS[name], batch=1), out)
        graphs = [OnnxFile.load(result.path) for result in results]
    for graph in graphs:
        for title, size in SIZES.items():
            padded = tuple(-(-side // spec.divisor) * spec.divisor for side in size)
            found += _rows(graph, title, (padded[0], padded[1]))
    return found


def _rows(graph: OnnxFile, title: str, padded: tuple[int, int]) -> list[record.Row]:
    shapes = shapes_of(graph, padded)
    by_op: dict[str, list[Moved]] = defaultdict(list)
    nodes = [node for node in graph.model.graph.node if node.domain == OP_DOMAIN]
    opset = next(o.version for o in graph.model.opset_import if o.domain == "")
    known: dict[object, Moved] = {}
    for node in nodes:
        key = (node.op_type, *(shapes[n] for n in node.input), *(a.SerializeToString() for a in node.attribute))
        if key not in known:
            known[key] = moved(node, shapes, opset)
        by_op[node.op_type].append(known[key])
    head = {
        "model": graph.info.model,
        "graph": graph.info.kind.value,
        "size": title,
        "padded": "x".join(map(str, padded)),
    }
    rows = [head | {"op": op} | _sum(each) for op, each in sorted(by_op.items())]
    return [*rows, head | {"op": "all"} | _sum([m for each in by_op.values() for m in each])]


def _sum(each: Sequence[Moved]) -> record.Row:
    fused, unfused = sum(m.fused for m in each), sum(m.unfused for m in each)
    found: record.Row = {"nodes": len(each), "fused_bytes": fused, "unfused_bytes": unfused}
    columns = [m.im2col for m in each if m.im2col is not None]
    return found | {"im2col_bytes": sum(columns)} if columns else found


def notes(rows: Iterable[record.Row]) -> str:
    """What the figures mean; those of IFRNet base are compared with figures worked out by hand."""
    base = [row for row in rows if (row["model"], row["op"]) == ("ifrnet", "all")]
    own = " and ".join(f"{float(str(row['fused_bytes'])) / 1e6:.0f} MB at {row['size']}" for row in base)
    return _NOTES.format(taps=TAPS, own=own or "no row of it yet")


def table(rows: Iterable[record.Row]) -> list[list[str]]:
    """The rows for people."""
    heading = ["model", "graph", "size", "op", "nodes", "fused MB", "unfused MB", "unfused / fused", "im2col MB"]
    cells = [heading]
    for row in rows:
        fused, unfused = float(str(row["fused_bytes"])), float(str(row["unfused_bytes"]))
        im2col = f"{float(str(row['im2col_bytes'])) / 1e6:.1f}" if "im2col_bytes" in row else ""
        names = [str(row[k]) for k in ("model", "graph", "size", "op", "nodes")]
        line = [*names, f"{fused / 1e6:.1f}", f"{unfused / 1e6:.1f}", f"{unfused / fused:.1f}", im2col]
        cells.append([f"**{cell}**" if row["op"] == "all" and cell else cell for cell in line])
    return cells


def main() -> None:
    logging.getLogger("onnxscript").setLevel(logging.ERROR)  # it warns that it cannot fold GridSample
    wanted = sys.argv[1:] or list(GRAPHS)
    path = record.RESULTS / f"{NAME}.json"
    rows = json.loads(path.read_text())["rows"] if path.is_file() else []
    for name in wanted:
        rows = record.merged(rows, rows_of(name), "model")
    order = list(GRAPHS)
    rows.sort(key=lambda row: order.index(str(row["model"])))
    record.write(NAME, {"rows": rows}, "Bytes that fused ops move", notes(rows), table(rows))


if __name__ == "__main__":
    main()
