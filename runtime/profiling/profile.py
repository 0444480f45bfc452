"""How long a network takes for frames in and frames out, where the time goes, and what it costs in memory and energy.

One *interval* is what a clip asks for again and again: the next source frame is prepared (and encoded, where the
network has an encoder), and the frames between it and the one before are drawn. Decoding and encoding of video are not
in it.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from tweenrt.errors import UsageError
from tweenrt.runtime.cuda import Lane
from tweenrt.runtime.engines.build_progress import Progress
from tweenrt.runtime.frames import Frame
from tweenrt.runtime.interpolator import Interpolator
from tweenrt.runtime.profiling.clip import Window, read_frames, smooth_frames, there_and_back
from tweenrt.runtime.profiling.layers import LayerReport, Subject, layer_report
from tweenrt.runtime.profiling.machine import Machine, Memory, resident_bytes, throttle_count
from tweenrt.runtime.profiling.power import Energy, PowerMeter, PowerSource
from tweenrt.runtime.profiling.power_sources import find_sources
from tweenrt.runtime.profiling.sessions import PartTime, Watch
from tweenrt.runtime.profiling.spread import Spread
from tweenrt.runtime.ready import ReadyFrames
from tweenrt.runtime.session import Backend

SCHEMA = 1
"""Version of what `facts` gives."""

_STEADY = 0.05  # two medians that differ by less count as equal
_GROUP = 3  # intervals that a median is taken of
_MOST_WARMUP = 30
_WARMUP_SECONDS = 10.0
_LAYER_RUNS = 5
_FEW = 100  # the 99th percentile of fewer is the largest

PowerFinder = Callable[[], tuple[list[PowerSource], list[Energy]]]
"""Gives the sources of power, and for those that are absent the reason."""


def _silent(phase: str, done: int, total: int) -> bool:
    del phase, done, total
    return True


@dataclass(frozen=True)
class ProfileOptions:
    """What to measure.

    Attributes:
        graph: an ONNX file, an engine, or the folder of a split network.
        size: H and W of the frames in pixels; None for that of `frames`.
        frames: a video or a folder of images to take frames from; None for a smooth random scene.
        factor: frames made of each frame: `factor` - 1 are drawn for each interval.
        rate: output frames a second that real time means.
        backend: what executes the graph.
        device: number of the GPU.
        threads: CPU threads for one run; None leaves the choice to the backend.
        warmup: intervals that do not count, before the others; None goes on until the times hold still.
        runs: intervals to measure at least.
        seconds: how long to measure at least.
        layers: whether to time layers too.
    """

    graph: Path
    size: tuple[int, int] | None = None
    frames: Path | None = None
    factor: int = 2
    rate: Fraction = Fraction(60)
    backend: Backend = Backend.AUTO
    device: int = 0
    threads: int | None = None
    warmup: int | None = None
    runs: int = 20
    seconds: float = 5.0
    layers: bool = True


@dataclass(frozen=True)
class Warmup:
    """The intervals before the measurement.

    Attributes:
        milliseconds: of each.
        steady: whether the times held still at the end; None where a fixed number was asked for.
    """

    milliseconds: tuple[float, ...]
    steady: bool | None


@dataclass(frozen=True)
class Profile:
    """What was measured. Times in milliseconds.

    Attributes:
        graph: the file or folder.
        model: the network.
        precision: of the graph.
        executed_by: the session that ran it.
        frames: where the frames are from; empty for the random scene.
        size: H and W of the frames.
        factor: frames made of each frame.
        rate: output frames a second that real time means.
        threads: CPU threads that were asked for.
        warmup: before the measurement.
        samples: every interval on the clock.
        interval: the same as percentiles.
        cpu: processor time of an interval, all threads together.
        parts: what the graphs take of it.
        memory: of this process.
        energy: of each source of power; of those that are not there, the reason.
        reports: what the graph says about its own work, such as ``mask_density``.
        layers: layer by layer; None where that was not asked for.
        machine: where it was measured.
        warnings: what makes the figures doubtful, in sentences.
    """

    graph: str
    model: str
    precision: str
    executed_by: str
    frames: str
    size: tuple[int, int]
    factor: int
    rate: float
    threads: int | None
    warmup: Warmup
    samples: tuple[float, ...]
    interval: Spread
    cpu: Spread
    parts: tuple[PartTime, ...]
    memory: Memory
    energy: tuple[Energy, ...]
    reports: dict[str, list[float]]
    layers: LayerReport | None
    machine: Machine
    warnings: tuple[str, ...]

    @property
    def drawn_per_interval(self) -> int:
        """New frames in an interval."""
        return self.factor - 1

    @property
    def ms_per_drawn_frame(self) -> float:
        """Mean time for one new frame, the encoder's share included."""
        return self.interval.mean / self.drawn_per_interval

    @property
    def drawn_frames_per_second(self) -> float:
        """New frames a second, one interval after the other."""
        return 1000 / self.ms_per_drawn_frame

    @property
    def around_ms(self) -> float:
        """Mean time of an interval outside of the graphs: padding, conversion, copies, cropping."""
        return self.interval.mean - sum(part.mean * part.runs_per_interval for part in self.parts)

    @property
    def budget_ms(self) -> float:
        """What an interval may take in real time."""
        return 1000 * self.factor / self.rate

    @property
    def real_time(self) -> float:
        """How many times as fast as real time; 1 just keeps up."""
        return self.budget_ms / self.interval.mean

    @property
    def late(self) -> int:
        """Intervals that took longer than real time allows."""
        return sum(sample > self.budget_ms for sample in self.samples)


