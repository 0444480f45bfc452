"""Output times are exact, cover the source, and number what the rules say."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tweenrt.errors import UsageError
from tweenrt.runtime.timeline import ByFactor, Interval, Retiming, ToRate, common_unit, intervals

NTSC = Fraction(24000, 1001)


@dataclass(frozen=True)
class Tick:
    pts: Fraction
    duration: Fraction


def even(count: int, rate: Fraction, start: Fraction = Fraction(0)) -> list[Tick]:
    return [Tick(start + i / rate, 1 / rate) for i in range(count)]


def laid(frames: list[Tick], retiming: Retiming) -> list[tuple[Fraction, Fraction, Fraction]]:
    """Every output frame: time, duration, position in its interval."""
    found: list[Interval[Tick]] = list(intervals(frames, retiming))
    end = frames[-1].pts + frames[-1].duration if frames else Fraction(0)
    return [(m.pts, m.until(end).duration, i.position(m)) for i in found for m in i.moments]


def test_factor_splits_every_interval_and_holds_the_last_frame() -> None:
    out = laid(even(5, NTSC), ByFactor(2))
    assert [pts for pts, _, _ in out] == [k * Fraction(1001, 48000) for k in range(10)]
    assert [t for _, _, t in out] == [0, Fraction(1, 2)] * 4 + [0, 0]


def test_factor_keeps_a_variable_rate() -> None:
    times = [Fraction(t, 90000) for t in (0, 3003, 9009, 10010)]
    frames = [Tick(a, Fraction(7, 90000)) for a in times]
    out = laid(frames, ByFactor(3))
    assert [pts for pts, _, _ in out[3:6]] == [Fraction(t, 90000) for t in (3003, 5005, 7007)]
    assert out[-1][0] + out[-1][1] == times[-1] + Fraction(7, 90000)


def test_rate_emits_every_kth_before_the_end() -> None:
    out = laid(even(24, NTSC), ToRate(Fraction(60)))
    end = 24 / NTSC
    assert [pts for pts, _, _ in out] == [Fraction(k, 60) for k in range(61)]
    assert Fraction(60, 60) < end <= Fraction(61, 60)
    assert out[1][2] == Fraction(1, 60) * NTSC
    assert out[-1][0] + out[-1][1] == end


def test_rate_starts_at_the_first_frame() -> None:
    start = Fraction(1, 7)
    out = laid(even(3, Fraction(25), start), ToRate(Fraction(50)))
    assert [pts for pts, _, _ in out] == [start + Fraction(k, 50) for k in range(6)]


def test_a_lower_rate_skips_source_frames() -> None:
    found = list(intervals(even(6, Fraction(60)), ToRate(Fraction(20))))
    assert [len(i.moments) for i in found] == [1, 0, 0, 1, 0, 0]


def test_one_frame_is_held() -> None:
    assert [t for _, _, t in laid(even(1, Fraction(25)), ByFactor(4))] == [0] * 4
    assert laid([], ByFactor(4)) == []


def test_frames_are_taken_one_ahead_only() -> None:
    taken = []

    def endless() -> object:
        for i in range(10**9):
            taken.append(i)
            yield Tick(Fraction(i), Fraction(1))

    stream = intervals(endless(), ByFactor(2))
    next(stream)
    assert len(taken) == 2


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 5000), min_size=1, max_size=12),
    st.integers(-4000, 4000),
    st.one_of(
        st.integers(1, 9).map(ByFactor),
        st.fractions(min_value=1, max_value=240, max_denominator=1001).map(ToRate),
    ),
)
def test_any_source_is_covered_without_gap_or_overlap(steps: list[int], first: int, retiming: Retiming) -> None:
    tick = Fraction(1, 12800)
    ticks = [first + sum(steps[:i]) for i in range(len(steps))]
    frames = [Tick(a * tick, d * tick) for a, d in zip(ticks, steps, strict=True)]
    out = laid(frames, retiming)
    end = frames[-1].pts + frames[-1].duration
    assert out[0][0] == frames[0].pts
    assert all(a[0] + a[1] == b[0] for a, b in pairwise(out))
    assert out[-1][0] + out[-1][1] == end
    assert all(0 <= t < 1 for _, _, t in out)
    unit = retiming.unit(tick)
    assert all((pts / unit).denominator == 1 and (step / unit).denominator == 1 for pts, step, _ in out)
    if isinstance(retiming, ByFactor):
        assert len(out) == retiming.factor * len(frames)


@pytest.mark.parametrize("make", [lambda: ByFactor(0), lambda: ToRate(Fraction(0)), lambda: ToRate(Fraction(-1))])
def test_nonsense_is_refused(make: object) -> None:
    with pytest.raises(UsageError, match="expected a"):
        make()


def test_common_unit() -> None:
    assert common_unit(Fraction(1001, 60000), Fraction(1, 90000)) == Fraction(1, 180000)
    assert common_unit(Fraction(1, 24), Fraction(0)) == Fraction(1, 24)
