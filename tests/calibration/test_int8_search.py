"""The search for blocks, on made-up networks whose blocks each add a known error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import log10

import pytest

from tweenrt.calibration.int8.search import (
    Blocks,
    Gain,
    Judged,
    Point,
    Search,
    Sensitivity,
    most_trials,
    sensitivities,
)

EXACT = 1e-3  # mean squared error of the FP32 frames against the truth
NAMES = [f"b{k:02d}" for k in range(400)]


class Fake:
    """A network whose INT8 blocks add their errors to that of FP32; it counts what it is asked."""

    def __init__(self, errors: Mapping[str, float], together: Callable[[Blocks], float] = lambda _: 0.0) -> None:
        self.errors, self.together = errors, together
        self.asked: list[Blocks] = []

    def __call__(self, blocks: Blocks) -> Judged:
        self.asked.append(blocks)
        added = sum(self.errors[b] for b in blocks) + self.together(blocks)
        return Judged(-10 * log10(EXACT + added), added)

    def drop_db(self, blocks: Blocks) -> float:
        return self(()).psnr_db - self(blocks).psnr_db


def searched(fake: Fake, budget_db: float, gains: Mapping[str, Gain] | None = None) -> tuple[Search, list[Point]]:
    """The search, and what it found."""
    order = sensitivities(fake, gains or dict.fromkeys(fake.errors, Gain(1.0, 100.0)))
    fake.asked.clear()
    search = Search(Judged(-10 * log10(EXACT), 0.0), order, fake)
    return search, search.run(budget_db)


def rising(count: int = 40) -> Fake:
    """Each block is worse than the one before."""
    return Fake({name: 6.4e-3 * (k + 1) ** 2 / count**3 for k, name in enumerate(NAMES[:count])})


def test_the_cheapest_block_comes_first() -> None:
    fake = Fake({"a": 4e-6, "b": 1e-6, "c": 2e-6})
    order = sensitivities(fake, {"a": Gain(8.0, 1), "b": Gain(1.0, 1), "c": Gain(0.0, 1)})
    assert [s.block for s in order] == ["a", "b", "c"], "by error for each millisecond; c saves none"
    assert fake.asked == [("a",), ("b",), ("c",)]
    assert [s.price for s in order[:2]] == pytest.approx([5e-7, 1e-6])


@pytest.mark.parametrize("count", [3, 40, 400])
@pytest.mark.parametrize("budget_db", [0.01, 0.05, 0.1, 0.3])
def test_with_errors_that_add_up_the_largest_prefix_is_found(budget_db: float, count: int) -> None:
    fake = rising(count)
    search, within = searched(fake, budget_db)
    best = max(k for k in range(count + 1) if fake.drop_db(tuple(NAMES[:k])) <= budget_db)
    assert len(within[0].blocks) == best
    assert within[0].drop_db == pytest.approx(fake.drop_db(tuple(NAMES[:best])))
    assert len(search.points) - 1 <= most_trials(count)


def test_what_is_returned_keeps_to_the_budget_the_most_blocks_first() -> None:
    search, within = searched(rising(), 0.1)
    assert all(point.drop_db <= 0.1 for point in within)
    assert within == sorted((p for p in search.points if p.drop_db <= 0.1), key=lambda p: -len(p.blocks))
    assert within[-1].blocks == ()


def test_everything_fits_a_large_budget_after_few_trials() -> None:
    fake = rising()
    _, within = searched(fake, 1e3)
    assert len(within[0].blocks) == 40
    assert len(fake.asked) <= 8


def test_nothing_fits() -> None:
    """Every block is too bad alone: the empty set is left."""
    fake = Fake(dict.fromkeys(NAMES[:40], 1e-2))
    search, within = searched(fake, 0.1)
    assert [p.blocks for p in within] == [()]
    assert len(search.points) - 1 <= most_trials(40)


def test_a_bad_block_in_the_middle_is_left_out() -> None:
    """It saves so much that it is tried early; growth adds all others around it."""
    fake = Fake(dict.fromkeys(NAMES[:12], 1e-7) | {"b04": 5e-4})
    gains = {name: Gain(1.0, 100.0) for name in fake.errors} | {"b04": Gain(1e6, 100.0)}
    _, within = searched(fake, 0.1, gains)
    assert set(within[0].blocks) == set(fake.errors) - {"b04"}


def test_errors_that_cancel_do_not_mislead() -> None:
    """Where more blocks are better than fewer, the largest set that was seen within the budget counts."""
    fake = Fake(dict.fromkeys(NAMES[:16], 1e-5), lambda blocks: -1.5e-4 if len(blocks) == 16 else 0.0)
    _, within = searched(fake, 0.05)
    assert len(within[0].blocks) == 16


def test_blocks_that_only_harm_together_are_kept_apart() -> None:
    fake = Fake(dict.fromkeys(NAMES[:10], 1e-7), lambda blocks: 1e-3 if {"b02", "b07"} <= set(blocks) else 0.0)
    _, within = searched(fake, 0.1)
    assert len(within[0].blocks) == 9


def test_blocks_that_make_it_better_are_welcome() -> None:
    fake = Fake(dict.fromkeys(NAMES[:6], -1e-5))
    _, within = searched(fake, 0.0)
    assert len(within[0].blocks) == 6
    assert within[0].drop_db < 0


@pytest.mark.parametrize("count", [0, 1, 2, 3, 8, 9, 25, 40])
@pytest.mark.parametrize("budget_db", [0.0, 0.02, 0.1, 100.0])
@pytest.mark.parametrize("heavy", [1.0, 1e4])
def test_no_more_trials_than_announced(count: int, budget_db: float, heavy: float) -> None:
    fake = rising(count)
    gains = {name: Gain(1.0, heavy if k == 0 else 1.0) for k, name in enumerate(fake.errors)}
    searched(fake, budget_db, gains)
    assert len(fake.asked) <= most_trials(count)


def test_the_first_sets_take_even_shares_of_the_multiplications() -> None:
    """One block has half of them: four of the eight steps are its own, and none is wasted on sets next to it."""
    names = NAMES[:33]
    gains = {name: Gain(1.0, 32.0 if k == 0 else 1.0) for k, name in enumerate(names)}
    fake = Fake(dict.fromkeys(names, 0.0))
    searched(fake, 1.0, gains)
    assert [len(blocks) for blocks in fake.asked] == [1, 9, 17, 25, 33]


def test_what_saves_no_time_has_no_price() -> None:
    assert Sensitivity("a", Judged(30, 1e-9), Gain(0.0, 1)).price == float("inf")
