"""Live sources on a clock of our own: what each policy does, what is measured, how little is held, how it stops."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import graphs
from support.fake_clock import FakeClock
from support.slow import SlowDrawer, flat

from tweenrt.errors import UsageError
from tweenrt.runtime import Backend, ByFactor, Interpolator, Origin, SceneJudge, TimedFrame, ToRate
from tweenrt.runtime.channel import ChannelClosed
from tweenrt.runtime.live import Deadline, Live

Array = np.ndarray[Any, Any]
ROOT = Path(__file__).parents[2]
FPS = 30
DELAY = 0.11  # no whole number of frames, so that nothing happens at the same time by chance


class Run:
    """A source of 30 frames a second, a network and a consumer, each as slow as it is said to be."""

    def __init__(self, count: int, draw: Sequence[float], consume: float = 0.0, **options: Any) -> None:
        self.clock = FakeClock()
        self.drawer = SlowDrawer(self.clock, *draw)
        self.live = Live(self.drawer, clock=self.clock, delay=DELAY, **options)
        self.made, self.gone, self.most = 0, [0], 0
        self._consume = consume
        for k in range(count):
            self.clock.plan(k / FPS, lambda k=k: self._push(k))  # type: ignore[misc]
        self.clock.plan(count / FPS, self.live.finish)
        self.shown: list[tuple[float, TimedFrame]] = []

    def play(self, *, keep: bool = True) -> Run:
        for frame in self.live:
            if keep:
                self.shown.append((self.clock.now(), frame))
            self.clock.spend(self._consume)
        self.report = self.live.report()
        return self

    def of(self, origin: Origin) -> list[tuple[float, TimedFrame]]:
        return [(at, frame) for at, frame in self.shown if frame.origin is origin]

    def _push(self, number: int) -> None:
        frame = flat(number)
        weakref.finalize(frame, lambda: self.gone.__setitem__(0, self.gone[0] + 1))
        self.made += 1
        with suppress(ChannelClosed):
            self.live.push(frame)
        self.most = max(self.most, self.made - self.gone[0])


def late(shown: list[tuple[float, TimedFrame]]) -> float:
    """How late the latest was handed over, in seconds; the clock of a run starts with its first frame."""
    return max(at - (float(frame.pts) + DELAY) for at, frame in shown)


@pytest.mark.parametrize("policy", Deadline)
def test_where_there_is_time_every_frame_is_drawn_and_on_time(policy: Deadline) -> None:
    run = Run(300, [0.01], policy=policy).play()
    assert [len(run.of(origin)) for origin in Origin] == [301, 299, 0]
    assert [float(f.pts) for _, f in run.shown] == pytest.approx([k / 60 for k in range(600)], abs=2e-6)
    assert late(run.shown) == pytest.approx(0, abs=1e-5)
    latency = run.report.latency
    assert latency
    assert (latency.minimum, latency.p50, latency.p99, latency.maximum) == pytest.approx((110,) * 4, abs=0.01)
    assert (run.report.received, run.report.dropped, run.report.skipped) == (300, 0, 0)


def test_a_drawn_frame_shows_its_moment() -> None:
    run = Run(3, [0.0], retiming=ByFactor(4)).play()
    assert [f.frame[0, 0, 0] for _, f in run.of(Origin.DRAWN)] == [0, 0, 0, 1, 1, 1]
    assert [f.duration for _, f in run.shown][:4] == [run.shown[1][1].pts] * 4


def test_frames_are_drawn_while_others_are_shown() -> None:
    """30 ms each, of the 33 that there are: half an interval alone would not do."""
    run = Run(300, [0.03], consume=0.012, policy=Deadline.SKIP).play()
    assert run.report.skipped == 0
    assert late(run.shown) <= 1e-5


@pytest.mark.parametrize("policy", [Deadline.SKIP, Deadline.REPEAT])
def test_what_is_late_is_left_out_or_replaced(policy: Deadline) -> None:
    run = Run(600, [0.06], policy=policy).play()
    drawn, repeated = run.of(Origin.DRAWN), run.of(Origin.REPEATED)
    assert len(drawn) > 200, "every other one could be drawn"
    assert late(drawn) <= 1e-5
    assert late(run.of(Origin.SOURCE)) <= 1e-5
    assert late(run.shown) < 0.06, "a drawing that was begun is not broken off"
    assert len(run.of(Origin.SOURCE)) == 601, "every source frame is shown"
    assert run.report.dropped == 0
    missing = 599 - len(drawn)
    assert (len(repeated), run.report.skipped) == ((missing, 0) if policy is Deadline.REPEAT else (0, missing))
    assert run.report.repeated == len(repeated)
    pts = [f.pts for _, f in run.shown]
    assert pts == sorted(set(pts))
    for (_, source), (_, stand_in) in itertools.pairwise(run.shown):
        assert stand_in.origin is not Origin.REPEATED or stand_in.frame is source.frame


def test_waiting_draws_everything_however_late() -> None:
    run = Run(100, [0.06], policy=Deadline.WAIT, capacity=100).play()
    assert len(run.of(Origin.DRAWN)) == 99
    assert run.report.latency
    assert run.report.latency.maximum > 1000


@pytest.mark.parametrize("policy", [Deadline.SKIP, Deadline.REPEAT])
def test_a_slow_consumer_sees_fewer_frames_but_no_old_ones(policy: Deadline) -> None:
    run = Run(900, [0.005], consume=0.1, policy=policy, capacity=100).play()
    assert run.report.latency
    assert run.report.latency.maximum < 150
    assert run.report.received == 900
    assert len(run.shown) == 301
    report = run.report
    assert len(run.shown) + report.skipped == 1800


def test_a_full_inbox_lets_the_oldest_go() -> None:
    run = Run(60, [0.0], consume=0.2, policy=Deadline.SKIP, capacity=2).play()
    assert run.report.dropped > 10
    assert run.report.latency
    assert run.report.latency.maximum < 400
    assert run.most <= 2 + 8 + 7


@pytest.mark.parametrize("policy", [Deadline.SKIP, Deadline.REPEAT])
def test_memory_does_not_grow(policy: Deadline) -> None:
    run = Run(10_000, [0.02], consume=0.03, policy=policy).play(keep=False)
    assert run.report.received == 10_000
    assert run.most <= 16 + 8 + 7
    assert run.report.latency
    assert run.report.latency.count == 4096


def test_one_slow_drawing_is_forgotten() -> None:
    run = Run(300, [5.0, 0.001], policy=Deadline.SKIP).play()
    assert run.drawer.calls > 100
    assert run.shown[-3][1].origin is Origin.DRAWN


def test_pairs_are_drawn_in_one_call_and_the_first_are_left_out() -> None:
    run = Run(40, [0.02], policy=Deadline.SKIP, retiming=ByFactor(4)).play()
    kinds = "".join("S" if f.origin is Origin.SOURCE else "d" for _, f in run.shown)
    assert run.report.skipped > 0
    assert run.drawer.calls < run.report.drawn
    assert late(run.of(Origin.DRAWN)) <= 1e-5
    assert "Sd" in kinds


def test_a_rate_of_its_own_is_even_where_the_source_is_not() -> None:
    clock = FakeClock()
    live = Live(SlowDrawer(clock, 0.001), ToRate(Fraction(50)), clock=clock)
    for k, jitter in enumerate((0, 4, -3, 6, -2)):
        clock.plan(k / FPS + jitter / 1000, lambda k=k: live.push(flat(k)))  # type: ignore[misc]
    clock.plan(1, live.finish)
    times = [frame.pts for frame in live]
    assert {b - a for a, b in itertools.pairwise(times)} == {Fraction(1, 50)}


def test_the_source_s_own_times_are_kept() -> None:
    clock = FakeClock()
    live = Live(SlowDrawer(clock, 0.001), clock=clock)
    for k in range(3):
        clock.plan(k / FPS, lambda k=k: live.push(flat(k), Fraction(7) + Fraction(k * 1001, 30000)))  # type: ignore[misc]
    clock.plan(3 / FPS, live.finish)
    assert [(f.pts - 7) / Fraction(1001, 60000) for f in live] == [0, 1, 2, 3, 4, 5]


def test_cuts_are_not_drawn_across() -> None:
    clock = FakeClock()
    live = Live(SlowDrawer(clock, 0.001), judge=SceneJudge(), clock=clock)
    rng = np.random.default_rng(0)
    dark, light = (rng.integers(low, low + 30, (64, 64, 3)).astype(np.uint8) for low in (10, 220))
    for k, frame in enumerate((dark, (dark + 20).astype(np.uint8), light)):
        clock.plan(k / FPS, lambda frame=frame: live.push(frame))  # type: ignore[misc]
    clock.plan(3 / FPS, live.finish)
    assert [f.origin for f in live].count(Origin.DRAWN) == 1


@pytest.fixture
def blend(tmp_path: Path) -> Iterator[Interpolator]:
    with Interpolator.open(graphs.blend(tmp_path / "blend.onnx", divisor=4), Backend.ONNXRUNTIME) as interpolator:
        yield interpolator


def feed(live: Live[Any], count: int, refused: list[BaseException]) -> threading.Thread:
    """A thread that pushes frames as fast as they are taken."""

    def push() -> None:
        try:
            for k in range(count):
                live.push(flat(k), Fraction(k, FPS))
            live.finish()
        except ChannelClosed as error:
            refused.append(error)

    thread = threading.Thread(target=push)
    thread.start()
    return thread


def test_a_source_that_can_wait_loses_nothing(blend: Interpolator) -> None:
    refused: list[BaseException] = []
    with Live(blend, policy=Deadline.WAIT, paced=False, capacity=2) as live:
        thread = feed(live, 200, refused)
        levels = []
        for frame in live:
            assert len(live._inbox._items) <= 2
            levels.append(int(frame.frame[0, 0, 0]))
    thread.join()
    assert levels[::2] == list(range(200))
    assert not refused
    assert live.report().latency


def test_leaving_the_loop_stops_the_source(blend: Interpolator) -> None:
    refused: list[BaseException] = []
    live = Live(blend, policy=Deadline.WAIT, paced=False, capacity=2)
    thread = feed(live, 10_000, refused)
    for number, _ in enumerate(live):
        if number == 20:
            break
    thread.join()
    assert len(refused) == 1
    assert list(live) == []
    with pytest.raises(ChannelClosed):
        live.push(flat(0))


def test_when_the_loop_is_left_nothing_is_drawn_any_more() -> None:
    run = Run(10, [0.5], policy=Deadline.WAIT)
    for _ in run.live:
        assert run.drawer.busy
        break
    assert not run.drawer.busy
    assert run.clock.now() > 0.5


def test_a_program_ends_although_nobody_stopped_the_run(tmp_path: Path) -> None:
    graph = graphs.blend(tmp_path / "blend.onnx")
    program = f"""
