"""Sessions on a GPU that is none: see support.fake_cuda and support.fake_tensorrt."""

from __future__ import annotations

import gc
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX has packages for x86-64 only")

from support import fake_tensorrt, graphs
from support.cli import run
from support.clips import Clip, moving, seen
from support.gpu_machine import TIMES, Machine, drawn, frames, same

from tweenrt.contract import TimeInput
from tweenrt.errors import BackendError
from tweenrt.runtime import Backend, Interpolator, Lane, open_session
from tweenrt.runtime.engines.runner import _MOST_GRAPHS
from tweenrt.runtime.engines.tensorrt import Flavour
from tweenrt.runtime.engines.tensorrt_session import TensorRtSession
from tweenrt.runtime.gpu import Gpu, Gpus

FLAVOURS = (Backend.TENSORRT, Backend.TENSORRT_RTX)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    return Machine(*fake_tensorrt.install(monkeypatch, tmp_path / "cache"))


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    return graphs.blend(tmp_path / "blend.onnx")


@pytest.mark.parametrize("backend", FLAVOURS)
@pytest.mark.parametrize("batch", [1, 3])
def test_a_graph_draws_as_on_the_cpu(machine: Machine, graph: Path, backend: Backend, batch: int) -> None:
    pictures = frames(4)
    same(drawn(graph, backend, pictures, max_batch=batch), drawn(graph, Backend.ONNXRUNTIME, pictures))
    assert machine.built == [graph]


