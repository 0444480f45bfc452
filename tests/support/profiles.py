"""A finished profile with figures that are easy to recognise, and sessions that take the time a test wants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tweenrt.runtime import open_session
from tweenrt.runtime.profiling.layers import LayerReport, LayerRow, module_tree
from tweenrt.runtime.profiling.machine import Machine, Memory
from tweenrt.runtime.profiling.power import Energy
from tweenrt.runtime.profiling.profile import Profile, Warmup
from tweenrt.runtime.profiling.sessions import PartTime, Watch
from tweenrt.runtime.profiling.spread import Spread
from tweenrt.runtime.session import Backend
from tweenrt.runtime.timing import LayerTime, RunTime

NASTY = '<script>alert("1")</script> & $x $$ \x01'
"""A name that no report may take literally."""

MACHINE = Machine(
    "a processor", 2, "", ("a GPU",), "", "", None, 0.1, "Linux", "3.11", {"numpy": "2"}, "0.1", "2026-11-22 10:00:00"
)


def rows() -> list[LayerRow]:
    return [
        LayerRow("pair", "a.b/conv", "Conv", "a.b", 6.0, 6.0, 0.6, 3.0, 12.0, 500.0),
        LayerRow("pair", "a.c/relu", "Relu", "a.c", 3.0, 3.0, 0.3, None, None, None),
        LayerRow("pair", f"{NASTY}/cat", "Concat", NASTY, 1.0, 1.0, 0.1, None, None, None),
    ]


def profile() -> Profile:
    """40 ms for each interval at factor 2: 30 in the graph, of which 20 on the GPU; real time is 33.3 ms."""
    samples = (38.0, 40.0, 42.0)
    return Profile(
        graph=f"/graphs/{NASTY}.onnx",
        model=NASTY,
        precision="fp16",
        executed_by="TensorRt",
        frames="",
        size=(720, 1280),
        factor=2,
        rate=60.0,
        threads=None,
        warmup=Warmup((90.0, 41.0), steady=False),
        samples=samples,
        interval=Spread.of(samples),
        cpu=Spread.of((5.0, 6.0, 7.0)),
        parts=(PartTime("pair", 1.0, Spread.of((29.0, 30.0, 31.0)), Spread.of((19.0, 20.0, 21.0)), True, 123_000_000),),
        memory=Memory(100_000_000, 250_000_000, 300_000_000, 400_000_000),
        energy=(
            Energy("Jetson", "the board's input VDD_IN", None, 3.0, 60, 15.0, 45.0, 0.5, {"VDD_IN": 45.0, "SOC": 9.0}),
            Energy("NVML", reason="no <driver>"),
        ),
        reports={"mask_density": [0.25, 0.5]},
        layers=LayerReport(tuple(rows()), module_tree(rows()), 5, {"pair": 10.0}, ("a remark",)),
        machine=MACHINE,
        warnings=("a <warning>",),
    )


class Clock:
    """Seconds that pass only when a session runs."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class SlowSession:
    """A session on ONNX Runtime whose runs last as long as `lasts` says, in ms, one after the other."""

    def __init__(self, session: Any, clock: Clock, lasts: Callable[[str], float]) -> None:
        self.session, self._clock, self._lasts = session, clock, lasts

    def __getattr__(self, name: str) -> Any:
        if name == "layer_times":  # only what a test gives it
            raise AttributeError(name)
        return getattr(self.session, name)

    def run(self, feeds: Mapping[str, Any], **how: Any) -> dict[str, Any]:
        self._clock.now += self._lasts(self.session.info.kind.value) / 1000
        return dict(self.session.run(feeds, **how))


class GpuSession(SlowSession):
    """The same with a GPU that works 60 per cent of the time, and layers that it can time."""

    device_memory = 5_000_000

    def run_timed(self, feeds: Mapping[str, Any]) -> RunTime:
        assert feeds.keys() == self.session.inputs.keys()
        return RunTime(10.0, 6.0)

    def layer_times(self, feeds: Mapping[str, Any], runs: int) -> list[LayerTime]:
        assert feeds.keys() == self.session.inputs.keys()
        return [LayerTime("body.conv/conv2d", "Conv", 4.0), LayerTime("Reformat for body.conv/conv2d", "", 1.0)]


def watch(clock: Clock, lasts: Callable[[str], float], kind: type[SlowSession] = SlowSession) -> Watch:
    """Opens such sessions."""

    def opened(path: Path, backend: Backend, *how: Any) -> SlowSession:
        return kind(open_session(path, Backend.ONNXRUNTIME, *how), clock, lasts)

    return Watch(clock, opened)
