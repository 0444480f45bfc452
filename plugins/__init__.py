"""The custom ops of the ONNX domain ``tweenrt``: one folder an op, named after it.

Each folder holds ``reference.py`` (the op in PyTorch, which also emits the node while a network is exported)
and ``function.py`` (the portable body in standard ONNX operators). See `tweenrt.plugins.ops`.
"""

from __future__ import annotations

from tweenrt.plugins.ops import OPS, CustomOp

__all__ = ["OPS", "CustomOp"]
