"""Name every node after the module it comes from, and drop what the exporter notes about its own work."""

from __future__ import annotations

import ast

from onnx import ModelProto, NodeProto

from tweenrt.contract import OP_DOMAIN

_SCOPES = "pkg.torch.onnx.name_scopes"
_NO_MODULE = "_empty_nn_module_stack"  # what the exporter notes for sizes it has worked out itself
_ROOT = "network"  # our wrappers hold the network under this name


def name_modules(model: ModelProto) -> ModelProto:
    """Rename the nodes of `model` in place to ``<module>/<operation>``, such as ``decoder4.convblock.0.0/conv2d_3``.

    TensorRT and ONNX Runtime report times and errors by node name, so this is how they are traced back to the
    network. The exporter's notes hold stack traces with the paths of the machine that exported; they go.

    Args:
        model: as `torch.onnx.export` gives it.

    Returns:
        `model`.
    """
    taken: set[str] = set()
    for node in model.graph.node:
        node.name = _unique(_name(node), taken)
        node.ClearField("doc_string")
        del node.metadata_props[:]
    for described in (*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del described.metadata_props[:]
    del model.graph.metadata_props[:]
    return model


def _name(node: NodeProto) -> str:
    """``<module>/<operation>`` where the exporter noted them, else the name the node has."""
    own = node.op_type if node.domain == OP_DOMAIN else ""
    noted = next((p.value for p in node.metadata_props if p.key == _SCOPES), None)
    if noted is None:
        return own or node.name or node.op_type
    *modules, operation = ast.literal_eval(noted)
    module = next((m for m in reversed(modules) if m and not m.startswith(_NO_MODULE)), "")
    module = "" if module == _ROOT else module.removeprefix(f"{_ROOT}.")
    return f"{module}/{own or operation}" if module else own or str(operation)


def _unique(name: str, taken: set[str]) -> str:
    """`name`, with a number behind it if another node has it: one operation may become several nodes."""
    found, count = name, 1
    while found in taken:
        count += 1
        found = f"{name}.{count}"
    taken.add(found)
    return found
