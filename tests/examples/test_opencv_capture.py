"""examples/opencv_capture.py on a small clip."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from support import examples, graphs
from support.clips import Clip, moving

cv2 = pytest.importorskip("cv2", reason="opencv-python-headless is not installed")


def test_a_capture_loop_writes_more_frames(tmp_path: Path) -> None:
    graph, target = graphs.blend(tmp_path / "blend.onnx"), tmp_path / "smooth.mp4"
    clip = Clip(moving(8), time_base=Fraction(1, 25)).write(tmp_path / "in.mp4")
    module = examples.load("opencv_capture")
    assert module.main([str(clip), str(graph), str(target), "--factor", "4", "--backend", "onnxruntime"]) == 32
    read = cv2.VideoCapture(str(target))
    assert read.get(cv2.CAP_PROP_FPS) == 100
    source = list(module.pictures(cv2.VideoCapture(str(clip))))
    written = list(module.pictures(read))
    assert len(written) == 32
    for k, picture in enumerate(source):
        assert np.abs(written[4 * k].astype(float) - picture).mean() < 6, "the same picture, but for the encoding"


def test_a_source_that_cannot_be_opened(tmp_path: Path) -> None:
    graph = graphs.blend(tmp_path / "blend.onnx")
    with pytest.raises(SystemExit, match="OpenCV cannot open it"):
        examples.load("opencv_capture").main([str(tmp_path / "no.mp4"), str(graph), str(tmp_path / "out.mp4")])
