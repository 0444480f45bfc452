"""Streams: what comes out when, how little is held, and what is said about frames that cannot be used."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from support import graphs

from tweenrt.contract import TimeInput
from tweenrt.errors import UsageError
from tweenrt.runtime import Backend, Interpolator, Origin, SceneJudge, TimedFrame
from tweenrt.runtime.stream import stream
from tweenrt.runtime.timeline import ByFactor

Array = np.ndarray[Any, Any]


def flat(level: int, height: int = 8, width: int = 8) -> Array:
    return np.full((height, width, 3), level, np.uint8)


@pytest.fixture
def blend(tmp_path: Path) -> Iterator[Interpolator]:
    with Interpolator.open(graphs.blend(tmp_path / "blend.onnx", divisor=8), Backend.ONNXRUNTIME) as interpolator:
        yield interpolator


def levels(frames: Iterable[Array]) -> list[int]:
    return [int(frame[0, 0, 0]) for frame in frames]


def test_frames_become_more_frames(blend: Interpolator) -> None:
    sources = [flat(k) for k in (0, 40, 80)]
    out = list(blend.stream(sources, 4))
    assert levels(out) == [0, 10, 20, 30, 40, 50, 60, 70, 80, 80, 80, 80]
    assert [out[k] is sources[k // 4] for k in (0, 4, 8)] == [True] * 3
    assert levels(blend.stream(sources)) == [0, 20, 40, 60, 80, 80]
    assert levels(blend.stream(sources, 1)) == [0, 40, 80]
    assert list(blend.stream([])) == []
    assert levels(blend.stream([flat(5)])) == [5, 5]


def test_nothing_is_taken_before_it_is_needed(blend: Interpolator) -> None:
    taken: list[int] = []

    def source() -> Iterator[Array]:
        for k in range(1000):
            taken.append(k)
            yield flat(k % 250)

    frames = blend.stream(source(), 3)
    assert taken == []
    seen = []
    for _ in range(7):
        next(frames)
        seen.append(len(taken))
    assert seen == [2, 2, 2, 3, 3, 3, 4]


def test_what_has_gone_by_is_let_go(blend: Interpolator) -> None:
    made, gone, most = 0, [], 0

    def source() -> Iterator[Array]:
        nonlocal made
        for k in range(300):
            frame = flat(k % 250)
            weakref.finalize(frame, gone.append, k)
            made += 1
            yield frame

    for _frame in blend.stream(source()):
        most = max(most, made - len(gone))
    assert most <= 4
    del _frame
    gc.collect()
    assert len(gone) == 300


def timed(times: Sequence[Any], *durations: Any) -> list[TimedFrame]:
    frames = [TimedFrame(flat(10 * k), time) for k, time in enumerate(times)]
    return [*frames[: len(frames) - len(durations)], *(replace(frames[-1], duration=d) for d in durations)]


def test_times_are_exact_where_they_are_given(blend: Interpolator) -> None:
    tick = Fraction(1001, 30000)
    out = list(blend.stream(timed([0, tick, 3 * tick]), 2))
    assert [f.pts / tick for f in out] == [0, Fraction(1, 2), 1, 2, 3, 4]
    assert [(f.duration or 0) / tick for f in out] == [Fraction(1, 2)] * 2 + [1] * 4
    assert [f.origin for f in out] == [Origin.SOURCE, Origin.DRAWN] * 2 + [Origin.SOURCE] * 2
    assert levels(f.frame for f in out) == [0, 5, 10, 15, 20, 20]


def test_a_rate_and_the_last_frame_s_own_duration(blend: Interpolator) -> None:
    out = list(blend.stream(timed([1, 2], Fraction(1, 2)), rate=Fraction(4)))
    assert [f.pts for f in out] == [1, 1.25, 1.5, 1.75, 2, 2.25]
    assert levels(f.frame for f in out) == [0, 2, 5, 8, 10, 10]
    (only, again) = blend.stream([TimedFrame(flat(3), Fraction(7))])
    assert (only.pts, again.pts, again.duration) == (7, 7 + Fraction(1, 50), Fraction(1, 50))


@pytest.mark.parametrize("form", ["bytes", "16 bits", "floats", "planar", "tensor"])
def test_nothing_is_drawn_across_a_cut(form: str, blend: Interpolator) -> None:
    make = {
        "bytes": lambda f: f,
        "16 bits": lambda f: f.astype(np.uint16) * 257,
        "floats": lambda f: f.astype(np.float32) / 255,
        "planar": lambda f: np.moveaxis(f, 2, 0).astype(np.float32) / 255,
        "tensor": torch.from_numpy,
    }[form]
    rng = np.random.default_rng(0)
    dark, light = (rng.integers(low, low + 30, (64, 64, 3)).astype(np.uint8) for low in (10, 220))
    moved = (dark + 20).astype(np.uint8)
    sources = [TimedFrame(make(f), Fraction(k)) for k, f in enumerate((dark, moved, light))]
    judge = SceneJudge()
    origins = [f.origin for f in blend.stream(sources, 2, judge=judge)]
    assert origins == [Origin.SOURCE, Origin.DRAWN] + [Origin.SOURCE] * 4
    assert judge.cuts == 1
    assert [f.origin for f in blend.stream(sources, 2)].count(Origin.DRAWN) == 2


class Surroundings:
    """Draws nothing, and notes which frames it was shown."""

    neighbours = True

    def __init__(self) -> None:
        self.seen: list[list[int | None]] = []
        self.prepared = 0

    def prepare(self, frame: Array) -> Array:
        self.prepared += 1
        return frame

    def between(
        self, frame0: Array, frame1: Array, times: Sequence[Fraction], *, before: Any = None, after: Any = None
    ) -> list[Array]:
        self.seen.append([None if f is None else int(f[0, 0, 0]) for f in (before, frame0, frame1, after)])
        return [frame0] * len(times)


def test_four_frame_networks_see_the_frames_around_a_pair() -> None:
    drawer = Surroundings()
    list(stream(drawer, [flat(k) for k in range(4)], ByFactor(2)))
    assert drawer.seen == [[None, 0, 1, 2], [0, 1, 2, 3], [1, 2, 3, None]]
    assert drawer.prepared == 4


def test_networks_that_draw_midpoints_only(tmp_path: Path) -> None:
    text = f"""{graphs.HEAD} m (float[N,3,H,W] frame0, float[N,3,H,W] frame1) => (float[N,3,H,W] frame_t)
        {{ s = Add (frame0, frame1) half = Constant <value_floats = [0.5]> () frame_t = Mul (s, half) }}"""
    graph = graphs.save(tmp_path / "m.onnx", text, replace(graphs.INFO, divisor=8, t=TimeInput.FIXED))
    with Interpolator.open(graph, Backend.ONNXRUNTIME) as interpolator:
        assert levels(interpolator.stream([flat(0), flat(40)], 4)) == [0, 10, 20, 30, 40, 40, 40, 40]
        with pytest.raises(UsageError, match="midpoints only"):
            list(interpolator.stream([flat(0), flat(40)], 3))


def test_a_buffer_that_is_used_again_is_noticed(blend: Interpolator) -> None:
    buffer = flat(0)

    def camera() -> Iterator[Array]:
        for k in range(5):
            buffer[:] = 10 * k
            yield buffer

    with pytest.raises(UsageError, match="memory holds another picture"):
        list(blend.stream(camera()))


@pytest.mark.parametrize(
    ("frames", "options", "message"),
    [
        ([flat(0), TimedFrame(flat(1), Fraction(1))], {}, "all frames with their times"),
        (timed([0, 1, 1]), {}, r"order of time, got 1.000000 s after 1.000000 s"),
        ([flat(0), flat(1)], {"rate": Fraction(5)}, "give TimedFrame"),
        ([flat(0), flat(1, 8, 16)], {}, "frames of one format"),
        ([flat(0), "frame"], {}, "got str"),
        ([flat(0)], {"factor": 0}, "factor of 1 or more"),
    ],
)
def test_what_is_no_stream_is_refused(frames: list[Any], options: Any, message: str, blend: Interpolator) -> None:
    with pytest.raises(UsageError, match=message):
        list(blend.stream(frames, **options))


def test_cuts_are_not_looked_for_in_gpu_memory(blend: Interpolator) -> None:
    class Far:
        __cuda_array_interface__: ClassVar[Any] = {}

    with pytest.raises(UsageError, match="leave the judge out"):
        list(blend.stream([Far(), Far()], judge=SceneJudge()))  # type: ignore[type-var]
