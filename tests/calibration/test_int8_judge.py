"""Drawn frames, judged against the truth and against those in FP32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support import graphs
from support.clips import moving
from support.quantized import Shot, halves, network_of_bytes, samples

from tweenrt.calibration.int8.judge import draw_all, judged
from tweenrt.runtime.evaluate.sample import Sample
from tweenrt.runtime.onnxruntime_session import OnnxRuntimeSession
from tweenrt.runtime.progress import Meter, Progress

FRAMES = moving(4, 32, 64)
GREY = np.full((32, 64, 3), 128, np.uint8)


def opener(path: Path) -> OnnxRuntimeSession:
    return OnnxRuntimeSession(path, 1)


def sample_of(truth: np.ndarray) -> Sample:
    return Sample("0", Shot(truth), Shot(truth), Shot(truth))


def test_every_sample_is_drawn_and_counted(tmp_path: Path) -> None:
    events: list[Progress] = []
    frames = draw_all(graphs.blend(tmp_path / "g.onnx"), opener, samples(FRAMES), Meter(2, events.append))
    assert [e.done for e in events] == [1, 2]
    for k, frame in enumerate(frames):
        assert (frame.shape, frame.dtype) == ((32, 64, 3), np.float32)
        np.testing.assert_allclose(frame * 255, (FRAMES[k].astype(float) + FRAMES[k + 2]) / 2, atol=1e-3)


def test_graphs_of_bytes_draw_bytes(tmp_path: Path) -> None:
    (frame,) = draw_all(network_of_bytes(tmp_path / "g.onnx"), opener, samples(FRAMES)[:1], Meter(1))
    assert (frame.shape, frame.dtype) == ((32, 64, 3), np.uint8)


def test_both_graphs_of_a_folder_draw(tmp_path: Path) -> None:
    opened: list[str] = []

    def noting(path: Path) -> OnnxRuntimeSession:
        opened.append(path.name)
        return opener(path)

    assert len(draw_all(halves(tmp_path / "halves"), noting, samples(FRAMES), Meter(2))) == 2
    assert opened == ["encoder.onnx", "synthesis.onnx"]


@pytest.mark.parametrize("as_bytes", [False, True])
def test_both_figures_are_means_over_the_frames(as_bytes: bool) -> None:
    def frame(level: int) -> np.ndarray:
        return np.full_like(GREY, level) if as_bytes else np.full(GREY.shape, level / 255, np.float32)

    found = judged([frame(138), frame(129)], [frame(128), frame(132)], [sample_of(GREY)] * 2)
    psnr = [-20 * np.log10(step / 255) for step in (10, 1)]
    assert found.psnr_db == pytest.approx(np.mean(psnr))
    assert found.mse == pytest.approx(((10 / 255) ** 2 + (3 / 255) ** 2) / 2)


def test_a_frame_that_equals_the_truth_counts_as_rounded_to_8_bits() -> None:
    """Its PSNR is infinite, and so would be the mean and what is lost. Repeated frames, as in animation, do that."""
    good, bad = GREY.astype(np.float32) / 255, np.full(GREY.shape, 138 / 255, np.float32)
    exact = judged([good, good], [good, good], [sample_of(GREY)] * 2)
    worse = judged([good, bad], [good, good], [sample_of(GREY)] * 2)
    assert exact.psnr_db == pytest.approx(20 * np.log10(255 * np.sqrt(12)))
    assert exact.mse == 0
    assert exact.psnr_db - worse.psnr_db == pytest.approx((exact.psnr_db - 28.1308) / 2, abs=1e-3)
