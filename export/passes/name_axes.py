"""Name the dynamic axes of inputs and outputs, and drop the shape remarks that used other names."""

from __future__ import annotations

from collections.abc import Mapping

from onnx import ModelProto


def name_axes(model: ModelProto, names: Mapping[str, Mapping[int, str]]) -> ModelProto:
    """Set axis names in place and return `model`.

    The torch exporter spells an axis as its own expression (``64*H``, or for a padded frame half a page of
    ``Min`` and ``Max``), where a caller wants to read ``H``.

    Args:
        model: as exported.
        names: name of an input or output → axis → what to call it.

    Raises:
        AssertionError: the exporter fixed an axis that was to stay open. It does so without a word where the network
            needs the size as a number, for example to split a batch; the graph would run at no other size.
    """
    for value in (*model.graph.input, *model.graph.output):
        for axis, name in names.get(value.name, {}).items():
            size = value.type.tensor_type.shape.dim[axis]
            if size.HasField("dim_value"):
                raise AssertionError(f"axis {axis} ({name}) of {value.name} was traced as the number {size.dim_value}")
            value.type.tensor_type.shape.dim[axis].dim_param = name
    static = [v for v in model.graph.value_info if all(d.HasField("dim_value") for d in v.type.tensor_type.shape.dim)]
    del model.graph.value_info[:]
    model.graph.value_info.extend(static)
    return model
