"""The portable body of ``DeformConv2d``: the standard operator of opset 19."""

from __future__ import annotations

from onnx import FunctionProto, NodeProto, parser

_BODY = """
    y = DeformConv <kernel_shape = [3, 3], pads = [1, 1, 1, 1], offset_group: int = @offset_group>
        (x, weight, offset, bias, mask)
"""


def body(opset: int, node: NodeProto, shapes: dict[str, tuple[int | None, ...]]) -> FunctionProto:
    """The only body of the op; see `tweenrt.plugins.ops.CustomOp.body`.

    Raises:
        ValueError: the operator does not exist before opset 19.
    """
    del node, shapes
    if opset < 19:
        raise ValueError(f"DeformConv2d needs a network of opset 19, got {opset}; set ModelSpec.opset")
    return parser.parse_function(
        f'<domain: "tweenrt", opset_import: ["": {opset}]>\n'
        f"DeformConv2d <offset_group: int = 1> (x, offset, mask, weight, bias) => (y) {{ {_BODY} }}"
    )
