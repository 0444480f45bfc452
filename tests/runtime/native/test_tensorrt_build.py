"""The TensorRT backends are compiled as they are shipped, and say what is missing on a machine without a GPU."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from ctypes import CDLL
from pathlib import Path

import pytest
from support.graphs import INFO
from support.native_abi import Native, Refused
from support.native_build import built, cmake
from support.native_tensorrt import NATIVE, WARNINGS, module_sources, run, syntax_only
from support.toolkit import cuda_home, locked

from tweenrt.runtime.engines.engine_file import EngineInfo, pack

TESTS = Path(__file__).parents[2]
FILES = (
    "test_tensorrt_backend.py",
    "test_tensorrt_convert.py",
    "test_tensorrt_interpolator.py",
    "test_tensorrt_rtx.py",
)


@pytest.mark.skipif(shutil.which("clang++") is None, reason="clang is not installed (apt-get install clang)")
@pytest.mark.parametrize("flavour", ["TWEENRT_TENSORRT", "TWEENRT_RTX"])
def test_clang_has_nothing_to_say(flavour: str) -> None:
    """GCC compiles the same sources with the same warnings for the other tests."""
    assert {"-Wall", "-Wextra", "-Werror"} <= set(WARNINGS)
    syntax_only("clang++", [p for p in module_sources() if p.suffix == ".cpp"], f"-D{flavour}")


@pytest.mark.slow
def test_modules_without_a_gpu(tmp_path: Path) -> None:
    """With nvcc and the real CUDA runtime inside; what they export, what they need, and what they say."""
    with locked("native-tensorrt-cmake") as folder:
        options = ["-DTWEENRT_TENSORRT=ON", "-DTWEENRT_ONNXRUNTIME=OFF", "-DTWEENRT_EXAMPLES=OFF"]
        options.append("-DTWEENRT_BUILD_GSTREAMER=OFF")
        nvcc = ["-DCMAKE_CUDA_ARCHITECTURES=86-real", f"-DCMAKE_CUDA_COMPILER={cuda_home() / 'bin' / 'nvcc'}"]
        run([*cmake(), "-S", str(NATIVE), "-B", str(folder), *options, *nvcc, "-DCMAKE_BUILD_TYPE=Release"])
        run([*cmake(), "--build", str(folder), "--parallel", "2"])
        for flavour in ("tensorrt", "tensorrt-rtx"):
            module = folder / f"libtweenrt_{flavour.replace('-', '_')}.so"
            exported = run(["nm", "-D", "--defined-only", str(module)]).split()[2::3]
            assert sorted(exported) == ["tweenrt_module_interface", "tweenrt_module_open"]
            needed = run(["objdump", "-p", str(module)])
            assert not [name for name in ("cuda", "nvinfer", "tensorrt") if f"NEEDED               lib{name}" in needed]
            _says_that_there_is_no_gpu(tmp_path, folder, flavour)


def _says_that_there_is_no_gpu(tmp_path: Path, folder: Path, flavour: str) -> None:
    try:
        CDLL("libcuda.so.1")
    except OSError:
        path = tmp_path / "it.engine"
        path.write_bytes(pack(EngineInfo(INFO.to_metadata(), "0" * 64, flavour, "1.7.1"), b"plan"))
        with pytest.raises(Refused) as refused:
            Native(path, backend_library=None, module_folder=str(folder).encode())
        assert refused.value.status == "NO_DEVICE"
        assert str(refused.value) == (
            "no CUDA device: no NVIDIA driver, libcuda.so.1 is not there; without a GPU, run the ONNX graph with the "
            "backend onnxruntime"
        )
    else:
        pytest.skip("this machine has an NVIDIA driver")


@pytest.mark.slow
def test_memory_is_used_as_it_should_be() -> None:
    """All tests of the backends once more with AddressSanitizer and UBSan, which end a process that errs.

    The sanitizer must be loaded before everything else, and know how exceptions are thrown.
    """
    built(sanitize=True)
    preloaded = [run(["g++", f"-print-file-name=lib{name}.so"]).strip() for name in ("asan", "stdc++")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist"]
        + [str(Path(__file__).with_name(name)) for name in FILES],
        capture_output=True,
        text=True,
        check=False,
        cwd=TESTS,
        env={
            **os.environ,
            "TWEENRT_SANITIZE": "1",
            "LD_PRELOAD": " ".join(preloaded),
            "ASAN_OPTIONS": "detect_leaks=0:halt_on_error=1:exitcode=99",
            "UBSAN_OPTIONS": "print_stacktrace=1",
            "OMP_NUM_THREADS": "1",
        },
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert " passed" in done.stdout
