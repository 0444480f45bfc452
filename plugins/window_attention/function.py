"""The portable body of ``WindowAttention`` in standard ONNX operators."""

from __future__ import annotations

from onnx import FunctionProto, NodeProto, parser

# Padding, roll and the cut into windows are one Gather, and one more brings the tokens back: so the body has neither
# pads that depend on the size nor empty slices where there is no shift.
_START = """
    i0 = Constant <value_int = 0> ()
    i1 = Constant <value_int = 1> ()
    i2 = Constant <value_int = 2> ()
    i6 = Constant <value_int = 6> ()
    first = Constant <value_ints = [0]> ()
    any = Constant <value_ints = [-1]> ()
    one = Constant <value_ints = [1]> ()
    window = Constant <value_int: int = @window> ()
    shift = Constant <value_int: int = @shift> ()
    heads_scalar = Constant <value_int: int = @heads> ()
    side = Unsqueeze (window, first)
    heads = Unsqueeze (heads_scalar, first)
    tokens = Mul (side, side)
    maps = Shape <start = 0, end = 1> (q)
    height = Shape <start = 1, end = 2> (q)
    width = Shape <start = 2, end = 3> (q)
    row_size = Squeeze (height)
    column_size = Squeeze (width)
    row_shape = Concat <axis = 0> (any, one, side, one)
    column_shape = Concat <axis = 0> (one, any, one, side)
    row_order = Constant <value_ints = [-1, 1]> ()
    column_order = Constant <value_ints = [1, -1]> ()
"""

# One axis: which token of the map stands at each place of the windows, in which region that place lies, and where
# the windows hold each token of the map.
_AXIS = """
    {a}_grown = Add ({a}_size, window)
    {a}_most = Sub ({a}_grown, i1)
    {a}_windows = Div ({a}_most, window)
    {a}_end = Mul ({a}_windows, window)
    {a}_spare = Sub ({a}_end, {a}_size)
    {a}_before = Div ({a}_spare, i2)
    {a}_after = Add ({a}_before, {a}_size)
    {a}_seam = Sub ({a}_end, shift)
    {a}_last = Sub ({a}_size, i1)
    {a}_place = Range (i0, {a}_end, i1)
    {a}_moved = Add ({a}_place, shift)
    {a}_turned = Mod ({a}_moved, {a}_end)
    {a}_source = Sub ({a}_turned, {a}_before)
    {a}_low = Max ({a}_source, i0)
    {a}_near_flat = Min ({a}_low, {a}_last)
    {a}_near = Reshape ({a}_near_flat, {a}_shape)
    {a}_inside_flat = Equal ({a}_source, {a}_near_flat)
    {a}_inside = Reshape ({a}_inside_flat, {a}_shape)
    {a}_entered_b = GreaterOrEqual ({a}_place, {a}_before)
    {a}_left_b = GreaterOrEqual ({a}_place, {a}_after)
    {a}_wrapped_b = GreaterOrEqual ({a}_place, {a}_seam)
    {a}_entered = Cast <to = 7> ({a}_entered_b)
    {a}_left = Cast <to = 7> ({a}_left_b)
    {a}_wrapped = Cast <to = 7> ({a}_wrapped_b)
    {a}_edges = Add ({a}_entered, {a}_left)
    {a}_edges2 = Mul ({a}_edges, i2)
    {a}_region_flat = Add ({a}_edges2, {a}_wrapped)
    {a}_region = Reshape ({a}_region_flat, {a}_shape)
    {a}_map = Range (i0, {a}_size, i1)
    {a}_offset = Add ({a}_before, {a}_seam)
    {a}_ahead = Add ({a}_map, {a}_offset)
    {a}_back = Mod ({a}_ahead, {a}_end)
    {a}_cell_flat = Div ({a}_back, window)
    {a}_inner_flat = Mod ({a}_back, window)
    {a}_cell = Reshape ({a}_cell_flat, {a}_order)
    {a}_inner = Reshape ({a}_inner_flat, {a}_order)
"""

