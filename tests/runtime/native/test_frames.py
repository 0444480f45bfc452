"""Frames of libtweenrt on ONNX Runtime are those of the Python interpolator, bit for bit, for every kind of graph."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.graphs import blend, blend_bytes, blend_halves
from support.native_abi import Native, clip
from support.native_graphs import distances, fixed, flow_and_refine, four_frames, pair_features

from tweenrt.contract import FrameIO, Padding
from tweenrt.runtime.interpolator import Interpolator
from tweenrt.runtime.session import Backend

HEIGHT, WIDTH = 71, 93  # odd amounts to pad, by 16 and by 64
Frame = NDArray[Any]
TIMES = (Fraction(1, 3), Fraction(1, 2), Fraction(7, 8))


def in_python(graph: Path, frames: Sequence[Frame], times: Sequence[Fraction], **around: Frame) -> list[Frame]:
    with Interpolator.open(graph, Backend.ONNXRUNTIME, threads=1, iterations=3) as interpolator:
        return interpolator.between(frames[0], frames[1], times, **around)


def natively(
    native: Native, window: tuple[int, ...], times: Sequence[Fraction], like: Frame, planar: bool = False
) -> list[Frame]:
    outputs = [np.full_like(like, 77 if like.dtype == np.uint8 else np.nan) for _ in times]
    native.draw(window, [float(t) for t in times], [list(o) if planar else [o] for o in outputs])
    return outputs


def both(graph: Path, times: Sequence[Fraction] = TIMES, size: tuple[int, int] = (HEIGHT, WIDTH)) -> None:
    """Holds the frames at `times` of a pair against Python's."""
    frames = clip(2, *size)
    with Native(graph, iterations=3) as native:
        native.set_format(size[1], size[0])
        for slot, frame in enumerate(frames):
            native.prepare(slot, frame)
        drawn = natively(native, (0, 1), times, frames[0])
        assert native.statistics().drawn == len(times)
    for got, want in zip(drawn, in_python(graph, frames, times), strict=True):
        np.testing.assert_array_equal(got, want)


def test_a_whole_network(tmp_path: Path) -> None:
    both(blend(tmp_path / "blend.onnx"))


def test_a_network_of_bytes(tmp_path: Path) -> None:
    both(blend_bytes(tmp_path / "bytes.onnx"))


@pytest.mark.parametrize("io", FrameIO)
def test_distances_and_an_estimate_that_is_refined(tmp_path: Path, io: FrameIO) -> None:
    both(distances(tmp_path / "distances.onnx", io))


@pytest.mark.parametrize("divisor", [1, 16, 64])
@pytest.mark.parametrize("padding", Padding)
def test_every_way_to_pad(tmp_path: Path, padding: Padding, divisor: int) -> None:
    both(fixed(tmp_path / "fixed.onnx", padding, divisor), [Fraction(1, 2)])


def test_a_frame_of_one_pixel(tmp_path: Path) -> None:
    both(blend(tmp_path / "blend.onnx"), size=(1, 1))


def test_midpoints_of_midpoints(tmp_path: Path) -> None:
    """Each is drawn once, from frames as the caller got them."""
    graph = fixed(tmp_path / "fixed.onnx")
    times = [Fraction(k, 8) for k in (7, 1, 4, 1)]
    frames = clip(2, HEIGHT, WIDTH)
    with Native(graph) as native:
        native.set_format(WIDTH, HEIGHT)
        for slot, frame in enumerate(frames):
            native.prepare(slot, frame)
        drawn = natively(native, (0, 1), times, frames[0])
        stats = native.statistics()
    assert (stats.drawing_runs, stats.drawn) == (5, 4)  # 1/2, 1/4, 1/8, 3/4, 7/8
    for got, want in zip(drawn, in_python(graph, frames, times), strict=True):
        np.testing.assert_array_equal(got, want)


def test_features_of_a_frame_serve_both_pairs_that_it_is_part_of(tmp_path: Path) -> None:
    graph = blend_halves(tmp_path / "halves")
    frames = clip(4, HEIGHT, WIDTH)
    with Native(graph) as native:
        native.set_format(WIDTH, HEIGHT)
        for k, frame in enumerate(frames):
            native.prepare(k % 2, frame)
            if k > 0:
                drawn = natively(native, ((k - 1) % 2, k % 2), TIMES, frame)
                for got, want in zip(drawn, in_python(graph, frames[k - 1 : k + 1], TIMES), strict=True):
                    np.testing.assert_array_equal(got, want)
        stats = native.statistics()
    assert (stats.prepared, stats.first_runs, stats.drawing_runs, stats.drawn) == (4, 4, 9, 9)


def test_features_of_a_pair_serve_all_its_moments(tmp_path: Path) -> None:
    graph = pair_features(tmp_path / "pair")
    frames = clip(3, HEIGHT, WIDTH)
    with Native(graph) as native:
        native.set_format(WIDTH, HEIGHT)
        for slot, frame in enumerate(frames[:2]):
            native.prepare(slot, frame)
        for t in TIMES:
            (got,) = natively(native, (0, 1), [t], frames[0])
            np.testing.assert_array_equal(got, in_python(graph, frames, [t])[0])
        assert native.statistics().first_runs == 1
        native.prepare(0, frames[2])
        (got,) = natively(native, (1, 0), [TIMES[0]], frames[0])
        assert native.statistics().first_runs == 2
    np.testing.assert_array_equal(got, in_python(graph, frames[1:], [TIMES[0]])[0])


