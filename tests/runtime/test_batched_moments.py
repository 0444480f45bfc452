"""Several moments of a pair in one run, where an engine was built for it: on a GPU that is none."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest

pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX has packages for x86-64 only")

from support import fake_tensorrt, graphs
from support.cli import run
from support.clips import Clip, moving, seen
from support.gpu_machine import TIMES, Machine, frames, same

from tweenrt.runtime import Backend, Interpolator
from tweenrt.runtime.engines.builder import BuildOptions
from tweenrt.runtime.engines.engine_cache import engine_for
from tweenrt.runtime.engines.tensorrt import Flavour


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    return Machine(*fake_tensorrt.install(monkeypatch, tmp_path / "cache"))


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    return graphs.blend(tmp_path / "blend.onnx")


def built(graph: Path, *options: object) -> Path:
    """The engine that `tweenrt build` makes."""
    engine = graph.with_name(f"{graph.stem}.engine")
    result = run("build", graph, "-o", engine, "--size", "64x96", *options)
    assert result.exit_code == 0, result.stderr
    return engine


def test_a_pair_of_a_video_is_one_run(machine: Machine, graph: Path, tmp_path: Path) -> None:
    clip = Clip(moving(6, 64, 96)).write(tmp_path / "in.mp4")
    engine, pictures = built(graph, "--batch", "3"), []
    for number, model in enumerate((engine, graph)):
        target = tmp_path / f"{number}.mkv"
        backend = ("--backend", "onnxruntime") if model is graph else ()
        result = run("interpolate", clip, target, "--model", model, "--factor", "4", "--lossless", *backend)
        assert result.exit_code == 0, result.stderr
        pictures.append([p.to_ndarray(format="rgb24") for p in seen(target).pictures])
    same(*pictures)
    assert machine.trt.batches == [3] * 5


def test_an_engine_for_one_moment_draws_one_at_a_time(machine: Machine, graph: Path) -> None:
    with Interpolator.open(built(graph)) as network:
        network.between(*frames(2, 64, 96), TIMES)
    assert machine.trt.batches == [1, 1, 1]


@pytest.mark.parametrize(("moments", "batches"), [(2, [2]), (3, [3]), (4, [2, 2]), (5, [3, 3]), (7, [3, 3, 3])])
def test_the_runs_of_a_pair_have_one_shape(machine: Machine, graph: Path, moments: int, batches: list[int]) -> None:
    times, pictures = [Fraction(k + 1, moments + 1) for k in range(moments)], frames(2, 64, 96)
    with Interpolator.open(built(graph, "--batch", "3")) as gpu, Interpolator.open(graph, Backend.ONNXRUNTIME) as cpu:
        same(gpu.between(*pictures, times), cpu.between(*pictures, times))
        for name, values in cpu.reports().items():
            assert gpu.reports()[name] == pytest.approx(values), "what a run is filled up with does not count"
    assert machine.trt.batches == batches


def test_halves_are_batched_too(machine: Machine, tmp_path: Path) -> None:
    halves, pictures = graphs.blend_halves(tmp_path / "halves"), frames(2, 64, 96)
    result = run("build", halves, "-o", tmp_path / "engines", "--size", "64x96", "--batch", "3")
    assert result.exit_code == 0, result.stderr
    with Interpolator.open(tmp_path / "engines") as gpu, Interpolator.open(halves, Backend.ONNXRUNTIME) as cpu:
        same(gpu.between(*pictures, TIMES), cpu.between(*pictures, TIMES))
    assert machine.trt.batches == [1, 1, 3], "both frames are encoded, and all moments drawn at once"


def test_captured_runs_are_used_again(machine: Machine, graph: Path) -> None:
    with Interpolator.open(built(graph, "--batch", "3")) as network:
        ready = [network.prepare(picture) for picture in frames(2, 64, 96)]
        for _ in range(4):
            network.between(*ready, TIMES)
    assert machine.cuda.launches > 0
    assert machine.trt.batches == [3] * 4


def test_who_asks_for_a_number_gets_it(machine: Machine, graph: Path) -> None:
    with Interpolator.open(built(graph, "--batch", "3"), max_batch=2) as network:
        network.between(*frames(2, 64, 96), TIMES)
    assert machine.trt.batches == [2, 1]


def test_a_graph_draws_one_at_a_time(machine: Machine, graph: Path) -> None:
    """Its engine is built for what comes; a CPU is quicker so."""
    with Interpolator.open(graph, Backend.TENSORRT) as network:
        network.between(*frames(2, 64, 96), TIMES)
    assert machine.trt.batches == [1, 1, 1]


def test_profile_and_evaluate_batch_as_well(machine: Machine, graph: Path, tmp_path: Path) -> None:
    engine = built(graph, "--batch", "3")
    result = run(
        "profile", engine, "--size", "64x96", "--factor", "4", "--runs", "2", "--warmup", "1", "--no-layers", "--json",
        tmp_path / "profile.json",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert set(machine.trt.batches) == {3}
    assert json.loads((tmp_path / "profile.json").read_text())["parts"][0]["runs_per_interval"] == 1
    machine.trt.batches.clear()
    clip = Clip(moving(9, 64, 96)).write(tmp_path / "in.mp4")
    result = run("evaluate", engine, "--dataset", "video", "--root", clip, "--every", "4")
    assert result.exit_code == 0, result.stderr
    assert machine.trt.batches == [3, 3]


def test_profiles_may_differ_in_what_they_take_at_once(machine: Machine, graph: Path) -> None:
    from tweenrt.runtime.engines.builder import SizeRange

    spans = tuple(SizeRange(size, size, size, (1, most, most)) for size, most in (((64, 96), 3), ((128, 160), 1)))
    with Interpolator.open(engine_for(graph, BuildOptions(Flavour.TENSORRT, spans))) as network:
        network.between(*frames(2, 64, 96), TIMES)
        network.between(*frames(2, 128, 160), TIMES)
    assert machine.trt.batches == [3, 1, 1, 1]
    assert (machine.trt.profiles[0], machine.trt.profiles[-1]) == (0, 1)
