"""What is installed: found by CMake and pkg-config, complete, and at work from where it lies."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.graphs import blend
from support.native_abi import clip
from support.native_build import NATIVE, built, cmake, onnxruntime_library, run


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    run([*cmake(), "--install", str(built()), "--prefix", str(folder)])
    return folder


def library_folder(prefix: Path) -> Path:
    (found,) = {path.parent for path in prefix.rglob("libtweenrt.so.1")}
    return found


def draws(program: Path, graph: Path, folder: Path, **environment: str) -> None:
    """Holds the C example to drawing a frame."""
    for k, frame in enumerate(clip(2, 16, 24)):
        (folder / f"{k}.rgb").write_bytes(frame.tobytes())
    files = [str(folder / name) for name in ("0.rgb", "1.rgb")]
    words = [str(program), str(graph), "24", "16", *files, "0.5", str(folder / "out.rgb")]
    run(words, TWEENRT_BACKEND_LIBRARY=str(onnxruntime_library()), **environment)
    assert (folder / "out.rgb").stat().st_size == 24 * 16 * 3


def test_what_is_installed(prefix: Path) -> None:
    library = library_folder(prefix).relative_to(prefix)
    files = {str(path.relative_to(prefix)) for path in prefix.rglob("*") if not path.is_dir()}
    assert files == {
        "include/tweenrt/tweenrt.h",
        "include/tweenrt/tweenrt.hpp",
        *(f"{library}/{name}" for name in ("libtweenrt.so", "libtweenrt.so.1", "libtweenrt.so.0.1.0")),
        f"{library}/libtweenrt_onnxruntime.so",
        f"{library}/pkgconfig/tweenrt.pc",
        *(
            f"{library}/cmake/tweenrt/tweenrt-{part}.cmake"
            for part in ("config", "config-version", "targets", "targets-none")
        ),
    }


def test_cmake_finds_it(prefix: Path, tmp_path: Path) -> None:
    build = tmp_path / "build"
    run([*cmake(), "-S", str(NATIVE / "examples"), "-B", str(build), f"-DCMAKE_PREFIX_PATH={prefix}"])
    run([*cmake(), "--build", str(build)])
    draws(build / "tweenrt-middle", blend(tmp_path / "blend.onnx"), tmp_path)


def test_pkg_config_finds_it(prefix: Path, tmp_path: Path) -> None:
    if shutil.which("pkg-config") is None:
        pytest.skip("needs pkg-config (apt-get install pkg-config)")
    library = library_folder(prefix)
    asked = ["pkg-config", "--cflags", "--libs", "tweenrt"]
    flags = run(asked, PKG_CONFIG_PATH=str(library / "pkgconfig")).split()
    program = tmp_path / "middle"
    run(["gcc", str(NATIVE / "examples" / "middle.c"), *flags, "-o", str(program)])
    draws(program, blend(tmp_path / "blend.onnx"), tmp_path, LD_LIBRARY_PATH=str(library))
