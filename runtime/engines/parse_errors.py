"""Parser errors as sentences: which node of which module, which op, and what to do about it."""

from __future__ import annotations

import re
from typing import Any

from tweenrt.plugins.ops import OPS
from tweenrt.runtime.engines.tensorrt import Log
from tweenrt.runtime.onnx_file import OnnxFile

# The operators that a plain TensorRT cannot build, and which of our ops brings the kernel for each.
_OURS = {"DeformConv": "DeformConv2d", "ScatterElements": "ForwardSplat", "NonZero": "MaskedConv2d"}
_NO_PLUGIN = "Plugin not found"
_WITH_PLUGINS = "build it with that library: `make plugins`, and no --no-plugins in the command"
_GENERAL = (
    ". docs/tensorrt.md tells what TensorRT refuses; write this part of the network with other operators or another "
    "opset and export it again, or run the graph on ONNX Runtime (--backend onnxruntime)"
)


def explain(graph: OnnxFile, parser: Any, log: Log) -> str:
    """Why `parser` refused `graph`, all of it in one message.

    Args:
        graph: what was parsed.
        parser: TensorRT's parser, after it failed.
        log: what TensorRT said meanwhile.
    """
    reasons = [_reason(graph, parser.get_error(i)) for i in range(parser.num_errors)]
    found = list(dict.fromkeys(reasons)) or [(log.errors or ["it gave no reason"])[0] + _GENERAL]
    return f"{graph.path}: TensorRT cannot take this graph: " + "; ".join(found)


def _reason(graph: OnnxFile, error: Any) -> str:
    op = error.node_operator() or "a node"
    inside = [str(name) for name in error.local_function_stack()]
    where = f"{op} ({error.node_name() or 'unnamed'})"
    if inside:
        where += f" in the body of {' in '.join(inside)}"
    said = _said(error.desc())
    return f"{where}: {said}{_advice(graph, op, inside, said)}"


def _said(description: str) -> str:
    """The parser's words in one line; our plugin's own, where one of ours refused."""
    from tweenrt.plugins.library import last_error

    if "non-zero return code" in description or "Could not create the plugin" in description:
        return last_error() or _one_line(description)
    return _one_line(description)


def _one_line(text: str) -> str:
    line = re.sub(r"\s+", " ", text.split("[checkMacros")[0]).strip()
    return "TensorRT has no such operator" if line in ("", "false") else line.rstrip(".")


def _advice(graph: OnnxFile, op: str, inside: list[str], said: str) -> str:
    """What to do about a node `op`, in the bodies of the nodes `inside`, of which the parser said this."""
    bodies = (name.rpartition("(")[2].rstrip(")") for name in inside)  # TensorRT writes "name (op)"
    ours = next((name for name in (_OURS.get(op), *bodies) if name in _OURS.values()), None)
    if ours in graph.custom_ops:
        return f". Our plugin library has a kernel for {ours}; {_WITH_PLUGINS}"
    if op not in graph.custom_ops:
        return _GENERAL
    if op in OPS and _NO_PLUGIN in said:
        return f". The graph has no portable body for it, our plugin library a kernel; {_WITH_PLUGINS}"
    return ". Export the graph again with this version of tweenrt"