def profile(
    options: ProfileOptions,
    progress: Progress = _silent,
    *,
    watch: Watch | None = None,
    power: PowerFinder = find_sources,
) -> Profile:
    """Measure.

    Args:
        options: what.
        progress: told what is being done, how much of it is done, and how much there will be as far as is known; it
            can end the building of an engine.
        watch: opens the sessions; its clock is the one that counts.
        power: finds the sources of power, and says which are absent and why.

    Raises:
        UsageError: the frames are too small, or the graph does not take their size.
        GraphError: the graph is missing, damaged or not ours.
        BackendError: the backend cannot run it.
    """
    machine = Machine.here()
    watch = watch or Watch()
    frames = _frames(options)
    before, _ = resident_bytes()
    progress("loading", 0, 1)
    said: list[str] = []
    lane = Lane(options.device, progress, said.append)
    with Interpolator.open(
        options.graph, options.backend, threads=options.threads, lane=lane, opener=watch.open
    ) as network:
        loaded, _ = resident_bytes()
        walk = _Walk(network, frames, options.factor, watch)
        warmup = _warm_up(walk, options.warmup, progress)
        watch.forget()
        taken = _measure(walk, options, power, progress)
        memory = Memory(before, loaded, *resident_bytes())
        parts = watch.timed(len(taken.wall))
        return Profile(
            graph=str(options.graph),
            model=network.info.model,
            precision=network.info.precision,
            executed_by=watch.titles,
            frames=str(options.frames or ""),
            size=walk.size,
            factor=options.factor,
            rate=float(options.rate),
            threads=options.threads,
            warmup=warmup,
            samples=tuple(taken.wall),
            interval=Spread.of(taken.wall),
            cpu=Spread.of(taken.cpu),
            parts=parts,
            memory=memory,
            energy=taken.energy,
            reports=network.reports(),
            layers=_layers(options, walk.size, watch, parts, progress),
            machine=machine,
            warnings=(*said, *_warnings(machine, warmup, len(taken.wall))),
        )


def facts(found: Profile) -> dict[str, Any]:
    """Everything as JSON takes it; docs/profile.md describes it."""
    derived = ("ms_per_drawn_frame", "drawn_frames_per_second", "around_ms", "budget_ms", "real_time", "late")
    return {"schema": SCHEMA, **asdict(found), **{name: getattr(found, name) for name in derived}}


