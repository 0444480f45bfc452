"""A video or a folder of images as a dataset: most frames are held out and re-created from those that are kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path

from tweenrt.errors import VideoError
from tweenrt.runtime.evaluate.sample import Sample, Series
from tweenrt.runtime.scene import CUT_THRESHOLD, Between, SceneJudge
from tweenrt.runtime.video import SourceFrame, open_source
from tweenrt.runtime.video.clip import Source

_ANY_RATE = Fraction(25)  # a folder of images has no rate, and nothing here depends on it


@dataclass(frozen=True, eq=False)
class _Interval:
    """`frames`: two that are kept and those between them; the first of them has the number `first` in the clip."""

    first: int
    frames: Sequence[SourceFrame]
    cut: bool


def open_clip(path: Path, every: int = 2, first: int = 0, *, across_cuts: bool = False) -> Series:
    """Keep one frame of `every`, hold the others out.

    Moments follow from the frames' numbers, k/`every`. Where the scene changes between two frames that are kept,
    nothing is held out: no network could know. Networks of four frames see the nearest kept frames of the same scene.

    Args:
        path: a video, or a folder of images of one size.
        every: 2 or more.
        first: number of the first frame to use.
        across_cuts: look for no scene changes.

    Raises:
        VideoError: it cannot be read, or has too few frames; the latter may come when samples are taken.
    """
    source = _open(path)
    source.close()
    frames = source.info.frames
    size = None if frames is None else max(0, frames - first - 1) // every * (every - 1)
    remarks: list[str] = []
    return Series(lambda: _samples(path, every, first, remarks, across_cuts=across_cuts), {"": size}, remarks)


def _open(path: Path) -> Source:
    return open_source(path, rate=_ANY_RATE if path.is_dir() else None)


def _samples(path: Path, every: int, first: int, remarks: list[str], *, across_cuts: bool) -> Iterator[Sample]:
    source = _open(path)
    judge = SceneJudge(None if across_cuts else CUT_THRESHOLD, None)
    intervals = cuts = 0
    try:
        for earlier, interval, later in _surrounded(_intervals(source.frames(), every, first, judge)):
            intervals += 1
            cuts += interval.cut
            before = earlier.frames[0] if earlier and not earlier.cut else None
            after = later.frames[-1] if later and not later.cut else None
            if not interval.cut:
                yield from _held_out(interval, before, after)
    finally:
        source.close()
        if cuts:
            remarks.append(f"left out {cuts} of {intervals} intervals, because the scene changes in them")
    if not intervals:
        raise VideoError(f"{path}: expected at least {every + 1} frames from frame {first} on; give a longer clip")


def _intervals(frames: Iterator[SourceFrame], every: int, first: int, judge: SceneJudge) -> Iterator[_Interval]:
    held: list[SourceFrame] = []
    cut = False
    for number, frame in enumerate(islice(frames, first, None), first):
        if held:
            cut |= judge.judge(held[-1].thumbnail, frame.thumbnail) is Between.CUT
        held.append(frame)
        if len(held) == every + 1:
            yield _Interval(number - every, held, cut)
            held, cut = [frame], False


def _surrounded(intervals: Iterator[_Interval]) -> Iterator[tuple[_Interval | None, _Interval, _Interval | None]]:
    """Each interval between its neighbours."""
    earlier: _Interval | None = None
    current: _Interval | None = None
    for later in chain(intervals, (None,)):
        if current is not None:
            yield earlier, current, later
        earlier, current = current, later


def _held_out(interval: _Interval, before: SourceFrame | None, after: SourceFrame | None) -> Iterator[Sample]:
    frame0, *between, frame1 = interval.frames
    for k, truth in enumerate(between, 1):
        t = Fraction(k, len(between) + 1)
        yield Sample(f"{interval.first + k:06d}", frame0, frame1, truth, t, before, after)
