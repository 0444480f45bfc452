"""The index of the custom ops: which exist, and where each keeps its portable bodies."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import FunctionProto, NodeProto


@dataclass(frozen=True)
class CustomOp:
    """One op of the domain ``tweenrt``.

    Attributes:
        name: op type of the node, such as ``"BackwardWarp"``.
        folder: the folder under ``plugins/`` that holds it.
    """

    name: str
    folder: str

    def body(self, opset: int, node: NodeProto, shapes: dict[str, tuple[int | None, ...]]) -> FunctionProto:
        """The portable body that suits `node` best, as an ONNX function of opset `opset`.

        Args:
            opset: version of the standard operators in the body; the model's own.
            node: the node that the body is for; its attributes may select the body.
            shapes: the shapes of the values of the graph where known, None for a dynamic size.
        """
        module = importlib.import_module(f"tweenrt.plugins.{self.folder}.function")
        body: FunctionProto = module.body(opset, node, shapes)
        return body


OPS: dict[str, CustomOp] = {
    op.name: op
    for op in (
        CustomOp("BackwardWarp", "backward_warp"),
        CustomOp("CorrelationLookup", "correlation_lookup"),
        CustomOp("DeformConv2d", "deform_conv2d"),
        CustomOp("ForwardSplat", "forward_splat"),
        CustomOp("MaskTiles", "mask_tiles"),
        CustomOp("MaskedConv2d", "masked_conv2d"),
        CustomOp("WarpBlend", "warp_blend"),
        CustomOp("WarpConcat", "warp_concat"),
        CustomOp("WarpResize", "warp_resize"),
        CustomOp("WindowAttention", "window_attention"),
    )
}
