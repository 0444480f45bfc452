"""Two graphs or backends on the same frames: how far apart everything is that they compute."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from tweenrt.contract import FrameIO, GraphInfo
from tweenrt.errors import VideoError
from tweenrt.runtime.cuda import Lane
from tweenrt.runtime.frames import FrameFormat, crop
from tweenrt.runtime.interpolator import Interpolator
from tweenrt.runtime.ready import ReadyFrames
from tweenrt.runtime.session import Array, Backend, Session, Shape, Tensor, open_session
from tweenrt.runtime.video import SourceFrame, open_source

FRAME = "frame_t"
"""The output that is the new frame; it is compared as callers get it, but neither clipped nor rounded."""

_HALF = Fraction(1, 2)
_ANY_RATE = Fraction(25)  # a folder of images has no rate, and nothing here depends on it
_TAIL = 0.999
Kept = dict[str, list[Array]]
Window = tuple[SourceFrame | None, SourceFrame, SourceFrame, SourceFrame | None]


@dataclass(frozen=True)
class Side:
    """One of the two that are compared.

    Attributes:
        graph: an ONNX file of ours, or the folder of a split export.
        backend: what executes it.
    """

    graph: Path
    backend: Backend = Backend.AUTO


@dataclass(frozen=True)
class Difference:
    """How far B is from A in one output, over one pair of frames or over many.

    A value that is not finite counts as equal where both have the same one, else as infinitely far.

    Attributes:
        output: its name in the graphs.
        max_abs: the largest difference.
        mean_abs: the mean difference.
        tail_abs: 99.9 per cent of the values differ by this or less; of many pairs, the largest.
        psnr_db: dB, for a peak of 1 (`FRAME`) or of the largest value of A; of many pairs, the lowest. Infinite where
            all is equal.
        pair: number of the pair with the largest difference: the frames `pair` and `pair` + 1, from 0.
        worst: index of the largest difference: [N,C,H,W] in the frame without padding, or in the output as it is.
        not_finite_a: NaN and infinite values of A.
        not_finite_b: the same of B.
    """

    output: str
    max_abs: float
    mean_abs: float
    tail_abs: float
    psnr_db: float
    pair: int
    worst: tuple[int, ...]
    not_finite_a: int
    not_finite_b: int


@dataclass(frozen=True)
class Comparison:
    """What `compare` found.

    Attributes:
        pairs: every output of every pair of frames, in order.
        left_out: outputs that could not be compared, and why, in sentences.
    """

    pairs: tuple[Difference, ...]
    left_out: tuple[str, ...]

    def outputs(self) -> list[Difference]:
        """Every output over all pairs, the new frame first."""
        names = sorted({d.output for d in self.pairs}, key=lambda name: (name != FRAME, name))
        return [_over_pairs([d for d in self.pairs if d.output == name]) for name in names]


@dataclass(frozen=True)
class Gate:
    """How far B's frames may be from A's; None asks for nothing."""

    max_abs: float | None = None
    min_psnr_db: float | None = None

    def failures(self, comparison: Comparison) -> list[str]:
        """What is not met, in words; empty if all is."""
        (frame,) = (d for d in comparison.outputs() if d.output == FRAME)
        failed = []
        if self.max_abs is not None and not frame.max_abs <= self.max_abs:
            failed.append(f"the largest difference is {frame.max_abs:.3g}, at most {self.max_abs:g} was asked for")
        if self.min_psnr_db is not None and not frame.psnr_db >= self.min_psnr_db:
            failed.append(f"the lowest PSNR is {frame.psnr_db:.2f} dB, at least {self.min_psnr_db:g} was asked for")
        return failed


def compare(a: Side, b: Side, frames: Path, *, pairs: int | None = None, threads: int | None = None) -> Comparison:
    """Draw the middle between neighbouring frames with both, and compare every output of every graph.

    Each side pads frames and reuses features as `Interpolator` does, so that graphs for other sizes, or whole and
    split ones, can be compared; outputs that only one of them has, or in another shape, are left out.

    Args:
        a: the reference.
        b: what is measured against it.
        frames: a video, or a folder of images.
        pairs: how many pairs of neighbouring frames to use at most, from the start.
        threads: CPU threads for one run; None leaves the choice to the backend.

    Raises:
        VideoError: there are no two frames.
        GraphError: a graph is missing, damaged or not ours.
        BackendError: a backend cannot run its graph.
    """
    found: list[Difference] = []
    left_out: dict[str, None] = {}
    with _Listener(a, threads) as one, _Listener(b, threads) as other:
        for number, window in enumerate(islice(_windows(frames), pairs)):
            of_a, of_b = one.outputs(window), other.outputs(window)
            left_out |= dict.fromkeys(_reasons(of_a, of_b))
            found += [_over_pairs(d) for name in of_a if (d := _differences(name, of_a, of_b, number))]
    if not found:
        raise VideoError(f"{frames}: expected two frames or more; give a longer clip")
    return Comparison(tuple(found), tuple(left_out))


def difference(output: str, a: Array, b: Array, pair: int = 0) -> Difference:
    """See `Difference`; `a` and `b` have one shape."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    equal = (x == y) | (np.isnan(x) & np.isnan(y))
    with np.errstate(invalid="ignore"):
        error = np.where(equal, 0.0, np.abs(x - y))
    error[np.isnan(error)] = math.inf
    peak = 1.0 if output == FRAME else float(np.abs(x[np.isfinite(x)]).max(initial=0.0)) or 1.0
    worst = np.unravel_index(int(error.argmax()), error.shape)
    return Difference(
        output,
        max_abs=float(error.max()),
        mean_abs=float(error.mean()),
        tail_abs=float(np.quantile(error, _TAIL, method="higher")),
        psnr_db=_psnr(float(np.mean(error**2)), peak),
        pair=pair,
        worst=tuple(int(place) for place in worst),
        not_finite_a=int((~np.isfinite(x)).sum()),
        not_finite_b=int((~np.isfinite(y)).sum()),
    )


