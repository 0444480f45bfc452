"""Engines for several sizes, on a GPU that is none: see support.fake_tensorrt."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX has packages for x86-64 only")

from support import fake_tensorrt, graphs
from support.gpu_machine import Machine, drawn, frames, same

from tweenrt.errors import UsageError
from tweenrt.runtime import Backend, Interpolator
from tweenrt.runtime.engines.builder import BuildOptions, SizeRange
from tweenrt.runtime.engines.engine_cache import engine_for
from tweenrt.runtime.engines.tensorrt import Flavour

SMALL, LARGE = (64, 96), (128, 160)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    return Machine(*fake_tensorrt.install(monkeypatch, tmp_path / "cache"))


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    return graphs.blend(tmp_path / "blend.onnx")


@pytest.mark.parametrize("flavour", Flavour)
@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_an_engine_for_two_sizes_runs_both(
    machine: Machine, graph: Path, flavour: Flavour, size: tuple[int, int]
) -> None:
    engine = engine_for(graph, BuildOptions(flavour, (SizeRange.fixed(SMALL), SizeRange.fixed(LARGE))))
    pictures = frames(3, *size)
    same(drawn(engine, Backend.AUTO, pictures), drawn(graph, Backend.ONNXRUNTIME, pictures))
    assert machine.trt.contexts == 1, "only the size that comes has a context"


def test_captured_runs_of_both_sizes_stay_valid(machine: Machine, graph: Path) -> None:
    engine = engine_for(graph, BuildOptions(Flavour.TENSORRT, (SizeRange.fixed(SMALL), SizeRange.fixed(LARGE))))
    with Interpolator.open(engine) as gpu, Interpolator.open(graph, Backend.ONNXRUNTIME) as cpu:
        pairs = [frames(2, *SMALL), frames(2, *LARGE)]
        ready = [[gpu.prepare(picture) for picture in pair] for pair in pairs]
        for _ in range(4):
            for pair, prepared in zip(pairs, ready, strict=True):
                same(gpu.between(*prepared, [0.5]), cpu.between(*pair, [0.5]))
        assert (machine.cuda.captures, machine.cuda.launches) == (2, 6)


def test_where_sizes_overlap_the_one_tuned_nearest_is_taken(machine: Machine, graph: Path) -> None:
    spans = (SizeRange((32, 32), (32, 32), (256, 256)), SizeRange((64, 64), LARGE, (256, 256)))
    engine = engine_for(graph, BuildOptions(Flavour.TENSORRT, spans))
    for size, profile in ((SMALL, 0), (LARGE, 1), ((192, 192), 1)):
        drawn(engine, Backend.AUTO, frames(2, *size))
        assert machine.trt.profiles[-1] == profile


def test_a_size_that_no_profile_takes_is_refused(machine: Machine, graph: Path) -> None:
    engine = engine_for(graph, BuildOptions(Flavour.TENSORRT, (SizeRange.fixed(SMALL), SizeRange.fixed(LARGE))))
    with pytest.raises(UsageError, match=r"not built for frame0 of 1x3x96x128, only for .*64, 96.*128, 160"):
        drawn(engine, Backend.AUTO, frames(2, 96, 128))
