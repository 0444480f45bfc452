"""A machine with two GPUs that are none: everything of a lane is on the lane's GPU. See support.fake_cuda."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX has packages for x86-64 only")

from support import fake_tensorrt, graphs
from support.gpu_machine import Machine, drawn, frames, same

from tweenrt.runtime import Backend, Interpolator, Lane, open_session
from tweenrt.runtime.engines.builder import BuildOptions, SizeRange
from tweenrt.runtime.engines.engine_cache import engine_for
from tweenrt.runtime.engines.tensorrt import Flavour
from tweenrt.runtime.engines.tensorrt_session import TensorRtSession


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    return Machine(*fake_tensorrt.install(monkeypatch, tmp_path / "cache", gpus=2))


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    return graphs.blend(tmp_path / "blend.onnx")


def fixed(graph: Path) -> Path:
    """The same graph for one size, whose engine is built when it is opened."""
    model = onnx.load(graph)
    for value in (*model.graph.input, *model.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_value = {"N": 1, "H": 64, "W": 96}[dim.dim_param]
    return graphs.save_model(graph.with_name("fixed.onnx"), model)


@pytest.mark.parametrize("backend", [Backend.TENSORRT, Backend.TENSORRT_RTX])
def test_the_gpu_is_set_before_an_engine_is_loaded(machine: Machine, graph: Path, backend: Backend) -> None:
    """The fake demands the GPU of the engine for contexts and runs, and notes the one of every deserialisation."""
    pictures, wanted = frames(3), drawn(graph, Backend.ONNXRUNTIME, frames(3))
    same(drawn(graph, backend, pictures, lane=Lane(1)), wanted)
    same(drawn(graph, backend, pictures, lane=Lane(0)), wanted)
    assert machine.trt.loaded == [1, 0]
    assert set(machine.cuda.gpu_of.values()) == {0, 1}


def test_the_gpu_is_set_before_an_engine_is_built(
    machine: Machine, graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tweenrt.runtime.engines import engine_cache

    built: list[int] = []

    def build(*arguments: Any) -> Any:
        built.append(machine.cuda.gpu)
        return fake_tensorrt.build_quickly(*arguments)

    monkeypatch.setattr(engine_cache, "build_plan", build)
    open_session(fixed(graph), Backend.TENSORRT, lane=Lane(1)).close()  # before there is a frame to place
    assert built == [1]


def test_two_gpus_take_turns_in_one_thread(machine: Machine, graph: Path) -> None:
    engine = engine_for(graph, BuildOptions(Flavour.TENSORRT, (SizeRange.fixed((64, 96)),)))
    pictures = frames(2)
    first, second = (Interpolator.open(engine, lane=Lane(gpu)) for gpu in (0, 1))
    with first, second, Interpolator.open(graph, Backend.ONNXRUNTIME) as cpu:
        for _ in range(3):
            for network in (first, second):
                same(network.between(*pictures, [0.5]), cpu.between(*pictures, [0.5]))
    assert machine.trt.loaded == [0, 1]
    assert machine.cuda.live == {}


def test_another_thread_uses_the_gpu_of_the_lane(machine: Machine, graph: Path) -> None:
    """Every thread of CUDA starts on the first GPU."""
    pictures, found = frames(2), []
    with Interpolator.open(graph, Backend.TENSORRT, lane=Lane(1)) as network:
        for size in (pictures, frames(2, 96, 128)):
            thread = threading.Thread(target=lambda size=size: found.append(network.between(*size, [0.5])))
            thread.start()
            thread.join()
    assert len(found) == 2
    assert machine.trt.loaded == [1, 1]


def test_layers_are_timed_on_the_gpu_of_the_lane(machine: Machine, graph: Path) -> None:
    session = open_session(graph, Backend.TENSORRT, lane=Lane(1))
    assert isinstance(session, TensorRtSession)
    picture = np.zeros((1, 3, 64, 96), np.float32)
    feeds = {"frame0": picture, "frame1": picture, "t": np.full((1, 1, 1, 1), 0.5, np.float32)}
    session.run(feeds)
    machine.cuda.cudaSetDevice(0)
    assert len(session.layer_times(feeds, 2)) == 2
    machine.cuda.cudaSetDevice(0)
    freed: list[int] = []
    machine.trt.when_freed = freed.append
    session.close()
    assert freed == [1], "what TensorRT frees is on the GPU that is current"