_INDICES = """
    row_start = Mul (row_near, column_size)
    index_grid = Add (row_start, column_near)
    index = Reshape (index_grid, any)
    inside_grid = And (row_inside, column_inside)
    inside_shape = Constant <value_ints = [1, -1, 1]> ()
    inside = Reshape (inside_grid, inside_shape)
    row_cells = Mul (row_cell, column_windows)
    cell = Add (row_cells, column_cell)
    cell_rows = Mul (cell, window)
    home_row = Add (cell_rows, row_inner)
    home_start = Mul (home_row, window)
    home_grid = Add (home_start, column_inner)
    home = Reshape (home_grid, any)
    row_regions = Mul (row_region, i6)
    region_grid = Add (row_regions, column_region)
    seen_shape = Concat <axis = 0> (any, one, tokens)
    seer_shape = Concat <axis = 0> (any, tokens, one)
    seen_region = Reshape (region_grid, seen_shape)
    seer_region = Reshape (region_grid, seer_shape)
    together_b = Equal (seen_region, seer_region)
    together = Cast <to = 1> (together_b)
    unit = Constant <value_float = 1.0> ()
    hundred = Constant <value_float = 100.0> ()
    below = Sub (together, unit)
    bias32 = Mul (below, hundred)
    bias_axes = Constant <value_ints = [0, 2]> ()
    bias_one = Unsqueeze (bias32, bias_axes)
    bias_maps = Concat <axis = 0> (maps, one, one, one, one)
    bias_all = Expand (bias_one, bias_maps)
    bias_shape = Concat <axis = 0> (any, one, tokens, tokens)
    bias_flat = Reshape (bias_all, bias_shape)
    bias = CastLike (bias_flat, q)
"""

# One of queries, keys and values: into windows, and the heads apart.
_TOKENS = """
    {x}_channels = Shape <start = 3, end = 4> ({x})
    {x}_flat_shape = Concat <axis = 0> (maps, any, {x}_channels)
    {x}_flat = Reshape ({x}, {x}_flat_shape)
    {x}_picked = Gather <axis = 1> ({x}_flat, index)
    {x}_filled = {fill}
    {x}_depth = Div ({x}_channels, heads)
    {x}_heads_shape = Concat <axis = 0> (any, tokens, heads, {x}_depth)
    {x}_split = Reshape ({x}_filled, {x}_heads_shape)
    {x}_ready = Transpose <perm = [{perm}]> ({x}_split)
"""

_ATTENTION = """
    raw_scores = MatMul (q_ready, k_ready)
    depth_f = CastLike (q_depth, q)
    root = Sqrt (depth_f)
    scores = Div (raw_scores, root)
    biased = Add (scores, bias)
    shares = Softmax <axis = -1> (biased)
    found = MatMul (shares, v_ready)
    found_tokens = Transpose <perm = [0, 2, 1, 3]> (found)
    found_flat = Reshape (found_tokens, v_flat_shape)
    returned = Gather <axis = 1> (found_flat, home)
    out_shape = Concat <axis = 0> (maps, height, width, v_channels)
    y = Reshape (returned, out_shape)
"""


def body(opset: int, node: NodeProto, shapes: dict[str, tuple[int | None, ...]]) -> FunctionProto:
    """The only body of the op; see `tweenrt.plugins.ops.CustomOp.body`."""
    del node, shapes
    text = _START + _AXIS.format(a="row") + _AXIS.format(a="column") + _INDICES
    # What a query outside of the map would find is never read, so queries need no fill.
    text += _TOKENS.format(x="q", fill="Identity (q_picked)", perm="0, 2, 1, 3")
    text += _TOKENS.format(x="k", fill="Where (inside, k_picked, k_fill)", perm="0, 2, 3, 1")
    text += _TOKENS.format(x="v", fill="Where (inside, v_picked, v_fill)", perm="0, 2, 1, 3")
    return parser.parse_function(
        f'<domain: "tweenrt", opset_import: ["": {opset}]>\n'
        f"WindowAttention <heads, window, shift> (q, k, v, k_fill, v_fill) => (y) {{ {text}{_ATTENTION} }}"
    )
