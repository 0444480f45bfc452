"""Keep one rewrite rule of the exporter's optimizer from making it quadratic in the number of nodes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_slice_split() -> Iterator[None]:
    """Switch off onnxscript's rule that turns two slices into a ``Split``.

    Its pattern has two outputs, and for such patterns the matcher lists every node of the graph anew for every node:
    an unrolled network of 5000 nodes takes many minutes. The graph computes the same either way.
    """
    try:
        from onnxscript.rewriter.rules.common import slice_split_rule
    except ImportError:  # another version of onnxscript, in which the rule is elsewhere or gone
        yield
        return
    slice_split_rule.try_rewrite = lambda *_, **__: None
    try:
        yield
    finally:
        del slice_split_rule.try_rewrite
