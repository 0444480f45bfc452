"""The portable bodies of ``BackwardWarp`` in standard ONNX operators."""

from __future__ import annotations

from onnx import FunctionProto, NodeProto, parser

# Shared start: FP32 pixel coordinates px [N,1,H,W] and py of every sample.
_COORDINATES = """
    flow32 = Cast <to = 1> (flow)
    i0 = Constant <value_int = 0> ()
    i1 = Constant <value_int = 1> ()
    axis1 = Constant <value_ints = [1]> ()
    height = Shape <start = 2, end = 3> (flow)
    width = Shape <start = 3, end = 4> (flow)
    height_scalar = Squeeze (height)
    width_scalar = Squeeze (width)
    columns = Range (i0, width_scalar, i1)
    rows = Range (i0, height_scalar, i1)
    columns_f = Cast <to = 1> (columns)
    rows_flat = Cast <to = 1> (rows)
    rows_f = Unsqueeze (rows_flat, axis1)
    dx, dy = Split <axis = 1, num_outputs = 2> (flow32)
    px = Add (dx, columns_f)
    py = Add (dy, rows_f)
    x32 = Cast <to = 1> (x)
    one = Constant <value = float[1] {1.0}> ()
    width_f = Cast <to = 1> (width)
    height_f = Cast <to = 1> (height)
    last_x = Sub (width_f, one)
    last_y = Sub (height_f, one)
"""

_GRID_SAMPLE = (
    _COORDINATES
    + """
    two = Constant <value = float[1] {2.0}> ()
    span_x = Max (last_x, one)
    span_y = Max (last_y, one)
    scale_x = Div (two, span_x)
    scale_y = Div (two, span_y)
    scaled_x = Mul (px, scale_x)
    scaled_y = Mul (py, scale_y)
    grid_x = Sub (scaled_x, one)
    grid_y = Sub (scaled_y, one)
    grid_planes = Concat <axis = 1> (grid_x, grid_y)
    grid = Transpose <perm = [0, 2, 3, 1]> (grid_planes)
    sampled = GridSample <mode = "bilinear", padding_mode: string = @padding, align_corners = 1> (x32, grid)
    y = CastLike (sampled, x)
"""
)


def body(opset: int, node: NodeProto, shapes: dict[str, tuple[int | None, ...]]) -> FunctionProto:
    """The body that suits `node`; see `tweenrt.plugins.ops.CustomOp.body`."""
    del node, shapes
    return parser.parse_function(
        f'<domain: "tweenrt", opset_import: ["": {opset}]>\n'
        f'BackwardWarp <padding: string = "border"> (x, flow) => (y) {{ {_GRID_SAMPLE} }}'
    )
