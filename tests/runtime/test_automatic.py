"""`--backend auto` where the GPU cannot run a graph, on a GPU that is none: see support.fake_tensorrt."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX has packages for x86-64 only")

from support import fake_tensorrt, graphs
from support.cli import run
from support.clips import Clip, moving
from support.gpu_machine import TIMES, Machine, drawn, frames, same

from tweenrt.errors import BackendError, MissingExtraError
from tweenrt.runtime import Backend, Interpolator, Lane, open_session, openvino_session
from tweenrt.runtime import session as sessions
from tweenrt.runtime.engines import engine_cache
from tweenrt.runtime.engines.tensorrt_session import TensorRtSession
from tweenrt.runtime.onnxruntime_session import OnnxRuntimeSession
from tweenrt.runtime.session import executing

REFUSED = "this GPU (sm90) is not one that it builds for"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    """With TensorRT-RTX alone, and without OpenVINO."""
    found = importlib.util.find_spec
    monkeypatch.setattr(sessions.importlib.util, "find_spec", lambda name: None if name == "tensorrt" else found(name))
    monkeypatch.setattr(openvino_session, "is_installed", lambda: False)
    return Machine(*fake_tensorrt.install(monkeypatch, tmp_path / "cache"))


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    return graphs.blend(tmp_path / "blend.onnx")


def refuse(*_: object) -> Any:
    raise BackendError(REFUSED)


def refuse_to_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_cache, "build_plan", refuse)


def test_an_engine_that_cannot_be_built_goes_to_the_next_backend(
    machine: Machine, graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_to_build(monkeypatch)
    said: list[str] = []
    pictures = frames(4)
    found = drawn(graph, Backend.AUTO, pictures, lane=Lane(say=said.append))
    same(found, drawn(graph, Backend.ONNXRUNTIME, pictures))
    assert said == [f"the network runs on onnxruntime, not on tensorrt-rtx: {REFUSED}"]
    with pytest.raises(BackendError, match="sm90"):
        drawn(graph, Backend.TENSORRT_RTX, pictures)
    assert machine.cuda.live == {}


def test_both_flavours_are_tried(machine: Machine, graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def build(path: Path, options: Any, *rest: Any) -> Any:
        tried.append(options.flavour.value)
        return fake_tensorrt.build_quickly(path, options) if len(tried) > 1 else refuse()

    monkeypatch.setattr(engine_cache, "build_plan", build)
    monkeypatch.setattr(sessions.importlib.util, "find_spec", lambda _: True)
    said: list[str] = []
    drawn(graph, Backend.AUTO, frames(2), lane=Lane(say=said.append))
    assert tried == ["tensorrt", "tensorrt-rtx"]
    assert said == [f"the network runs on tensorrt-rtx, not on tensorrt: {REFUSED}"]


def test_without_the_cuda_package_the_cpu_draws(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason is told once, though both halves of the network have it."""

    def missing(_: Lane) -> Any:
        raise MissingExtraError("cuda.bindings.runtime", "tensorrt", "Running on a GPU")

    monkeypatch.setattr(Lane, "_runtime", property(missing))
    halves, pictures = graphs.blend_halves(tmp_path / "halves"), frames(3)
    with pytest.warns(RuntimeWarning, match="runs on onnxruntime, not on tensorrt-rtx: .*cuda.bindings") as told:
        found = drawn(halves, Backend.AUTO, pictures)
    assert len(told) == 1
    same(found, drawn(halves, Backend.ONNXRUNTIME, pictures))
    assert machine.built == [], "nothing is built for minutes that cannot run"


def test_an_engine_that_the_gpu_does_not_load_goes_to_the_next_backend(machine: Machine, graph: Path) -> None:
    machine.trt.full_at = "context"
    said: list[str] = []
    pictures = frames(2)
    same(drawn(graph, Backend.AUTO, pictures, lane=Lane(say=said.append)), drawn(graph, Backend.ONNXRUNTIME, pictures))
    (sentence,) = said
    assert "cannot run it" in sentence
    assert "out of memory" in sentence


