"""Several interpolators on one engine, on a GPU that is none: see support.fake_tensorrt."""

from __future__ import annotations

import gc
import threading
from pathlib import Path

import pytest

pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX has packages for x86-64 only")

from support import fake_tensorrt, graphs
from support.gpu_machine import TIMES, Machine, frames, same

from tweenrt.runtime import Backend, Interpolator, Lane
from tweenrt.runtime.engines.builder import BuildOptions, SizeRange
from tweenrt.runtime.engines.engine_cache import engine_for
from tweenrt.runtime.engines.tensorrt import Flavour


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    return Machine(*fake_tensorrt.install(monkeypatch, tmp_path / "cache", gpus=2))


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    return graphs.blend(tmp_path / "blend.onnx")


def engine_of(graph: Path, flavour: Flavour = Flavour.TENSORRT) -> Path:
    return engine_for(graph, BuildOptions(flavour, (SizeRange.fixed((64, 96)),)))


@pytest.mark.parametrize("flavour", Flavour)
def test_two_interpolators_share_the_weights(machine: Machine, graph: Path, flavour: Flavour) -> None:
    engine, pictures = engine_of(graph, flavour), frames(2)
    first, second = Interpolator.open(engine), Interpolator.open(engine)
    with Interpolator.open(graph, Backend.ONNXRUNTIME) as cpu:
        wanted = cpu.between(*pictures, TIMES)
    for network in (first, second):
        same(network.between(*pictures, TIMES), wanted)
    assert machine.trt.loaded == [0]
    assert machine.trt.contexts == 2
    first.close()
    same(second.between(*pictures, TIMES), wanted)
    assert len(machine.trt.engines) == 1
    second.close()
    gc.collect()
    assert len(machine.trt.engines) == 0, "the engine goes with the last that uses it"
    assert machine.cuda.live == {}


def test_a_graph_is_built_and_loaded_once_for_all(machine: Machine, graph: Path) -> None:
    networks = [Interpolator.open(graph, Backend.TENSORRT) for _ in range(3)]
    for network in networks:
        network.between(*frames(2), [0.5])
    assert machine.built == [graph]
    assert machine.trt.loaded == [0]
    for network in networks:
        network.close()


def test_each_gpu_has_weights_of_its_own(machine: Machine, graph: Path) -> None:
    engine = engine_of(graph)
    with Interpolator.open(engine, lane=Lane(0)), Interpolator.open(engine, lane=Lane(1)):
        assert machine.trt.loaded == [0, 1]


def test_another_file_under_the_same_path_is_another_engine(machine: Machine, graph: Path, tmp_path: Path) -> None:
    path, pictures = tmp_path / "network.engine", frames(2)
    path.write_bytes(engine_of(graph).read_bytes())
    with Interpolator.open(path) as first:
        before = first.between(*pictures, [0.5])
        path.write_bytes(engine_of(graphs.blend(tmp_path / "other.onnx", gain=0.5)).read_bytes())
        with Interpolator.open(path) as second:
            after = second.between(*pictures, [0.5])
            same(first.between(*pictures, [0.5]), before)
    assert (before[0] != after[0]).any()
    assert machine.trt.loaded == [0, 0]


def test_threads_that_open_at_once_load_once(machine: Machine, graph: Path) -> None:
    engine, pictures = engine_of(graph), frames(2)
    gate, found = threading.Barrier(4), []

    def draw() -> None:
        gate.wait()
        with Interpolator.open(engine) as network:
            found.append(network.between(*pictures, TIMES))
            gate.wait()

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert machine.trt.loaded == [0]
    for other in found[1:]:
        same(other, found[0])
