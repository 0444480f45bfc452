"""Every option of a build reaches TensorRT's builder, seen on the configuration of a real one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from support import fake_tensorrt
from support.engines import write_graph

from tweenrt.runtime.engines import builder, engine_cache
from tweenrt.runtime.engines.builder import BuildOptions, Built, build_plan
from tweenrt.runtime.engines.engine_cache import engine_for
from tweenrt.runtime.engines.tensorrt import Flavour, TensorRT, open_tensorrt

GRAPH = "g (float[1,4] x) => (float[1,4] y) { y = Relu (x) }"
# Timing caches are there in TensorRT-RTX, but it tells that they do nothing.
pytestmark = pytest.mark.filterwarnings("ignore:Use Deprecated in TensorRT-RTX")


@dataclass
class Seen:
    """What was set in the configuration and called of it, until the build began."""

    values: dict[str, Any] = field(default_factory=dict)
    calls: dict[str, tuple[Any, ...]] = field(default_factory=dict)


class Watched:
    """An ``IBuilderConfig`` that tells `Seen`."""

    def __init__(self, real: Any, seen: Seen) -> None:
        self.__dict__.update(real=real, seen=seen)

    def __setattr__(self, name: str, value: Any) -> None:
        self.seen.values[name] = value
        setattr(self.real, name, value)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.real, name)

        def called(*arguments: Any) -> Any:
            self.seen.calls[name] = arguments
            return value(*arguments)

        return called if callable(value) else value


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """What the builder is told from now on."""
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX has packages for x86-64 only")
    module, found = open_tensorrt(Flavour.RTX).module, Seen()

    real = module.Builder

    class Builder:
        def __init__(self, logger: Any) -> None:
            self.real = real(logger)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.real, name)

        def create_builder_config(self) -> Watched:
            return Watched(self.real.create_builder_config(), found)

        def build_serialized_network(self, network: Any, config: Watched) -> Any:
            return self.real.build_serialized_network(network, config.real)

    monkeypatch.setattr(module, "Builder", Builder)
    return found


def as_tensorrt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the builder take TensorRT-RTX for TensorRT 11, which has its interface and times kernels."""
    module = open_tensorrt(Flavour.RTX).module
    monkeypatch.setattr(builder, "open_tensorrt", lambda flavour: TensorRT(flavour, module, (11, 0, 0)))


def test_options_arrive(seen: Seen, tmp_path: Path) -> None:
    options = BuildOptions(Flavour.RTX, targets=("sm86", "sm120"), workspace_mib=300, level=1, aux_streams=2)
    module = open_tensorrt(Flavour.RTX).module
    build_plan(write_graph(tmp_path, GRAPH), options)
    assert seen.calls["set_memory_pool_limit"] == (module.MemoryPoolType.WORKSPACE, 300 << 20)
    assert seen.values["builder_optimization_level"] == 1
    assert seen.values["max_aux_streams"] == 2
    assert seen.values["num_compute_capabilities"] == 2
    assert seen.calls["set_compute_capability"] == (module.ComputeCapability.SM120, 1)
    assert seen.values["profiling_verbosity"] == module.ProfilingVerbosity.DETAILED
    assert "hardware_compatibility_level" not in seen.values
    assert "set_timing_cache" not in seen.calls


def test_what_is_not_asked_is_left_to_tensorrt(seen: Seen, tmp_path: Path) -> None:
    build_plan(write_graph(tmp_path, GRAPH), BuildOptions(Flavour.RTX))
    assert seen.values.keys() == {"profiling_verbosity", "progress_monitor"}
    assert seen.calls == {}


def test_portable_engines_are_asked_for_where_that_is_a_choice(
    seen: Seen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, module = write_graph(tmp_path, GRAPH), open_tensorrt(Flavour.RTX).module
    built = build_plan(graph, BuildOptions(Flavour.RTX, portable=True))
    assert "hardware_compatibility_level" not in seen.values
    assert not [text for text in built.warnings if "HardwareCompatibility" in text]
    as_tensorrt(monkeypatch)
    build_plan(graph, BuildOptions(portable=True))
    assert seen.values["hardware_compatibility_level"] == module.HardwareCompatibilityLevel.AMPERE_PLUS


def test_timings_go_in_and_come_out(seen: Seen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    as_tensorrt(monkeypatch)
    graph = write_graph(tmp_path, GRAPH)
    first = build_plan(graph, BuildOptions())
    assert seen.calls["create_timing_cache"] == (b"",)
    assert seen.calls["get_timing_cache"] == ()
    assert first.timings
    build_plan(graph, BuildOptions(), timings=first.timings)
    assert seen.calls["create_timing_cache"] == (first.timings,)
    cache, ignores_mismatch = seen.calls["set_timing_cache"]
    assert bytes(cache.serialize())
    assert ignores_mismatch is False


def test_the_timings_of_one_build_are_those_of_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_tensorrt.install(monkeypatch, tmp_path / "cache")
    given = []

    def build(path: Path, options: BuildOptions, progress: object, timings: bytes, gpu: int) -> Built:
        given.append(timings)
        return replace(fake_tensorrt.build_quickly(path, options), timings=timings + b"more ")

    monkeypatch.setattr(engine_cache, "build_plan", build)
    graph = write_graph(tmp_path, GRAPH)
    for level in (1, 2, 3):
        engine_for(graph, BuildOptions(level=level))
    engine_for(graph, BuildOptions(Flavour.RTX))
    assert given == [b"", b"more ", b"more more ", b""]
