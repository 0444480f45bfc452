"""The benchmark of libtweenrt runs from end to end on the CPU; frames on a GPU on one that is none."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from support import fake_tensorrt, graphs, native_tensorrt
from support.native_build import built

from tweenrt.contract import FrameIO
from tweenrt.errors import BackendError
from tweenrt.runtime import Backend, Interpolator
from tweenrt.runtime.engines.engine_file import EngineInfo, pack
from tweenrt.runtime.gpu import Gpus

HEIGHT, WIDTH = 48, 64
OPEN = "uint8 1 -1 -1 3 from 1 1 1 3 to 1 512 512 3"
PLAN = f"fake plan\nin frame0 {OPEN}\nin frame1 {OPEN}\nin t float 1 1 1 1\nout frame_t uint8 1 -1 -1 3\nmean"
DRIVER = """
#include <cuda_runtime_api.h>
#include <unistd.h>
#include <cstring>
extern "C" {
void fake_cuda_reset();
void fake_nvinfer_reset();
char const* fake_cuda_first_fault();
[[gnu::constructor]] void start() { fake_cuda_reset(), fake_nvinfer_reset(); }
[[gnu::destructor]] void end() { if (*fake_cuda_first_fault()) write(2, fake_cuda_first_fault(), 60), _exit(9); }
int cuInit(unsigned) { return 0; }
int cuDeviceGet(int* device, int) { return *device = 0; }
int cuDevicePrimaryCtxRetain(void**, int) { return 0; }
int cuCtxSetCurrent(void*) { return 0; }
int cuCtxSynchronize() { return 0; }
int cuMemAlloc_v2(void** address, size_t bytes) { return cudaMalloc(address, bytes); }
int cuMemcpyHtoD_v2(void* to, void const* from, size_t bytes) { return std::memcpy(to, from, bytes) != to; }
int cuMemcpyDtoH_v2(void* to, void const* from, size_t bytes) { return std::memcpy(to, from, bytes) != to; }
}
"""


@pytest.fixture
def native(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks" / "gpu")
    import native

    for name, value in {"WARM_UP": 5, "RUNS": 4, "ROUNDS": 2, "SIZES": {"720p": (HEIGHT, WIDTH)}}.items():
        monkeypatch.setattr(native, name, value)
    return native


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What `native.library` makes, for the programs to be put beside."""
    made = tmp_path / "native"
    made.mkdir()
    for name in ("libtweenrt.so", "libtweenrt.so.1", "libtweenrt_onnxruntime.so", "tweenrt-pipe"):
        (made / name).symlink_to(built() / name)
    return made


