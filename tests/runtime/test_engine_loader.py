"""Engines that run, and engines that are refused, on a GPU that is none: see support.fake_tensorrt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX has packages for x86-64 only")

from support import fake_tensorrt, graphs
from support.gpu_machine import Machine, drawn, frames, same

from tweenrt.errors import BackendError, EngineError, UsageError
from tweenrt.plugins import library
from tweenrt.runtime import Backend, Interpolator, Lane, open_session
from tweenrt.runtime.engines import engine_cache, engine_loader
from tweenrt.runtime.engines.builder import BuildOptions, SizeRange
from tweenrt.runtime.engines.engine_cache import engine_for
from tweenrt.runtime.engines.engine_file import EngineInfo, pack, unpack
from tweenrt.runtime.engines.tensorrt import Flavour
from tweenrt.runtime.gpu import Gpus

FLAVOURS = (Backend.TENSORRT, Backend.TENSORRT_RTX)
ADVICE = "smaller --size .*--batch 1, convert the graph .*fp16`, or close other programs"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    return Machine(*fake_tensorrt.install(monkeypatch, tmp_path / "cache"))


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    return graphs.blend(tmp_path / "blend.onnx")


def test_an_engine_file_runs(machine: Machine, graph: Path, tmp_path: Path) -> None:
    sizes = SizeRange((32, 64), (64, 96), (96, 128))
    engine = engine_for(graph, BuildOptions(Flavour.TENSORRT, (sizes,)))
    pictures = frames(3)
    same(drawn(engine, Backend.AUTO, pictures), drawn(graph, Backend.ONNXRUNTIME, pictures))
    with pytest.raises(EngineError, match="an engine for tensorrt cannot run on onnxruntime"):
        open_session(engine, Backend.ONNXRUNTIME)
    with pytest.raises(UsageError, match="not built for frame0 of 1x3x128x160"):
        drawn(engine, Backend.TENSORRT, frames(2, 128, 160))


def test_sizes_of_one_engine_take_turns(machine: Machine, graph: Path) -> None:
    """Frames of as many bytes have the same addresses, but a captured graph belongs to one size."""
    engine = engine_for(graph, BuildOptions(Flavour.RTX, (SizeRange((32, 32), (64, 96), (96, 96)),)))
    with Interpolator.open(engine) as gpu, Interpolator.open(graph, Backend.ONNXRUNTIME) as cpu:
        for pair in (frames(2, 64, 96), frames(2, 96, 64), frames(2, 64, 96)):
            ready = [gpu.prepare(picture) for picture in pair]
            for _ in range(3):
                same(gpu.between(*ready, [0.5]), cpu.between(*pair, [0.5]))
            del ready
    assert machine.cuda.captures == 3


def test_a_folder_of_engines_runs(machine: Machine, tmp_path: Path) -> None:
    halves, pictures = graphs.blend_halves(tmp_path / "halves"), frames(3)
    folder = tmp_path / "engines"
    folder.mkdir()
    for name in ("encoder", "synthesis"):
        engine = engine_for(halves / f"{name}.onnx", BuildOptions(Flavour.RTX, (SizeRange.fixed((64, 96)),)))
        (folder / f"{name}.engine").write_bytes(engine.read_bytes())
    same(drawn(folder, Backend.AUTO, pictures), drawn(halves, Backend.ONNXRUNTIME, pictures))


FITS = {
    "another TensorRT": ({"tensorrt": "10.3.0"}, "built with tensorrt 10.3.0, 10.16.1 is installed"),
    "another GPU": ({"device": "NVIDIA H200 (sm90)"}, r"built for NVIDIA H200 \(sm90\), this GPU is Test GPU \(sm86\)"),
    "other targets": ({"device": "", "targets": ("sm89", "sm120")}, "built for sm89, sm120, this GPU is Test GPU"),
    "portable, too old a GPU": ({"device": "Old (sm75)", "portable": True}, None),
    "one of its targets": ({"device": "", "targets": ("SM86",)}, None),
}


@pytest.mark.parametrize("case", FITS)
def test_an_engine_must_fit_the_machine(machine: Machine, graph: Path, tmp_path: Path, case: str) -> None:
    changes, refused = FITS[case]
    engine = engine_for(graph, BuildOptions(Flavour.TENSORRT, (SizeRange.fixed((64, 96)),)))
    info, plan = unpack(engine.read_bytes(), "e")
    altered = tmp_path / "altered.engine"
    altered.write_bytes(pack(replace(info, **changes), plan))  # type: ignore[arg-type]
    if refused is None:
        open_session(altered).close()
    else:
        with pytest.raises(EngineError, match=refused):
            open_session(altered)


def test_plugins_must_be_those_it_was_built_with(machine: Machine, graph: Path) -> None:
    engine = engine_for(graph, BuildOptions(Flavour.TENSORRT, (SizeRange.fixed((64, 96)),)))
    info, plan = unpack(engine.read_bytes(), "e")
    engine.write_bytes(pack(replace(info, plugins={"BackwardWarp": 2}, plugins_sha256="0" * 64), plan))
    with pytest.raises(EngineError, match="another version of our plugin library"):
        open_session(engine)


def test_a_plan_that_tensorrt_refuses_is_told(machine: Machine, tmp_path: Path) -> None:
    info = EngineInfo(graphs.INFO.to_metadata(), "0" * 64, "tensorrt", "10.16.1", device=str(fake_tensorrt.DEVICE))
    engine = tmp_path / "bad.engine"
    engine.write_bytes(pack(info, b"not a plan"))
    with pytest.raises(
        BackendError, match=r"bad.engine: tensorrt 10.16.1 cannot load it: the plan is not for this GPU$"
    ):
        open_session(engine)


@pytest.mark.parametrize(("where", "what"), [("engine", "load"), ("context", "run")])
def test_memory_that_runs_out_when_it_is_loaded_is_answered_with_what_to_change(
    machine: Machine, graph: Path, where: str, what: str
) -> None:
    engine = engine_for(graph, BuildOptions(Flavour.TENSORRT, (SizeRange.fixed((64, 96)),)))
    machine.trt.full_at = where
    with pytest.raises(BackendError, match=rf"cannot {what} it: .*\(out of memory\)\. The GPU .*{ADVICE}"):
        open_session(engine)


def test_memory_that_runs_out_in_a_run_is_answered_with_what_to_change(machine: Machine, graph: Path) -> None:
    with Interpolator.open(graph, Backend.TENSORRT) as network:
        machine.trt.full_at = "run"
        with pytest.raises(BackendError, match=rf"failed: .*\(out of memory\)\. The GPU .*{ADVICE}"):
            network.between(*frames(2), [0.5])


def test_a_runtime_that_does_not_start_is_told(machine: Machine, graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_for(graph, BuildOptions(Flavour.TENSORRT, (SizeRange.fixed((64, 96)),)))

    def runtime(_: object) -> None:
        raise TypeError("pybind11::init(): factory function returned nullptr")

    monkeypatch.setattr(machine.trt, "Runtime", runtime)
    with pytest.raises(BackendError, match="cannot start: it gave no reason; `tweenrt doctor`"):
        open_session(engine)


def test_without_a_gpu_an_engine_is_answered_with_its_graph(
    machine: Machine, graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_for(graph, BuildOptions(Flavour.TENSORRT, (SizeRange.fixed((64, 96)),)))
    monkeypatch.setattr(engine_loader, "find_gpus", lambda: Gpus((), "no NVIDIA driver"))
    with pytest.raises(BackendError, match=r"no NVIDIA driver\. An engine runs nowhere else: run the graph") as refused:
        open_session(engine)
    assert "--backend" not in str(refused.value)


@pytest.mark.parametrize("backend", FLAVOURS)
def test_without_a_gpu_the_message_says_so(
    machine: Machine, graph: Path, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_loader, "find_gpus", lambda: Gpus((), "no NVIDIA driver"))
    with pytest.raises(BackendError, match=r"GPU 0 was asked for: no NVIDIA driver\. Without a GPU use --backend"):
        open_session(graph, backend)


def test_the_second_gpu_is_asked_for_by_number(machine: Machine, graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BackendError, match="this machine has 1, numbered from 0"):
        open_session(graph, Backend.TENSORRT, lane=Lane(1))


@pytest.mark.parametrize("there", [True, False])
def test_engines_have_our_kernels_where_these_are_built(
    machine: Machine, graph: Path, there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted: list[bool] = []

    def build(path: Path, options: BuildOptions, *_: object) -> Any:
        wanted.append(options.plugins)
        return fake_tensorrt.build_quickly(path, options)

    if not there:
        monkeypatch.delenv(library.VARIABLE)
        monkeypatch.setattr(library, "_PLACES", ())
    monkeypatch.setattr(engine_cache, "build_plan", build)
    drawn(graph, Backend.TENSORRT, frames(2))
    assert wanted == [there]


def test_building_is_told_to_who_opened_the_lane(
    machine: Machine, graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []

    def build(path: Path, options: BuildOptions, progress: Any, *_: object) -> Any:
        told.append(progress)
        return fake_tensorrt.build_quickly(path, options)

    monkeypatch.setattr(engine_cache, "build_plan", build)

    def report(*_: object) -> bool:
        return True

    drawn(graph, Backend.TENSORRT, frames(2), lane=Lane(0, report))
    assert told == [report]
