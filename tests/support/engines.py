"""What tests of engines share: TensorRT-RTX with our plugins, and small graphs in ONNX's text form."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from support import toolkit
from tweenrt.contract import FrameIO, GraphInfo, Kind, Padding, TimeInput
from tweenrt.plugins import library

HEADER = '<ir_version: 10, opset_import: ["" : 18, "tweenrt" : 1]>\n'
INFO = GraphInfo("test", Kind.PAIR, 1, Padding.ZEROS, TimeInput.FIXED, 2, FrameIO.FLOAT, "fp32", "random:1", "0")


def use_plugin_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Build the plugin library if need be and let tweenrt find it; skip where TensorRT-RTX has no package."""
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX has packages for x86-64 only")
    monkeypatch.setenv(library.VARIABLE, str(toolkit.plugin_library()))


def write_graph(folder: Path, text: str) -> Path:
    """Write the graph `text` ("g (inputs) => (outputs) { nodes }"), with our metadata, as graph.onnx in `folder`.

    A size ``H_2`` stands for ``H/2``, which the text form cannot spell.
    """
    model = onnx.parser.parse_model(HEADER + text)
    for value in (*model.graph.input, *model.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_param = dim.dim_param.replace("_", "/")
    onnx.helper.set_model_props(model, INFO.to_metadata())
    path = folder / "graph.onnx"
    onnx.save(model, path)
    return path
