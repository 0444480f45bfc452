"""Samples by the names of their files: what the layout of an image dataset comes down to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from tweenrt.errors import UsageError
from tweenrt.runtime.evaluate.sample import Sample, Series, Still
from tweenrt.runtime.frames import Frame

Change = Callable[[Frame], Frame]


@dataclass(frozen=True)
class Entry:
    """A sample whose frames are files; see `Sample`.

    Attributes:
        change: what is done to the pixels of every frame; None for nothing.
    """

    name: str
    frame0: Path
    frame1: Path
    truth: Path
    t: Fraction = Fraction(1, 2)
    before: Path | None = None
    after: Path | None = None
    group: str = ""
    change: Change | None = None

    @property
    def needed(self) -> tuple[Path, ...]:
        """The files without which there is no sample."""
        return self.frame0, self.frame1, self.truth


def series_of(entries: Sequence[Entry], layout: str) -> Series:
    """The samples of `entries`, in their order.

    Args:
        entries: those of a group one after the other, so that neighbours share frames.
        layout: how the dataset unpacks, for the message.

    Raises:
        UsageError: there are no entries, or a file is missing.
    """
    if not entries:
        raise UsageError(f"expected a dataset with frames to hold out, it names none. Expected layout: {layout}")
    needed = {path for entry in entries for path in entry.needed}
    missing = sorted(path for path in needed if not path.is_file())
    if missing:
        raise UsageError(
            f"{missing[0]}: no such image; {len(missing)} of {len(needed)} that the dataset needs are missing. "
            f"Unpack it completely. Expected layout: {layout}"
        )
    return Series(lambda: _samples(entries), Counter(entry.group for entry in entries))


def _samples(entries: Sequence[Entry]) -> Iterator[Sample]:
    """Samples that share the stills of the one before."""
    known: dict[tuple[Path | None, Change | None], Still] = {}
    for entry in entries:
        paths = (entry.frame0, entry.frame1, entry.truth, entry.before, entry.after)
        wanted = [(path, entry.change) for path in paths]
        known = {key: known.get(key) or Still(key[0], entry.change) for key in wanted if key[0] is not None}
        frame0, frame1, truth, before, after = (known.get(key) for key in wanted)
        assert frame0 is not None
        assert frame1 is not None
        assert truth is not None
        yield Sample(entry.name, frame0, frame1, truth, entry.t, before, after, entry.group)


def existing(path: Path) -> Path | None:
    """`path` if there is such a file."""
    return path if path.is_file() else None


def place_of(root: Path, folder: str, marker: str, layout: str) -> Path:
    """Where the dataset lies: `root`, or the folder of its usual name in it.

    Args:
        root: what the user gave.
        folder: the name under which the dataset unpacks.
        marker: a file or folder that must be there.
        layout: how the dataset unpacks, for the message.

    Raises:
        UsageError: it is in neither.
    """
    for place in (root, root / folder):
        if (place / marker).exists():
            return place
    raise UsageError(f"{root}: expected to find {marker} in it; give the dataset's folder. Expected layout: {layout}")
