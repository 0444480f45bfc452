"""The measurement with clocks that the test moves, and on ONNX Runtime for real."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from support import graphs, profiles
from support.layered import NAMES, layered
from support.profiles import Clock, GpuSession, SlowSession

from tweenrt.errors import UsageError
from tweenrt.runtime.profiling.power import Energy, PowerSource, Unit
from tweenrt.runtime.profiling.profile import Profile, ProfileOptions, facts, profile
from tweenrt.runtime.profiling.spread import Spread
from tweenrt.runtime.session import Backend

SIZE = (35, 50)


@pytest.fixture
def halves(tmp_path: Path) -> Path:
    return graphs.blend_halves(tmp_path / "halves")


def no_power() -> tuple[list[PowerSource], list[Energy]]:
    return [], [Energy("NVML", reason="no driver")]


def measured(graph: Path, lasts: Callable[[str], float], kind: type[SlowSession] = SlowSession, **how: Any) -> Profile:
    options = ProfileOptions(graph, SIZE, threads=1, **{"layers": False, "seconds": 0.0, **how})
    clock = Clock()
    return profile(options, watch=profiles.watch(clock, lasts, kind), power=no_power)


def test_a_split_network_encodes_once_and_draws_every_moment(halves: Path) -> None:
    found = measured(
        halves, {"encoder": 4.0, "synthesis": 10.0}.__getitem__, factor=4, runs=5, warmup=2, rate=Fraction(80)
    )
    encoder, synthesis = found.parts
    assert (encoder.part, encoder.runs_per_interval, encoder.host.count) == ("encoder", 1.0, 5)
    assert (synthesis.part, synthesis.runs_per_interval, synthesis.host.count) == ("synthesis", 3.0, 15)
    assert synthesis.host.p99 == pytest.approx(10.0)
    assert synthesis.device is None
    assert found.samples == pytest.approx([34.0] * 5)
    assert found.warmup.milliseconds == pytest.approx([38.0, 34.0])  # two frames encoded for the first interval
    assert found.warmup.steady is None
    assert found.around_ms == pytest.approx(0.0, abs=1e-9)
    assert found.ms_per_drawn_frame == pytest.approx(34 / 3)
    assert found.drawn_frames_per_second == pytest.approx(3000 / 34)
    assert found.budget_ms == pytest.approx(50.0)  # 20 source frames a second
    assert found.real_time == pytest.approx(50 / 34)
    assert found.late == 0
    assert (found.model, found.size, found.executed_by) == ("blend", SIZE, "Slow")


def test_percentiles_and_late_intervals(tmp_path: Path) -> None:
    taken = iter([100.0, *range(1, 101)])
    found = measured(
        graphs.blend(tmp_path / "g.onnx"), lambda _: next(taken), runs=100, warmup=1, rate=Fraction(4000, 101)
    )
    assert (found.interval.p50, found.interval.p90, found.interval.p99) == pytest.approx((50, 90, 99))
    assert found.interval == Spread.of(found.samples)
    assert found.budget_ms == pytest.approx(50.5)
    assert found.late == 50
    assert not [w for w in found.warnings if "99th" in w]


def test_time_outside_of_the_graphs_is_its_own_row(tmp_path: Path) -> None:
    clock = Clock()
    watched = profiles.watch(clock, lambda _: 10.0)
    plain, ticks = watched.clock, iter(range(10**6))
    watched.clock = lambda: plain() + next(ticks) * 1e-3  # each look at the clock takes a millisecond
    options = ProfileOptions(
        graphs.blend(tmp_path / "g.onnx"), SIZE, threads=1, runs=4, seconds=0, warmup=1, layers=False
    )
    found = profile(options, watch=watched, power=no_power)
    assert found.parts[0].host.mean == pytest.approx(11.0)
    assert found.interval.mean == pytest.approx(13.0)
    assert found.around_ms == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("times", "steady"),
    [
        ([9, 5, 5, 5, 5, 5], True),  # medians 5 and 5, of three each
        ([20, 10, 8, 6, 6, 6, 6, 6], True),  # medians 10 and 6, 8 and 6, 6 and 6
        ([104, 104, 104, 100, 100, 100], True),
        ([106, 106, 106, 100, 100, 100, 100, 100], True),  # 6 per cent is too much, until 106 is the odd one
        ([9000, 2000], False),  # more than ten seconds
        ([1.1**k for k in range(30)], False),
    ],
)
def test_it_warms_up_until_the_times_hold_still(tmp_path: Path, times: list[float], steady: bool) -> None:
    taken: Iterator[float] = iter([*times, 5])
    found = measured(graphs.blend(tmp_path / "g.onnx"), lambda _: next(taken), runs=1)
    assert found.warmup.milliseconds == pytest.approx(times)
    assert found.warmup.steady is steady
    assert any("did not hold still" in warning for warning in found.warnings) is not steady


def test_it_measures_as_many_and_as_long_as_asked(tmp_path: Path) -> None:
    graph = graphs.blend(tmp_path / "g.onnx")
    assert len(measured(graph, lambda _: 10.0, runs=7, seconds=0.0, warmup=0).samples) == 7
    assert len(measured(graph, lambda _: 10.0, runs=7, seconds=0.195, warmup=0).samples) == 20
    assert any("of 7 intervals the 99th percentile" in w for w in measured(graph, lambda _: 1.0, runs=7).warnings)


def test_a_gpu_is_measured_alone(halves: Path) -> None:
    found = measured(halves, lambda _: 12.0, GpuSession, runs=3, warmup=1, factor=3, layers=True)
    encoder, synthesis = found.parts
    assert encoder.alone
    assert synthesis.host == Spread.of([10.0] * 6)
    assert synthesis.device == Spread.of([6.0] * 6)
    assert synthesis.device_bytes == 5_000_000
    assert found.interval.mean == pytest.approx(36.0)
    assert found.around_ms == pytest.approx(36 - 6 - 2 * 6)


def test_energy_is_for_each_drawn_frame(tmp_path: Path) -> None:
    values = itertools.chain([0.0], itertools.repeat(60.0))  # as often as the sampler asks
    source = PowerSource("fake", "all", Unit.JOULES, ("a",), lambda: {"a": next(values)})
    options = ProfileOptions(
        graphs.blend(tmp_path / "g.onnx"), SIZE, factor=4, runs=5, seconds=0, warmup=0, layers=False
    )
    found = profile(options, power=lambda: ([source], [Energy("NVML", reason="no driver")]))
    assert [(one.source, one.joules, one.joules_per_frame) for one in found.energy] == [
        ("fake", 60.0, 4.0),
        ("NVML", None, None),
    ]


def test_progress_is_told(tmp_path: Path) -> None:
    said: list[tuple[str, int, int]] = []
    options = ProfileOptions(graphs.blend(tmp_path / "g.onnx"), SIZE, runs=3, seconds=0, warmup=2)
    profile(
        options, lambda *event: said.append(event) is None, watch=profiles.watch(Clock(), lambda _: 1.0), power=no_power
    )
    assert said == [
        ("loading", 0, 1),
        ("warming up", 0, 2),
        ("warming up", 1, 2),
        *[("measuring", k, 3) for k in range(3)],
        ("timing the layers of pair", 0, 1),
    ]


def test_for_real_on_onnx_runtime(tmp_path: Path) -> None:
    options = ProfileOptions(
        layered(tmp_path / "layered.onnx"), (64, 96), backend=Backend.ONNXRUNTIME, threads=1, runs=3, seconds=0
    )
    found = profile(options)
    (part,) = found.parts
    assert 0 < part.host.mean < found.interval.mean
    assert found.around_ms > 0
    assert found.executed_by == "OnnxRuntime"
    assert found.cpu.count == 3
    assert found.memory.peak >= found.memory.after_load >= found.memory.before_load > 0
    layers = found.layers
    assert layers is not None
    assert {row.name for row in layers.rows} >= {NAMES[0], NAMES[2], NAMES[4]}
    conv = next(row for row in layers.rows if row.name == NAMES[0])
    assert conv.gmacs == pytest.approx(64 * 96 * 27 * 16 / 1e9)
    assert conv.gmacs_per_second == pytest.approx(conv.gmacs / conv.ms * 1000)
    assert sum(row.share for row in layers.rows) == pytest.approx(1)
    assert layers.ms_per_run["pair"] == pytest.approx(sum(row.ms for row in layers.rows))
    assert {module.name for module in layers.modules} >= {"coarse", "fine", "blend"}


def test_facts_are_json_and_hold_what_the_profile_does() -> None:
    found = profiles.profile()
    told = json.loads(json.dumps(facts(found), allow_nan=False))
    assert told["schema"] == 1
    assert told["samples"] == list(found.samples)
    assert told["interval"]["p90"] == found.interval.p90
    assert told["energy"][1] == {**told["energy"][1], "joules_per_frame": None, "reason": "no <driver>"}
    assert (told["around_ms"], told["real_time"], told["late"]) == (20.0, pytest.approx(1000 / 30 / 40), 3)
    assert told["memory"]["peak"] == 400_000_000
    assert told["layers"]["modules"][0]["children"][0]["name"] == "b"


def test_a_size_has_to_come_from_somewhere(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected a size of the frames"):
        profile(ProfileOptions(graphs.blend(tmp_path / "g.onnx")))


def test_settings_reports_and_bytes(tmp_path: Path) -> None:
    found = measured(graphs.blend(tmp_path / "g.onnx"), lambda _: 1.0, runs=2, warmup=1)
    assert len(found.reports["brightness"]) == 3
    assert measured(graphs.blend_bytes(tmp_path / "b.onnx"), lambda _: 1.0, runs=2, warmup=1).late == 0
