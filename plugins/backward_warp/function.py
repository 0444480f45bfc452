"""The portable body of ``BackwardWarp`` in standard ONNX operators: one GridSample, or several on large frames."""

from __future__ import annotations

from onnx import FunctionProto, NodeProto, parser

Shape = tuple[int | None, ...]

# One sample position takes 56 bytes in ONNX Runtime's sampling plan. Plans beyond 32 MB (600 000 pixels) are mapped
# from the system and cleared anew in every run, which costs more than the sampling; plans of a few MB stay in the
# cache as well. Measured: benchmarks/results/warp_body.md.
PIXELS_PER_STRIP = 128 * 1024
MOST_STRIPS = 16
STRIPS_OF_OPEN_SIZE = 8
"""Strips where H and W are not known at export: right for 720p and below, and up to 4.8 million pixels."""

# Why neither the padding nor the corners of the node go straight to GridSample: ONNX Runtime's CPU kernel has a path
# for `zeros` padding with align_corners = 0 that works out every position once for all channels, and is 2 to 5 times
# faster than the general path. So the border is made by clamping the position to the outermost pixel centres, and
# positions are normalised as (2 * pixel + 1 - size) / size. One sample outside a white image says which padding the
# node wants: 1 for border; 0 for zeros, where `slack` lets positions leave the image. A side of one pixel has no
# slack: whatever the flow, its sample is that pixel, as in the reference.
_GRID = """
    i0 = Constant <value_int = 0> ()
    i1 = Constant <value_int = 1> ()
    one = Constant <value = float[1] {1.0}> ()
    two = Constant <value = float[1] {2.0}> ()
    four = Constant <value = float[1] {4.0}> ()
    white = Constant <value = float[1,1,1,1] {1.0}> ()
    outside = Constant <value = float[1,1,1,2] {4.0, 4.0}> ()
    is_border_4d = GridSample <mode = "bilinear", padding_mode: string = @padding, align_corners = 0> (white, outside)
    flat = Constant <value_ints = [1]> ()
    is_border = Reshape (is_border_4d, flat)
    is_zeros = Sub (one, is_border)
    slack = Mul (is_zeros, four)
    height_i = Shape <start = 2, end = 3> (flow)
    width_i = Shape <start = 3, end = 4> (flow)
    height = Cast <to = 1> (height_i)
    width = Cast <to = 1> (width_i)
    height_0d = Squeeze (height_i)
    width_0d = Squeeze (width_i)
    column_numbers = Range (i0, width_0d, i1)
    row_numbers = Range (i0, height_0d, i1)
    columns = Cast <to = 1> (column_numbers)
    rows_1d = Cast <to = 1> (row_numbers)
    rows = Unsqueeze (rows_1d, flat)
    last_column = Sub (width, one)
    last_row = Sub (height, one)
    columns_twice = Mul (columns, two)
    rows_twice = Mul (rows, two)
    columns_centred = Sub (columns_twice, last_column)
    rows_centred = Sub (rows_twice, last_row)
    base_x = Div (columns_centred, width)
    base_y = Div (rows_centred, height)
    last_x = Div (last_column, width)
    last_y = Div (last_row, height)
    slack_x = Mul (slack, last_column)
    slack_y = Mul (slack, last_row)
    most_x_1d = Add (last_x, slack_x)
    most_y_1d = Add (last_y, slack_y)
    most_x = Squeeze (most_x_1d)
    most_y = Squeeze (most_y_1d)
    least_x = Neg (most_x)
    least_y = Neg (most_y)
    step_x = Div (two, width)
    step_y = Div (two, height)
    flow32 = Cast <to = 1> (flow)
    dx, dy = Split <axis = 1, num_outputs = 2> (flow32)
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

_SAMPLE = 'GridSample <mode = "bilinear", padding_mode = "zeros", align_corners = 0>'

# The reshape changes nothing but what shape inference can know of y where sizes are open.
_OUT = """
    size = Shape (x)
    sampled = Reshape (joined, size)
    y = CastLike (sampled, x)
"""


def body(opset: int, node: NodeProto, shapes: dict[str, Shape]) -> FunctionProto:
    """The body that suits `node`; see `tweenrt.plugins.ops.CustomOp.body`."""
    image, flow = node.input
    strips = strips_for(shapes.get(flow) or shapes.get(image, ()))  # inside another body, one of them may be computed
    return parser.parse_function(
        f'<domain: "tweenrt", opset_import: ["": {opset}]>\n'
        f'BackwardWarp <padding: string = "border"> (x, flow) => (y) {{ {_GRID} {sampling(strips)} {_OUT} }}'
    )


def strips_for(shape: Shape) -> int:
    """How many strips of rows a body samples one after the other, for a shape [N,C,H,W] or one of unknown rank."""
    height, width = shape[2:4] if len(shape) == 4 else (None, None)
    if height is None or width is None:
        return STRIPS_OF_OPEN_SIZE
    return min(-(-height * width // PIXELS_PER_STRIP), MOST_STRIPS, height)


def sampling(strips: int) -> str:
    """From x32 and grid to joined, in strips of the grid's height_i rows.

    They are cut by computed sizes, so that even a frame of one row can be cut.
    """
    if strips == 1:
        return f"joined = {_SAMPLE} (x32, grid)"
    grids = ", ".join(f"grid{k}" for k in range(strips))
    parts = ", ".join(f"part{k}" for k in range(strips))
    sampled = "\n".join(f"part{k} = {_SAMPLE} (x32, grid{k})" for k in range(strips))
    equal = ", ".join(["rows_each"] * (strips - 1))
    return f"""
        strips = Constant <value_ints = [{strips}]> ()
        strips_but_one = Constant <value_ints = [{strips - 1}]> ()
        rows_each = Div (height_i, strips)
        rows_before_last = Mul (rows_each, strips_but_one)
        rows_last = Sub (height_i, rows_before_last)
        rows_of_strips = Concat <axis = 0> ({equal}, rows_last)
        {grids} = Split <axis = 1> (grid, rows_of_strips)
        {sampled}
        joined = Concat <axis = 2> ({parts})
    """
