"""How good a network is on a real clip: every other frame is held out, re-created and compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tweenrt.runtime.evaluate.clip import open_clip
from tweenrt.runtime.evaluate.metrics import Metric, measure
from tweenrt.runtime.evaluate.run import draw
from tweenrt.runtime.frames import Frame
from tweenrt.runtime.ready import FrameDrawer, PreparedT

_METRICS = (Metric.PSNR, Metric.SSIM)


@dataclass(frozen=True)
class HeldOutRow:
    """One frame that was held out.

    Attributes:
        number: of the frame in the clip, from 0.
        psnr: of the drawn frame, dB.
        ssim: of the drawn frame.
        average_psnr: of the plain mean of the two neighbours, dB.
        average_ssim: of the plain mean of the two neighbours.
        seconds: in the network.
    """

    number: int
    psnr: float
    ssim: float
    average_psnr: float
    average_ssim: float
    seconds: float


def evaluate_held_out(
    path: Path, interpolator: FrameDrawer[PreparedT], limit: int | None = None, *, first: int = 0
) -> Iterator[HeldOutRow]:
    """Draw every other frame of a clip from its neighbours, and score it beside their plain mean.

    Args:
        path: a video, or a folder of images; where a scene changes, no frame is held out.
        interpolator: draws the frames.
        limit: how many frames to hold out at most; None for all.
        first: the first frame to use.

    Yields:
        A row for each frame held out, as soon as it is drawn.

    Raises:
        VideoError: the clip cannot be read, or has no three frames from `first` on.
    """
    samples = open_clip(path, first=first).limited(limit).iterate()
    for sample, drawn, seconds in draw(samples, interpolator, integers=True):
        average = mean_of(sample.frame0.rgb, sample.frame1.rgb)
        of_drawn, of_average = (measure(frame, sample.truth.rgb, _METRICS) for frame in (drawn, average))
        yield HeldOutRow(
            int(sample.name),
            of_drawn[Metric.PSNR],
            of_drawn[Metric.SSIM],
            of_average[Metric.PSNR],
            of_average[Metric.SSIM],
            seconds,
        )


def mean_of(a: Frame, b: Frame) -> Frame:
    """The plain mean of two frames of one unsigned dtype, halves rounded up."""
    mean: Frame = ((a.astype(np.uint32) + b + 1) // 2).astype(a.dtype)
    return mean
