"""What is measured of a drawn frame: the metrics of the papers, by the name that records and summaries use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum

import numpy as np

from tweenrt.runtime import quality
from tweenrt.runtime.evaluate.pixels import rounded
from tweenrt.runtime.frames import Frame


class Metric(str, Enum):
    """A figure of one frame; see `tweenrt.runtime.quality` for the definitions."""

    PSNR = "psnr"  # of the frame rounded to integers, as it is shown or stored
    PSNR_FLOAT = "psnr_float"  # of the frame as the network gives it, clipped to 0..1
    SSIM = "ssim"  # rounded; Gaussian window inside the image
    SSIM_MATLAB = "ssim_matlab"  # rounded; window across the channels too
    SSIM_MATLAB_FLOAT = "ssim_matlab_float"  # the same, not rounded
    SSIM_UNIFORM = "ssim_uniform"  # rounded; 7×7 pixels of equal weight
    IE = "ie"  # mean difference in levels of 255, rounded

    @property
    def is_error(self) -> bool:
        """Whether lower is better."""
        return self is Metric.IE

    @property
    def unrounded(self) -> bool:
        """Whether it is of the frame as the network gives it."""
        return self in (Metric.PSNR_FLOAT, Metric.SSIM_MATLAB_FLOAT)

    @property
    def family(self) -> str:
        """``"psnr"``, ``"ssim"`` or ``"ie"``."""
        return self.value.split("_")[0]


_FUNCTIONS: dict[Metric, Callable[[Frame, Frame], float]] = {
    Metric.PSNR: quality.psnr,
    Metric.PSNR_FLOAT: quality.psnr,
    Metric.SSIM: quality.ssim,
    Metric.SSIM_MATLAB: quality.ssim_matlab,
    Metric.SSIM_MATLAB_FLOAT: quality.ssim_matlab,
    Metric.SSIM_UNIFORM: quality.ssim_uniform,
    Metric.IE: quality.interpolation_error,
}


def measure(drawn: Frame, truth: Frame, metrics: Sequence[Metric]) -> dict[Metric, float]:
    """Compare a drawn frame with the true one.

    Args:
        drawn: [H,W,3] RGB; uint8, uint16 or float32 (0..1).
        truth: of the same size; uint8, uint16 or float32 (0..1). Its integers are what `drawn` is rounded to, 8 bits
            for float32.
        metrics: what is wanted.

    Raises:
        UsageError: the sizes differ, or the frames are too small for SSIM.
    """
    depth = np.uint16 if truth.dtype == np.uint16 else np.uint8
    reference = _precise(truth)
    views = {True: _precise(drawn), False: _precise(rounded(drawn, depth))}
    return {metric: _FUNCTIONS[metric](views[metric.unrounded], reference) for metric in metrics}


def _precise(frame: Frame) -> Frame:
    """float64, 0..1."""
    peak = float(np.iinfo(frame.dtype).max) if frame.dtype.kind == "u" else 1.0
    return frame.astype(np.float64) / peak
