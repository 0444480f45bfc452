"""Frames of libtweenrt on a TensorRT without a GPU: those of the Python interpolator on ONNX Runtime, bit for bit.

Nothing between the C functions and TensorRT is replaced; the engines in the files compute what the graphs compute.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from ctypes import byref
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.graphs import HEAD, INFO, blend, blend_bytes, blend_halves, save
from support.native_abi import Frame, Native, Refused, clip, constants, frame_of, library
from support.native_tensorrt import Build, build
from support.tensorrt_driver import Fakes

from tweenrt.contract import FrameIO, GraphInfo, Kind, Reuse, TimeInput
from tweenrt.runtime.engines.engine_file import EngineInfo, pack
from tweenrt.runtime.interpolator import Interpolator
from tweenrt.runtime.session import Backend

HEIGHT, WIDTH = 38, 50
TIMES = (Fraction(1, 3), Fraction(1, 2), Fraction(7, 8))
OPEN = "1 3 -1 -1 from 1 3 1 1 to 1 3 512 512"
BLEND = (
    f"fake plan\nin frame0 float {OPEN}\nin frame1 float {OPEN}\nin t float 1 1 1 1\nout frame_t float 1 3 -1 -1\nblend"
)
MEAN = BLEND.replace("in t float 1 1 1 1\n", "").replace("blend", "mean")
BYTES = BLEND.replace("float 1 3 -1 -1", "uint8 1 -1 -1 3").replace("1 3 1 1 to 1 3 512 512", "1 1 1 3 to 1 512 512 3")
ENCODE = f"fake plan\nin frame float {OPEN}\nout feature_0 float 1 3 -1 -1\nencode"
SYNTHESIS = BLEND.replace("in t", f"in feature0_0 float {OPEN}\nin feature1_0 float {OPEN}\nin t").replace(
    "blend", "synthesis"
)
HALF = replace(INFO, kind=Kind.ENCODER, pair_id="1", reuse=Reuse.FRAME)


@pytest.fixture(scope="module")
def fakes() -> Fakes:
    return Fakes(build())


@pytest.fixture(autouse=True)
def _all_is_freed(fakes: Fakes) -> Iterator[None]:
    fakes.reset()
    yield
    assert fakes.fault == ""
    assert fakes.cuda("live") == 0


def engine(path: Path, plan: str, info: GraphInfo = INFO, **values: Any) -> Path:
    given = {"flavour": "tensorrt", "tensorrt": "10.14.1", "device": "Test GPU (sm86)", **values}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pack(EngineInfo(info.to_metadata(), "0" * 64, **given), plan.encode()))
    return path


def opened(path: Path, made: Build | None = None, **values: Any) -> Native:
    chosen = made or build()
    where = {"backend_library": str(chosen.library).encode(), "module_folder": str(chosen.module.parent).encode()}
    return Native(path, **{**where, **values})


def in_python(graph: Path, frames: list[NDArray[Any]], times: tuple[Fraction, ...] = TIMES) -> list[NDArray[Any]]:
    with Interpolator.open(graph, Backend.ONNXRUNTIME, threads=1) as interpolator:
        return interpolator.between(frames[0], frames[1], times)


def natively(native: Native, window: tuple[int, int], times: tuple[Fraction, ...] = TIMES) -> list[NDArray[Any]]:
    outputs = [np.full((HEIGHT, WIDTH, 3), 77, np.uint8) for _ in times]
    native.draw(window, [float(t) for t in times], [[o] for o in outputs])
    return outputs


def same(got: list[NDArray[Any]], wanted: list[NDArray[Any]]) -> None:
    for one, other in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("io", FrameIO)
def test_a_whole_network(tmp_path: Path, fakes: Fakes, io: FrameIO) -> None:
    if io is FrameIO.FLOAT:
        graph, path = blend(tmp_path / "g.onnx"), engine(tmp_path / "g.engine", BLEND)
    else:
        info = replace(INFO, io=FrameIO.UINT8, divisor=1)
        graph, path = blend_bytes(tmp_path / "g.onnx"), engine(tmp_path / "g.engine", BYTES[:-5] + "mean", info)
    frames = clip(3, HEIGHT, WIDTH)
    with opened(path) as native:
        info_ = native.info()
        assert (info_.backend, info_.backend_version, info_.takes_device) == (b"tensorrt", b"10.14.1", 1)
        native.set_format(WIDTH, HEIGHT)
        native.prepare(0, frames[0])
        for k in (1, 2):
            native.prepare(k % 2, frames[k])
            same(natively(native, ((k - 1) % 2, k % 2)), in_python(graph, frames[k - 1 : k + 1]))
    assert fakes.cuda("captures") == 2
    assert fakes.cuda("launches") == 4


def test_features_stay_on_the_gpu_and_serve_both_pairs(tmp_path: Path, fakes: Fakes) -> None:
    graph = blend_halves(tmp_path / "graphs")
    engine(tmp_path / "engines" / "encoder.engine", ENCODE, HALF)
    engine(tmp_path / "engines" / "synthesis.engine", SYNTHESIS, replace(HALF, kind=Kind.SYNTHESIS))
    frames = clip(8, HEIGHT, WIDTH)
    with opened(tmp_path / "engines") as native:
        native.set_format(WIDTH, HEIGHT)
        allocated = fakes.cuda("allocations")
        for k, frame in enumerate(frames):
            native.prepare(k % 2, frame)
            if k > 0:
                same(natively(native, ((k - 1) % 2, k % 2)), in_python(graph, frames[k - 1 : k + 1]))
        assert fakes.cuda("allocations") == allocated
        stats = native.statistics()
        assert (stats.prepared, stats.first_runs, stats.drawing_runs) == (8, 8, 21)
    # Two slots to encode into, two orders to draw from: after two runs each they are launched.
    assert fakes.cuda("captures") == 4
    assert fakes.tensorrt("enqueues") == 8
    assert fakes.cuda("launches") == 8 + 21 - 4


def test_midpoints_of_midpoints(tmp_path: Path) -> None:
    info = replace(INFO, t=TimeInput.FIXED)
    picture = "float[N,3,H,W]"
    text = f"""{HEAD} g ({picture} frame0, {picture} frame1) => ({picture} frame_t)
        {{
            s = Add (frame0, frame1)
            h = Constant <value_floats = [0.5]> ()
            frame_t = Mul (s, h)
        }}"""
    graph, path = save(tmp_path / "g.onnx", text, info), engine(tmp_path / "g.engine", MEAN, info)
    times = tuple(Fraction(k, 8) for k in (7, 1, 4, 3))
    frames = clip(2, HEIGHT, WIDTH)
    with opened(path) as native:
        native.set_format(WIDTH, HEIGHT)
        for slot, frame in enumerate(frames):
            native.prepare(slot, frame)
        same(natively(native, (0, 1), times), in_python(graph, frames, times))


def test_frames_in_gpu_memory_on_the_stream_of_the_caller(tmp_path: Path, fakes: Fakes) -> None:
    """NV12, as decoders leave it, on a stream that the caller waits for."""
    path, stream = engine(tmp_path / "g.engine", BLEND), fakes.stream()
    rng, numbers = np.random.default_rng(3), constants()
    shapes = ((HEIGHT, WIDTH + 14), (HEIGHT // 2, WIDTH + 14))
    frames = [[rng.integers(0, 256, shape, np.uint8) for shape in shapes] for _ in range(3)]

    def placed(planes: list[NDArray[Any]]) -> Frame:
        frame = frame_of(*planes)
        for k, plane in enumerate(planes):
            frame.planes[k] = fakes.on_device(plane)
        frame.memory = numbers["MEMORY_DEVICE"]
        return frame

    on_gpu = [placed(planes) for planes in frames]
    with opened(path, stream=stream) as native, opened(path) as other:
        for handle in (native, other):
            handle.set_format(WIDTH, HEIGHT, "NV12", numbers["MATRIX_BT709"])
        for slot in range(2):
            assert library().tweenrt_prepare(native.handle, slot, byref(on_gpu[slot])) == 0
            other.prepare(slot, *frames[slot])
        window, times = (ctypes.c_int32 * 4)(0, 1, -1, -1), (ctypes.c_double * 1)(0.25)
        assert library().tweenrt_draw(native.handle, window, times, byref(on_gpu[2]), 1) == 0
        other.draw((0, 1), [0.25], [frames[2]])
        address = on_gpu[2].planes[0] or 0
        assert ctypes.string_at(address, frames[2][0].nbytes) != frames[2][0].tobytes(), "nobody has waited yet"
        fakes.wait(stream)
        for plane, at in zip(frames[2], on_gpu[2].planes, strict=False):
            assert ctypes.string_at(at, plane.nbytes) == plane.tobytes()
    for frame in on_gpu:
        for at in frame.planes[:2]:
            fakes.release(at)
    fakes.destroy(stream)


def test_another_size(tmp_path: Path) -> None:
    graph, path = blend(tmp_path / "g.onnx"), engine(tmp_path / "g.engine", BLEND)
    with opened(path) as native:
        for height, width in ((HEIGHT, WIDTH), (65, 31), (HEIGHT, WIDTH)):
            native.set_format(width, height)
            frames, got = clip(2, height, width), np.zeros((height, width, 3), np.uint8)
            for slot, frame in enumerate(frames):
                native.prepare(slot, frame)
            for _ in range(3):
                native.draw((0, 1), [0.5], [[got]])
            same([got], in_python(graph, frames, (Fraction(1, 2),)))
        with pytest.raises(Refused, match="not built for frame0 of 1x3x544x32, only for 1x3x1x1 to 1x3x512x512"):
            native.set_format(20, 520)


def test_engines_that_are_refused(tmp_path: Path) -> None:
    whole = engine(tmp_path / "it.engine", BLEND).read_bytes()
    cases = {
        "foreign": (b"ptrt" + bytes(100), "NOT_OURS", "a plan of another tool"),
        "cut": (whole[:-1], "DAMAGED", "should hold"),
        "changed": (whole[:-1] + b"x", "DAMAGED", "checksum"),
        "later": (engine(tmp_path / "x", BLEND, tensorrt="10.15.0").read_bytes(), "MISMATCH", "10.14.1 is installed"),
        "other": (engine(tmp_path / "x", BLEND, device="Orin (sm87)").read_bytes(), "MISMATCH", "built for Orin"),
        "rtx": (engine(tmp_path / "x", BLEND, flavour="tensorrt-rtx").read_bytes(), "MISSING_LIBRARY", "tensorrt-rtx"),
        "plan": (engine(tmp_path / "x", "else").read_bytes(), "BACKEND_FAILED", "the plan is not for this GPU"),
    }
    for name, (content, status, text) in cases.items():
        path = tmp_path / f"{name}.engine"
        path.write_bytes(content)
        with pytest.raises(Refused, match=text) as refused:
            opened(path)
        assert refused.value.status == status


def test_no_gpu(tmp_path: Path, fakes: Fakes) -> None:
    fakes.set_cuda("no_driver", 1)
    with pytest.raises(Refused, match=r"no CUDA device: .*; without a GPU, run the ONNX graph") as refused:
        opened(engine(tmp_path / "it.engine", BLEND))
    assert refused.value.status == "NO_DEVICE"


def test_a_handle_that_was_closed_and_another_one(tmp_path: Path) -> None:
    """TensorRT keeps the logger of the first one."""
    path = engine(tmp_path / "it.engine", BLEND)
    for _ in range(2):
        with opened(path) as native:
            native.close()
    assert str(build().module) in Path("/proc/self/maps").read_text(), "its code is not there any more"
    with pytest.raises(Refused, match="the plan is not for this GPU"):
        opened(engine(tmp_path / "bad.engine", "else"))
