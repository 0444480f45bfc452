"""Which portable body of BackwardWarp is fastest on ONNX Runtime's CPU provider, for which channels and sizes?

    python benchmarks/warp_body.py [--quick]

Writes results/warp_body.json and .md. `plugins/backward_warp/function.py` takes its choice and its thresholds from
there.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import record
from numpy.typing import NDArray
from onnx import FunctionProto, NodeProto, TensorProto, helper, parser

from tweenrt.contract import OP_DOMAIN, OP_VERSION
from tweenrt.plugins.backward_warp import function

Array = NDArray[Any]
THREADS = 2
CHANNELS = (3, 4, 7, 8, 11, 16, 24, 32, 48, 72, 96)
SIZES = ((180, 320), (360, 640), (720, 1280))
MOST_BYTES = 200e6  # of one image; full-resolution maps beyond that occur in no network here
OPSET = 19

_POSITIONS = """
    i0 = Constant <value_int = 0> ()
    i1 = Constant <value_int = 1> ()
    flat = Constant <value_ints = [-1]> ()
    axis1 = Constant <value_ints = [1]> ()
    zero = Constant <value_float = 0.0> ()
    one = Constant <value = float[1] {1.0}> ()
    two = Constant <value = float[1] {2.0}> ()
    height_i = Shape <start = 2, end = 3> (flow)
    width_i = Shape <start = 3, end = 4> (flow)
    height_0d = Squeeze (height_i)
    width_0d = Squeeze (width_i)
    column_numbers = Range (i0, width_0d, i1)
    row_numbers = Range (i0, height_0d, i1)
    columns = Cast <to = 1> (column_numbers)
    rows_1d = Cast <to = 1> (row_numbers)
    rows = Unsqueeze (rows_1d, axis1)
    width = Cast <to = 1> (width_i)
    height = Cast <to = 1> (height_i)
    last_x = Sub (width, one)
    last_y = Sub (height, one)
    dx, dy = Split <axis = 1, num_outputs = 2> (flow)
    px = Add (dx, columns)
    py = Add (dy, rows)
"""

_CLAMPED = (
    _POSITIONS
    + """
    last_x_0d = Squeeze (last_x)
    last_y_0d = Squeeze (last_y)
    cx = Clip (px, zero, last_x_0d)
    cy = Clip (py, zero, last_y_0d)
"""
)

_GENERAL = (
    _POSITIONS
    + """
    step_x = Div (two, last_x)
    step_y = Div (two, last_y)
    sx = Mul (px, step_x)
    sy = Mul (py, step_y)
    gx = Sub (sx, one)
    gy = Sub (sy, one)
    planes = Concat <axis = 1> (gx, gy)
    grid = Transpose <perm = [0, 2, 3, 1]> (planes)
    y = GridSample <mode = "bilinear", padding_mode = "border", align_corners = 1> (x, grid)
"""
)

_GATHER = (
    _CLAMPED
    + """
    fx = Floor (cx)
    fy = Floor (cy)
    wx = Sub (cx, fx)
    wy = Sub (cy, fy)
    fx1 = Add (fx, one)
    fy1 = Add (fy, one)
    gx1 = Min (fx1, last_x)
    gy1 = Min (fy1, last_y)
    left = Cast <to = 7> (fx)
    right = Cast <to = 7> (gx1)
    top = Cast <to = 7> (fy)
    bottom = Cast <to = 7> (gy1)
    top_start = Mul (top, width_i)
    bottom_start = Mul (bottom, width_i)
    i00 = Add (top_start, left)
    i01 = Add (top_start, right)
    i10 = Add (bottom_start, left)
    i11 = Add (bottom_start, right)
    j00 = Reshape (i00, flat)
    j01 = Reshape (i01, flat)
    j10 = Reshape (i10, flat)
    j11 = Reshape (i11, flat)
    by_pixel = Transpose <perm = [0, 2, 3, 1]> (x)
    channels = Shape <start = 1, end = 2> (x)
    rows_shape = Concat <axis = 0> (flat, channels)
    table = Reshape (by_pixel, rows_shape)
    p00 = Gather <axis = 0> (table, j00)
    p01 = Gather <axis = 0> (table, j01)
    p10 = Gather <axis = 0> (table, j10)
    p11 = Gather <axis = 0> (table, j11)
    column = Constant <value_ints = [-1, 1]> ()
    wx_column = Reshape (wx, column)
    wy_column = Reshape (wy, column)
    top_step = Sub (p01, p00)
    top_part = Mul (top_step, wx_column)
    top_value = Add (p00, top_part)
    bottom_step = Sub (p11, p10)
    bottom_part = Mul (bottom_step, wx_column)
    bottom_value = Add (p10, bottom_part)
    down_step = Sub (bottom_value, top_value)
    down_part = Mul (down_step, wy_column)
    values = Add (top_value, down_part)
    batch = Shape <start = 0, end = 1> (x)
    pixel_shape = Concat <axis = 0> (batch, height_i, width_i, channels)
    pixels = Reshape (values, pixel_shape)
    y = Transpose <perm = [0, 3, 1, 2]> (pixels)
"""
)

_DEFORM = (
    _CLAMPED
    + """
    offset_x = Sub (cx, columns)
    offset_y = Sub (cy, rows)
    offset = Concat <axis = 1> (offset_y, offset_x)
    y = DeformConv <kernel_shape = [1, 1], group = CHANNELS> (x, weight, offset)
