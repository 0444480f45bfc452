"""The portable body of ``WarpConcat`` in standard ONNX operators, one for each order of the result."""

from __future__ import annotations

from onnx import FunctionProto, NodeProto, parser

_BODY = """
    two = Constant <value_float = 2.0> ()
    size = Shape (step)
    coarse32 = Cast <to = 1> (coarse)
    finer = Resize <mode = "linear", coordinate_transformation_mode = "half_pixel"> (coarse32, , , size)
    doubled = Mul (finer, two)
    step32 = Cast <to = 1> (step)
    flow32 = Add (step32, doubled)
    flow0, flow1 = Split <axis = 1, num_outputs = 2> (flow32)
    warped0 = tweenrt.BackwardWarp <padding = "border"> (feature0, flow0)
    warped1 = tweenrt.BackwardWarp <padding = "border"> (feature1, flow1)
    flow = CastLike (flow32, step)
    flow_seen = CastLike (flow32, feature)
"""


def body(opset: int, node: NodeProto, shapes: dict[str, tuple[int | None, ...]]) -> FunctionProto:
    """The body for the order of `node`; see `tweenrt.plugins.ops.CustomOp.body`.

    A body for both orders would have to branch or to copy, so a model keeps to one of them.
    """
    del shapes
    feature_first = next((a.i for a in node.attribute if a.name == "feature_first"), 1)
    order = "feature, warped0, warped1" if feature_first else "warped0, warped1, feature"
    return parser.parse_function(
        f'<domain: "tweenrt", opset_import: ["": {opset}, "tweenrt": 1]>\n'
        "WarpConcat <feature_first: int = 1> (feature0, feature1, feature, step, coarse) => (seen, flow) "
        f"{{ {_BODY} seen = Concat <axis = 1> ({order}, flow_seen) }}"
    )
