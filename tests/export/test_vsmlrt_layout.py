"""Graphs in vs-mlrt's layouts, driven as its scripts drive them, draw what our interpolator draws."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from support import graphs, toy
from support.cli import run

from tweenrt import Interpolator, cache
from tweenrt.contract import FrameIO, Kind, Padding, TimeInput
from tweenrt.errors import GateError, GraphError, UsageError
from tweenrt.export import layout as layouts
from tweenrt.export import registry
from tweenrt.export.checkpoint import load_random
from tweenrt.export.exporter import export
from tweenrt.export.frames import moving_frames, through_a_lens
from tweenrt.export.layout import check_layout, write_layout
from tweenrt.export.options import ExportOptions, Layout
from tweenrt.runtime import Backend

Array = np.ndarray[Any, Any]
BOTH = (Layout.VSMLRT_V1, Layout.VSMLRT_V2)
SAME_SUMS = 1e-4  # two FP32 runs of one network; tweenrt.export.verify


def client(path: Path, first: Array, second: Array, t: float) -> Array:
    """Draw one frame as a script of vs-mlrt does: both frames, the moment; in v1 the grid in x and y and its scales."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (wanted,) = session.get_inputs()
    assert wanted.name == "input"
    height, width = first.shape[1:]
    planes = [*first, *second, np.full((height, width), t)]
    if wanted.shape[1] == 11:
        planes.append(np.tile(np.linspace(-1, 1, width), (height, 1)))
        planes.append(np.tile(np.linspace(-1, 1, height)[:, None], (1, width)))
        planes += [np.full((height, width), 2 / (side - 1)) for side in (width, height)]
    (drawn,) = session.run(None, {"input": np.stack(planes).astype(first.dtype)[None]})
    assert drawn.shape == (1, 3, height, width)
    return np.asarray(drawn[0])


def frames(height: int = 101, width: int = 157, seed: int = 0) -> Array:
    return through_a_lens(moving_frames(height, width, seed=seed))


@pytest.mark.parametrize("name", [pytest.param("rife-4.25", marks=pytest.mark.slow), "ifrnet"])
def test_a_client_draws_what_our_interpolator_draws(name: str, tmp_path: Path) -> None:
    loaded = load_random(registry.get(name), 1)
    export(loaded, check_layout(loaded.spec, ExportOptions()), tmp_path / "ours.onnx")
    first, second = frames()
    times = (0.25, 0.75)
    with Interpolator.open(tmp_path / "ours.onnx", Backend.ONNXRUNTIME) as interpolator:
        expected = interpolator.between(first, second, times)
    for layout in BOTH:
        out = tmp_path / f"{layout.value}.onnx"
        assert write_layout(tmp_path / "ours.onnx", layout, out).passed
        for t, ours in zip(times, expected, strict=True):
            theirs = np.clip(client(out, first, second, t), 0, 1)
            np.testing.assert_allclose(theirs, ours, rtol=0, atol=SAME_SUMS)
    assert np.abs(expected[0] - expected[1]).max() > 0.05, "both moments look alike, which proves nothing"


def small(path: Path, padding: Padding, t: TimeInput, *, kind: str = "float", size: str = "H,W") -> Path:
    """A blend plus running sums of frames and moments, which show where every padded pixel was and what filled it."""
    picture = f"{kind}[1,3,{size}]"
    moment = {"input": "float[1,1,1,1] t", "map": f"float[1,1,{size}] t"}.get(t.value, "")
    cast = f"part = Cast <to = {10 if kind == 'float16' else 1}> (sure)"
    when = f"sure = Add (t, zero) {cast}" if moment else "part = Constant <value_floats = [0.5]> ()"
    sums = "CumSum (t, columns)" if t is TimeInput.MAP else "Identity (zero)"
    text = f"""<ir_version: 10, opset_import: ["": 18, "tweenrt": 1]>
        small ({picture} frame0, {picture} frame1 {"," if moment else ""} {moment}, float[1] unused)
            => ({picture} frame_t, {kind}[1,3] extra) <float[1] unused = {{1}}>
        {{
            zero = Constant <value_floats = [0.0]> ()
            {when}
            step = Sub (frame1, frame0)
            scaled = tweenrt.Scale (step, part)
            blend = Add (frame0, scaled)
            sides = Constant <value_ints = [2, 3]> ()
            rows = Constant <value_int = 2> ()
            columns = Constant <value_int = 3> ()
            wide = Cast <to = 1> (frame0)
            across = CumSum (wide, columns)
            down = CumSum (wide, rows)
            both = Add (across, down)
            little = Constant <value_floats = [0.001]> ()
            times = {sums}
            all = Add (both, times)
            scale = Mul (all, little)
            shift = CastLike (scale, blend)
            frame_t = Add (blend, shift)
            extra = ReduceMean <keepdims = 0> (frame_t, sides)
        }}
        <domain: "tweenrt", opset_import: ["": 18]>
        Scale (x, gain) => (y) {{ y = Mul (x, gain) }}"""
    return graphs.save(path, text, replace(graphs.INFO, divisor=8, padding=padding, t=t))