class _Recorder:
    """A session that also keeps what it computed; see `tweenrt.runtime.session.Session`."""

    def __init__(self, session: Session, kept: Kept) -> None:
        self.info = session.info
        self.inputs: Mapping[str, Shape] = session.inputs
        self.outputs: Mapping[str, Shape] = session.outputs
        self.settings: Mapping[str, Shape] = session.settings
        self.close = session.close
        self.place = session.place
        self.most_at_once = session.most_at_once
        self._session = session
        self._kept = kept

    def run(self, feeds: Mapping[str, Tensor], *, keep: bool = False) -> dict[str, Any]:
        results = self._session.run(feeds, keep=keep)
        for name, value in results.items():
            self._kept.setdefault(name, []).append(np.asarray(value))
        return results


class _Listener:
    """An interpolator, and everything that its graphs compute."""

    def __init__(self, side: Side, threads: int | None) -> None:
        self._kept: Kept = {}
        self._interpolator = Interpolator.open(side.graph, side.backend, threads=threads, opener=self._open)
        self._ready = ReadyFrames(self._interpolator)

    def outputs(self, window: Window) -> Kept:
        """Draw the middle of a pair; output → its value in every run that this took."""
        before, first, second, after = window
        self._kept.clear()
        self._ready.draw(first, second, [_HALF], before, after)
        picture = _picture(self._interpolator.info, self._kept[FRAME][-1], FrameFormat.of(first.rgb))
        return self._kept | {FRAME: [picture]}

    def __enter__(self) -> _Listener:  # noqa: PYI034  (typing.Self needs Python 3.11)
        return self

    def __exit__(self, *_: object) -> None:
        self._interpolator.close()

    def _open(self, path: Path, backend: Backend, threads: int | None, lane: Lane | None) -> Session:
        return _Recorder(open_session(path, backend, threads, lane), self._kept)


def _windows(path: Path) -> Iterator[Window]:
    """Every pair of neighbouring frames, with the frame before it and the frame after it."""
    source = open_source(path, rate=_ANY_RATE if path.is_dir() else None)
    try:
        frames = source.frames()
        before, first, second = None, next(frames, None), next(frames, None)
        while first is not None and second is not None:
            after = next(frames, None)
            yield before, first, second, after
            before, first, second = first, second, after
    finally:
        source.close()


def _picture(info: GraphInfo, drawn: Array, form: FrameFormat) -> Array:
    """What a graph gave for a frame as [N,3,H,W], RGB 0..1, without padding."""
    if info.io is FrameIO.UINT8:
        return np.moveaxis(drawn, 3, 1).astype(np.float32) / np.float32(255)
    return crop(drawn, info.padding, info.divisor, form.height, form.width)


def _shapes(runs: list[Array]) -> list[list[int]]:
    return [list(value.shape) for value in runs]


def _reasons(a: Kept, b: Kept) -> Iterator[str]:
    """What is left out and why."""
    for name in sorted(a.keys() ^ b.keys()):
        yield f"{name}: only {'A' if name in a else 'B'} has it"
    for name in sorted(a.keys() & b.keys()):
        if _shapes(a[name]) != _shapes(b[name]):
            yield f"{name}: A gives {_shapes(a[name])}, B {_shapes(b[name])}"


def _differences(name: str, a: Kept, b: Kept, pair: int) -> list[Difference]:
    """One for each run that gave the output `name`; none if it is left out."""
    if name not in b or _shapes(a[name]) != _shapes(b[name]):
        return []
    return [difference(name, x, y, pair) for x, y in zip(a[name], b[name], strict=True)]


def _over_pairs(several: list[Difference]) -> Difference:
    worst = max(several, key=lambda d: d.max_abs)
    return Difference(
        worst.output,
        max_abs=worst.max_abs,
        mean_abs=sum(d.mean_abs for d in several) / len(several),
        tail_abs=max(d.tail_abs for d in several),
        psnr_db=min(d.psnr_db for d in several),
        pair=worst.pair,
        worst=worst.worst,
        not_finite_a=sum(d.not_finite_a for d in several),
        not_finite_b=sum(d.not_finite_b for d in several),
    )


def _psnr(mean_square: float, peak: float) -> float:
    if mean_square in (0.0, math.inf):
        return math.inf if mean_square == 0.0 else -math.inf
    return 20 * math.log10(peak) - 10 * math.log10(mean_square)
