"""What `--model` and GRAPH name: a file, a folder, or a network that is made now."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tweenrt.cli.console import step
from tweenrt.errors import require
from tweenrt.runtime.session import ENGINE_ENDING


def graph_for(name: str, before: Callable[[], None] = lambda: None) -> Path:
    """The graph, engine or folder of a split export at the path `name`; else the model of that name, exported.

    Args:
        name: a path, or a model of `tweenrt models`.
        before: called before a model is fetched and exported, which takes a minute.

    Raises:
        UsageError: there is neither such a file nor such a model.
        MissingExtraError: it is a model's name, and PyTorch is not installed.
    """
    path = Path(name)
    if path.exists() or path.suffix in {".onnx", ENGINE_ENDING} or "/" in name:
        return path
    before()
    require("torch", extra="export", why=f"Making a graph of the model {name!r}")
    from tweenrt.export.prepare import prepare_graph

    return prepare_graph(name, step)
