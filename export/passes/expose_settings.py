"""Let a caller change a constant of a graph at run time, without having to give it."""

from __future__ import annotations

import onnx
from onnx import ModelProto


def expose_settings(model: ModelProto, names: tuple[str, ...]) -> ModelProto:
    """Turn initializers into inputs that have them as defaults, in place, and return `model`.

    Args:
        model: as exported.
        names: names of buffers of the traced module, which the exporter prefixes with where they live.

    Raises:
        ValueError: a buffer is not in the graph, so that setting it would change nothing.
    """
    for name in names:
        found = [i for i in model.graph.initializer if i.name.split(".")[-1] == name]
        if len(found) != 1:
            raise ValueError(f"expected one initializer for the setting {name!r}, found {len(found)}")
        _rename(model, found[0].name, name)
        value = onnx.helper.make_tensor_value_info(name, found[0].data_type, list(found[0].dims))
        model.graph.input.append(value)
    return model


def _rename(model: ModelProto, old: str, new: str) -> None:
    for initializer in model.graph.initializer:
        if initializer.name == old:
            initializer.name = new
    for node in model.graph.node:
        node.input[:] = [new if i == old else i for i in node.input]
    kept = [v for v in model.graph.value_info if v.name != old]
    del model.graph.value_info[:]
    model.graph.value_info.extend(kept)