@pytest.mark.parametrize(("padding", "t", "layout"), list(product(Padding, TimeInput, BOTH)))
def test_every_padding_and_every_kind_of_moment(padding: Padding, t: TimeInput, layout: Layout, tmp_path: Path) -> None:
    ours = small(tmp_path / "ours.onnx", padding, t)
    write_layout(ours, layout, tmp_path / "theirs.onnx")
    first, second = frames(21, 35)
    moment = 0.5 if t is TimeInput.FIXED else 0.25
    with Interpolator.open(ours, Backend.ONNXRUNTIME) as interpolator:
        (expected,) = interpolator.between(first, second, [moment])
    theirs = np.clip(client(tmp_path / "theirs.onnx", first, second, moment), 0, 1)
    np.testing.assert_allclose(theirs, expected, rtol=0, atol=1e-6)


def test_the_file_is_plain_and_has_one_input(tmp_path: Path) -> None:
    write_layout(small(tmp_path / "ours.onnx", Padding.ZEROS, TimeInput.INPUT), BOTH[1], tmp_path / "theirs.onnx")
    model = onnx.load(tmp_path / "theirs.onnx")
    assert [v.name for v in model.graph.input] == ["input"]
    assert [v.name for v in model.graph.output] == ["output"]
    axes = [d.dim_param or d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    assert axes == [1, 7, "H", "W"]
    assert not model.functions
    assert {node.domain for node in model.graph.node} == {""} == {o.domain for o in model.opset_import}
    told = {p.key: p.value for p in model.metadata_props}
    assert (told["layout"], told["model"], told["t"]) == ("vsmlrt-v2", "blend", "input")
    with pytest.raises(GraphError, match="none of its metadata"):
        Interpolator.open(tmp_path / "theirs.onnx", Backend.ONNXRUNTIME)


def test_a_fixed_size_is_not_padded_and_half_floats_stay(tmp_path: Path) -> None:
    ours = small(tmp_path / "ours.onnx", Padding.REFLECT, TimeInput.INPUT, kind="float16", size="16,24")
    write_layout(ours, BOTH[0], tmp_path / "theirs.onnx")
    model = onnx.load(tmp_path / "theirs.onnx")
    assert not {"Pad", "Shape"} & {node.op_type for node in model.graph.node}
    first, second = frames(16, 24).astype(np.float16)
    drawn = client(tmp_path / "theirs.onnx", first, second, 0.25)
    assert drawn.dtype == np.float16
    blend = 0.75 * first.astype(float) + 0.25 * second
    sums = first.astype(float).cumsum(2) + first.astype(float).cumsum(1)
    np.testing.assert_allclose(drawn, blend + 0.001 * sums, rtol=0, atol=2e-3)


def test_a_graph_that_draws_something_else_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = small(tmp_path / "ours.onnx", Padding.ZEROS, TimeInput.INPUT)
    monkeypatch.setattr(layouts, "compare", lambda *_: (0.1, 20.0))
    with pytest.raises(GateError, match="max abs difference"):
        write_layout(ours, BOTH[0], tmp_path / "theirs.onnx")
    assert [p.name for p in tmp_path.iterdir()] == ["ours.onnx"]


@pytest.mark.parametrize(
    "options",
    [ExportOptions(io=FrameIO.UINT8), ExportOptions(batch=2), ExportOptions(kinds=(Kind.ENCODER, Kind.SYNTHESIS))],
)
def test_what_the_layout_has_no_place_for_is_refused(options: ExportOptions) -> None:
    with pytest.raises(UsageError, match="leave out --kind split"):
        check_layout(toy.SPEC, options)
    with pytest.raises(UsageError, match="looks at 4 frames"):
        check_layout(replace(toy.SPEC, frames=4), ExportOptions())


def test_an_earlier_estimate_has_no_place(tmp_path: Path) -> None:
    picture = "float[1,3,8,8]"
    text = f"""{graphs.HEAD} g ({picture} frame0, {picture} frame1, {picture} frame_ref) => ({picture} frame_t)
        {{ frame_t = Add (frame0, frame_ref) }}"""
    graph = graphs.save(tmp_path / "g.onnx", text)
    with pytest.raises(UsageError, match="refines an earlier estimate"):
        write_layout(graph, BOTH[0], tmp_path / "out.onnx")


@pytest.mark.parametrize("flags", [(), ("--precision", "fp16")])
def test_the_command(flags: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    toy.register(monkeypatch, toy.SPEC)
    out = tmp_path / "toy.onnx"
    result = run("export", "toy-blend", "--random-weights", "1", "--layout", "vsmlrt-v2", "-o", out, *flags)
    assert (result.exit_code, result.stdout) == (0, f"{out}\n"), result.stderr
    assert "vsmlrt-v2: max abs difference" in result.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["toy.onnx"]
    first, second = frames(21, 35)
    drawn = client(out, first, second, 0.25)
    np.testing.assert_allclose(drawn, 0.75 * first + 0.25 * second, rtol=0, atol=0.02)
    refused = run("export", "toy-blend", "--random-weights", "1", "--layout", "vsmlrt-v1", "--io", "uint8", "-o", out)
    assert refused.exit_code == 2
