"""Small graphs of every kind that libtweenrt runs, whose outputs tell every difference in what they were fed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from onnx import parser

from support.graphs import HEAD, INFO, save, save_model
from tweenrt.contract import FrameIO, GraphInfo, Kind, Padding, Reuse, TimeInput

_PICTURE = "float[N,3,H,W]"
_NEAR = """
            wide = MaxPool <kernel_shape = [9, 9], pads = [4, 4, 4, 4]> (mixed)
            sides = Constant <value_ints = [2, 3]> ()
            light = ReduceMean <keepdims = 1> (mixed, sides)
            small = Constant <value_floats = [0.125]> ()
            near = Mul (wide, small)
            far = Mul (light, small)
            around = Add (near, far)
            frame_t = Add (mixed, around)"""
"""What lies around a pixel, up to four pixels away and all over the picture, and so what surrounds the frame."""


def fixed(path: Path, padding: Padding = Padding.ZEROS, divisor: int = 16) -> Path:
    """The midpoint."""
    text = f"""{HEAD}
        fixed ({_PICTURE} frame0, {_PICTURE} frame1) => ({_PICTURE} frame_t)
        {{
            share = Constant <value_floats = [0.45]> ()
            sum = Add (frame0, frame1)
            mixed = Mul (sum, share)
            {_NEAR}
        }}"""
    return save(path, text, replace(INFO, t=TimeInput.FIXED, padding=padding, divisor=divisor))


def four_frames(path: Path) -> Path:
    """A mix of four frames, the more of each the later it is."""
    frames = ", ".join(f"{_PICTURE} frame{name}" for name in ("_prev", "0", "1", "_next"))
    text = f"""{HEAD}
        four ({frames}, float[N,1,1,1] t) => ({_PICTURE} frame_t)
        {{
            parts = Constant <value_floats = [0.1, 0.2, 0.3, 0.4]> ()
            counts = Constant <value_ints = [1, 1, 1, 1]> ()
            a, b, c, d = Split <axis = 0> (parts, counts)
            e = Mul (frame_prev, a)
            f = Mul (frame0, b)
            g = Mul (frame1, c)
            h = Mul (frame_next, d)
            early = Add (e, f)
            late = Add (g, h)
            moved = Mul (late, t)
            mixed = Add (early, moved)
            {_NEAR}
        }}"""
    return save(path, text, replace(INFO, frames=4, padding=Padding.REFLECT_BOTTOM_RIGHT, divisor=16))


def distances(path: Path, io: FrameIO = FrameIO.FLOAT) -> Path:
    """An estimate that is refined: a step from the one before, by the distance between the two, for every pixel."""
    one, point = "float[N,1,H,W]", "uint8[N,H,W,3]" if io is FrameIO.UINT8 else _PICTURE
    before = "x = Cast <to = 1> (xt)\n y = Cast <to = 1> (yt)\n z = Cast <to = 1> (zt)"
    into = before if io is FrameIO.UINT8 else "x = Identity (xt)\n y = Identity (yt)\n z = Identity (zt)"
    swap = "s = Transpose <perm = [0, 2, 3, 1]> (gap)" if io is FrameIO.UINT8 else "s = Identity (gap)"
    out = "r = Round (drawn)\n frame_t = Cast <to = 2> (r)" if io is FrameIO.UINT8 else "frame_t = Identity (drawn)"
    text = f"""{HEAD}
        distances ({point} frame0, {point} frame1, {one} t, {point} frame_ref, {one} t_ref) => ({point} frame_t)
        {{
            xt = Identity (frame0)
            yt = Identity (frame1)
            zt = Identity (frame_ref)
            {into}
            gap = Sub (t, t_ref)
            {swap}
            way = Sub (y, x)
            part = Mul (way, s)
            drawn = Add (z, part)
            {out}
        }}"""
    return save(path, text, replace(INFO, t=TimeInput.MAP, io=io, divisor=1 if io is FrameIO.UINT8 else 8))


def pair_features(folder: Path) -> Path:
    """An encoder of both frames, at half of their size, and what draws from it; it also reports something."""
    info = replace(INFO, kind=Kind.ENCODER, pair_id="7", reuse=Reuse.PAIR, padding=Padding.REPLICATE, divisor=16)
    half = "float[N,3,halfH,halfW]"
    encoder = f"""{HEAD}
        encoder ({_PICTURE} frame0, {_PICTURE} frame1) => ({half} both, {half} apart)
        {{
            sum = Add (frame0, frame1)
            gap = Sub (frame1, frame0)
            both = AveragePool <kernel_shape = [2, 2], strides = [2, 2]> (sum)
            apart = AveragePool <kernel_shape = [2, 2], strides = [2, 2]> (gap)
        }}"""
    _save_halved(folder / "encoder.onnx", encoder, info)
    synthesis = f"""{HEAD}
        synthesis ({half} both, {half} apart, {_PICTURE} frame0, {_PICTURE} frame1, float[N,1,1,1] t)
            => (float[N,3] brightness, {_PICTURE} frame_t)
        {{
            moved = Mul (apart, t)
            low = Add (both, moved)
            scales = Constant <value_floats = [1.0, 1.0, 2.0, 2.0]> ()
            wide_low = Resize <mode = "nearest"> (low, , scales)
            share = Constant <value_floats = [0.25]> ()
            soft = Mul (wide_low, share)
            one = Sub (frame1, soft)
            mixed = Add (frame0, one)
            axes = Constant <value_ints = [2, 3]> ()
            brightness = ReduceMean <keepdims = 0> (mixed, axes)
            {_NEAR}
        }}"""
    _save_halved(folder / "synthesis.onnx", synthesis, replace(info, kind=Kind.SYNTHESIS))
    return folder


def flow_and_refine(folder: Path) -> Path:
    """A flow network for four frames, and one that draws from its flows."""
    info = replace(INFO, kind=Kind.FLOW, pair_id="9", frames=4, padding=Padding.REFLECT, divisor=8)
    frames = ", ".join(f"{_PICTURE} frame{name}" for name in ("_prev", "0", "1", "_next"))
    flow = "float[N,2,H,W]"
    flows = ("flow_0_prev", "flow_0_1", "flow_1_0", "flow_1_next")
    pairs = (("frame0", "frame_prev"), ("frame0", "frame1"), ("frame1", "frame0"), ("frame1", "frame_next"))
    steps = "\n".join(
        f"d{k} = Sub ({b}, {a})\n {name} = Slice (d{k}, start, end, axis)"
        for k, (name, (a, b)) in enumerate(zip(flows, pairs, strict=True))
    )
    text = f"""{HEAD}
        flow ({frames}) => ({", ".join(f"{flow} {name}" for name in flows)})
        {{
            start = Constant <value_ints = [0]> ()
            end = Constant <value_ints = [2]> ()
            axis = Constant <value_ints = [1]> ()
            {steps}
        }}"""
    save(folder / "flow.onnx", text, info)
    refine = f"""{HEAD}
        refine ({frames}, {", ".join(f"{flow} {name}" for name in flows)}, float[N,1,1,1] t) => ({_PICTURE} frame_t)
        {{
            all = Sum (flow_0_prev, flow_0_1, flow_1_0, flow_1_next)
            axis = Constant <value_ints = [1]> ()
            one = ReduceMean <keepdims = 1> (all, axis)
            moved = Mul (one, t)
            start = Add (frame0, moved)
            gap = Sub (frame_next, frame_prev)
            share = Constant <value_floats = [0.0625]> ()
            little = Mul (gap, share)
            mixed = Add (start, little)
            {_NEAR}
        }}"""
    save(folder / "refine.onnx", refine, replace(info, kind=Kind.REFINE))
    return folder


def _save_halved(path: Path, text: str, info: GraphInfo) -> None:
    """Write a model whose sizes ``halfH`` are ``H/2``, which the syntax of `onnx.parser` has no word for."""
    model = parser.parse_model(text)
    for value in (*model.graph.input, *model.graph.output):
        for axis in value.type.tensor_type.shape.dim:
            if axis.dim_param.startswith("half"):
                axis.dim_param = f"{axis.dim_param.removeprefix('half')}/2"
    save_model(path, model, info)
