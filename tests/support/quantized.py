"""Small networks to quantise, frames to do it on, and what tests want to know of the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto

from support import graphs
from support.clips import Clip, moving
from support.mixed import graph
from tweenrt.calibration.int8.judge import draw_all
from tweenrt.calibration.int8.samples import Chosen
from tweenrt.contract import FrameIO, GraphInfo, Kind, Reuse
from tweenrt.runtime.estimate.devices import device
from tweenrt.runtime.evaluate.sample import Sample
from tweenrt.runtime.frames import Frame
from tweenrt.runtime.onnxruntime_session import OnnxRuntimeSession
from tweenrt.runtime.progress import Meter

HEIGHT, WIDTH = 32, 64
DEVICE = device("orin-nx")
BLOCKS = ("entered", "first", "second")
"""Of the small network, those that may be INT8; the first reads frames, the others read features."""

_LAYER = "kernel_shape = [3, 3], pads = [1, 1, 1, 1]"
_LAYERS = f"""
    entered = Conv <{_LAYER}> (both, w_entry)
    entered_a = Relu (entered)
    first = Conv <{_LAYER}> (entered_a, w_first)
    first_a = Relu (first)
    second = Conv <{_LAYER}> (first_a, w_second)
    second_a = Relu (second)
    residual = Conv <{_LAYER}> (second_a, w_head)"""
_FLOATS = f"""
    g (float[N,3,H,W] frame0, float[N,3,H,W] frame1, float[N,1,1,1] t) => (float[N,3,H,W] frame_t) {{
        both = Concat <axis = 1> (frame0, frame1)
        {_LAYERS}
        step = Sub (frame1, frame0)
        part = Mul (step, t)
        mean = Add (frame0, part)
        frame_t = Add (mean, residual) }}"""
_BYTES = f"""
    g (uint8[N,H,W,3] frame0, uint8[N,H,W,3] frame1, float[N,1,1,1] t) => (uint8[N,H,W,3] frame_t) {{
        wide0 = Cast <to = 1> (frame0)
        wide1 = Cast <to = 1> (frame1)
        planar0 = Transpose <perm = [0, 3, 1, 2]> (wide0)
        planar1 = Transpose <perm = [0, 3, 1, 2]> (wide1)
        unit0 = Div (planar0, peak)
        unit1 = Div (planar1, peak)
        both = Concat <axis = 1> (unit0, unit1)
        {_LAYERS}
        step = Sub (unit1, unit0)
        part = Mul (step, t)
        mean = Add (unit0, part)
        drawn = Add (mean, residual)
        within = Clip (drawn, low, high)
        large = Mul (within, peak)
        whole = Round (large)
        rows = Transpose <perm = [0, 2, 3, 1]> (whole)
        frame_t = Cast <to = 2> (rows) }}"""
_ENCODER = f"""
    g (float[N,3,H,W] frame) => (float[N,8,H,W] feature_0) {{
        entered = Conv <{_LAYER}> (frame, w_entry)
        entered_a = Relu (entered)
        feature_0 = Conv <{_LAYER}> (entered_a, w_first) }}"""
_SYNTHESIS = f"""
    g (float[N,3,H,W] frame0, float[N,3,H,W] frame1, float[N,8,H,W] feature0_0, float[N,8,H,W] feature1_0,
       float[N,1,1,1] t) => (float[N,3,H,W] frame_t) {{
        both = Add (feature0_0, feature1_0)
        second = Conv <{_LAYER}> (both, w_second)
        second_a = Relu (second)
        residual = Conv <{_LAYER}> (second_a, w_head)
        step = Sub (frame1, frame0)
        part = Mul (step, t)
        mean = Add (frame0, part)
        frame_t = Add (mean, residual) }}"""


@dataclass(frozen=True)
class Shot:
    """A frame as samples hold it: [H,W,3] RGB uint8."""

    rgb: Frame


def drawn(seed: int, *shape: int) -> NDArray[np.float32]:
    """Weights of any layer."""
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)


def weights() -> dict[str, Any]:
    """Of the small network."""
    return {
        "w_entry": drawn(1, 8, 6, 3, 3),
        "w_first": drawn(2, 8, 8, 3, 3),
        "w_second": drawn(3, 8, 8, 3, 3),
        "w_head": drawn(4, 3, 8, 3, 3) / np.float32(10),
    }


def uneven_weights() -> dict[str, Any]:
    """The same with more in the frame, and a tensor between two layers whose channels differ thirtyfold.

    So the second layer alone loses far more in INT8 than the others together.
    """
    found = weights()
    found["w_head"] *= np.float32(10)
    found["w_first"][0] *= np.float32(30)
    found["w_second"][:, 0] /= np.float32(30)
    return found


def named(model: ModelProto) -> ModelProto:
    """Name every node ``<its output>/<operator>``, so that each is a block of its own."""
    for node in model.graph.node:
        node.name = f"{node.output[0]}/{node.op_type}"
    return model


def network(path: Path, **changed: Any) -> Path:
    """Write the small network: the blend of two frames, and what four convolutions add to it."""
    return graphs.save_model(path, named(graph(_FLOATS, **(weights() | changed))))


def network_of_bytes(path: Path) -> Path:
    """The same with uint8 frames in and out."""
    model = named(graph(_BYTES, **weights(), peak=255.0, low=0.0, high=1.0))
    return graphs.save_model(path, model, replace(graphs.INFO, io=FrameIO.UINT8, divisor=1))


def halves(folder: Path) -> Path:
    """A small network cut into encoder and synthesis."""
    found = weights() | {"w_entry": drawn(1, 8, 3, 3, 3)}
    info = replace(graphs.INFO, kind=Kind.ENCODER, pair_id="1", reuse=Reuse.FRAME)
    for text, kind, names in (
        (_ENCODER, Kind.ENCODER, ("w_entry", "w_first")),
        (_SYNTHESIS, Kind.SYNTHESIS, ("w_second", "w_head")),
    ):
        model = named(graph(text, **{name: found[name] for name in names}))
        graphs.save_model(folder / f"{kind.value}.onnx", model, replace(info, kind=kind))
    return folder


def samples(frames: Sequence[Frame]) -> list[Sample]:
    """Every frame that has two neighbours, held out."""
    shots = [Shot(frame) for frame in frames]
    found = zip(shots, shots[1:], shots[2:], strict=False)
    return [Sample(f"{k:06d}", a, b, truth, Fraction(1, 2)) for k, (a, truth, b) in enumerate(found, 1)]


def chosen(count: int = 4, height: int = HEIGHT, width: int = WIDTH) -> Chosen:
    """`count` samples of a texture that moves, half of them to calibrate on."""
    found = samples(moving(count + 2, height, width))
    return Chosen(tuple(found[0::2]), tuple(found[1::2]), "made up")


def perfect(source: Path, chosen: Chosen) -> Chosen:
    """The same samples with the frames that the graphs at `source` draw, rounded to 8 bits, as the truth."""
    found = [*chosen.calibration, *chosen.judging]
    frames = draw_all(source, lambda path: OnnxRuntimeSession(path, 1), found, Meter(len(found)))
    truths = [Shot(np.rint(frame * 255).astype(np.uint8)) for frame in frames]
    exact = [replace(sample, truth=truth) for sample, truth in zip(found, truths, strict=True)]
    half = len(chosen.calibration)
    return Chosen(tuple(exact[:half]), tuple(exact[half:]), "made up")


def clip(path: Path, images: Sequence[Frame]) -> Path:
    """Write frames as they are into a video file."""
    return Clip(images, time_base=Fraction(1, 25), codec="ffv1", pix_fmt="bgr0", options={}).write(path)


def info(path: Path) -> GraphInfo:
    """What a graph says of itself."""
    return GraphInfo.from_metadata({p.key: p.value for p in onnx.load(path).metadata_props}, str(path))


def int8_layers(model: ModelProto) -> set[str]:
    """The first output of every node whose first two inputs come from DequantizeLinear."""
    backs = {n.output[0] for n in model.graph.node if n.op_type == "DequantizeLinear"}
    return {n.output[0] for n in model.graph.node if len(n.input) > 1 and set(n.input[:2]) <= backs}


def of_type(model: ModelProto, operator: str) -> list[NodeProto]:
    """The nodes of one operator."""
    return [n for n in model.graph.node if n.op_type == operator]


def initializers(model: ModelProto) -> dict[str, TensorProto]:
    """Name → tensor."""
    return {i.name: i for i in model.graph.initializer}


def listing(folder: Path) -> list[str]:
    """Every path below a folder, hidden ones too."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))
