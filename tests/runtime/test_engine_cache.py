"""Building engines with a real TensorRT builder, and finding them again."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from support import fake_tensorrt
from support.engines import use_plugin_library, write_graph
from support.fake_cuda import FakeCuda

from tweenrt import cache
from tweenrt.errors import BackendError, GraphError, UsageError
from tweenrt.export.passes.attach_bodies import attach_bodies
from tweenrt.plugins import library
from tweenrt.runtime import cuda, gpu
from tweenrt.runtime.engines import engine_cache, tensorrt
from tweenrt.runtime.engines.builder import BuildOptions, Built, SizeRange, build_plan
from tweenrt.runtime.engines.engine_cache import engine_for, entries, read_timings, write_timings
from tweenrt.runtime.engines.engine_file import read_info, unpack
from tweenrt.runtime.engines.tensorrt import Flavour, open_tensorrt
from tweenrt.runtime.gpu import Gpu, Gpus

WARP = (
    "g (float[1,4,16,24] x, float[1,2,16,24] flow) => "
    "(float[1,4,16,24] y) {{ w = tweenrt.BackwardWarp (x, flow)\n y = {} (w) }}"
)
OPEN = "g (float[N,4,H,W] x, float[N,4,H_2,W_2] z) => (float[N,4,H,W] y) { y = Relu (x)\n q = Relu (z) }"
SAMPLE = (
    'g (float[1,4,16,24] x, float[1,16,24,2] grid) => (float[1,4,16,24] y) {{ y = GridSample <mode = "{}"> (x, grid) }}'
)
OPTIONS = BuildOptions(Flavour.RTX, targets=("sm86",))


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_plugin_library(monkeypatch)
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    return write_graph(tmp_path, WARP.format("Relu"))


def with_bodies(path: Path) -> Path:
    """The graph at `path` as the stand-in can run it."""
    onnx.save(attach_bodies(onnx.load(path)), path)
    return path


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The graphs that were really built."""
    made: list[Path] = []

    def counted(path: Path, *rest: object) -> Built:
        made.append(path)
        return build_plan(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(engine_cache, "build_plan", counted)
    return made


def test_the_same_request_is_built_once(graph: Path, builds: list[Path]) -> None:
    first = engine_for(graph, OPTIONS)
    assert engine_for(graph, OPTIONS) == first
    assert builds == [graph]
    info, plan = unpack(first.read_bytes(), "e")
    assert plan[:4] == b"vtrt"
    assert info.plugins == {"BackwardWarp": 1}
    assert info.targets == ("sm86",)
    assert info.inputs == {"x": [1, 4, 16, 24], "flow": [1, 2, 16, 24]}
    assert info.graph_info("e").model == "test"


def other_graph(graph: Path, patch: pytest.MonkeyPatch) -> BuildOptions:
    write_graph(graph.parent, WARP.format("Neg"))
    return OPTIONS


def other_version(graph: Path, patch: pytest.MonkeyPatch) -> BuildOptions:
    trt = open_tensorrt(Flavour.RTX)
    patch.setattr(engine_cache, "open_tensorrt", lambda _: replace(trt, version=(1, 7, 9)))
    return OPTIONS


def other_gpu(graph: Path, patch: pytest.MonkeyPatch) -> BuildOptions:
    patch.setattr(engine_cache, "find_gpus", lambda: Gpus((Gpu("NVIDIA Test", "sm86"),), ""))
    return replace(OPTIONS, targets=())


def other_plugins(graph: Path, patch: pytest.MonkeyPatch) -> BuildOptions:
    copy = graph.parent / "other.so"
    copy.write_bytes(library.library_path().read_bytes() + b"changed")
    patch.setenv(library.VARIABLE, str(copy))
    return OPTIONS


def other_options(graph: Path, patch: pytest.MonkeyPatch) -> BuildOptions:
    return replace(OPTIONS, level=1)


def other_targets(graph: Path, patch: pytest.MonkeyPatch) -> BuildOptions:
    return replace(OPTIONS, targets=("sm86", "sm89"))


CHANGES = [other_graph, other_version, other_gpu, other_plugins, other_options, other_targets]


@pytest.mark.parametrize("change", CHANGES)
def test_anything_that_matters_makes_another_engine(
    change: Callable[[Path, pytest.MonkeyPatch], BuildOptions],
    graph: Path,
    builds: list[Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = engine_for(graph, OPTIONS)
    second = engine_for(graph, change(graph, monkeypatch))
    assert first != second
    assert len(builds) == 2


@pytest.mark.parametrize("targets", [("SM86",), ("sm86", "sm86"), ("Sm86", "sM86")])
def test_one_target_has_one_name(targets: tuple[str, ...], graph: Path, builds: list[Path]) -> None:
    first = engine_for(graph, OPTIONS)
    assert engine_for(graph, replace(OPTIONS, targets=targets)) == first
    assert builds == [graph]
    both = [engine_for(graph, replace(OPTIONS, targets=order)) for order in (("sm120", "sm86"), ("SM86", "sm120"))]
    assert both[0] == both[1]
    assert read_info(both[0]).targets == ("sm86", "sm120")


def test_other_sizes_make_another_engine(tmp_path: Path, builds: list[Path]) -> None:
    graph = write_graph(tmp_path, OPEN)
    sizes = [SizeRange.fixed((16, 16)), SizeRange.fixed((16, 32)), SizeRange((16, 16), (16, 16), (16, 32))]
    sizes.append(SizeRange.fixed((16, 16), batch=2))
    engines = {engine_for(graph, replace(OPTIONS, sizes=(each,))) for each in sizes * 2}
    assert len(engines) == len(builds) == len(sizes)


def test_the_other_flavour_makes_another_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache_folder = tmp_path / "other cache"
    fake_tensorrt.install(monkeypatch, cache_folder)
    graph = with_bodies(write_graph(tmp_path, WARP.format("Relu")))
    engines = [engine_for(graph, BuildOptions(flavour)) for flavour in Flavour for _ in range(2)]
    assert [read_info(engine).flavour for engine in engines] == ["tensorrt"] * 2 + ["tensorrt-rtx"] * 2
    assert len(set(engines)) == 2


def test_a_damaged_engine_is_built_again(graph: Path, builds: list[Path]) -> None:
    engine = engine_for(graph, OPTIONS)
    whole = engine.read_bytes()
    for place in (0, 9, 30, 60, len(whole) // 2, len(whole) - 1):
        broken = bytearray(whole)
        broken[place] ^= 1
        engine.write_bytes(broken)
        assert engine_for(graph, OPTIONS).read_bytes() == whole
    assert len(builds) == 7


def test_two_that_want_the_same_engine_do_the_work_once(graph: Path, builds: list[Path]) -> None:
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(engine_for(graph, OPTIONS))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(found) == 3
    assert builds == [graph]


def test_two_processes_that_want_the_same_engine_do_the_work_once(graph: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from tweenrt.runtime.engines import engine_cache\n"
        "from tweenrt.runtime.engines.builder import BuildOptions\n"
        "from tweenrt.runtime.engines.tensorrt import Flavour\n"
        "build = engine_cache.build_plan\n"
        "def counted(*rest): print('built', flush=True); return build(*rest)\n"
        "engine_cache.build_plan = counted\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "print(engine_cache.engine_for(Path(sys.argv[1]), BuildOptions(Flavour.RTX, targets=('sm86',))))"
    )
    command = [sys.executable, "-c", code, str(graph)]
    several = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in several:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    said = sorted((process.communicate("go\n")[0].split() for process in several), key=len)
    (engine,) = engine_cache.folder().glob("*.engine")
    assert said == [[str(engine)], ["built", str(engine)]]


def test_a_build_that_is_killed_leaves_no_engine(graph: Path, tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from tweenrt.runtime.engines.builder import BuildOptions\n"
        "from tweenrt.runtime.engines.engine_cache import engine_for\n"
        "from tweenrt.runtime.engines.tensorrt import Flavour\n"
        "def wait(*_): print('building', flush=True); time.sleep(60)\n"
        "engine_for(Path(sys.argv[1]), BuildOptions(Flavour.RTX, targets=('sm86',)), wait)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(graph)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == b"building"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not list(engine_cache.folder().glob("*.engine"))
    assert entries() == []
    assert unpack(engine_for(graph, OPTIONS).read_bytes(), "e")[0].flavour == "tensorrt-rtx"


def test_a_build_can_be_ended(graph: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        engine_for(graph, OPTIONS, lambda *_: False)
    assert entries() == []


def test_what_a_progress_function_raises_arrives(graph: Path) -> None:
    def fail(phase: str, done: int, steps: int) -> bool:
        raise ValueError(f"{phase} {done}/{steps}")

    with pytest.raises(ValueError, match=r"\w+ 0/\d"):
        build_plan(graph, OPTIONS, fail)


def test_progress_counts_up_to_all_steps(graph: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    build_plan(graph, OPTIONS, lambda *step: seen.append(step) or True)  # type: ignore[func-returns-value]
    assert seen[0][1] == 0
    assert seen[-1][1] == seen[-1][2] > 0


def test_the_cache_lists_what_is_whole_and_what_is_not(graph: Path) -> None:
    engine = engine_for(graph, OPTIONS)
    (engine.parent / "bad.engine").write_bytes(b"nothing")
    listed = {entry.path.name: entry for entry in entries()}
    assert listed[engine.name].info == read_info(engine)
    assert "expected an engine built by tweenrt" in listed["bad.engine"].fault


def test_a_damaged_timing_cache_counts_as_none(tmp_path: Path) -> None:
    path = tmp_path / "timings" / "t.cache"
    assert read_timings(path) == b""
    write_timings(path, b"timings")
    assert read_timings(path) == b"timings"
    write_timings(path, b"later ones")
    assert read_timings(path) == b"later ones"
    for place in range(path.stat().st_size):
        broken = bytearray(path.read_bytes())
        broken[place] ^= 1
        (tmp_path / "broken").write_bytes(broken)
        assert read_timings(tmp_path / "broken") == b""


def test_open_sizes_need_a_range(tmp_path: Path) -> None:
    graph = write_graph(tmp_path, OPEN)
    with pytest.raises(UsageError, match=r"leaves H, N, W open; say the sizes"):
        build_plan(graph, OPTIONS)
    built = build_plan(graph, replace(OPTIONS, sizes=(SizeRange((16, 16), (32, 48), (64, 64), (1, 2, 3)),)))
    assert built.inputs["z"] == [[(1, 4, 8, 8), (2, 4, 16, 24), (3, 4, 32, 32)]]
    with pytest.raises(UsageError, match=r"multiples of 1, got 17x16"):
        build_plan(graph, replace(OPTIONS, sizes=(SizeRange.fixed((17, 16)),)))


def test_several_sizes_become_several_profiles(tmp_path: Path) -> None:
    sizes = (SizeRange.fixed((16, 16)), SizeRange.fixed((32, 48), batch=2))
    built = build_plan(write_graph(tmp_path, OPEN), replace(OPTIONS, sizes=sizes))
    assert built.inputs["x"] == [[(1, 4, 16, 16)] * 3, [(2, 4, 32, 48)] * 3]


def test_bodies_are_built_where_plugins_are_not_wanted(tmp_path: Path) -> None:
    from tweenrt.export.passes.attach_bodies import attach_bodies

    path = write_graph(tmp_path, WARP.format("Relu"))
    onnx.save(attach_bodies(onnx.load(path)), path)
    with_plugin, without = (build_plan(path, replace(OPTIONS, plugins=p)) for p in (True, False))
    assert (with_plugin.plugin_nodes, without.plugin_nodes) == ({"BackwardWarp": 1}, {})
    assert [sum("custom_layer" in line for line in b.layers) for b in (with_plugin, without)] == [1, 0]


def test_parsers_without_an_override_get_no_bodies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tweenrt.export.passes.attach_bodies import attach_bodies

    path = write_graph(tmp_path, WARP.format("Relu"))
    onnx.save(attach_bodies(onnx.load(path)), path)
    monkeypatch.setattr(tensorrt.TensorRT, "overrides_bodies", False)
    assert sum("custom_layer" in line for line in build_plan(path, OPTIONS).layers) == 1


def test_sampling_the_nearest_pixel_is_refused(tmp_path: Path) -> None:
    build_plan(write_graph(tmp_path, SAMPLE.format("bilinear")), OPTIONS)
    with pytest.raises(GraphError, match="as NEAREST, not as bilinear"):
        build_plan(write_graph(tmp_path, SAMPLE.format("nearest")), OPTIONS)


def test_unknown_targets_and_old_versions_are_refused(graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="has no target sm87; it has sm120"):
        build_plan(graph, replace(OPTIONS, targets=("sm87",)))
    module = open_tensorrt(Flavour.RTX).module
    monkeypatch.setattr(module, "__version__", "1.4.0")
    with pytest.raises(BackendError, match=r"expected tensorrt_rtx 1\.7 or later, found 1\.4\.0"):
        open_tensorrt(Flavour.RTX)


def test_a_machine_without_a_driver_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise OSError(name)

    gpu.find_gpus.cache_clear()
    monkeypatch.setattr(gpu.ctypes, "CDLL", absent)
    assert "no NVIDIA driver" in gpu.find_gpus().detail
    gpu.find_gpus.cache_clear()


def test_an_engine_is_built_on_the_gpu_that_it_is_for(graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, done = open_tensorrt(Flavour.RTX).module, list[tuple[str, int]]()

    class Gpus2(FakeCuda):
        def cudaSetDevice(self, device: int) -> tuple[object]:  # noqa: N802
            done.append((f"GPU {device}", threading.get_ident()))
            return super().cudaSetDevice(device)

    def made(logger: object) -> object:
        done.append(("builder", threading.get_ident()))
        return real(logger)

    real = module.Builder
    monkeypatch.setattr(module, "Builder", made)
    monkeypatch.setattr(cuda.Lane, "_runtime", Gpus2(gpus=2))
    two = (Gpu("NVIDIA A", "sm86"), Gpu("NVIDIA B", "sm89"))
    monkeypatch.setattr(engine_cache, "find_gpus", lambda: Gpus(two, ""))
    engine = engine_for(graph, replace(OPTIONS, targets=()), device=1)
    assert read_info(engine).device == "NVIDIA B (sm89)"
    assert [what for what, _ in done] == ["GPU 1", "builder"]
    assert len({thread for _, thread in done}) == 1, "a GPU is current in one thread, and another one builds"


@pytest.mark.parametrize(
    ("gpus", "targets", "says"),
    [
        (Gpus((Gpu("NVIDIA A", "sm86"),), ""), (), r"GPU 5 was asked for, this machine has 1: 0 is NVIDIA A \(sm86\)"),
        (Gpus((), "no NVIDIA driver"), (), "GPU 5 was asked for: no NVIDIA driver. Leave --device out"),
        (Gpus((), "no NVIDIA driver"), ("sm86",), "built without a GPU; leave --device or --target out"),
    ],
)
def test_a_gpu_that_is_not_there_is_refused(
    gpus: Gpus, targets: tuple[str, ...], says: str, graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_cache, "find_gpus", lambda: gpus)
    with pytest.raises(UsageError, match=says):
        engine_for(graph, replace(OPTIONS, targets=targets), device=5)


def test_portable_and_targets_exclude_each_other(graph: Path) -> None:
    with pytest.raises(UsageError, match=r"targets \(sm86\) and portable exclude each other"):
        engine_for(graph, replace(OPTIONS, portable=True))


def test_an_engine_that_samples_the_nearest_pixel_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The self-test runs on the GPU before an engine is handed out; the stand-in runs what is in the graph."""
    cache_folder = tmp_path / "other cache"
    fake_tensorrt.install(monkeypatch, cache_folder)
    good = with_bodies(write_graph(tmp_path, WARP.format("Relu")))
    assert engine_for(good, BuildOptions(Flavour.TENSORRT)).is_file()
    bad = onnx.load(good)
    for body in bad.functions:
        for node in body.node:
            for attribute in node.attribute:
                if node.op_type == "GridSample" and attribute.name == "mode":
                    attribute.s = b"nearest"
    onnx.save(bad, tmp_path / "bad.onnx")
    with pytest.raises(GraphError, match="does not sample between pixels"):
        engine_for(tmp_path / "bad.onnx", BuildOptions(Flavour.TENSORRT))
    assert len(list(cache_folder.rglob("*.engine"))) == 1
