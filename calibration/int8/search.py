"""Which blocks compute in INT8: as many as a budget in dB allows, those first that save most for the error they add."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

POINTS = 8
"""How many sets are tried over the whole range, before the search closes in on the budget."""

_STEPS = 4
_GROWTH = 24

Blocks = tuple[str, ...]


@dataclass(frozen=True)
class Judged:
    """What a set of INT8 layers does to the frames.

    Attributes:
        psnr_db: against the truth, the mean over the frames; 58.9 dB at most of each.
        mse: against the frames in FP32, 0..1 squared, the mean over the frames.
    """

    psnr_db: float
    mse: float


@dataclass(frozen=True)
class Gain:
    """What INT8 saves.

    Attributes:
        ms: of the least time of a frame.
        macs: multiplications that become INT8.
    """

    ms: float
    macs: float


@dataclass(frozen=True)
class Sensitivity:
    """One block alone in INT8.

    Attributes:
        block: its name.
        judged: the frames.
        gain: what it saves.
    """

    block: str
    judged: Judged
    gain: Gain

    @property
    def price(self) -> float:
        """Error added for each millisecond saved."""
        return self.judged.mse / self.gain.ms if self.gain.ms > 0 else float("inf")


@dataclass(frozen=True)
class Point:
    """A set of blocks that was tried.

    Attributes:
        blocks: which are in INT8.
        judged: the frames.
        drop_db: PSNR lost against the truth; below 0 where it got better.
    """

    blocks: Blocks
    judged: Judged
    drop_db: float


class Search:
    """Tries sets of blocks.

    Args:
        exact: the frames with no block in INT8.
        order: the blocks, the cheapest first.
        judge: draws frames with these blocks in INT8.

    Attributes:
        points: what was tried, in that order; the first is the empty set.
    """

    def __init__(self, exact: Judged, order: Sequence[Sensitivity], judge: Callable[[Blocks], Judged]) -> None:
        self._exact, self._order, self._judge = exact, order, judge
        self.points = [Point((), exact, 0.0)]

    def run(self, budget_db: float) -> list[Point]:
        """Find large sets within `budget_db`.

        The cheapest blocks together, in steps over the whole range; then numbers of blocks between the largest such
        set within the budget and the next beyond; then that set with one more block after the other, where it stays
        within.

        Returns:
            The sets within the budget, the most blocks first; the last one is empty.
        """
        found = {0: self.points[0]} | {
            count: self._first(count) for count in _spread([s.gain.macs for s in self._order])
        }
        for _ in range(_STEPS):
            inside = max(count for count, point in found.items() if point.drop_db <= budget_db)
            outside = min((count for count in found if count > inside), default=inside)
            if outside - inside < 2:
                break
            middle = (inside + outside) // 2
            found[middle] = self._first(middle)
        inside = max(count for count, point in found.items() if point.drop_db <= budget_db)
        self._grow(found[inside], budget_db)
        return sorted((p for p in self.points if p.drop_db <= budget_db), key=lambda p: -len(p.blocks))

    def _first(self, count: int) -> Point:
        """The `count` cheapest blocks."""
        return self._try(tuple(s.block for s in self._order[:count]))

    def _grow(self, best: Point, budget_db: float) -> None:
        """Add one block at a time, those first that add least error for each multiplication."""
        left = [s for s in self._order if s.block not in best.blocks]
        for one in sorted(left, key=lambda s: s.judged.mse / max(s.gain.macs, 1.0))[:_GROWTH]:
            tried = self._try((*best.blocks, one.block))
            if tried.drop_db <= budget_db:
                best = tried

    def _try(self, blocks: Blocks) -> Point:
        judged = self._judge(blocks)
        self.points.append(Point(blocks, judged, self._exact.psnr_db - judged.psnr_db))
        return self.points[-1]


def most_trials(blocks: int) -> int:
    """How many sets `Search.run` tries at most."""
    return min(blocks, POINTS) + min(blocks, _STEPS) + min(blocks, _GROWTH)


def sensitivities(judge: Callable[[Blocks], Judged], gains: Mapping[str, Gain]) -> list[Sensitivity]:
    """Try each block alone.

    Returns:
        The cheapest first; what saves no time comes last.
    """
    found = [Sensitivity(block, judge((block,)), gain) for block, gain in gains.items()]
    return sorted(found, key=lambda s: s.price)


def _spread(weights: Sequence[float]) -> list[int]:
    """Numbers of blocks, from the start of the list, that take even shares of the total weight; all of them last."""
    total, running, reached = sum(weights), 0.0, 0
    counts: list[int] = []
    for count, weight in enumerate(weights, 1):
        running += weight
        share = int(POINTS * running / total)
        if share > reached or count == len(weights):
            reached = share
            counts.append(count)
    return counts
