"""A finished graph in the layout of another program: rewrite, check, compare with the graph it was, write."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from tweenrt.contract import FrameIO, GraphInfo, Kind, TimeInput
from tweenrt.errors import GateError, UsageError, require
from tweenrt.export.frames import moving_frames, through_a_lens
from tweenrt.export.options import ExportOptions, Layout
from tweenrt.export.passes.vsmlrt import CHANNELS, INPUT, OUTPUT, in_layout
from tweenrt.export.spec import ModelSpec
from tweenrt.export.uint8 import FramePadding
from tweenrt.export.verify import Parity, bound_for, compare

_REFERENCE = "frame_ref"
_ODD = (101, 157)  # of open sizes, one that has to be padded on both sides


def check_layout(spec: ModelSpec, options: ExportOptions) -> ExportOptions:
    """The options of the ``pair`` graph that is then laid out for vs-mlrt.

    Raises:
        UsageError: the layout has no place for what the network or the options ask for.
    """
    if options.kinds != (Kind.PAIR,) or options.io is not FrameIO.FLOAT or options.batch not in (None, 1):
        raise UsageError(
            "the layouts of vs-mlrt are for one whole graph that draws one frame from floats; leave out --kind split, "
            "--io uint8 and --batch"
        )
    if spec.frames != 2:
        raise UsageError(f"{spec.name} looks at {spec.frames} frames; the layouts of vs-mlrt hold two")
    return replace(options, batch=1)


def write_layout(pair: Path, layout: Layout, out: Path) -> Parity:
    """Write the graph `pair` in another layout.

    Args:
        pair: a ``pair`` graph of ours with float frames and N = 1.
        layout: one of vs-mlrt's; see `tweenrt.export.passes.vsmlrt.in_layout`.
        out: the file to write; it appears when it is complete.

    Returns:
        How its frame compares with that of `pair`.

    Raises:
        UsageError: the network takes an earlier estimate of the frame, which the layout has no place for.
        GateError: the new graph draws another frame; nothing is written.
    """
    model = onnx.load(pair)
    info = GraphInfo.from_metadata({p.key: p.value for p in model.metadata_props}, str(pair))
    if any(v.name == _REFERENCE for v in model.graph.input):
        raise UsageError(
            f"{info.model} refines an earlier estimate of the frame, for which {layout.value} has no place"
        )
    laid_out = in_layout(model, info, layout)
    onnx.checker.check_model(laid_out, full_check=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".tweenrt-") as scratch:
        path = Path(scratch) / out.name
        onnx.save(laid_out, path)
        parity = _compared(pair, info, path, layout)
        if not parity.passed:
            raise GateError(f"{info.model} as {layout.value}: {parity}. The graph was not written; please report this")
        path.replace(out)
    return parity


def _stacked(first: NDArray[Any], second: NDArray[Any], t: float, layout: Layout) -> NDArray[Any]:
    """What a client of vs-mlrt's layouts feeds.

    Args:
        first: the earlier frame, [3,H,W] RGB, float, 0..1.
        second: the later one.
        t: the moment between them, 0..1.
        layout: which one; v1 adds the planes x and y of a grid in -1..1 and two of 2/(W-1) and 2/(H-1).

    Returns:
        [1,7,H,W] or [1,11,H,W] of the frames' type.
    """
    height, width = first.shape[1:]
    planes: list[Any] = [*first, *second, np.full((height, width), t)]
    if layout is Layout.VSMLRT_V1:
        x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
        planes += [x, y, np.full_like(x, 2 / (width - 1)), np.full_like(x, 2 / (height - 1))]
    assert len(planes) == CHANNELS[layout]
    return np.stack(planes).astype(first.dtype)[None]


def _compared(pair: Path, info: GraphInfo, path: Path, layout: Layout) -> Parity:
    """Draw one frame with both files."""
    ours, theirs = (_session(p) for p in (pair, path))
    wanted = theirs.get_inputs()[0]
    size = tuple(s if isinstance(s, int) else odd for s, odd in zip(wanted.shape[2:], _ODD, strict=True))
    dtype = np.float16 if "16" in wanted.type else np.float32
    frames = through_a_lens(moving_frames(*size)).astype(dtype)
    pad = FramePadding(info.divisor, info.padding)
    feeds = {name: pad(torch.from_numpy(f[None])).numpy() for name, f in zip(("frame0", "frame1"), frames, strict=True)}
    t = 0.5 if info.t is TimeInput.FIXED else 0.25
    if info.t is not TimeInput.FIXED:
        shape = feeds["frame0"].shape[2:] if info.t is TimeInput.MAP else (1, 1)
        feeds["t"] = np.full((1, 1, *shape), t, np.float32)
    (expected,) = ours.run(["frame_t"], feeds)
    (got,) = theirs.run([OUTPUT], {INPUT: _stacked(frames[0], frames[1], t, layout)})
    return Parity(*compare(expected[pad.window(*size)], got), bound_for(*size))


def _session(path: Path) -> Any:
    ort = require("onnxruntime", extra="export", why="Verifying a graph")
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