"""
)


def bodies(channels: int, size: tuple[int, int]) -> dict[str, FunctionProto]:
    """The candidates: name → body."""
    ones = ", ".join(["1.0"] * channels)
    deform = f"weight = Constant <value = float[{channels},1,1,1] {{{ones}}}> ()" + _DEFORM
    return {
        "GridSample as exported": _parse(_GENERAL),
        "gather rows": _parse(_GATHER),
        "DeformConv 1x1": _parse(deform.replace("CHANNELS", str(channels))),
        "one strip": _ours((1, 2, 1, 1)),
        "ours": _ours((1, 2, *size)),
    }


def _parse(text: str) -> FunctionProto:
    return parser.parse_function(
        f'<domain: "tweenrt", opset_import: ["": {OPSET}]>\n'
        f'BackwardWarp <padding: string = "border"> (x, flow) => (y) {{ {text} }}'
    )


def _ours(flow: tuple[int, ...]) -> FunctionProto:
    return function.body(OPSET, _node(), {"flow": flow})


def _node() -> NodeProto:
    return helper.make_node("BackwardWarp", ["x", "flow"], ["y"], domain=OP_DOMAIN)


def session(body: FunctionProto, shape: tuple[int, ...]) -> ort.InferenceSession:
    """A model of one node with that body and static shapes."""
    values = {"x": shape, "flow": (shape[0], 2, *shape[2:]), "y": shape}
    x, flow, y = (helper.make_tensor_value_info(k, TensorProto.FLOAT, v) for k, v in values.items())
    imports = [helper.make_opsetid("", OPSET), helper.make_opsetid(OP_DOMAIN, OP_VERSION)]
    graph = helper.make_graph([_node()], "warp", [x, flow], [y])
    model = helper.make_model(graph, functions=[body], opset_imports=imports, ir_version=10)
    onnx.checker.check_model(model)
    options = ort.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def smooth_flow(height: int, width: int, motion: float = 8.0) -> Array:
    """A flow as networks predict it: it changes over tens of pixels, [1,2,H,W], in pixels."""
    coarse = np.random.default_rng(0).standard_normal((2, height // 45 + 2, width // 40 + 2)) * motion
    fine = [np.kron(plane, np.ones((45, 40)))[:height, :width] for plane in coarse]
    return np.ascontiguousarray(np.stack(fine)[None], np.float32)


def measure(channels: int, size: tuple[int, int], rounds: int) -> dict[str, dict[str, float]]:
    """Body → summary of its times."""
    shape = (1, channels, *size)
    feeds = {"x": np.random.default_rng(1).random(shape, np.float32), "flow": smooth_flow(*size)}
    sessions = {name: session(body, shape) for name, body in bodies(channels, size).items()}
    results = {name: s.run(None, feeds)[0] for name, s in sessions.items()}
    for name, result in results.items():
        np.testing.assert_allclose(result, results["gather rows"], rtol=0, atol=1e-3, err_msg=name)
    work: dict[str, Callable[[], object]] = {name: _runner(s, feeds) for name, s in sessions.items()}
    return {name: samples.summary() for name, samples in record.interleaved(work, rounds).items()}


def _runner(ready: ort.InferenceSession, feeds: dict[str, Array]) -> Callable[[], object]:
    return lambda: ready.run(None, feeds)


NOTES = """
Bilinear warp of one image [1,C,H,W] by a flow, border padding; median CPU milliseconds over both threads (wall
milliseconds in brackets) of {n} interleaved runs. CPU time is the figure to compare: other programs ran on the machine.
The quartiles of CPU time lie {spread:.0f} % of the median apart (median over all cells; each is in the JSON file).

{machine}

- *GridSample as exported* is what a plain export of `grid_sample(padding_mode="border", align_corners=True)` gives.
- *one strip* is our body without strips, *ours* the body that `function.py` chooses for the size.
- *DeformConv* is 15 to 30 % faster still, but needs opset 19, a young ONNX Runtime, and a plugin on TensorRT.
- *gather rows* beats the plain GridSample from about 7 channels on; it never beats ours.
"""


def main() -> None:
    """Measure, write, print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="three channel counts, three rounds")
    quick = options.parse_args().quick
    facts = record.machine(THREADS)
    cells = [
        {"channels": c, "height": h, "width": w, "bodies": measure(c, (h, w), 3 if quick else 7)}
        for h, w in SIZES
        for c in ((3, 7, 32) if quick else CHANNELS)
        if 4 * c * h * w <= MOST_BYTES
    ]
    publish(facts, cells)


def publish(facts: dict[str, object], cells: list[dict[str, Any]]) -> None:
    """Write both files."""
    names = list(cells[0]["bodies"])
    found = [body for cell in cells for body in cell["bodies"].values()]
    rows = [[f"{cell['channels']}, {cell['height']}x{cell['width']}", *_row(cell["bodies"], names)] for cell in cells]
    record.write(
        "warp_body",
        {"machine": facts, "cells": cells},
        "The body of BackwardWarp on ONNX Runtime's CPU provider",
        NOTES.format(
            machine=record.describe(facts),
            n=found[0]["n"],
            spread=statistics.median(one["cpu_spread_percent"] for one in found),
        ),
        [["C, HxW", *names], *rows],
    )


def _row(found: dict[str, dict[str, float]], names: list[str]) -> list[str]:
    best = min(found[name]["cpu_ms"] for name in names)
    texts = (f"{found[name]['cpu_ms']:.1f} ({found[name]['wall_ms']:.1f})" for name in names)
    return [f"**{t}**" if found[n]["cpu_ms"] == best else t for n, t in zip(names, texts, strict=True)]


if __name__ == "__main__":
    main()
