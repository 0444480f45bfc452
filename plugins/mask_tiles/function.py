"""The portable body of ``MaskTiles`` in standard ONNX operators."""

from __future__ import annotations

from onnx import FunctionProto, NodeProto, parser

# Right in type and shape, not in its numbers: where bodies run, no op reads the list.
_BODY = """
    any_set = MaxPool <kernel_shape = [8, 8], strides = [8, 8], pads = [0, 0, 7, 7]> (mask)
    plane = Transpose <perm = [1, 0, 2, 3]> (any_set)
    number = Cast <to = 6> (plane)
    tiles = Concat <axis = 0> (number, number, number)
"""


def body(opset: int, node: NodeProto, shapes: dict[str, tuple[int | None, ...]]) -> FunctionProto:
    """Whether each tile has a set pixel, in all three planes; see `tweenrt.plugins.ops.CustomOp.body`."""
    del node, shapes
    return parser.parse_function(
        f'<domain: "tweenrt", opset_import: ["": {opset}]>\nMaskTiles (mask) => (tiles) {{ {_BODY} }}'
    )
