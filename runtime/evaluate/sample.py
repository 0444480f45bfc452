"""One frame to be re-created and what it is re-created from; many of them make up a series."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path

from tweenrt.runtime.frames import Frame
from tweenrt.runtime.ready import HasPixels
from tweenrt.runtime.video.still import read_image

Key = tuple[str, str]


class Still:
    """An image file, read when its pixels are wanted.

    Args:
        path: the file.
        change: what is done to the pixels, such as halving; None for nothing.
    """

    def __init__(self, path: Path, change: Callable[[Frame], Frame] | None = None) -> None:
        self._path, self._change = path, change

    @cached_property
    def rgb(self) -> Frame:
        """[H,W,3] RGB, uint8 (0..255), uint16 (0..65535) or float32 (0..1).

        Raises:
            VideoError: the file is missing or damaged.
        """
        image = read_image(self._path)
        return image if self._change is None else self._change(image)


@dataclass(frozen=True, eq=False)
class Sample:
    """A frame that is held out, and the frames it is re-created from.

    Frames of neighbouring samples that are the same are the same object, so that each is prepared once.

    Attributes:
        name: of the held-out frame, unique in its group.
        frame0: the frame before it that the network sees.
        frame1: the frame after it that the network sees.
        truth: the held-out frame itself.
        t: its moment, 0 being `frame0` and 1 `frame1`.
        before: the frame before `frame0`, for networks that look at four; None where the dataset has none.
        after: the frame after `frame1`, likewise.
        group: the part of the dataset that means are taken over, such as ``"easy"``; empty where it has no parts.
    """

    name: str
    frame0: HasPixels
    frame1: HasPixels
    truth: HasPixels
    t: Fraction = Fraction(1, 2)
    before: HasPixels | None = None
    after: HasPixels | None = None
    group: str = ""

    @property
    def key(self) -> Key:
        """What tells this sample from all others of its dataset: group and name."""
        return self.group, self.name


@dataclass(frozen=True)
class Series:
    """The samples of a dataset.

    Attributes:
        iterate: goes through the samples from the first one; frames are read on the way.
        sizes: group → how many samples it has; None where that is not known beforehand.
        remarks: what the reader of the results must know, in sentences; may grow while samples are taken.
    """

    iterate: Callable[[], Iterator[Sample]]
    sizes: Mapping[str, int | None]
    remarks: list[str] = field(default_factory=list)

    def limited(self, limit: int | None) -> Series:
        """The first `limit` samples of each group; None for all."""
        if limit is None:
            return self
        sizes = {group: limit if size is None else min(limit, size) for group, size in self.sizes.items()}
        return Series(lambda: _first(self.iterate(), sizes), sizes, self.remarks)


def _first(samples: Iterator[Sample], wanted: Mapping[str, int]) -> Iterator[Sample]:
    """As many samples of each group as are wanted of it."""
    left = dict(wanted)
    for sample in samples:
        if left[sample.group]:
            left[sample.group] -= 1
            yield sample
            if not any(left.values()):
                return
