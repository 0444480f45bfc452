"""Draw samples with graphs that stand in for those of a file or folder, and judge what comes out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tweenrt.calibration.int8.search import Judged
from tweenrt.contract import FrameIO
from tweenrt.runtime.evaluate.metrics import Metric, measure
from tweenrt.runtime.evaluate.pixels import unit
from tweenrt.runtime.evaluate.run import draw
from tweenrt.runtime.evaluate.sample import Sample
from tweenrt.runtime.frames import Frame
from tweenrt.runtime.interpolator import Interpolator
from tweenrt.runtime.progress import Meter
from tweenrt.runtime.session import Session

Opener = Callable[[Path], Session]

_MOST_DB = -10 * math.log10(1 / (12 * 255**2))
"""PSNR that rounding to 8 bits alone leaves. A frame that equals the truth has an infinite one, which no mean holds."""


def draw_all(source: Path, opener: Opener, samples: Sequence[Sample], meter: Meter) -> list[Frame]:
    """The frames [H,W,3] that the graphs draw, float32 0..1, or uint8 of graphs that take these.

    Args:
        source: a graph or the folder of a split export.
        opener: makes the session for each file.
        samples: what to draw.
        meter: counts the frames.
    """
    with Interpolator.open(source, opener=lambda path, *_: opener(path)) as network:
        frames = []
        for _, frame, _ in draw(samples, network, integers=network.info.io is FrameIO.UINT8):
            frames.append(frame)
            meter.count(drawn=True)
        return frames


def judged(frames: Sequence[Frame], exact: Sequence[Frame], samples: Sequence[Sample]) -> Judged:
    """Compare drawn frames with the true ones, and with those that the FP32 graph draws."""
    psnr = [_psnr_db(f, s.truth.rgb) for f, s in zip(frames, samples, strict=True)]
    errors = [float(np.mean((unit(f) - unit(e)) ** 2)) for f, e in zip(frames, exact, strict=True)]
    return Judged(float(np.mean(psnr)), float(np.mean(errors)))


def _psnr_db(frame: Frame, truth: Frame) -> float:
    return min(_MOST_DB, measure(frame, truth, [Metric.PSNR])[Metric.PSNR])
