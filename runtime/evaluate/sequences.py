"""Datasets of 4K sequences, which are evaluated at two sizes: X4K1000FPS and Xiph."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from tweenrt.errors import UsageError
from tweenrt.runtime.evaluate.entries import Change, Entry
from tweenrt.runtime.evaluate.pixels import centre, halved, halved_unit

X4K = "test/Type1/TEST01/{0000.png ... 0032.png}, 15 clips of 33 frames"
XIPH = "netflix/{BoxingPractice-001.png ... Tango-100.png}, or a folder of images for each clip"
LARGE, SMALL = "4k", "2k"

_X4K_STEP, _X4K_FACTOR = 32, 8
_XIPH_FRAMES = 100
_NUMBERED = re.compile(r"(.+)-(\d+)\.png")
_X4K_CHANGES: dict[str, Change | None] = {LARGE: None, SMALL: halved_unit}
_XIPH_CHANGES: dict[str, Change] = {LARGE: centre, SMALL: halved}


def x4k(root: Path, groups: Sequence[str]) -> list[Entry]:
    """X-TEST of X4K1000FPS, eight times the frames: 4, 8 … 28 from 0 and 32; as they are, and halved.

    Raises:
        UsageError: there is no such dataset in `root`, or a clip has too few frames.
    """
    base = root / "test" if (root / "test").is_dir() else root
    clips = {f"{p.parent.name}/{p.name}": _images(p) for p in sorted(base.glob("*/*")) if p.is_dir()}
    short = [name for name, frames in clips.items() if len(frames) <= _X4K_STEP]
    if short or not clips:
        found = f"{short[0]} with {len(clips[short[0]])} frames" if short else "no clips"
        raise UsageError(f"{root}: expected clips of {_X4K_STEP + 1} frames, found {found}; expected layout: {X4K}")
    return [e for group in groups for name, frames in clips.items() for e in _x4k_entries(name, frames, group)]


def xiph(root: Path, groups: Sequence[str]) -> list[Entry]:
    """The first 100 frames of each clip, every second one from its neighbours; halved, and the middle of the picture.

    Raises:
        UsageError: there is no such dataset in `root`, or a clip has fewer than three frames.
    """
    clips = _xiph_clips(root / "netflix" if (root / "netflix").is_dir() else root)
    short = [name for name, frames in clips.items() if len(frames) < 3]
    if short or not clips:
        found = f"{short[0]} with {len(clips[short[0]])}" if short else "none"
        raise UsageError(f"{root}: expected clips of three images or more, found {found}; expected layout: {XIPH}")
    return [e for group in groups for name, frames in clips.items() for e in _xiph_entries(name, frames, group)]


def _x4k_entries(clip: str, frames: list[Path], group: str) -> Iterator[Entry]:
    stride = _X4K_STEP // _X4K_FACTOR
    for first in range(0, len(frames) - _X4K_STEP, _X4K_STEP):
        for k in range(1, _X4K_FACTOR):
            truth = frames[first + k * stride]
            pair = (frames[first], frames[first + _X4K_STEP])
            t = Fraction(k, _X4K_FACTOR)
            yield Entry(f"{clip}/{truth.stem}", *pair, truth, t, group=group, change=_X4K_CHANGES[group])


def _xiph_clips(base: Path) -> dict[str, list[Path]]:
    """Clip → its frames in order: images named ``<clip>-<number>.png``, or folders of images."""
    flat: dict[str, list[tuple[int, Path]]] = defaultdict(list)
    for path in base.glob("*.png"):
        if named := _NUMBERED.fullmatch(path.name):
            flat[named[1]].append((int(named[2]), path))
    if flat:
        return {clip: [path for _, path in sorted(flat[clip])] for clip in sorted(flat)}
    return {folder.name: _images(folder) for folder in sorted(base.glob("*")) if folder.is_dir()}


def _xiph_entries(clip: str, frames: list[Path], group: str) -> Iterator[Entry]:
    taken = frames[:_XIPH_FRAMES]
    for middle in range(1, len(taken) - 1, 2):
        frame0, truth, frame1 = taken[middle - 1 : middle + 2]
        before, after = (taken[n] if 0 <= n < len(taken) else None for n in (middle - 3, middle + 3))
        name, change = f"{clip}/{truth.stem}", _XIPH_CHANGES[group]
        yield Entry(name, frame0, frame1, truth, before=before, after=after, group=group, change=change)


def _images(folder: Path) -> list[Path]:
    """The PNG files of a folder, in the order of their numbers."""
    return sorted(folder.glob("*.png"), key=lambda p: (len(p.name), p.name))
