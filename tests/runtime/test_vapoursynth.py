"""The VapourSynth filter, in VapourSynth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import graphs

from tweenrt.contract import TimeInput
from tweenrt.errors import UsageError
from tweenrt.runtime import Backend, Interpolator
from tweenrt.runtime.vapoursynth import interpolate

vs = pytest.importorskip(
    "vapoursynth", reason="VapourSynth is not installed; its wheels are for CPython 3.12 and later"
)

Array = np.ndarray[Any, Any]
CPU = Backend.ONNXRUNTIME
HEIGHT, WIDTH = 20, 30


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    return graphs.blend(tmp_path / "blend.onnx", divisor=8)


def pictures(count: int, dtype: Any) -> list[Array]:
    peak = {"u": np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1, "f": 1}[np.dtype(dtype).kind]
    rng = np.random.default_rng(0)
    return [(rng.random((3, HEIGHT, WIDTH)) * peak).astype(dtype) for _ in range(count)]


def clip_of(frames: Sequence[Array], kind: Any, props: dict[int, dict[str, Any]] | None = None) -> Any:
    """A clip of 24000/1001 frames a second that shows `frames`; `props` are by frame number."""
    base = vs.core.std.BlankClip(format=kind, width=WIDTH, height=HEIGHT, length=len(frames), fpsnum=24000, fpsden=1001)

    def fill(n: int, f: Any) -> Any:
        out = f.copy()
        for plane in range(3):
            np.copyto(np.asarray(out[plane]), frames[n][plane])
        for name, value in (props or {}).get(n, {}).items():
            out.props[name] = value
        return out

    return vs.core.std.ModifyFrame(base, base, fill)


def pixels(frame: Any) -> Array:
    return np.stack([np.asarray(frame[plane]) for plane in range(3)])


FORMATS = [(vs.RGB24, np.uint8), (vs.RGB48, np.uint16), (vs.RGBH, np.float16), (vs.RGBS, np.float32)]


@pytest.mark.parametrize(("kind", "dtype"), FORMATS)
def test_a_script_draws_what_our_interpolator_draws(kind: Any, dtype: Any, graph: Path) -> None:
    frames = pictures(3, dtype)
    out = interpolate(clip_of(frames, kind), graph, 4, CPU)
    assert (out.num_frames, out.fps, out.format.id) == (12, Fraction(96000, 1001), kind)
    with Interpolator.open(graph, CPU) as interpolator:
        expected = list(interpolator.stream(frames, 4))
    for n, wanted in enumerate(expected):
        frame = out.get_frame(n)
        np.testing.assert_array_equal(pixels(frame), wanted)
        assert (frame.props["_DurationNum"], frame.props["_DurationDen"]) == (1001, 96000)


def test_a_graph_that_takes_bytes(tmp_path: Path) -> None:
    graph = graphs.blend_bytes(tmp_path / "bytes.onnx")
    frames = pictures(2, np.uint8)
    drawn = pixels(interpolate(clip_of(frames, vs.RGB24), graph, 2, CPU).get_frame(1))
    np.testing.assert_array_equal(drawn, np.rint((frames[0].astype(float) + frames[1]) / 2))
    with pytest.raises(UsageError, match="this graph takes bytes, got a clip of RGBS"):
        interpolate(clip_of(pictures(1, np.float32), vs.RGBS), graph, 2, CPU)


@pytest.mark.parametrize("told", [{1: {"_SceneChangeNext": 1}}, {2: {"_SceneChangePrev": 1}}])
def test_nothing_is_drawn_across_a_cut(told: dict[int, dict[str, int]], graph: Path) -> None:
    frames = pictures(4, np.uint8)
    marked = {n: {"_SceneChangeNext": 0, "_SceneChangePrev": 0} | told.get(n, {}) for n in range(4)}
    out = interpolate(clip_of(frames, vs.RGB24, marked), graph, 3, CPU)
    shown = [out.get_frame(n) for n in range(12)]
    held = [n for n in range(12) if (pixels(shown[n]) == frames[n // 3]).all()]
    assert held == [0, 3, 4, 5, 6, 9, 10, 11]
    cuts_after = [n for n in range(12) if shown[n].props["_SceneChangeNext"]]
    cuts_before = [n for n in range(12) if shown[n].props["_SceneChangePrev"]]
    assert (cuts_after, cuts_before) == (([5], []) if 1 in told else ([], [6]))


def test_times_and_durations_of_variable_rate(graph: Path) -> None:
    props = {
        n: {"_AbsoluteTime": at, "_DurationNum": num, "_DurationDen": 10, "_Matrix": 0}
        for n, (at, num) in enumerate([(0.0, 1), (0.1, 3), (0.4, 1)])
    }
    out = interpolate(clip_of(pictures(3, np.uint8), vs.RGB24, props), graph, 2, CPU)
    found = [out.get_frame(n).props for n in range(6)]
    assert [f["_AbsoluteTime"] for f in found] == pytest.approx([0, 0.05, 0.1, 0.25, 0.4, 0.45])
    assert [Fraction(f["_DurationNum"], f["_DurationDen"]) * 20 for f in found] == [1, 1, 3, 3, 1, 1]
    assert all(f["_Matrix"] == 0 for f in found)


def test_frames_in_any_order_and_from_many_threads(graph: Path) -> None:
    frames = pictures(30, np.uint8)
    out = interpolate(clip_of(frames, vs.RGB24), graph, 2, CPU)
    ordered = [pixels(frame) for frame in out.frames()]
    futures = {n: out.get_frame_async(n) for n in reversed(range(60))}
    for n, future in futures.items():
        np.testing.assert_array_equal(pixels(future.result()), ordered[n])


def four_frames(graph: Path) -> Interpolator:
    """Stands for an interpolator that looks at four frames: draws which ones it saw, as levels."""

    def between(first: Any, second: Any, _: Any, *, before: Any = None, after: Any = None) -> list[Array]:
        picture = np.zeros((3, HEIGHT, WIDTH), np.uint8)
        for k, frame in enumerate((before, first, second, after)):
            picture[0, 0, k] = 0 if frame is None else np.rint(frame.ready[0, 0, 0, 0] * 255)
        return [picture]

    interpolator = Interpolator.open(graph, CPU)
    interpolator.info = replace(interpolator.info, frames=4)
    interpolator.between = between  # type: ignore[method-assign, assignment]
    return interpolator


@pytest.mark.parametrize("told", [{1: {"_SceneChangeNext": 1}}, {2: {"_SceneChangePrev": 1}}])
def test_four_frame_networks_see_the_frames_around_a_pair(told: dict[int, dict[str, int]], graph: Path) -> None:
    frames = [np.full((3, HEIGHT, WIDTH), level, np.uint8) for level in (1, 2, 3, 4, 5)]
    out = interpolate(clip_of(frames, vs.RGB24, told), four_frames(graph), 2)
    seen = [list(pixels(out.get_frame(n))[0, 0, :4]) for n in (1, 5, 7)]
    assert seen == [[0, 1, 2, 0], [0, 3, 4, 5], [3, 4, 5, 0]]


@pytest.mark.parametrize("length", [1, 2])
def test_short_clips(length: int, graph: Path) -> None:
    frames = pictures(length, np.uint8)
    for model in (graph, four_frames(graph)):
        out = interpolate(clip_of(frames, vs.RGB24), model, 2, CPU)
        assert out.num_frames == 2 * length
        np.testing.assert_array_equal(pixels(out.get_frame(2 * length - 1)), frames[-1])


def refused(clip: Any, graph: Path, message: str, factor: int = 2) -> None:
    with pytest.raises(UsageError, match=message):
        interpolate(clip, graph, factor, CPU)


def test_other_formats_are_refused(graph: Path) -> None:
    for kind, name in ((vs.YUV420P8, "YUV420P8"), (vs.GRAYS, "GrayS"), (vs.RGB30, "RGB30")):
        clip = vs.core.std.BlankClip(format=kind, width=64, height=64, length=2)
        refused(clip, graph, f"got {name}; convert it first")
    refused(vs.core.std.BlankClip(varformat=True), graph, "got a varying format|got None")
    refused(vs.core.std.BlankClip(format=vs.RGB24, varsize=True), graph, "fixed size")


def test_a_factor_that_the_network_cannot_draw_is_refused(tmp_path: Path, graph: Path) -> None:
    clip = clip_of(pictures(2, np.uint8), vs.RGB24)
    refused(clip, graph, "factor of 1 or more", 0)
    picture = "float[N,3,H,W]"
    text = f"""{graphs.HEAD} m ({picture} frame0, {picture} frame1) => ({picture} frame_t)
        {{ frame_t = Add (frame0, frame1) }}"""
    fixed = graphs.save(tmp_path / "m.onnx", text, replace(graphs.INFO, t=TimeInput.FIXED))
    refused(clip, fixed, "midpoints only; use a factor of 2, 4 or 8, got 3", 3)


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    yield
    vs.clear_outputs()