class _Taken(NamedTuple):
    """Milliseconds of every interval, on the clock and of the processor, and the energy of all together."""

    wall: list[float]
    cpu: list[float]
    energy: tuple[Energy, ...]


class _Walk:
    """Draws one interval after the other."""

    def __init__(self, network: Interpolator, frames: Sequence[Frame], factor: int, watch: Watch) -> None:
        self.size = (int(frames[0].shape[0]), int(frames[0].shape[1]))
        self._ready = ReadyFrames(network)
        self._windows: Iterator[Window] = there_and_back(frames)
        self._times = [Fraction(k, factor) for k in range(1, factor)]
        self._clock = watch.clock

    def step(self) -> tuple[float, float]:
        """(milliseconds on the clock, milliseconds of processor time) of the next interval."""
        before, first, second, after = next(self._windows)
        cpu, wall = time.process_time(), self._clock()
        self._ready.draw(first, second, self._times, before, after)
        return (self._clock() - wall) * 1000, (time.process_time() - cpu) * 1000


def _frames(options: ProfileOptions) -> list[Frame]:
    if options.frames is not None:
        return read_frames(options.frames, options.size)
    if options.size is None:
        raise UsageError("expected a size of the frames; give --size HEIGHTxWIDTH, or --frames with a clip")
    return smooth_frames(*options.size)


def _warm_up(walk: _Walk, count: int | None, progress: Progress) -> Warmup:
    """Draw until the times hold still.

    They do when the median of the last three intervals and that of the three before differ by less than 5 per cent. It
    ends after 30 intervals or 10 seconds in any case, but not before the second interval.
    """
    taken: list[float] = []
    most = _MOST_WARMUP if count is None else count
    steady = False
    while len(taken) < most and not steady:
        progress("warming up", len(taken), most)
        taken.append(walk.step()[0])
        if count is None:
            steady = _holds_still(taken)
            if len(taken) > 1 and sum(taken) > _WARMUP_SECONDS * 1000:
                break
    return Warmup(tuple(taken), steady if count is None else None)


def _holds_still(taken: Sequence[float]) -> bool:
    if len(taken) < 2 * _GROUP:
        return False
    now = statistics.median(taken[-_GROUP:])
    earlier = statistics.median(taken[-2 * _GROUP : -_GROUP])
    return abs(now - earlier) < _STEADY * earlier


def _measure(
    walk: _Walk,
    options: ProfileOptions,
    power: PowerFinder,
    progress: Progress,
) -> _Taken:
    """Draw until there are enough intervals and enough time has passed."""
    wall: list[float] = []
    cpu: list[float] = []
    sources, absent = power()
    with PowerMeter(sources) as meter:
        while len(wall) < options.runs or sum(wall) < options.seconds * 1000:
            expected = math.ceil(options.seconds * 1000 * len(wall) / sum(wall)) if wall else 0
            progress("measuring", len(wall), max(options.runs, expected))
            one, other = walk.step()
            wall.append(one)
            cpu.append(other)
    return _Taken(wall, cpu, (*meter.energies(len(wall) * (options.factor - 1)), *absent))


def _layers(
    options: ProfileOptions,
    size: tuple[int, int],
    watch: Watch,
    parts: Sequence[PartTime],
    progress: Progress,
) -> LayerReport | None:
    if not options.layers:
        return None
    often = {part.part: part.runs_per_interval for part in parts}
    subjects = [Subject(s.part, s.session, s.feeds, often[s.part]) for s in watch.sessions if s.part in often]
    return layer_report(options.graph, size, subjects, min(_LAYER_RUNS, options.runs), progress)


def _warnings(machine: Machine, warmup: Warmup, count: int) -> tuple[str, ...]:
    found = machine.warnings(throttle_count())
    if warmup.steady is False:
        found.append("the times did not hold still before the measurement began; give --warmup a larger number")
    if count < _FEW:
        found.append(f"of {count} intervals the 99th percentile is the largest; give --runs 100 for more")
    return tuple(found)


__all__ = ["SCHEMA", "Profile", "ProfileOptions", "Warmup", "facts", "profile"]
