"""One custom op as a model of its own, so that a test can run its body or feed it to a parser."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper

from tweenrt.contract import OP_DOMAIN, OP_VERSION
from tweenrt.export.passes.attach_bodies import attach_bodies

Array = NDArray[np.float32]


def op_model(
    op: str, inputs: dict[str, Array], attributes: dict[str, object] | None = None, opset: int = 18
) -> onnx.ModelProto:
    """A model of one node `op` whose inputs have the ranks and types of `inputs`, with its body attached."""
    values = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(a.dtype), [None] * a.ndim)
        for name, a in inputs.items()
    ]
    first = next(iter(inputs.values()))
    kind = helper.np_dtype_to_tensor_dtype(first.dtype) if first.dtype != np.float32 else TensorProto.FLOAT
    out = helper.make_tensor_value_info("y", kind, [None] * 4)
    node = helper.make_node(op, list(inputs), ["y"], domain=OP_DOMAIN, **(attributes or {}))
    imports = [helper.make_opsetid("", opset), helper.make_opsetid(OP_DOMAIN, OP_VERSION)]
    graph = helper.make_graph([node], op, values, [out])
    return attach_bodies(helper.make_model(graph, opset_imports=imports, ir_version=10))


def run_op(
    op: str, inputs: dict[str, Array], attributes: dict[str, object] | None = None, opset: int = 18, threads: int = 2
) -> Array:
    """What ONNX Runtime gives for the portable body of `op`."""
    model = op_model(op, inputs, attributes, opset)
    onnx.checker.check_model(model, full_check=True)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (result,) = session.run(None, inputs)
    return result
