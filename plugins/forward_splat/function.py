"""The portable body of ``ForwardSplat`` in standard ONNX operators."""

from __future__ import annotations

from onnx import FunctionProto, NodeProto, parser

# ScatterElements, not ScatterND: with more than one thread, ONNX Runtime's CPU ScatterND (1.32) loses additions to a
# row that several updates hit, and here most rows are hit four times.
_START = """
    i0 = Constant <value_int = 0> ()
    i1 = Constant <value_int = 1> ()
    zero = Constant <value_float = 0.0> ()
    one = Constant <value_float = 1.0> ()
    axis1 = Constant <value_ints = [1]> ()
    flat = Constant <value_ints = [0, 0, -1]> ()
    x32 = Cast <to = 1> (x)
    flow32 = Cast <to = 1> (flow)
    channels = Shape <start = 1, end = 2> (x)
    batch = Shape <start = 0, end = 1> (x)
    height = Shape <start = 2, end = 3> (x)
    width = Shape <start = 3, end = 4> (x)
    height_scalar = Squeeze (height)
    width_scalar = Squeeze (width)
    last_column_i = Sub (width_scalar, i1)
    last_row_i = Sub (height_scalar, i1)
    last_column = Cast <to = 1> (last_column_i)
    last_row = Cast <to = 1> (last_row_i)
    columns_i = Range (i0, width_scalar, i1)
    rows_i = Range (i0, height_scalar, i1)
    columns = Cast <to = 1> (columns_i)
    rows_flat = Cast <to = 1> (rows_i)
    rows = Unsqueeze (rows_flat, axis1)
    dx, dy = Split <axis = 1, num_outputs = 2> (flow32)
    px = Add (dx, columns)
    py = Add (dy, rows)
    left = Floor (px)
    top = Floor (py)
    right = Add (left, one)
    bottom = Add (top, one)
    ones_shape = Concat <axis = 0> (batch, axis1, height, width)
    ones = Expand (one, ones_shape)
    planes = Concat <axis = 1> (x32, ones)
    source = Reshape (planes, flat)
    source_shape = Shape (source)
    sums0 = Expand (zero, source_shape)
"""

# One axis of one corner: the distance to it, whether it is inside, and the nearest pixel inside.
_AXIS = """
    {a}_gap = Sub ({p}, {a})
    {a}_distance = Abs ({a}_gap)
    {a}_bare_share = Sub (one, {a}_distance)
    {a}_near = Clip ({a}, zero, {last})
    {a}_inside = Equal ({a}, {a}_near)
    {a}_share = Where ({a}_inside, {a}_bare_share, zero)
    {a}_index = Cast <to = 7> ({a}_near)
"""

_CORNER = """
    share_plane{k} = Mul ({column}_share, {row}_share)
    share{k} = Reshape (share_plane{k}, flat)
    row_start{k} = Mul ({row}_index, width)
    index_plane{k} = Add (row_start{k}, {column}_index)
    index_flat{k} = Reshape (index_plane{k}, flat)
    index{k} = Expand (index_flat{k}, source_shape)
    shared{k} = Mul (source, share{k})
    sums{n} = ScatterElements <axis = 2, reduction = "add"> (sums{k}, index{k}, shared{k})
"""

_END = """
    past_channels = Add (channels, i1)
    zeros = Constant <value_ints = [0]> ()
    totals = Slice (sums4, zeros, channels, axis1)
    weight = Slice (sums4, channels, past_channels, axis1)
    unreached = Equal (weight, zero)
    divisor = Where (unreached, one, weight)
    averages = Div (totals, divisor)
    image_shape = Shape (x)
    image = Reshape (averages, image_shape)
    y = CastLike (image, x)
"""


def body(opset: int, node: NodeProto, shapes: dict[str, tuple[int | None, ...]]) -> FunctionProto:
    """The only body of the op; see `tweenrt.plugins.ops.CustomOp.body`."""
    del node, shapes
    columns, rows = ("left", "right"), ("top", "bottom")
    text = _START
    text += "".join(_AXIS.format(a=a, p="px", last="last_column") for a in columns)
    text += "".join(_AXIS.format(a=a, p="py", last="last_row") for a in rows)
    corners = enumerate((column, row) for row in rows for column in columns)
    text += "".join(_CORNER.format(k=k, n=k + 1, column=c, row=r) for k, (c, r) in corners) + _END
    return parser.parse_function(
        f'<domain: "tweenrt", opset_import: ["": {opset}]>\nForwardSplat (x, flow) => (y) {{ {text} }}'
    )