@pytest.mark.parametrize("kind", ["pair", "flow"])
@pytest.mark.parametrize("around", [(), ("before",), ("before", "after")])
def test_four_frames(tmp_path: Path, kind: str, around: tuple[str, ...]) -> None:
    graph = four_frames(tmp_path / "four.onnx") if kind == "pair" else flow_and_refine(tmp_path / "flow")
    before, first, second, after = clip(4, HEIGHT, WIDTH)
    named = {"before": before, "after": after}
    with Native(graph) as native:
        assert native.info().slots == 4
        native.set_format(WIDTH, HEIGHT)
        for slot, frame in enumerate((before, first, second, after)):
            native.prepare(slot, frame)
        window = (1, 2, 0 if "before" in around else -1, 3 if "after" in around else -1)
        drawn = natively(native, window, TIMES, first)
        assert native.statistics().first_runs == (kind == "flow")
    wanted = in_python(graph, [first, second], TIMES, **{name: named[name] for name in around})
    for got, want in zip(drawn, wanted, strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(("pixels", "dtype"), [("RGB_F32", np.float32), ("RGB_F16", np.float16)])
def test_planes_of_floats(tmp_path: Path, pixels: str, dtype: type) -> None:
    """Two halvings, so that what is drawn also comes in again; some of it lies outside of 0..1."""
    graph = fixed(tmp_path / "fixed.onnx", Padding.REFLECT)
    times = [Fraction(1, 4), Fraction(1, 2)]
    frames = [
        np.ascontiguousarray(np.moveaxis(frame, 2, 0) / np.float32(255), dtype) for frame in clip(2, HEIGHT, WIDTH)
    ]
    frames[0][:, :9, :9] = 1.5
    frames[1][:, :9, :20] = -0.5
    with Native(graph) as native:
        native.set_format(WIDTH, HEIGHT, pixels)
        for slot, frame in enumerate(frames):
            native.prepare(slot, *frame)
        drawn = natively(native, (0, 1), times, frames[0], planar=True)
    for got, want in zip(drawn, in_python(graph, frames, times), strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(("pixels", "order"), [("BGR8", (2, 1, 0)), ("RGBA8", (0, 1, 2, 3)), ("BGRA8", (2, 1, 0, 3))])
def test_orders_of_bytes(tmp_path: Path, pixels: str, order: tuple[int, ...]) -> None:
    graph = fixed(tmp_path / "fixed.onnx")
    frames = clip(2, HEIGHT, WIDTH)
    opaque = [np.dstack((frame, np.full(frame.shape[:2], 9, np.uint8)))[..., list(order)] for frame in frames]
    with Native(graph) as native:
        native.set_format(WIDTH, HEIGHT, pixels)
        for slot, frame in enumerate(opaque):
            native.prepare(slot, np.ascontiguousarray(frame))
        (drawn,) = natively(native, (0, 1), [Fraction(1, 2)], np.ascontiguousarray(opaque[0]))
    (want,) = in_python(graph, frames, [Fraction(1, 2)])
    np.testing.assert_array_equal(drawn[..., [order.index(c) for c in range(3)]], want)
    if len(order) == 4:
        assert (drawn[..., 3] == 255).all()


def test_rows_with_gaps(tmp_path: Path) -> None:
    """What lies between the rows is neither read nor written."""
    graph = blend(tmp_path / "blend.onnx")
    frames = clip(2, HEIGHT, WIDTH)
    wide = [np.full((HEIGHT, WIDTH + 11, 3), fill, np.uint8) for fill in (200, 3)]
    output = np.full((HEIGHT, WIDTH + 5, 3), 123, np.uint8)
    with Native(graph) as native:
        native.set_format(WIDTH, HEIGHT)
        for slot, frame in enumerate(frames):
            wide[slot][:, :WIDTH] = frame
            native.prepare(slot, wide[slot])
        native.draw((0, 1), [0.5], [[output]])
    np.testing.assert_array_equal(output[:, :WIDTH], in_python(graph, frames, [Fraction(1, 2)])[0])
    assert (output[:, WIDTH:] == 123).all()


def test_another_format_begins_anew(tmp_path: Path) -> None:
    graph = blend_halves(tmp_path / "halves")
    with Native(graph) as native:
        for size in ((HEIGHT, WIDTH), (33, 47), (HEIGHT, WIDTH)):
            frames = clip(2, *size)
            native.set_format(size[1], size[0])
            for slot, frame in enumerate(frames):
                native.prepare(slot, frame)
            drawn = natively(native, (0, 1), TIMES, frames[0])
            for got, want in zip(drawn, in_python(graph, frames, TIMES), strict=True):
                np.testing.assert_array_equal(got, want)


def test_what_a_network_says_of_itself(tmp_path: Path) -> None:
    with Native(blend_halves(tmp_path / "halves"), slots=5) as native:
        info = native.info()
        assert (info.model, info.precision, info.backend) == (b"blend", b"fp32", b"onnxruntime")
        assert info.backend_version.count(b".") == 2
        assert (info.time, info.frames, info.slots, info.reuses_features) == (0, 2, 5, 1)
        assert (info.takes_device, info.divisor) == (0, 32)
        native.set_format(32, 64)
        held = native.statistics().tensor_bytes
    assert held == 5 * 2 * 64 * 32 * 3 * 4 + 64 * 32 * 3 * 4 + 4  # slots with features, the result, t
