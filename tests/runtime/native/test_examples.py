"""The example programs, as a shell runs them: their frames are those of the Python interpolator."""

from __future__ import annotations

import shutil
import subprocess
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from support.graphs import blend, blend_halves
from support.native_abi import clip
from support.native_build import built, onnxruntime_library, run
from support.native_graphs import fixed, four_frames
from support.toolkit import ROOT

from tweenrt.runtime.interpolator import Interpolator
from tweenrt.runtime.session import Backend

CLIP = ROOT / "examples" / "bigbuckbunny.mp4"
CLIP_HEIGHT, CLIP_WIDTH = 486, 864
HEIGHT, WIDTH = 46, 58
Frame = NDArray[Any]


def pipe(graph: Path, height: int, width: int, factor: int, *more: str) -> list[str]:
    size = ["--size", f"{width}x{height}", "--factor", str(factor), "--threads", "1"]
    return [
        str(built() / "tweenrt-pipe"),
        str(graph),
        *size,
        "--backend-library",
        str(onnxruntime_library()),
        *more,
    ]


def through(command: list[str], frames: list[Frame]) -> tuple[list[Frame], str]:
    """The frames that come out of a pipe, and what it says."""
    sent = b"".join(frame.tobytes() for frame in frames)
    done = subprocess.run(command, input=sent, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return list(np.frombuffer(done.stdout, np.uint8).reshape(-1, *frames[0].shape)), done.stderr.decode()


def expected(graph: Path, frames: list[Frame], factor: int) -> list[Frame]:
    """Every frame and what Python draws after it; the last one is held."""
    times = [Fraction(k, factor) for k in range(1, factor)]
    found: list[Frame] = []
    with Interpolator.open(graph, Backend.ONNXRUNTIME, threads=1) as interpolator:
        for k, (first, second) in enumerate(pairwise(frames)):
            around = {"before": frames[k - 1] if k else None, "after": frames[k + 2] if k + 2 < len(frames) else None}
            found += [first, *interpolator.between(first, second, times, **around)]
    return found + [frames[-1]] * factor


def middle(graph: Path, folder: Path, frames: list[Frame], time: str, width: int = WIDTH) -> list[str]:
    """The command of the C example, and the files that it reads."""
    paths = [folder / f"{k}.rgb" for k in range(2)]
    for path, frame in zip(paths, frames, strict=True):
        path.write_bytes(frame.tobytes())
    sizes = [str(width), str(HEIGHT)]
    return [str(built() / "tweenrt-middle"), str(graph), *sizes, *map(str, paths), time, str(folder / "out.rgb")]


@pytest.fixture
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWEENRT_BACKEND_LIBRARY", str(onnxruntime_library()))


@pytest.mark.usefixtures("_installed")
def test_the_c_example_draws_one_frame(tmp_path: Path) -> None:
    graph, frames = blend_halves(tmp_path / "halves"), clip(2, HEIGHT, WIDTH)
    run(middle(graph, tmp_path, frames, "0.375"))
    drawn = np.frombuffer((tmp_path / "out.rgb").read_bytes(), np.uint8).reshape(HEIGHT, WIDTH, 3)
    with Interpolator.open(graph, Backend.ONNXRUNTIME, threads=1) as interpolator:
        np.testing.assert_array_equal(drawn, interpolator.between(*frames, [0.375])[0])


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize(
    ("time", "width", "said"),
    [
        ("1.5", WIDTH, "invalid argument: expected moments strictly between 0 and 1"),
        ("0.5", 99, "expected 13662 bytes of raw RGB"),
        ("0.5", 0, "invalid argument: expected format.width"),
    ],
)
def test_the_c_example_says_what_is_wrong(tmp_path: Path, time: str, width: int, said: str) -> None:
    command = middle(blend(tmp_path / "blend.onnx"), tmp_path, clip(2, HEIGHT, WIDTH), time, width)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert said in done.stderr
    assert not (tmp_path / "out.rgb").exists()


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_the_pipe_encodes_every_frame_once(tmp_path: Path, factor: int) -> None:
    graph, frames = blend_halves(tmp_path / "halves"), clip(5, HEIGHT, WIDTH)
    drawn, said = through(pipe(graph, HEIGHT, WIDTH, factor), frames)
    np.testing.assert_array_equal(drawn, expected(graph, frames, factor))
    assert f"5 frames in, {4 * (factor - 1)} drawn, {5 if factor > 1 else 0} encoder runs" in said


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_pipe_looks_ahead_for_networks_of_four_frames(tmp_path: Path, count: int) -> None:
    graph, frames = four_frames(tmp_path / "four.onnx"), clip(count, HEIGHT, WIDTH)
    drawn, _ = through(pipe(graph, HEIGHT, WIDTH, 2), frames)
    np.testing.assert_array_equal(drawn, expected(graph, frames, 2))


def test_the_pipe_quadruples_by_midpoints(tmp_path: Path) -> None:
    graph, frames = fixed(tmp_path / "fixed.onnx"), clip(3, HEIGHT, WIDTH)
    drawn, _ = through(pipe(graph, HEIGHT, WIDTH, 4), frames)
    np.testing.assert_array_equal(drawn, expected(graph, frames, 4))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "usage:"),
        (["--size"], 2, "--size takes a value"),
        (["--size", "40"], 2, "--size takes WIDTHxHEIGHT"),
        (["--size", "4x4", "--factor", "two"], 2, "takes a whole number, got 'two'"),
        (["--pixels", "yuv"], 2, "--pixels does not take 'yuv'"),
        (["--speed", "9"], 2, "no option --speed"),
        (["--size", "4x4"], 1, "not found: nowhere.onnx"),
    ],
)
def test_the_pipe_says_what_is_wrong(words: list[str], code: int, said: str) -> None:
    command = [str(built() / "tweenrt-pipe"), "nowhere.onnx", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == code
    assert said in done.stderr


def test_the_pipe_notices_half_a_frame(tmp_path: Path) -> None:
    command = pipe(blend(tmp_path / "blend.onnx"), HEIGHT, WIDTH, 2)
    done = subprocess.run(command, input=bytes(HEIGHT * WIDTH * 3 + 7), capture_output=True, check=False)
    assert done.returncode == 1
    assert b"ends within a frame: expected 8004 bytes, got 7" in done.stderr


def decoded(path: Path, pixels: str) -> tuple[list[bytes], list[Fraction]]:
    """The raw frames of a video without gaps between rows, and when they are shown, in seconds."""
    with av.open(str(path)) as video:
        frames = list(video.decode(video=0))
    times = [frame.pts * frame.time_base for frame in frames]
    return [frame.reformat(format=pixels).to_ndarray().tobytes() for frame in frames], times


def encoded(path: Path, frames: list[bytes], rate: Fraction) -> None:
    """Write NV12 frames at a rate, without loss."""
    with av.open(str(path), "w") as video:
        stream = video.add_stream("libx264", rate=rate, options={"qp": "0", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = CLIP_WIDTH, CLIP_HEIGHT, "yuv420p"
        for frame in frames:
            rows = np.frombuffer(frame, np.uint8).reshape(CLIP_HEIGHT * 3 // 2, CLIP_WIDTH)
            video.mux(stream.encode(av.VideoFrame.from_ndarray(rows, format="nv12")))
        video.mux(stream.encode(None))


def test_the_shipped_clip_in_nv12(tmp_path: Path) -> None:
    """Decoded and encoded with PyAV: twice as many frames, every other one the source's, all evenly in time."""
    frames, times = decoded(CLIP, "nv12")
    size = len(frames[0])
    command = pipe(blend(tmp_path / "blend.onnx"), CLIP_HEIGHT, CLIP_WIDTH, 2, "--pixels", "nv12")
    done = subprocess.run(command, input=b"".join(frames), capture_output=True, check=True)
    parts = [done.stdout[k : k + size] for k in range(0, len(done.stdout), size)]
    assert parts[::2] == frames
    assert parts[-1] == frames[-1]
    for first, drawn, second in zip(parts[:-2:2], parts[1:-2:2], parts[2::2], strict=True):
        luma = (np.frombuffer(p, np.uint8)[: CLIP_WIDTH * CLIP_HEIGHT].astype(np.int16) for p in (first, drawn, second))
        a, middle, b = luma
        assert np.quantile(np.abs(2 * middle - a - b), 0.99) <= 2  # a blend, through RGB and back
    encoded(tmp_path / "out.mp4", parts, Fraction(48))
    _, shown = decoded(tmp_path / "out.mp4", "nv12")
    assert shown == [times[0] + Fraction(k, 48) for k in range(2 * len(frames))]


def test_ffmpeg_to_the_pipe_to_ffmpeg(tmp_path: Path) -> None:
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        pytest.skip("needs ffmpeg (apt-get install ffmpeg)")
    source, out = tmp_path / "source.rgb", tmp_path / "out.mp4"
    raw = "-f rawvideo -pix_fmt rgb24"
    words = " ".join(f"'{word}'" for word in pipe(blend_halves(tmp_path / "halves"), CLIP_HEIGHT, CLIP_WIDTH, 2))
    command = (
        f"set -o pipefail; {ffmpeg} -v error -i {CLIP} {raw} - | tee {source} | {words} | {ffmpeg} -v error "
        f"-s {CLIP_WIDTH}x{CLIP_HEIGHT} {raw} -r 48 -i - -c:v libx264rgb -qp 0 -preset ultrafast {out}"
    )
    run(["bash", "-c", command])
    frames, shown = decoded(out, "rgb24")
    assert shown == [Fraction(k, 48) for k in range(66)]
    assert b"".join(frames[::2]) == source.read_bytes()
