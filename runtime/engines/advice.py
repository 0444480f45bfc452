"""What can be done where TensorRT has failed, told from what it said."""

from __future__ import annotations

from collections.abc import Sequence

_FULL = ("out of memory", "outofmemory", "insufficient memory")


def is_full(errors: Sequence[str]) -> bool:
    """Whether these messages of TensorRT's say that there was not enough memory."""
    said = " ".join(errors).lower()
    return any(word in said for word in _FULL)


def last_said(errors: Sequence[str]) -> str:
    """The last of TensorRT's messages in one line."""
    return errors[-1].splitlines()[0] if errors else "it gave no reason"


def why(errors: Sequence[str]) -> str:
    """The last of TensorRT's messages in one line, and what to change where an engine needs too much memory."""
    said = last_said(errors)
    if not is_full(errors):
        return said
    return (
        f"{said}. The GPU is out of memory: build for a smaller --size or fewer --max pixels and with --batch 1, "
        "convert the graph with `tweenrt convert --precision fp16`, or close other programs on the GPU"
    )


__all__ = ["is_full", "last_said", "why"]
