"""examples/live.py on a file that stands for a camera, into a file and onto a screen that is none."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from support import examples, graphs
from support.clips import Clip, moving

from tweenrt.errors import UsageError

FPS = 100


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    return graphs.blend(tmp_path / "blend.onnx")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return Clip(moving(12), time_base=Fraction(1, FPS)).write(tmp_path / "camera.mp4")


def times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0)]


def test_a_file_plays_into_a_file(clip: Path, graph: Path, tmp_path: Path) -> None:
    target = tmp_path / "smooth.mp4"
    command = [examples.FOLDER / "live.py", clip, graph, target, "--policy", "wait", "--backend", "onnxruntime"]
    done = subprocess.run([sys.executable, *command], check=True, capture_output=True, text=True)
    assert done.stdout.startswith("24 frames shown, 11 of them drawn; 0 skipped, 0 repeated, 0 source frames dropped\n")
    assert "milliseconds from source to target: p50 " in done.stdout
    shown = times(target)
    assert len(shown) == 24
    assert shown == sorted(set(shown))
    assert shown[0] == 0


@pytest.mark.parametrize("policy", ["skip", "repeat"])
def test_policies_that_do_not_wait(policy: str, clip: Path, graph: Path, tmp_path: Path) -> None:
    target = tmp_path / "smooth.mp4"
    report = examples.load("live").main([str(clip), str(graph), str(target), "--policy", policy, "--delay", "5"])
    assert (report.received, report.drawn, report.skipped, report.repeated) == (12, 11, 0, 0)
    assert report.latency.p99 < 5000
    assert len(times(target)) == 24


def test_odd_sizes_and_what_the_source_fails_with(graph: Path, tmp_path: Path) -> None:
    live = examples.load("live")
    odd = np.zeros((15, 21, 3), np.uint8)
    with live.file(str(tmp_path / "odd.mkv"), odd) as show:
        assert show(odd, Fraction(0))
    assert times(tmp_path / "odd.mkv") == [0]
    changed = [odd, np.zeros((15, 21), np.uint8)]
    live.played = lambda _: iter(changed)
    with pytest.raises(UsageError, match=r"expected a frame \[H,W,3\]"):
        live.main(["anything", str(graph), str(tmp_path / "out.mkv")])


def test_a_camera_and_a_screen(graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cv2 = pytest.importorskip("cv2", reason="opencv-python-headless is not installed")
    pictures, shown, released = moving(6), [], []

    class Camera:
        def __init__(self, number: int) -> None:
            assert number == 3
            self._pictures = iter(pictures)

        def read(self) -> tuple[bool, Any]:
            picture = next(self._pictures, None)
            return picture is not None, None if picture is None else picture[..., ::-1].copy()

        def release(self) -> None:
            released.append(self)

    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    monkeypatch.setattr(cv2, "imshow", lambda _, picture: shown.append(picture[..., ::-1]), raising=False)
    monkeypatch.setattr(cv2, "waitKey", lambda _: ord("q") if len(shown) == 5 else -1, raising=False)
    monkeypatch.setattr(cv2, "destroyAllWindows", lambda: shown.append("closed"), raising=False)
    report = examples.load("live").main(
        ["3", str(graph), "--policy", "wait", "--delay", "0", "--backend", "onnxruntime"]
    )
    assert shown.pop() == "closed"
    assert len(shown) == 5, "the key q ends it"
    np.testing.assert_array_equal(shown[0], pictures[0])
    np.testing.assert_array_equal(shown[2], pictures[1])
    assert report.latency.count == 5