import numpy as np
from tweenrt.runtime import Backend, Interpolator
from tweenrt.runtime.live import Live
live = Live(Interpolator.open({str(graph)!r}, Backend.ONNXRUNTIME), delay=60, paced=False)
for k in range(3):
    live.push(np.zeros((8, 8, 3), np.uint8))
frames = iter(live)
next(frames)
print("done")
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert (done.stdout, done.stderr) == ("done\n", "")


@pytest.mark.parametrize("waiting", ["for a frame", "for the time", "for room"])
def test_closing_wakes_whoever_waits(waiting: str, blend: Interpolator) -> None:
    policy = Deadline.WAIT if waiting == "for room" else Deadline.SKIP
    live = Live(blend, policy=policy, delay=3600, capacity=2)
    refused: list[BaseException] = []
    shown: list[TimedFrame] = []
    if waiting == "for room":
        thread = feed(live, 10, refused)
    else:
        if waiting == "for the time":
            for k in range(3):
                live.push(flat(k), Fraction(k))
        thread = threading.Thread(target=lambda: shown.extend(live))
        thread.start()
    thread.join(0.05)
    assert thread.is_alive()
    live.close()
    thread.join()
    assert len(refused) == (waiting == "for room")
    assert not shown


def test_what_the_source_fails_with_reaches_the_consumer(blend: Interpolator) -> None:
    live = Live(blend, paced=False)
    for k in range(3):
        live.push(flat(k), Fraction(k))
    live.finish(OSError("the camera was unplugged"))
    seen: list[Fraction] = []
    with pytest.raises(OSError, match="unplugged"):
        seen.extend(frame.pts for frame in live)
    with pytest.raises(ChannelClosed):
        live.push(flat(3), Fraction(3))


def test_wrong_use_is_refused(blend: Interpolator) -> None:
    with pytest.raises(UsageError, match="a delay of 0 s or more"):
        Live(blend, delay=-1)
    with pytest.raises(UsageError, match="a capacity of 1 or more"):
        Live(blend, capacity=0)
    live = Live(blend)
    live.push(flat(0), Fraction(1))
    with pytest.raises(UsageError, match="order of time"):
        live.push(flat(1), Fraction(1))
    with pytest.raises(UsageError, match="got list"):
        live.push([1], Fraction(2))  # type: ignore[arg-type]
    coarse = Live(blend, clock=FakeClock())
    for k in range(3):
        coarse.push(flat(k))  # three frames at one tick of the clock
