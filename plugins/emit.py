"""Emit a custom op while a network is being exported to ONNX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from tweenrt.contract import OP_DOMAIN, OP_VERSION


def exporting() -> bool:
    """Whether the calling network is being traced by the ONNX exporter."""
    return bool(torch.onnx.is_in_onnx_export())


def emit(
    op: str,
    inputs: Sequence[Tensor],
    *,
    like: Tensor,
    shape: Sequence[int | torch.SymInt] | None = None,
    dtype: torch.dtype | None = None,
    attributes: Mapping[str, int | float | str | bool] | None = None,
) -> Tensor:
    """Put the node ``tweenrt::<op>`` into the graph and return its output.

    Args:
        op: name of the custom op.
        inputs: the node's inputs.
        like: the output has this tensor's dtype and shape, unless they are given.
        shape: shape of the output.
        dtype: dtype of the output.
        attributes: attributes of the node.
    """
    return torch.onnx.ops.symbolic(
        f"{OP_DOMAIN}::{op}",
        tuple(inputs),
        attrs=dict(attributes or {}),
        dtype=like.dtype if dtype is None else dtype,
        shape=tuple(like.shape if shape is None else shape),
        version=OP_VERSION,
    )
