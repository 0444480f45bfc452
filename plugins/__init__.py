"""The custom ops of the ONNX domain ``tweenrt``: one folder an op, named after it.

Each folder holds ``reference.py`` (the op in PyTorch, which also emits the node while a network is exported),
``function.py`` (the portable body in standard ONNX operators), and where the op has a CUDA kernel ``kernel.cu`` and
``plugin.cpp`` (the same op for TensorRT). See `tweenrt.plugins.ops` and `tweenrt.plugins.library`.
"""

from __future__ import annotations

from tweenrt.plugins.library import library_path, load
from tweenrt.plugins.ops import OPS, CustomOp

__all__ = ["OPS", "CustomOp", "library_path", "load"]
