"""How good a network is on a real clip: every other frame is held out, re-created and compared."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, tee, zip_longest
from pathlib import Path

import numpy as np

from tweenrt.errors import VideoError
from tweenrt.runtime.frames import Frame
from tweenrt.runtime.quality import psnr, ssim
from tweenrt.runtime.ready import FrameDrawer, PreparedT, ReadyFrames
from tweenrt.runtime.video import SourceFrame, open_source

_HALF = Fraction(1, 2)
Triple = tuple[SourceFrame, SourceFrame, SourceFrame]


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
    path: Path,
    interpolator: FrameDrawer[PreparedT],
    limit: int | None = None,
    *,
    first: int = 0,
    input_rate: Fraction | None = None,
) -> Iterator[HeldOutRow]:
    """Draw every other frame of a clip from its neighbours, and score it beside their plain mean.

    Args:
        path: a video without cuts in the part that is used, or a folder of images.
        interpolator: draws the frames.
        limit: how many frames to hold out at most; None for all.
        first: the first frame to use.
        input_rate: images a second, for a folder.

    Yields:
        A row for each frame held out, as soon as it is drawn.

    Raises:
        VideoError: the clip cannot be read, or has no three frames from `first` on.
    """
    ready, found = ReadyFrames(interpolator), False
    source = open_source(path, rate=input_rate)
    try:
        before: SourceFrame | None = None
        triples, ahead = tee(_triples(islice(source.frames(), first, None)))
        next(ahead, None)
        for number, ((left, truth, right), following) in enumerate(islice(zip_longest(triples, ahead), limit)):
            after = None if following is None else following[2]
            start = time.perf_counter()
            (drawn,) = ready.draw(left, right, [_HALF], before, after)
            seconds = time.perf_counter() - start
            yield _row(first + 2 * number + 1, truth.rgb, drawn, mean_of(left.rgb, right.rgb), seconds)
            before, found = left, True
    finally:
        source.close()
    if not found:
        raise VideoError(f"{path}: expected at least three frames from frame {first} on; give a longer clip")


def _triples(frames: Iterator[SourceFrame]) -> Iterator[Triple]:
    """Each frame that is held out, between its neighbours; the right one is the left one of the next triple."""
    left = next(frames, None)
    while left is not None:
        truth, right = next(frames, None), next(frames, None)
        if truth is None or right is None:
            return
        yield left, truth, right
        left = right


def mean_of(a: Frame, b: Frame) -> Frame:
    """The plain mean of two frames of one unsigned dtype, halves rounded up."""
    mean: Frame = ((a.astype(np.uint32) + b + 1) // 2).astype(a.dtype)
    return mean


def _row(number: int, truth: Frame, drawn: Frame, average: Frame, seconds: float) -> HeldOutRow:
    return HeldOutRow(
        number, psnr(drawn, truth), ssim(drawn, truth), psnr(average, truth), ssim(average, truth), seconds
    )
