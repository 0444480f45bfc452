"""Why a graph that TensorRT has parsed could not be built, and what to change."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tweenrt.runtime.engines.advice import is_full, last_said

MIB = 1 << 20
_REQUESTED = re.compile(r"requested (?:size was |amount of gpu memory \()(\d+) bytes")
_LIMITED = ("workspace limit", "workspace size", "could not find any implementation")


def why_not_built(errors: Sequence[str], workspace_mib: int | None) -> str:
    """The last of the builder's messages in one line, and what to do about it.

    Args:
        errors: what the builder said.
        workspace_mib: the memory that layers were allowed; None for all there is.
    """
    return last_said(errors) + _advice(" ".join(errors), workspace_mib)


def _advice(errors: str, workspace_mib: int | None) -> str:
    if "for Turing" in errors:
        return (
            ". GPUs of the Turing generation (sm75) lack what it needs: convert the graph with `tweenrt convert "
            "--precision fp16`, or leave sm75 out of --target"
        )
    if workspace_mib is not None and _is_over(errors.lower(), workspace_mib * MIB):
        return (
            f". Its layers may use {workspace_mib} MiB of memory, which is too little: allow more with --workspace, or "
            "leave --workspace out"
        )
    if is_full([errors]):
        return (
            ". The GPU ran out of memory: build for a smaller --size or fewer --max pixels and with --batch 1, allow "
            "layers less of it with --workspace, close other programs on the GPU, or lower --level"
        )
    return ""


def _is_over(errors: str, limit: int) -> bool:
    """Whether a builder failed for its `limit` in bytes, and not because a GPU was full.

    What TensorRT-RTX says that it requested is the limit and what it needs besides, so it does not tell how much is
    enough.
    """
    requested = max((int(size) for size in _REQUESTED.findall(errors)), default=0)
    return requested >= limit or any(words in errors for words in _LIMITED)
