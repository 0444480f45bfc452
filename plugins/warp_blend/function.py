"""The portable body of ``WarpBlend`` in standard ONNX operators."""

from __future__ import annotations

from onnx import FunctionProto, NodeProto, parser

_BODY = """
    warped0 = tweenrt.BackwardWarp <padding = "border"> (frame0, flow0)
    warped1 = tweenrt.BackwardWarp <padding = "border"> (frame1, flow1)
    one_f = Constant <value = float[1] {1.0}> ()
    one = CastLike (one_f, mask)
    rest = Sub (one, mask)
    part0 = Mul (mask, warped0)
    part1 = Mul (rest, warped1)
    merged = Add (part0, part1)
    frame_t = Add (merged, residual)
"""


def body(opset: int, node: NodeProto, shapes: dict[str, tuple[int | None, ...]]) -> FunctionProto:
    """The only body of the op; see `tweenrt.plugins.ops.CustomOp.body`."""
    del node, shapes
    return parser.parse_function(
        f'<domain: "tweenrt", opset_import: ["": {opset}, "tweenrt": 1]>\n'
        f"WarpBlend (frame0, frame1, flow0, flow1, mask, residual) => (frame_t) {{ {_BODY} }}"
    )