@pytest.fixture
def run(native: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Run the script for a graph on ONNX Runtime; its exit code and its rows."""
    monkeypatch.setattr(native, "library", lambda _: folder)

    def main(graph: Path) -> tuple[int, list[dict[str, Any]]]:
        given = ["--flavour", "onnxruntime", "--sizes", "720p", "--graph", str(graph), "--out", str(tmp_path / "out")]
        monkeypatch.setattr(sys, "argv", ["native.py", *given])
        return native.main(), json.loads((tmp_path / "out" / "native_cpu.json").read_text())["rows"]

    return main


def test_every_user_is_measured_and_draws_the_same(run: Any, tmp_path: Path) -> None:
    code, rows = run(graphs.blend_bytes(tmp_path / "bytes.onnx"))
    assert code == 0, rows
    assert [row["row"] for row in rows] == [f"onnxruntime 720p {pixels} host" for pixels in ("rgb8", "nv12")]
    for row in rows:
        assert row["c"]["n"] == row["python"]["n"] == 2 * 4
        assert 0 < row["c"]["p50"] <= row["c"]["p99"]
        assert all(row[way]["frames_per_s"] > 0 for way in ("c", "python", "pipe"))
        assert (row["steps"], row["psnr_db"]) == (0, 99), row
    assert "| onnxruntime | 720p nv12 host |" in (tmp_path / "out" / "native_cpu.md").read_text()


def test_frames_that_differ_are_told(
    native: ModuleType, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    darker = native.nv12.to_rgb
    monkeypatch.setattr(native.nv12, "to_rgb", lambda picture: darker(picture) // 2)
    code, (rgb8, nv12) = run(graphs.blend_bytes(tmp_path / "bytes.onnx"))
    assert code == 3
    assert rgb8["steps"] == 0
    assert nv12["steps"] > nv12["limit"]
    assert nv12["psnr_db"] < 99


def test_the_worst_frame_counts(native: ModuleType) -> None:
    wanted = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
    found = native.apart([wanted, wanted - 7, wanted], wanted)
    assert found["steps"] == 7
    assert found["psnr_db"] < 40


def test_what_fails_is_recorded_with_its_reason(run: Any, folder: Path, tmp_path: Path) -> None:
    code, rows = run(graphs.blend(tmp_path / "floats.onnx"))
    assert code == 1
    assert all("expected a graph with uint8 frames" in row["failed"] for row in rows)
    (folder / "libtweenrt_onnxruntime.so").unlink()
    code, rows = run(graphs.blend_bytes(tmp_path / "bytes.onnx"))
    assert code == 1
    assert all("exit code 1: native: " in row["failed"] and "libtweenrt_onnx" in row["failed"] for row in rows)


def test_a_pipe_that_ends_early_is_told(native: ModuleType, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "no.onnx").write_text("")
    case = native.Case(
        Backend.ONNXRUNTIME,
        tmp_path / "no.onnx",
        folder,
        (HEIGHT, WIDTH),
        native.Pixels.RGB8,
        native.Memory.HOST,
    )
    with pytest.raises(BackendError, match=r"drew 0 frames: tweenrt-pipe: .*no\.onnx"):
        native.through_pipe(case, case.clip()[0])


def test_every_kind_of_frame_is_measured_on_a_gpu(
    native: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX has packages for x86-64 only")
    fake_tensorrt.install(monkeypatch, tmp_path / "cache")
    monkeypatch.setattr(native, "find_gpus", lambda: Gpus((fake_tensorrt.DEVICE,), ""))

    def middle(pictures: list[Any], case: Any) -> Any:
        frames = [native.nv12.to_rgb(p) for p in pictures] if case.pixels is native.Pixels.NV12 else pictures
        drawn = np.rint(frames[0] / 2.0 + frames[1] / 2.0).astype(np.uint8)
        return native.nv12.from_rgb(drawn) if case.pixels is native.Pixels.NV12 else drawn

    def in_c(case: Any, pictures: list[Any]) -> dict[str, Any]:
        return {"version": "1", "ms": [1.0, 2.0, 3.0], "frames_per_s": 9.0, "drawn": [middle(pictures, case)] * 2}

    monkeypatch.setattr(native, "library", lambda _: tmp_path)
    monkeypatch.setattr(native, "program", lambda _: None)
    monkeypatch.setattr(native, "in_c", in_c)
    monkeypatch.setattr(native, "through_pipe", lambda case, p: ({"frames_per_s": 8.0}, middle(p, case)))
    graph = str(graphs.blend_bytes(tmp_path / "bytes.onnx"))
    monkeypatch.setattr(sys, "argv", ["native.py", "--graph", graph, "--sizes", "720p", "--out", str(tmp_path / "out")])
    code = native.main()
    rows = json.loads((tmp_path / "out" / "native_test_gpu.json").read_text())["rows"]
    assert code == 0, rows
    assert [row["row"].split()[2:] for row in rows] == [
        [pixels, memory] for memory in ("host", "device") for pixels in ("rgb8", "nv12")
    ]
    assert [row["python"] is None for row in rows] == [False, False, False, True]
    assert [row.get("pipe", {}).get("frames_per_s") for row in rows] == [8.0, 8.0, None, None]
    assert all(row["steps"] == 0 and row["c"]["p50"] == 2.0 and row["c"]["n"] == 6 for row in rows)


@pytest.mark.parametrize(("backend", "module"), [("onnxruntime", "ONNXRUNTIME"), ("tensorrt", "TENSORRT")])
def test_what_is_built(
    native: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, backend: str, module: str
) -> None:
    commands: list[tuple[Any, ...]] = []
    monkeypatch.setattr(native, "said", lambda *words: commands.append(words))
    monkeypatch.setattr(native, "ROOT", tmp_path)
    monkeypatch.setattr(native, "find_gpus", lambda: Gpus((fake_tensorrt.DEVICE,), ""))
    monkeypatch.setattr(native, "is_built", lambda: True)
    monkeypatch.setattr(native, "library_path", lambda: tmp_path / "plugins.so")
    (tmp_path / "build" / f"native-benchmark-{backend}").mkdir(parents=True)
    folder = native.library(Backend(backend))
    on = {word for word in commands[0] if str(word).endswith("=ON")}
    assert on == {f"-DTWEENRT_{module}=ON", "-DTWEENRT_EXAMPLES=ON"}
    assert ("-DCMAKE_CUDA_ARCHITECTURES=86" in commands[0]) == (backend == "tensorrt")
    assert (folder / "libtweenrt_plugins.so").readlink() == tmp_path / "plugins.so"


def test_the_library_that_python_has_loaded(native: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX has packages for x86-64 only")
    assert native.backend_library(Backend.TENSORRT_RTX).name.startswith("libtensorrt_rtx.so")
    # Another test in this process may have loaded a stand-in.
    monkeypatch.setattr(Path, "read_text", lambda _: "7f00-7f01 r-xp 0 00:00 0 /usr/lib/libc.so.6\n")
    with pytest.raises(BackendError, match=r"expected Python to have loaded libnvinfer\.so"):
        native.backend_library(Backend.TENSORRT)


@pytest.fixture
def on_fakes(native: ModuleType, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An engine for a TensorRT and a driver without a GPU, which programs that start from now on use."""
    native.program(folder)
    fake = native_tensorrt.build()
    (folder / "libtweenrt_tensorrt.so").symlink_to(fake.module)
    source = tmp_path / "driver.cpp"
    source.write_text(DRIVER)
    include = ("-isystem", str(native_tensorrt.cuda_home() / "include"), *native_tensorrt.own_names())
    libraries = [word for it in (fake.cuda, fake.library) for word in (str(it), f"-Wl,-rpath,{it.parent}")]
    driver = folder / "libcuda.so.1"
    subprocess.run(["g++", "-shared", "-fPIC", *include, str(source), *libraries, "-o", str(driver)], check=True)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(folder))
    monkeypatch.setenv("LD_PRELOAD", str(driver))
    monkeypatch.setattr(native, "backend_library", lambda _: fake.library)
    info = EngineInfo(
        replace(graphs.INFO, io=FrameIO.UINT8, divisor=1).to_metadata(),
        "0" * 64,
        "tensorrt",
        "10.14.1",
        "Test GPU (sm86)",
    )
    (tmp_path / "bytes.engine").write_bytes(pack(info, PLAN.encode()))
    return tmp_path / "bytes.engine"


@pytest.mark.parametrize("pixels", ["RGB8", "NV12"])
@pytest.mark.parametrize("memory", ["HOST", "DEVICE"])
def test_frames_on_a_gpu(
    native: ModuleType, folder: Path, on_fakes: Path, tmp_path: Path, pixels: str, memory: str
) -> None:
    size, kind = (HEIGHT, WIDTH), native.Pixels[pixels]
    case = native.Case(Backend.TENSORRT, on_fakes, folder, size, kind, native.Memory[memory])
    pictures, frames = case.clip()
    found = native.in_c(case, pictures)
    with Interpolator.open(graphs.blend_bytes(tmp_path / "bytes.onnx"), Backend.ONNXRUNTIME) as interpolator:
        (wanted,) = interpolator.between(frames[0], frames[1], [Fraction(1, 2)])
    wanted = native.nv12.from_rgb(wanted) if pixels == "NV12" else wanted
    assert len(found["ms"]) == 4
    assert native.apart(found["drawn"], wanted)["steps"] == 0
