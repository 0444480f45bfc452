"""Parser errors as sentences: which node of which module, which op, and what to do about it."""

from __future__ import annotations

import re
from typing import Any

from tweenrt.contract import OP_DOMAIN
from tweenrt.runtime.engines.tensorrt import Log
from tweenrt.runtime.onnx_file import OnnxFile

# The operators that a plain TensorRT cannot build, and which of our ops brings the kernel for each.
_OURS = {"DeformConv": "DeformConv2d", "ScatterElements": "ForwardSplat", "NonZero": "MaskedConv2d"}


def explain(graph: OnnxFile, parser: Any, log: Log) -> str:
    """Why `parser` refused `graph`, all of it in one message.

    Args:
        graph: what was parsed.
        parser: TensorRT's parser, after it failed.
        log: what TensorRT said meanwhile.
    """
    reasons = [_reason(graph, parser.get_error(i)) for i in range(parser.num_errors)]
    found = list(dict.fromkeys(reasons)) or log.errors[:1] or ["it gave no reason"]
    return f"{graph.path}: TensorRT cannot take this graph: " + "; ".join(found)


def _reason(graph: OnnxFile, error: Any) -> str:
    op = error.node_operator() or "a node"
    inside = [str(name) for name in error.local_function_stack()]
    where = f"{op} ({error.node_name() or 'unnamed'})"
    if inside:
        where += f" in the body of {' in '.join(inside)}"
    return f"{where}: {_said(error.desc())}{_advice(graph, op)}"


def _said(description: str) -> str:
    """The parser's words in one line; our plugin's own, where one of ours refused."""
    from tweenrt.plugins.library import last_error

    if "non-zero return code" in description or "Could not create the plugin" in description:
        return last_error() or _one_line(description)
    return _one_line(description)


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text.split("[checkMacros")[0]).strip()


def _advice(graph: OnnxFile, op: str) -> str:
    if op in _OURS and _OURS[op] in graph.custom_ops:
        return f". Build it with our plugin library, which has a kernel for {_OURS[op]}"
    if op in {node.op_type for node in graph.model.graph.node if node.domain == OP_DOMAIN}:
        return ". Export the graph again with this version of tweenrt"
    return ""
