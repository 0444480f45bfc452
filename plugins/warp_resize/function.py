"""The portable body of ``WarpResize`` in standard ONNX operators: the four samples of each cell, and their mean."""

from __future__ import annotations

from onnx import FunctionProto, NodeProto, helper, parser

from tweenrt.plugins.backward_warp.function import Shape, sampling, strips_for

# The flow becomes cells [N,2,H/shrink,shrink,W/shrink,shrink], of which rows and columns from shrink/2 - 1 to
# shrink/2 are kept. Positions are clamped and normalised as in the body of BackwardWarp, which says why.
_GRID = """
    i0 = Constant <value_int = 0> ()
    i1 = Constant <value_int = 1> ()
    flat = Constant <value_ints = [1]> ()
    pair = Constant <value_ints = [2]> ()
    all = Constant <value_ints = [-1]> ()
    one = Constant <value = float[1] {1.0}> ()
    two = Constant <value = float[1] {2.0}> ()
    inner = Constant <value = float[2] {0.0, 1.0}> ()
    shrink_0d = Constant <value_int: int = @shrink> ()
    shrink_i = Reshape (shrink_0d, flat)
    past_i = Div (shrink_i, pair)
    first_i = Sub (past_i, flat)
    end_i = Add (past_i, flat)
    batch = Shape <start = 0, end = 1> (flow)
    full_height_i = Shape <start = 2, end = 3> (flow)
    full_width_i = Shape <start = 3, end = 4> (flow)
    cell_rows = Div (full_height_i, shrink_i)
    cell_columns = Div (full_width_i, shrink_i)
    height_i = Mul (cell_rows, pair)
    width_i = Mul (cell_columns, pair)
    flow32 = Cast <to = 1> (flow)
    cells_shape = Concat <axis = 0> (batch, pair, cell_rows, shrink_i, cell_columns, shrink_i)
    cells = Reshape (flow32, cells_shape)
    axis_3 = Constant <value_ints = [3]> ()
    axis_5 = Constant <value_ints = [5]> ()
    near_rows = Slice (cells, first_i, end_i, axis_3)
    near = Slice (near_rows, first_i, end_i, axis_5)
    near_shape = Concat <axis = 0> (batch, pair, height_i, width_i)
    near_flow = Reshape (near, near_shape)
    dx, dy = Split <axis = 1, num_outputs = 2> (near_flow)
    shrink = Cast <to = 1> (shrink_i)
    first = Cast <to = 1> (first_i)
    offsets = Add (inner, first)
    row_count = Squeeze (cell_rows)
    column_count = Squeeze (cell_columns)
    row_numbers_i = Range (i0, row_count, i1)
    column_numbers_i = Range (i0, column_count, i1)
    row_numbers_1d = Cast <to = 1> (row_numbers_i)
    column_numbers_1d = Cast <to = 1> (column_numbers_i)
    row_numbers = Unsqueeze (row_numbers_1d, flat)
    column_numbers = Unsqueeze (column_numbers_1d, flat)
    row_starts = Mul (row_numbers, shrink)
    column_starts = Mul (column_numbers, shrink)
    rows_2d = Add (row_starts, offsets)
    columns_2d = Add (column_starts, offsets)
    by_row = Constant <value_ints = [-1, 1]> ()
    rows = Reshape (rows_2d, by_row)
    columns = Reshape (columns_2d, all)
    height = Cast <to = 1> (full_height_i)
    width = Cast <to = 1> (full_width_i)
    last_row = Sub (height, one)
    last_column = Sub (width, one)
    rows_twice = Mul (rows, two)
    columns_twice = Mul (columns, two)
    rows_centred = Sub (rows_twice, last_row)
    columns_centred = Sub (columns_twice, last_column)
    base_y = Div (rows_centred, height)
    base_x = Div (columns_centred, width)
    step_y = Div (two, height)
    step_x = Div (two, width)
    most_y_1d = Div (last_row, height)
    most_x_1d = Div (last_column, width)
    most_y = Squeeze (most_y_1d)
    most_x = Squeeze (most_x_1d)
    least_y = Neg (most_y)
    least_x = Neg (most_x)
    dx_scaled = Mul (dx, step_x)
    dy_scaled = Mul (dy, step_y)
    moved_x = Add (dx_scaled, base_x)
    moved_y = Add (dy_scaled, base_y)
    grid_x = Clip (moved_x, least_x, most_x)
    grid_y = Clip (moved_y, least_y, most_y)
    grid_planes = Concat <axis = 1> (grid_x, grid_y)
    grid = Transpose <perm = [0, 2, 3, 1]> (grid_planes)
    x32 = Cast <to = 1> (x)
"""


def body(opset: int, node: NodeProto, shapes: dict[str, Shape]) -> FunctionProto:
    """The body that suits `node`; see `tweenrt.plugins.ops.CustomOp.body`."""
    strips = strips_for(_sampled(node, shapes.get(node.input[1], ())))
    return parser.parse_function(
        f'<domain: "tweenrt", opset_import: ["": {opset}]>\n'
        f"WarpResize <shrink> (x, flow) => (y) {{ {_GRID} {sampling(strips)}\n"
        "mean = AveragePool <kernel_shape = [2, 2], strides = [2, 2]> (joined)\n"
        "y = CastLike (mean, x) }"
    )


def _sampled(node: NodeProto, flow: Shape) -> Shape:
    """[N,2,2·H/shrink,2·W/shrink]: the shape of the positions that are sampled."""
    shrink = next(helper.get_attribute_value(a) for a in node.attribute if a.name == "shrink")
    return (*flow[:2], *(side and side // shrink * 2 for side in flow[2:]))
