"""Two graphs on the same frames: the figures, what is left out, and the gate."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import graphs
from support.clips import moving

from tweenrt.errors import VideoError
from tweenrt.runtime.compare import FRAME, Comparison, Difference, Gate, Side, compare, difference
from tweenrt.runtime.quality import psnr
from tweenrt.runtime.session import Backend

HEIGHT, WIDTH = 35, 53  # padded to 64x64 for most of the graphs here


def clip(folder: Path, count: int = 4) -> Path:
    """A clip of an odd size as images, so that its pixels are known exactly."""
    folder.mkdir()
    for number, image in enumerate(moving(count, HEIGHT, WIDTH)):
        Image.fromarray(image).save(folder / f"{number}.png")
    return folder


def side(graph: Path) -> Side:
    return Side(graph, Backend.ONNXRUNTIME)


def over_pairs(found: Comparison) -> dict[str, Difference]:
    return {d.output: d for d in found.outputs()}


def test_the_figures_of_two_arrays() -> None:
    a = np.random.default_rng(0).random((1, 3, 40, 50)).astype(np.float32)
    b = a.copy()
    b[0, 2, 7, 9] += 0.25
    b[0, 1, :2] -= 0.125  # 100 of 6000 values
    found = difference(FRAME, a, b, 5)
    assert found.max_abs == pytest.approx(0.25, abs=1e-7)
    assert (found.worst, found.pair) == ((0, 2, 7, 9), 5)
    assert found.mean_abs == pytest.approx((0.25 + 100 * 0.125) / 6000)
    assert found.tail_abs == pytest.approx(0.125, abs=1e-7)
    assert found.psnr_db == pytest.approx(psnr(np.moveaxis(b[0], 0, 2), np.moveaxis(a[0], 0, 2)))
    assert (found.not_finite_a, found.not_finite_b) == (0, 0)


def test_psnr_of_other_outputs_is_against_their_own_peak() -> None:
    a = np.array([[0.0, -20.0]])
    assert difference("feature_0", a, a + 0.2).psnr_db == pytest.approx(40)
    assert difference(FRAME, a, a + 0.2).psnr_db == pytest.approx(-20 * math.log10(0.2))
    assert difference("feature_0", 0 * a, 0 * a + 0.1).psnr_db == pytest.approx(20)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite(value: float) -> None:
    a = np.full((1, 4), 0.5)
    b = a.copy()
    b[0, 2] = value
    alike = difference(FRAME, b, b)
    assert (alike.max_abs, alike.psnr_db, alike.not_finite_a, alike.not_finite_b) == (0, math.inf, 1, 1)
    found = difference(FRAME, a, b)
    assert (found.max_abs, found.psnr_db, found.worst) == (math.inf, -math.inf, (0, 2))
    assert (found.not_finite_a, found.not_finite_b) == (0, 1)
    failures = Gate(max_abs=1e9, min_psnr_db=-1e9).failures(Comparison((found,), ()))
    assert len(failures) == 2


def test_a_graph_is_equal_to_itself(tmp_path: Path) -> None:
    graph = graphs.blend(tmp_path / "blend.onnx")
    found = compare(side(graph), side(graph), clip(tmp_path / "in"))
    assert [d.output for d in found.outputs()] == [FRAME, "brightness"]
    assert len(found.pairs) == 3 * 2
    assert all((d.max_abs, d.psnr_db) == (0, math.inf) for d in found.pairs)
    assert found.left_out == ()
    assert Gate(max_abs=0, min_psnr_db=100).failures(found) == []


def test_the_worst_pixel_is_found_in_the_frame_without_padding(tmp_path: Path) -> None:
    a, b = graphs.blend(tmp_path / "a.onnx"), graphs.blend(tmp_path / "b.onnx", gain=1.5, divisor=128)
    found = over_pairs(compare(side(a), side(b), clip(tmp_path / "in", 3)))[FRAME]
    images = np.stack(moving(3, HEIGHT, WIDTH)).astype(float) / 255
    error = np.abs(np.diff(images, axis=0)) / 4  # half the step, half as much again
    n, c, row, column = found.worst
    assert n == 0
    assert found.max_abs == pytest.approx(error.max(), abs=1e-6)
    assert error[found.pair, row, column, c] == pytest.approx(error.max(), abs=1e-6)
    assert found.mean_abs == pytest.approx(error.mean(), abs=1e-6)
    assert found.psnr_db == pytest.approx(-10 * math.log10(np.mean(error**2, axis=(1, 2, 3)).max()), abs=1e-3)


def test_halves_are_compared_with_halves_and_with_the_whole(tmp_path: Path) -> None:
    whole = graphs.blend(tmp_path / "whole.onnx")
    halves, wrong = graphs.blend_halves(tmp_path / "halves"), graphs.blend_halves(tmp_path / "wrong", gain=0.5)
    frames = clip(tmp_path / "in")
    found = compare(side(halves), side(wrong), frames)
    assert [d.output for d in found.outputs()] == [FRAME, "feature_0"]
    assert over_pairs(found)["feature_0"].max_abs == 0
    assert over_pairs(found)[FRAME].max_abs > 0.01
    mixed = compare(side(whole), side(halves), frames, pairs=1)
    assert over_pairs(mixed)[FRAME].max_abs < 1e-6
    assert mixed.left_out == ("brightness: only A has it", "feature_0: only B has it")


def test_bytes_against_floats(tmp_path: Path) -> None:
    a, b = graphs.blend(tmp_path / "a.onnx"), graphs.blend_bytes(tmp_path / "b.onnx")
    found = over_pairs(compare(side(a), side(b), clip(tmp_path / "in")))[FRAME]
    assert found.max_abs == pytest.approx(0.5 / 255, abs=1e-6)  # the half that rounding takes off


def test_outputs_of_different_shape_are_left_out(tmp_path: Path) -> None:
    picture = "float[N,3,H,W]"
    text = f"""{graphs.HEAD}
        first ({picture} frame0, {picture} frame1, float[N,1,1,1] t) => ({picture} frame_t, {picture} brightness)
        {{ frame_t = Identity (frame0) brightness = Identity (frame1) }}"""
    a, b = graphs.blend(tmp_path / "a.onnx"), graphs.save(tmp_path / "b.onnx", text)
    found = compare(side(a), side(b), clip(tmp_path / "in"))
    assert [d.output for d in found.outputs()] == [FRAME]
    assert found.left_out == ("brightness: A gives [[1, 3]], B [[1, 3, 64, 64]]",)


def test_pairs_are_limited_and_needed(tmp_path: Path) -> None:
    graph = side(graphs.blend(tmp_path / "blend.onnx"))
    assert {d.pair for d in compare(graph, graph, clip(tmp_path / "in"), pairs=2).pairs} == {0, 1}
    with pytest.raises(VideoError, match="expected two frames or more"):
        compare(graph, graph, clip(tmp_path / "one", 1))


def test_networks_that_look_at_four_frames_get_them(tmp_path: Path) -> None:
    picture = "float[N,3,H,W]"
    inputs = ", ".join(f"{picture} {name}" for name in ("frame_prev", "frame0", "frame1", "frame_next"))
    text = f"""{graphs.HEAD} around ({inputs}, float[N,1,1,1] t) => ({picture} frame_t)
        {{ sum = Add (frame_prev, frame_next) half = Constant <value_floats = [0.5]> () frame_t = Mul (sum, half) }}"""
    a = graphs.save(tmp_path / "a.onnx", text, replace(graphs.INFO, frames=4))
    b = graphs.blend(tmp_path / "b.onnx")
    found = compare(side(a), side(b), clip(tmp_path / "in", 4))
    images = np.stack(moving(4, HEIGHT, WIDTH)).astype(float) / 255
    around = images[[0, 0, 1]] + images[[2, 3, 3]]  # the first and the last frame stand in for what is not there
    exact = np.abs(around - images[:-1] - images[1:]).max(axis=(1, 2, 3)) / 2
    assert [d.max_abs for d in found.pairs] == pytest.approx(list(exact), abs=1e-6)


def test_over_many_pairs_the_worst_counts() -> None:
    a = np.zeros((1, 4))
    several = [difference(FRAME, a, np.array([[0.0, 0.0, 0.0, v]]), pair) for pair, v in enumerate((0.1, 0.4, 0.2))]
    several[1:] = [replace(d, not_finite_a=3, not_finite_b=4) for d in several[1:]]
    (found,) = Comparison(tuple(several), ()).outputs()
    assert (found.max_abs, found.pair, found.worst, found.tail_abs) == (0.4, 1, (0, 3), 0.4)
    assert found.mean_abs == pytest.approx(0.7 / 12)
    assert found.psnr_db == several[1].psnr_db == pytest.approx(-10 * math.log10(0.16 / 4))
    assert (found.not_finite_a, found.not_finite_b) == (6, 8)


def test_the_gate() -> None:
    frame = replace(difference(FRAME, np.zeros((1, 4)), np.full((1, 4), 0.01)), mean_abs=0.0, tail_abs=0.0)
    found = Comparison((frame, difference("feature_0", np.ones(1), 9 * np.ones(1))), ())
    assert Gate().failures(found) == []
    assert Gate(max_abs=0.02, min_psnr_db=39).failures(found) == []
    assert Gate(max_abs=0.005, min_psnr_db=41).failures(found) == [
        "the largest difference is 0.01, at most 0.005 was asked for",
        "the lowest PSNR is 40.00 dB, at least 41 was asked for",
    ]
