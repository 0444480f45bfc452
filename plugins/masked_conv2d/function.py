"""The portable bodies of ``MaskedConv2d`` in standard ONNX operators. They look at the mask, not at its tiles."""

from __future__ import annotations

from onnx import FunctionProto, NodeProto, parser

BREAK_EVEN = 0.5
"""Above this share of set pixels a dense convolution is the faster one on ONNX Runtime's CPU provider, or as fast.

Measured: benchmarks/results/masked_conv.md.
"""

# Everything, then zeros where the mask is not set.
_DENSE = """
    convolved = Conv <pads = [1, 1, 1, 1], kernel_shape = [3, 3]> (x, weight, bias)
    spread = Constant <value_ints = [1, 2]> ()
    slope_map = Unsqueeze (slope, spread)
    sloped = PRelu (convolved, slope_map)
    OUT = Mul (sloped, mask)
"""

# Rows of [N*(H+2)*(W+2), C] are gathered nine by nine for the Z set pixels, multiplied as one matrix, put back.
_GATHER = """
    minus_one = Constant <value_ints = [-1]> ()
    i0 = Constant <value_ints = [0]> ()
    i2 = Constant <value_ints = [2]> ()
    height = Shape <start = 2, end = 3> (x)
    width = Shape <start = 3, end = 4> (x)
    channels = Shape <start = 1, end = 2> (x)
    outputs = Shape <start = 0, end = 1> (weight)
    batch = Shape <start = 0, end = 1> (x)
    padded_height = Add (height, i2)
    padded_width = Add (width, i2)
    border = Constant <value_ints = [0, 0, 1, 1, 0, 0, 1, 1]> ()
    padded = Pad (x, border)
    channels_last = Transpose <perm = [0, 2, 3, 1]> (padded)
    rows_shape = Concat <axis = 0> (minus_one, channels)
    rows = Reshape (channels_last, rows_shape)

    set = NonZero (mask)
    n, plane, ys, xs = Split <axis = 0, num_outputs = 4> (set)
    n_rows = Mul (n, padded_height)
    n_ys = Add (n_rows, ys)
    first_row = Mul (n_ys, padded_width)
    corner_flat = Add (first_row, xs)
    corner = Transpose (corner_flat)
    taps_x = Constant <value_ints = [0, 1, 2, 0, 1, 2, 0, 1, 2]> ()
    taps_y = Constant <value_ints = [0, 0, 0, 1, 1, 1, 2, 2, 2]> ()
    taps_rows = Mul (taps_y, padded_width)
    taps_offset = Add (taps_rows, taps_x)
    taps = Unsqueeze (taps_offset, i0)
    neighbours = Add (corner, taps)
    patches = Gather <axis = 0> (rows, neighbours)
    nine = Constant <value_ints = [9]> ()
    patch_length = Mul (channels, nine)
    patch_shape = Concat <axis = 0> (minus_one, patch_length)
    patch_rows = Reshape (patches, patch_shape)
    tap_major = Transpose <perm = [2, 3, 1, 0]> (weight)
    matrix_shape = Concat <axis = 0> (minus_one, outputs)
    matrix = Reshape (tap_major, matrix_shape)
    product = MatMul (patch_rows, matrix)
    biased = Add (product, bias)
    sloped_rows = PRelu (biased, slope)

    n_heights = Mul (n, height)
    n_lines = Add (n_heights, ys)
    line_start = Mul (n_lines, width)
    place_flat = Add (line_start, xs)
    place = Transpose (place_flat)
    pixels_0 = Mul (batch, height)
    pixels = Mul (pixels_0, width)
    empty_shape = Concat <axis = 0> (pixels, outputs)
    zero_f = Constant <value = float[1] {0.0}> ()
    zero = CastLike (zero_f, x)
    empty = Expand (zero, empty_shape)
    filled = ScatterND (empty, place, sloped_rows)
    image_shape = Concat <axis = 0> (batch, height, width, outputs)
    image = Reshape (filled, image_shape)
    OUT = Transpose <perm = [0, 3, 1, 2]> (image)
"""


def body(opset: int, node: NodeProto, shapes: dict[str, tuple[int | None, ...]]) -> FunctionProto:
    """The body for graphs that any runtime must build; see `tweenrt.plugins.ops.CustomOp.body`."""
    del node, shapes
    return dense(opset)


def dense(opset: int) -> FunctionProto:
    """Convolve everywhere and multiply with the mask: every runtime can build it."""
    return _function(opset, _DENSE.replace("OUT", "y"))


def sparse(opset: int, break_even: float = BREAK_EVEN) -> FunctionProto:
    """Gather the set pixels, multiply, scatter; dense where more than `break_even` of the pixels are set."""
    return _function(
        opset,
        f"""
    mask_f = Cast <to = 1> (mask)
    density = ReduceMean <keepdims = 0> (mask_f)
    most = Constant <value_float = {break_even}> ()
    worth = Less (density, most)
    y = If (worth) <
        then_branch = gathered () => (y_gathered) {{ {_GATHER.replace("OUT", "y_gathered")} }},
        else_branch = everywhere () => (y_dense) {{ {_DENSE.replace("OUT", "y_dense")} }}
    >
""",
    )


def _function(opset: int, text: str) -> FunctionProto:
    return parser.parse_function(
        f'<domain: "tweenrt", opset_import: ["": {opset}]>\n'
        f"MaskedConv2d (x, mask, weight, bias, slope, tiles) => (y) {{ {text} }}"
    )
