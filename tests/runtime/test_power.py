"""From readings to energy: exact integrals, counters that turn over, sources that fail."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tweenrt.runtime.profiling.power import PowerMeter, PowerSource, Reading, Unavailable, Unit, joules_by_rail


def source(unit: Unit, *values: dict[str, float], total: tuple[str, ...] = ("a",), wraps: float = 0.0) -> PowerSource:
    """Gives `values` one after the other."""
    given: Iterator[dict[str, float]] = iter(values)
    return PowerSource("fake", "nothing", unit, total, lambda: next(given), {"a": wraps})


def readings(*pairs: tuple[float, float]) -> list[Reading]:
    return [Reading(seconds, {"a": value}) for seconds, value in pairs]


def test_power_is_integrated_by_trapezoids() -> None:
    ramp = readings((10.0, 2.0), (11.0, 4.0), (13.0, 4.0), (13.5, 0.0))
    assert joules_by_rail(ramp, source(Unit.WATTS)) == {"a": 3.0 + 8.0 + 1.0}


def test_counters_give_differences_also_where_they_turn_over() -> None:
    counted = readings((0.0, 90.0), (1.0, 97.0), (2.0, 4.0), (3.0, 9.0))
    assert joules_by_rail(counted, source(Unit.JOULES, wraps=100.0)) == {"a": 7.0 + 7.0 + 5.0}


def measured(*sources: PowerSource, clock: list[float], looks: int = 0) -> PowerMeter:
    """A meter whose thread never gets to read; `looks` more readings are made by hand."""
    ticks = iter(clock)
    with PowerMeter(sources, clock=lambda: next(ticks), pause=60) as meter:
        for _ in range(looks):
            meter.read()
    return meter


def test_energy_for_each_frame_is_of_the_rails_that_add_up() -> None:
    values = [{"a": 4.0, "part of a": 1.0}, {"a": 6.0, "part of a": 1.0}, {"a": 6.0, "part of a": 3.0}]
    meter = measured(source(Unit.WATTS, *values), clock=[100.0, 102.0, 103.0], looks=1)
    (found,) = meter.energies(frames=8)
    assert found.reason is None
    assert found.rails == {"a": 10.0 + 6.0, "part of a": 2.0 + 2.0}
    assert (found.joules, found.seconds, found.samples) == (16.0, 3.0, 3)
    assert found.watts == pytest.approx(16 / 3)
    assert found.joules_per_frame == 2.0
    assert (found.source, found.covers) == ("fake", "nothing")


def test_a_source_that_fails_meanwhile_says_so_and_leaves_the_others_alone() -> None:
    def fail() -> dict[str, float]:
        raise Unavailable("the sensor went away")

    broken = PowerSource("broken", "nothing", Unit.WATTS, ("a",), fail)
    meter = measured(broken, source(Unit.JOULES, {"a": 1.0}, {"a": 5.0}), clock=[0.0, 0.0, 2.0, 2.0])
    first, second = meter.energies(frames=2)
    assert (first.reason, first.joules, first.joules_per_frame) == ("the sensor went away", None, None)
    assert (second.reason, second.joules, second.watts) == (None, 4.0, 2.0)


def test_it_samples_meanwhile_and_ends_with_the_block() -> None:
    enough = threading.Event()
    count = 0

    def read() -> dict[str, float]:
        nonlocal count
        count += 1
        if count >= 5:
            enough.set()
        return {"a": 1.0}

    with PowerMeter([PowerSource("fake", "", Unit.WATTS, ("a",), read)], pause=0.001) as meter:
        assert enough.wait(30)
    (found,) = meter.energies(frames=1)
    assert found.samples == count >= 6
    assert not [thread for thread in threading.enumerate() if thread.name == "power"]


def test_an_error_in_the_block_ends_the_thread_too() -> None:
    def interrupted() -> None:
        with PowerMeter([source(Unit.WATTS, *[{"a": 1.0}] * 2)], pause=60):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not [thread for thread in threading.enumerate() if thread.name == "power"]


def test_no_source_at_all() -> None:
    with PowerMeter([]) as meter:
        pass
    assert meter.energies(frames=1) == []
