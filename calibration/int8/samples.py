"""Which frames of a clip a network is calibrated on and judged by: spread over time and over motion."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from tweenrt.contract import TimeInput
from tweenrt.errors import VideoError
from tweenrt.runtime.evaluate.clip import open_clip
from tweenrt.runtime.evaluate.sample import Sample

_STRIDES = {TimeInput.FIXED: (2,)}
_ANY_TIME = (2, 4)
"""Every how manieth frame is kept: so t = 1/2 beside 1/4 and 3/4 across twice the motion."""


@dataclass(frozen=True)
class Chosen:
    """Samples of a clip.

    Attributes:
        calibration: to measure ranges on.
        judging: to judge a quantised network by; none of them is among the others.
        sha256: of all their pixels and moments, in order.
    """

    calibration: tuple[Sample, ...]
    judging: tuple[Sample, ...]
    sha256: str


def choose(
    paths: Sequence[Path], count: int, t: TimeInput, seed: int = 0, say: Callable[[str], None] = lambda _: None
) -> Chosen:
    """Choose `count` held-out frames of clips, half of them to calibrate on, the others to judge by.

    The clips are gone through twice and one frame after the other, so that only what was chosen takes memory. Each
    clip's time is cut into equal parts, and what is in a part, from the least to the most motion, into as many pieces
    as samples are wanted; `seed` decides which of a piece is taken. Intervals with a scene cut are left out.

    Args:
        paths: videos or folders of images.
        count: how many samples, at least 2; fewer where the clips have fewer.
        t: how the network is told the moment. One that takes any is given quarters too.
        seed: for the choice.
        say: told each step, one sentence.

    Raises:
        VideoError: a clip cannot be read, is too short, or all of it is one cut after the other.
    """
    sources = [(path, stride) for path in paths for stride in _STRIDES.get(t, _ANY_TIME)]
    shares = [count // len(sources) + (k < count % len(sources)) for k in range(len(sources))]
    rng = np.random.default_rng(seed)
    found: list[Sample] = []
    for (path, stride), share in zip(sources, shares, strict=True):
        if share:
            say(f"looking for motion in {path.name}, {stride} frames apart")
            names = _spread([*_motions(path, stride)], share, rng)
            found += [sample for sample in _samples(path, stride) if sample.name in names]
    if len(found) < 2:
        raise VideoError(
            f"{', '.join(map(str, paths))}: expected at least two frames to hold out, found {len(found)} that no scene "
            "cut is next to; give longer clips"
        )
    return Chosen(tuple(found[0::2]), tuple(found[1::2]), _digest(found))


def _samples(path: Path, stride: int) -> Iterator[Sample]:
    """Held-out frames; at strides above 2 those that are not in the middle, which stride 2 has."""
    samples = open_clip(path, every=stride).iterate()
    return (s for s in samples if stride == 2 or s.t != Fraction(1, 2))


def _motions(path: Path, stride: int) -> Iterator[tuple[str, float]]:
    """Name of a sample, and how far its two frames differ."""
    for sample in _samples(path, stride):
        first, second = (np.asarray(f.rgb[::8, ::8], np.float32) for f in (sample.frame0, sample.frame1))
        yield sample.name, float(np.abs(first - second).mean())


def _spread(motions: Sequence[tuple[str, float]], count: int, rng: np.random.Generator) -> set[str]:
    """`count` names: from each part of the clip as many, from its least to its most motion."""
    parts = max(1, math.isqrt(count))
    names: set[str] = set()
    for number, part in enumerate(np.array_split(np.arange(len(motions)), parts)):
        wanted = min(len(part), count // parts + (number < count % parts))
        ordered = sorted(part, key=lambda k: motions[k][1])
        pieces = np.array_split(ordered, wanted) if wanted else []
        names |= {motions[rng.choice(piece)][0] for piece in pieces}
    return names


def _digest(samples: Sequence[Sample]) -> str:
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(f"{sample.name} {sample.t};".encode())
        for frame in (sample.frame0.rgb, sample.frame1.rgb, sample.truth.rgb):
            digest.update(np.ascontiguousarray(frame).tobytes())
    return digest.hexdigest()