def test_one_half_may_be_lost(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    halves, pictures = graphs.blend_halves(tmp_path / "halves"), frames(4)
    for lost in ("encoder", "synthesis"):

        def build(path: Path, *rest: Any, lost: str = lost) -> Any:
            return refuse() if path.stem == lost else fake_tensorrt.build_quickly(path, *rest)

        monkeypatch.setattr(engine_cache, "build_plan", build)
        said: list[str] = []
        found = drawn(halves, Backend.AUTO, pictures, lane=Lane(say=said.append))
        same(found, drawn(halves, Backend.ONNXRUNTIME, pictures))
        assert len(said) == 1
        for engine in engine_cache.folder().glob("*"):
            engine.unlink()


def test_a_later_size_may_be_lost(machine: Machine, graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    small, large = frames(2), frames(2, 96, 128)
    with (
        Interpolator.open(graph, lane=Lane(say=said.append)) as network,
        Interpolator.open(graph, Backend.ONNXRUNTIME) as cpu,
    ):
        same(network.between(*small, TIMES), cpu.between(*small, TIMES))
        kept = network.prepare(small[0])
        assert said == []
        refuse_to_build(monkeypatch)
        same(network.between(*large, TIMES), cpu.between(*large, TIMES))
        same(network.between(kept, small[1], TIMES), cpu.between(*small, TIMES))
    assert len(said) == 1


def test_frames_in_gpu_memory_stay_there(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_to_build(monkeypatch)
    graph, pictures, lane = graphs.blend_bytes(tmp_path / "bytes.onnx"), frames(2), Lane(say=lambda _: None)
    with Interpolator.open(graph, lane=lane) as network, Interpolator.open(graph, Backend.ONNXRUNTIME) as cpu:
        for _ in range(2):
            (middle,) = network.between(*map(lane.upload, pictures), [0.5])
            same([np.asarray(middle)], cpu.between(*pictures, [0.5]))
            assert hasattr(middle, "__cuda_array_interface__")


def test_a_run_that_fails_is_no_reason_to_change(machine: Machine, graph: Path) -> None:
    with Interpolator.open(graph) as network:
        machine.trt.fails_after = 1
        network.between(*frames(2), [0.5])
        with pytest.raises(BackendError, match="failed"):
            network.between(*frames(2), [0.25])


def test_openvino_comes_before_onnxruntime(machine: Machine, graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []

    def openvino(path: Path, threads: int | None, _: Lane | None) -> Any:
        opened.append(path)
        return OnnxRuntimeSession(path, threads)

    refuse_to_build(monkeypatch)
    monkeypatch.setattr(openvino_session, "is_installed", lambda: True)
    monkeypatch.setitem(sessions._OPENERS, Backend.OPENVINO, openvino)
    said: list[str] = []
    drawn(graph, Backend.AUTO, frames(2), lane=Lane(say=said.append))
    assert opened == [graph]
    assert said == [f"the network runs on openvino, not on tensorrt-rtx: {REFUSED}"]


def test_a_session_without_a_lane_frees_everything(
    machine: Machine, graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_to_build(monkeypatch)
    session = open_session(graph)
    assert isinstance(executing(session), TensorRtSession)
    picture = session.place(np.zeros((1, 3, 64, 96), np.float32))
    feeds = {"frame0": picture, "frame1": picture, "t": np.full((1, 1, 1, 1), 0.5, np.float32)}
    with pytest.warns(RuntimeWarning, match="not on tensorrt-rtx"):
        assert session.run(feeds)["frame_t"].shape == (1, 3, 64, 96)
    assert isinstance(executing(session), OnnxRuntimeSession)
    session.close()
    del picture, feeds
    assert machine.cuda.live == {}
    with pytest.raises(BackendError, match="closed"):
        session.run({})


@pytest.mark.parametrize("verb", ["interpolate", "evaluate", "profile"])
def test_the_verbs_say_why(
    machine: Machine, graph: Path, tmp_path: Path, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_to_build(monkeypatch)
    clip = Clip(moving(6, 48, 64)).write(tmp_path / "in.mp4")
    command = {
        "interpolate": ("interpolate", clip, tmp_path / "out.mp4", "--model", graph),
        "evaluate": ("evaluate", graph, "--dataset", "video", "--root", clip),
        "profile": ("profile", graph, "--size", "48x64", "--runs", "2", "--warmup", "1", "--no-layers"),
    }[verb]
    result = run(*command)
    assert result.exit_code == 0, result.stderr
    assert result.stderr.count(f"runs on onnxruntime, not on tensorrt-rtx: {REFUSED}") == 1
