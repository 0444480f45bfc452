"""The portable body of ``CorrelationLookup`` in standard ONNX operators."""

from __future__ import annotations

from onnx import FunctionProto, NodeProto, parser

_BODY = """
    one_i = Constant <value_int = 1> ()
    one = Constant <value_float = 1.0> ()
    two = Constant <value_float = 2.0> ()
    r = Constant <value_int: int = @radius> ()
    negative_r = Neg (r)
    past_r = Add (r, one_i)
    steps_i = Range (negative_r, past_r, one_i)
    steps = Cast <to = 1> (steps_i)
    by_column = Constant <value_ints = [1, -1, 1]> ()
    by_row = Constant <value_ints = [1, 1, -1]> ()
    step_x = Reshape (steps, by_column)
    step_y = Reshape (steps, by_row)
    coords32 = Cast <to = 1> (coords)
    x_plane, y_plane = Split <axis = 1, num_outputs = 2> (coords32)
    per_query = Constant <value_ints = [-1, 1, 1]> ()
    x = Reshape (x_plane, per_query)
    y = Reshape (y_plane, per_query)
    height_i = Shape <start = 2, end = 3> (corr)
    width_i = Shape <start = 3, end = 4> (corr)
    height = Cast <to = 1> (height_i)
    width = Cast <to = 1> (width_i)
    px = Add (x, step_x)
    py = Add (y, step_y)
    px2 = Mul (px, two)
    py2 = Mul (py, two)
    px3 = Add (px2, one)
    py3 = Add (py2, one)
    px4 = Div (px3, width)
    py4 = Div (py3, height)
    grid_x = Sub (px4, one)
    grid_y = Sub (py4, one)
    spread = Sub (steps, steps)
    flat_x = Reshape (spread, by_row)
    flat_y = Reshape (spread, by_column)
    full_x = Add (grid_x, flat_x)
    full_y = Add (grid_y, flat_y)
    last = Constant <value_ints = [-1]> ()
    pair_x = Unsqueeze (full_x, last)
    pair_y = Unsqueeze (full_y, last)
    grid = Concat <axis = -1> (pair_x, pair_y)
    corr32 = Cast <to = 1> (corr)
    window = GridSample <mode = "bilinear", padding_mode = "zeros", align_corners = 0> (corr32, grid)
    batch = Shape <start = 0, end = 1> (coords)
    rows = Shape <start = 2, end = 3> (coords)
    columns = Shape <start = 3, end = 4> (coords)
    shape = Concat <axis = 0> (batch, rows, columns, last)
    by_pixel = Reshape (window, shape)
    planes = Transpose <perm = [0, 3, 1, 2]> (by_pixel)
    y_out = CastLike (planes, corr)
"""


def body(opset: int, node: NodeProto, shapes: dict[str, tuple[int | None, ...]]) -> FunctionProto:
    """The only body of the op; see `tweenrt.plugins.ops.CustomOp.body`."""
    del node, shapes
    return parser.parse_function(
        f'<domain: "tweenrt", opset_import: ["": {opset}]>\n'
        f"CorrelationLookup <radius> (corr, coords) => (y_out) {{ {_BODY} }}"
    )
