"""Builds libtweenrt and its examples for the tests: quickly, once, and again where sources have changed."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest

from support.toolkit import ROOT, locked

NATIVE = ROOT / "runtime" / "native"
_SANITIZE = "-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g"


@functools.cache
def built(sanitize: bool = False) -> Path:
    """The folder with libtweenrt.so, the backend for ONNX Runtime and the examples.

    Args:
        sanitize: With AddressSanitizer and UBSan in them.
    """
    flags = f"-O1 {_SANITIZE if sanitize else ''}"
    with locked("native-test-sanitized" if sanitize else "native-test") as folder:
        configure = ["-DCMAKE_BUILD_TYPE=None", "-DTWEENRT_TENSORRT=OFF", "-DTWEENRT_BUILD_GSTREAMER=OFF"]
        flagged = [f"-DCMAKE_{language}_FLAGS={flags}" for language in ("C", "CXX")]
        run([*cmake(), "-S", str(NATIVE), "-B", str(folder), *configure, *flagged])
        run([*cmake(), "--build", str(folder), "--parallel", "2"])
        return folder


def onnxruntime_library() -> Path:
    """ONNX Runtime's library inside of the Python package."""
    folder = Path(onnxruntime.__file__).parent / "capi"
    return next(folder.glob("libonnxruntime.so.*"))


def cmake() -> list[str]:
    """The command `cmake`: the package's, which is new enough, where the machine's own may not be."""
    beside = Path(sys.executable).with_name("cmake")
    return [str(beside) if beside.exists() else "cmake"]


def run(command: list[str], **environment: str) -> str:
    """What `command` prints; the test fails with it unless all went well. A sanitizer of this process is not its."""
    alone = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=alone | environment)
    if done.returncode != 0:
        pytest.fail(f"{' '.join(command)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def compiled(target: Path, words: list[str]) -> Path:
    """Compile C++ with g++ to `target`, which another process may be running meanwhile."""
    part = target.with_name(f"{target.name}.part")
    run(["g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", *words, "-o", str(part)])
    return part.replace(target)


@functools.cache
def shared_library(launcher: str, *sources: str, include: Path | None = None) -> Path:
    """A shared library of `tests/native/<launcher>` and some of libtweenrt's sources.

    Args:
        launcher: Name of the file.
        sources: Of `runtime/native/src`.
        include: A folder with headers of others.
    """
    flags = ["-O1", "-fPIC", "-shared", "-fno-math-errno"]
    sanitize = _SANITIZE.split() if os.environ.get("TWEENRT_SANITIZE") == "1" else []
    theirs = [] if include is None else ["-isystem", str(include)]
    files = [ROOT / "tests" / "native" / launcher, *(NATIVE / "src" / source for source in sources)]
    with locked(f"native-{Path(launcher).stem}{'-sanitized' if sanitize else ''}") as folder:
        target = folder / f"lib{Path(launcher).stem}.so"
        words = [*flags, "-ffp-contract=off", *sanitize, f"-I{NATIVE / 'include'}", *theirs, *map(str, files), "-ldl"]
        return compiled(target, words)


def program(source: str) -> Path:
    """A program of `tests/native/<source>` that uses libtweenrt."""
    folder = built()
    file = str(ROOT / "tests" / "native" / source)
    with locked("native-test"):
        words = ["-O1", file, f"-I{NATIVE / 'include'}", f"-L{folder}", "-ltweenrt", "-ldl", f"-Wl,-rpath,{folder}"]
        return compiled(folder / Path(source).stem, words)


def onnxruntime_headers() -> Path:
    """Where CMake has found ONNX Runtime's headers."""
    fetched = built() / "onnxruntime-headers" / "usr" / "include" / "onnxruntime"
    if fetched.is_dir():
        return fetched
    cache = (built() / "CMakeCache.txt").read_text()
    return Path(re.findall(r"^OnnxRuntimeHeaders_INCLUDE_DIR:PATH=(.+)$", cache, re.MULTILINE)[0])
