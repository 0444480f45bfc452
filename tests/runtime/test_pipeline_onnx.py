"""The pipeline with a real graph on ONNX Runtime, down to the pixels of the output."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from support.clips import Clip, moving, seen

from tweenrt.contract import FrameIO, GraphInfo, Kind, Padding, TimeInput
from tweenrt.runtime import Interpolator
from tweenrt.runtime.pipeline import PipelineOptions, interpolate_video
from tweenrt.runtime.timeline import ByFactor, ToRate
from tweenrt.runtime.video import EncodingOptions


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """frame_t = frame0 + t · (frame1 - frame0), with the contract's metadata and a divisor of 32."""
    picture = ["N", 3, "H", "W"]
    nodes = [
        helper.make_node("Sub", ["frame1", "frame0"], ["step"]),
        helper.make_node("Mul", ["step", "t"], ["part"]),
        helper.make_node("Add", ["frame0", "part"], ["frame_t"]),
    ]
    inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, picture) for n in ("frame0", "frame1")]
    inputs.append(helper.make_tensor_value_info("t", TensorProto.FLOAT, ["N", 1, 1, 1]))
    outputs = [helper.make_tensor_value_info("frame_t", TensorProto.FLOAT, picture)]
    model = helper.make_model(
        helper.make_graph(nodes, "mix", inputs, outputs), opset_imports=[helper.make_opsetid("", 18)], ir_version=10
    )
    info = GraphInfo(
        "mix", Kind.PAIR, 32, Padding.ZEROS, TimeInput.INPUT, 2, FrameIO.FLOAT, "fp32", "random:0", "0.1.0"
    )
    helper.set_model_props(model, info.to_metadata())
    onnx.save(model, tmp_path / "mix.onnx")
    return tmp_path / "mix.onnx"


@pytest.mark.parametrize("pix_fmt", ["yuv444p", "yuv444p10le"])
def test_a_graph_draws_what_it_should(tmp_path: Path, graph: Path, pix_fmt: str) -> None:
    images = moving(4, 35, 53)
    source = Clip(images, time_base=Fraction(1, 25), codec="ffv1", pix_fmt=pix_fmt, options={}).write(
        tmp_path / "in.mkv"
    )
    target = tmp_path / "out.mkv"
    with Interpolator.open(graph, threads=1) as network:
        options = PipelineOptions(source, target, ByFactor(4), encoding=EncodingOptions(lossless=True))
        summary = interpolate_video(options, network)
    assert (summary.output_frames, summary.drawn_frames) == (16, 9)
    kind = "rgb24" if pix_fmt == "yuv444p" else "rgb48le"
    scale = 1 if pix_fmt == "yuv444p" else 257
    out = [p.to_ndarray(format=kind).astype(float) / scale for p in seen(target).pictures]
    for k in range(3):
        first, last = out[4 * k], out[4 * k + 4]
        for i in (1, 2, 3):
            assert np.abs(out[4 * k + i] - (first + (last - first) * i / 4)).mean() < 1


def test_any_rate_through_a_graph(tmp_path: Path, graph: Path) -> None:
    source = Clip(moving(6)).write(tmp_path / "in.mp4")
    with Interpolator.open(graph, threads=1) as network:
        interpolate_video(PipelineOptions(source, tmp_path / "out.mp4", ToRate(Fraction(60))), network)
    assert seen(tmp_path / "out.mp4").times == [Fraction(k, 60) for k in range(16)]
