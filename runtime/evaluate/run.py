"""Draw what a dataset holds out, and measure it."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from typing import Generic

import numpy as np

from tweenrt.errors import BackendError
from tweenrt.runtime.evaluate.metrics import Metric, measure
from tweenrt.runtime.evaluate.pixels import rounded, unit
from tweenrt.runtime.evaluate.sample import Key, Sample
from tweenrt.runtime.frames import Frame
from tweenrt.runtime.ready import FrameDrawer, PreparedT, ReadyFrames


@dataclass(frozen=True)
class Row:
    """One held-out frame, measured.

    Attributes:
        group: the part of the dataset, empty where it has none.
        name: of the frame, unique in its group.
        t: its moment between the two frames it was drawn from.
        seconds: in the network, preparation of the frames included; shared equally by the frames drawn together.
        values: what was measured.
    """

    group: str
    name: str
    t: Fraction
    seconds: float
    values: dict[Metric, float]

    @property
    def key(self) -> Key:
        """What tells this row from all others: group and name."""
        return self.group, self.name


def evaluate(
    samples: Iterable[Sample],
    network: FrameDrawer[PreparedT],
    metrics: Sequence[Metric],
    done: Collection[Key] = (),
    *,
    integers: bool = False,
) -> Iterator[Row]:
    """Draw every sample and measure it.

    Args:
        samples: what is held out; their frames are read only when they are drawn.
        network: draws the frames.
        metrics: what is measured.
        done: keys of samples that need not be drawn again.
        integers: see `draw`; all metrics are then of rounded frames.

    Yields:
        A row for each sample, in order, as soon as its frame is drawn.

    Raises:
        VideoError: a frame cannot be read.
        UsageError: the network cannot draw a moment, or a frame's size.
        BackendError: a drawn frame has values that are no numbers.
    """
    pending = (sample for sample in samples if sample.key not in done)
    for sample, drawn, seconds in draw(pending, network, integers=integers):
        if np.isnan(drawn).any():
            raise BackendError(
                f"the network drew {sample.name} with values that are no numbers; run `tweenrt compare` with a graph "
                "in FP32 to see where"
            )
        yield Row(sample.group, sample.name, sample.t, seconds, measure(drawn, sample.truth.rgb, metrics))


def draw(
    samples: Iterable[Sample], network: FrameDrawer[PreparedT], *, integers: bool = False
) -> Iterator[tuple[Sample, Frame, float]]:
    """Draw every sample; the moments of one pair together.

    Args:
        samples: what is held out.
        network: draws the frames.
        integers: give the network integers, as graphs with uint8 frames need it, and get them back; frames that are
            float32 are rounded to 8 bits. Else it gets float32, and what it draws is not rounded.

    Yields:
        The sample; its frame [H,W,3], float32 (0..1) or, with `integers`, uint8 or uint16; the seconds that it took.
    """
    timed = _Network(network, integers=integers)
    ready = ReadyFrames(timed)
    for _, several in groupby(samples, key=lambda s: (id(s.frame0), id(s.frame1))):
        together = list(several)  # also keeps the frames, so that no other pair gets their ids
        pair, start = together[0], timed.seconds
        drawn = ready.draw(pair.frame0, pair.frame1, [s.t for s in together], pair.before, pair.after)
        seconds = (timed.seconds - start) / len(together)
        yield from ((sample, frame, seconds) for sample, frame in zip(together, drawn, strict=True))


class _Network(Generic[PreparedT]):
    """The network, fed with frames of the wanted kind and timed; see `FrameDrawer`.

    Attributes:
        seconds: spent so far, without reading frames.
    """

    def __init__(self, network: FrameDrawer[PreparedT], *, integers: bool) -> None:
        self.neighbours = network.neighbours
        self.seconds = 0.0
        self._network, self._integers = network, integers

    def prepare(self, frame: Frame) -> PreparedT:
        with self._timed():
            return self._network.prepare(rounded(frame) if self._integers else unit(frame))

    def between(
        self,
        frame0: PreparedT,
        frame1: PreparedT,
        times: Sequence[Fraction],
        *,
        before: PreparedT | None = None,
        after: PreparedT | None = None,
    ) -> list[Frame]:
        with self._timed():
            return self._network.between(frame0, frame1, times, before=before, after=after)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - start
