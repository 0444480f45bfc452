"""For networks that look at four frames: the frames around each pair, with a lookahead of one interval."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Generic

from tweenrt.runtime.scene import Between
from tweenrt.runtime.schedule import SeenT, Segment


@dataclass(frozen=True)
class Surrounded(Generic[SeenT]):
    """A segment and the frames on either side of its pair.

    Attributes:
        segment: the pair and its moments.
        before: the frame before the pair; None at the start of the clip and after a cut.
        after: the frame after the pair; None at the end of the clip and before a cut.
    """

    segment: Segment[SeenT]
    before: SeenT | None = None
    after: SeenT | None = None


def surrounded(segments: Iterable[Segment[SeenT]]) -> Iterator[Surrounded[SeenT]]:
    """Give every segment its neighbours; each comes out when the one after it is known."""
    previous: Segment[SeenT] | None = None
    current: Segment[SeenT] | None = None
    for following in chain(segments, (None,)):
        if current is not None:
            before = previous.first if previous and previous.between is not Between.CUT else None
            after = following.second if following and following.between is not Between.CUT else None
            yield Surrounded(current, before, after)
        previous, current = current, following