@pytest.mark.parametrize("backend", FLAVOURS)
def test_halves_keep_their_features_on_the_gpu(
    machine: Machine, tmp_path: Path, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    halves, pictures = graphs.blend_halves(tmp_path / "halves"), frames(6)
    down: list[tuple[int, ...]] = []
    download = Lane.download
    monkeypatch.setattr(
        Lane, "download", lambda self, arrays: down.extend(a.shape for a in arrays) or download(self, arrays)
    )
    same(drawn(halves, backend, pictures), drawn(halves, Backend.ONNXRUNTIME, pictures))
    assert down == [(1, 3, 64, 96)] * 15  # the drawn frames and nothing else
    assert machine.cuda.launches > 0


def test_nothing_is_allocated_once_a_video_runs(machine: Machine, tmp_path: Path) -> None:
    halves, pictures = graphs.blend_halves(tmp_path / "halves"), frames(3)
    with Interpolator.open(halves, Backend.TENSORRT) as interpolator:
        held = []
        before = interpolator.prepare(pictures[0])
        for number in range(1, 31):
            after = interpolator.prepare(pictures[number % 3])
            interpolator.between(before, after, TIMES)
            before = after
            held.append((len(machine.cuda.live), machine.cuda.captures))
        assert held[-1] == held[14]
        assert machine.cuda.launches > 20
    del before, after
    gc.collect()
    assert machine.cuda.live == {}


def test_runs_are_captured_at_the_second_time(machine: Machine, graph: Path) -> None:
    with Interpolator.open(graph, Backend.TENSORRT) as interpolator:
        a, b = map(interpolator.prepare, frames(2))
        counts = []
        for _ in range(3):
            interpolator.between(a, b, [0.5])
            counts.append((machine.cuda.captures, machine.cuda.launches))
    assert counts == [(0, 0), (1, 1), (1, 2)]


def test_what_cannot_be_captured_runs_all_the_same(machine: Machine, graph: Path) -> None:
    machine.cuda.refuses_capture = True
    a, b = frames(2)
    session = TensorRtSession.of_graph(graph, Flavour.TENSORRT)
    with (
        Interpolator.open(graph, opener=lambda *_: session) as gpu,
        Interpolator.open(graph, Backend.ONNXRUNTIME) as cpu,
    ):
        for _ in range(4):
            same(gpu.between(a, b, TIMES), cpu.between(a, b, TIMES))
        assert "cudaStreamEndCapture failed" in session.not_captured
    assert machine.cuda.launches == 0


def test_captured_graphs_do_not_pile_up(machine: Machine, graph: Path) -> None:
    with Interpolator.open(graph, Backend.TENSORRT) as interpolator:
        ready = [interpolator.prepare(picture) for picture in frames(_MOST_GRAPHS // 2 + 3)]
        for a in ready:
            for b in ready:
                for _ in range(2):
                    interpolator.between(a, b, [0.5])
        assert machine.cuda.captures > _MOST_GRAPHS
        assert len(machine.cuda._graphs) <= _MOST_GRAPHS
    assert machine.cuda._graphs == {}


def test_frames_of_another_size_get_an_engine_of_their_own(machine: Machine, graph: Path) -> None:
    small, large = frames(3), frames(3, 80, 100)
    with Interpolator.open(graph, Backend.TENSORRT_RTX) as interpolator:
        found = [interpolator.between(*pair, [0.5])[0] for pair in (small[:2], large[:2], small[1:], large[1:])]
    with Interpolator.open(graph, Backend.ONNXRUNTIME) as interpolator:
        same(found, [interpolator.between(*pair, [0.5])[0] for pair in (small[:2], large[:2], small[1:], large[1:])])
    assert machine.built == [graph, graph]
    assert b"compiled kernels" in machine.trt.kernels  # of the engines that were loaded a second time


def test_a_session_of_its_own_frees_everything(machine: Machine, graph: Path) -> None:
    session = open_session(graph, Backend.TENSORRT)
    picture = np.zeros((1, 3, 64, 96), np.float32)
    session.run({"frame0": picture, "frame1": picture, "t": np.full((1, 1, 1, 1), 0.5, np.float32)})
    session.close()
    gc.collect()
    assert machine.cuda.live == {}


def test_a_graph_of_one_size_may_leave_the_batch_open(machine: Machine, tmp_path: Path) -> None:
    graph, pictures = graphs.blend(tmp_path / "open.onnx"), frames(3)
    model = onnx.load(graph)
    for value in (*model.graph.input, *model.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param in {"H", "W"}:
                dim.dim_value = {"H": 64, "W": 96}[dim.dim_param]
    fixed = graphs.save_model(tmp_path / "fixed.onnx", model)
    same(drawn(fixed, Backend.TENSORRT, pictures, max_batch=3), drawn(graph, Backend.ONNXRUNTIME, pictures))


def test_what_is_refined_stays_on_the_gpu(machine: Machine, tmp_path: Path) -> None:
    picture, scalar = "float[N,3,H,W]", "float[N,1,H,W]"
    text = f"""{graphs.HEAD}
        refine ({picture} frame0, {picture} frame1, {scalar} t, {picture} frame_ref, {scalar} t_ref)
            => ({picture} frame_t)
        {{
            step = Sub (t, t_ref)
            all = Sub (frame1, frame0)
            part = Mul (all, step)
            frame_t = Add (frame_ref, part)
        }}"""
    graph = graphs.save(tmp_path / "refine.onnx", text, replace(graphs.INFO, t=TimeInput.MAP))
    pictures = frames(2)
    found = drawn(graph, Backend.TENSORRT, pictures, iterations=3)
    same(found, drawn(graph, Backend.ONNXRUNTIME, pictures, iterations=3))
    np.testing.assert_allclose(found[1], np.mean(np.float32(pictures), axis=0), atol=1)


def test_a_video_is_interpolated_with_tensorrt(machine: Machine, graph: Path, tmp_path: Path) -> None:
    clip = Clip(moving(6, 48, 64)).write(tmp_path / "in.mp4")
    said = []
    for number, backend in enumerate(("tensorrt", "onnxruntime")):
        target = tmp_path / f"{number}.mkv"
        command = ("interpolate", clip, target, "--model", graph, "--lossless", "--backend", backend, "--device", "0")
        result = run(*command)
        assert result.exit_code == 0, result.stderr
        said.append([p.to_ndarray(format="rgb24") for p in seen(target).pictures])
    same(said[0], said[1])
    assert len(said[0]) == 12
    refused = run("interpolate", clip, tmp_path / "n.mp4", "--model", graph, "--backend", "tensorrt", "--device", "3")
    assert refused.exit_code == 1
    assert "GPU 3 was asked for: this machine has 1" in refused.stderr


def test_a_failing_run_is_told(machine: Machine, graph: Path) -> None:
    with Interpolator.open(graph, Backend.TENSORRT) as interpolator:
        a, b = frames(2)
        machine.trt.fails_after = 1
        interpolator.between(a, b, [0.5])
        with pytest.raises(BackendError, match=r"tensorrt 10.16.1 failed"):
            interpolator.between(a, b, [0.25])


def test_auto_takes_tensorrt_where_there_is_a_gpu(
    machine: Machine, graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tweenrt.runtime import session

    assert isinstance(session.executing(open_session(graph)), TensorRtSession)
    monkeypatch.setattr(session, "find_gpus", lambda: Gpus((), "none"))
    assert not isinstance(session.executing(open_session(graph)), TensorRtSession)


def test_times_and_layers_are_measured(machine: Machine, graph: Path) -> None:
    session = open_session(graph, Backend.TENSORRT_RTX)
    assert isinstance(session, TensorRtSession)
    picture = np.zeros((1, 3, 64, 96), np.float32)
    feeds = {"frame0": picture, "frame1": picture, "t": np.full((1, 1, 1, 1), 0.5, np.float32)}
    time = session.run_timed(feeds)
    assert time.device_ms is not None
    assert time.host_ms > 0
    session.close()
    session = open_session(graph, Backend.TENSORRT_RTX)
    assert isinstance(session, TensorRtSession)
    layers = session.layer_times(feeds, 4)
    assert [(layer.name, layer.milliseconds) for layer in layers] == [("encoder.conv", 2.0), ("merge", 1.0)]
    assert session.device_memory > 4096
    assert session.run(feeds)["frame_t"].shape == (1, 3, 64, 96)  # the layers' context was another one
    session.close()
    with pytest.raises(BackendError, match="closed"):
        session.run(feeds)


def test_wrong_inputs_are_refused(machine: Machine, graph: Path) -> None:
    session = open_session(graph, Backend.TENSORRT)
    picture = np.zeros((1, 3, 64, 96), np.float32)
    t = np.full((1, 1, 1, 1), 0.5, np.float32)
    with pytest.raises(BackendError, match="expected the inputs frame0, frame1, t, got frame0, t"):
        session.run({"frame0": picture, "t": t})
    with pytest.raises(BackendError, match="expected frame1 as float32, got float64"):
        session.run({"frame0": picture, "frame1": picture.astype(np.float64), "t": t})
    session.close()


def test_gpu_is_named_with_its_architecture() -> None:
    assert str(Gpu("A", "sm87")) == "A (sm87)"
