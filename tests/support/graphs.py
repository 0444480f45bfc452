"""Graphs of a few nodes with the contract's metadata, so that a test needs neither PyTorch nor an export."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import onnx
from onnx import helper, parser

from tweenrt.contract import FrameIO, GraphInfo, Kind, Padding, Reuse, TimeInput

INFO = GraphInfo("blend", Kind.PAIR, 32, Padding.ZEROS, TimeInput.INPUT, 2, FrameIO.FLOAT, "fp32", "random:0", "0.1.0")
HEAD = '<ir_version: 10, opset_import: ["": 18, "tweenrt": 1]>'

_BLEND = """
<domain: "tweenrt", opset_import: ["": 18, "tweenrt": 1]>
Blend (a, b, t, gain) => (y) {
    step = Sub (b, a)
    part = Mul (step, t)
    scaled = tweenrt.Scale (part, gain)
    y = Add (a, scaled)
}
<domain: "tweenrt", opset_import: ["": 18]>
Scale (x, gain) => (y) { y = Mul (x, gain) }
"""


def save(path: Path, text: str, info: GraphInfo = INFO) -> Path:
    """Write the model `text`, in the syntax of `onnx.parser`, with the metadata `info`."""
    model = parser.parse_model(text)
    return save_model(path, model, info)


def save_model(path: Path, model: onnx.ModelProto, info: GraphInfo = INFO) -> Path:
    helper.set_model_props(model, info.to_metadata())
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def blend(path: Path, *, gain: float = 1.0, divisor: int = 32) -> Path:
    """frame_t = frame0 + gain * t * (frame1 - frame0), by an op of ours that calls another; `gain` is a setting."""
    text = f"""{HEAD}
        blend (float[N,3,H,W] frame0, float[N,3,H,W] frame1, float[N,1,1,1] t, float[1] gain)
            => (float[N,3,H,W] frame_t, float[N,3] brightness)
            <float[1] gain = {{{gain}}}>
        {{
            frame_t = tweenrt.Blend (frame0, frame1, t, gain)
            sides = Constant <value_ints = [2, 3]> ()
            brightness = ReduceMean <keepdims = 0> (frame_t, sides)
        }} {_BLEND}"""
    return save(path, text, replace(INFO, divisor=divisor))


def blend_halves(folder: Path, *, gain: float = 1.0) -> Path:
    """The same, cut: features are the doubled frame."""
    info = replace(INFO, kind=Kind.ENCODER, pair_id="1", reuse=Reuse.FRAME)
    encoder = (
        f"{HEAD} encoder (float[N,3,H,W] frame) => (float[N,3,H,W] feature_0) {{ feature_0 = Add (frame, frame) }}"
    )
    save(folder / "encoder.onnx", encoder, info)
    picture = "float[N,3,H,W]"
    synthesis = f"""{HEAD}
        synthesis ({picture} frame0, {picture} frame1, {picture} feature0_0, {picture} feature1_0, float[N,1,1,1] t)
            => ({picture} frame_t)
        {{
            half = Constant <value_floats = [0.5]> ()
            gain = Constant <value_floats = [{gain}]> ()
            a = Mul (feature0_0, half)
            b = Mul (feature1_0, half)
            frame_t = tweenrt.Blend (a, b, t, gain)
        }} {_BLEND}"""
    save(folder / "synthesis.onnx", synthesis, replace(info, kind=Kind.SYNTHESIS))
    return folder


def blend_bytes(path: Path) -> Path:
    """The middle of two uint8 frames, rounded half to even; t is not used."""
    text = f"""{HEAD}
        blend_bytes (uint8[N,H,W,3] frame0, uint8[N,H,W,3] frame1, float[N,1,1,1] t) => (uint8[N,H,W,3] frame_t)
        {{
            a = Cast <to = 1> (frame0)
            b = Cast <to = 1> (frame1)
            sum = Add (a, b)
            half = Constant <value_floats = [0.5]> ()
            mean = Mul (sum, half)
            rounded = Round (mean)
            frame_t = Cast <to = 2> (rounded)
        }}"""
    return save(path, text, replace(INFO, io=FrameIO.UINT8, divisor=1))


def with_a_branch(path: Path) -> Path:
    """frame0 where it is dark, else frame1: a graph with an If."""
    picture = "float[N,3,H,W]"
    text = f"""{HEAD}
        branch ({picture} frame0, {picture} frame1, float[N,1,1,1] t) => ({picture} frame_t)
        {{
            light = ReduceMean <keepdims = 0> (frame0)
            half = Constant <value_float = 0.5> ()
            dark = Less (light, half)
            frame_t = If (dark) <
                then_branch = first () => ({picture} one) {{ one = Identity (frame0) }},
                else_branch = second () => ({picture} other) {{ other = Identity (frame1) }}
            >
        }}"""
    return save(path, text)


def with_an_unknown_op(path: Path) -> Path:
    """frame0 through a deformable convolution that moves nothing: an operator that OpenVINO does not read."""
    picture = "float[1,3,8,8]"
    text = f"""<ir_version: 10, opset_import: ["": 19]>
        deform ({picture} frame0, {picture} frame1, float[1,1,1,1] t) => ({picture} frame_t)
        {{
            square = Constant <value = float[3,3] {{0, 0, 0, 0, 0, 0, 0, 0, 0}}> ()
            size = Constant <value_ints = [1, 2, 8, 8]> ()
            offset = ConstantOfShape (size)
            pick = EyeLike (square)
            last = Constant <value_ints = [2, 3]> ()
            weight = Unsqueeze (pick, last)
            frame_t = DeformConv <kernel_shape = [1, 1]> (frame0, weight, offset)
        }}"""
    return save(path, text, replace(INFO, divisor=8))
