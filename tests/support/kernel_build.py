"""Compiles the kernels of an op for the tests: with g++ for the emulator of tests/native, with nvcc for a GPU.

Libraries land under build/kernels, named by a hash of everything that went into them, so that a session compiles
only what has changed and parallel sessions share.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import subprocess
import tempfile
from pathlib import Path

from support.toolkit import ROOT, cuda_home

NATIVE = ROOT / "tests" / "native"
BUILD = ROOT / "build" / "kernels"
EMULATOR = (NATIVE / "simt.cpp", NATIVE / "primitives.cpp")

# CUDA's halves have assignments of their own, so GCC warns of memcpy into them; packed ones are read just so.
# A fiber has twice the stack that one frame may take.
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-Wno-class-memaccess", "-Wframe-larger-than=32768")
# Kernels look at the same bytes as different types; unique symbols would tie two builds of one kernel together.
HOST_FLAGS = ("-std=c++17", "-O2", "-fno-strict-aliasing", "-fno-gnu-unique", "-fPIC", "-DTWEENRT_EMULATE", *WARNINGS)
# Stack frames are left alone, since fibers switch stacks behind the sanitizer's back.
SANITIZE_FLAGS = (
    "-g",
    "-fsanitize=address,alignment,bounds,shift,signed-integer-overflow,integer-divide-by-zero",
    "-fno-sanitize-recover=all",
    "--param=asan-stack=0",
)
GPU_FLAGS = ("-std=c++17", "-O3", "-arch=native", "-x", "cu", "-Xcompiler", "-fPIC", "-shared")

# Mutated kernels run briefly, and may leave something unused.
PATCHED_FLAGS = ("-w", "-O1")

Patch = tuple[str, str]


class BuildError(RuntimeError):
    """The compiler refused, or the text that a patch replaces is not there."""


def sanitizing() -> bool:
    """Whether this process builds and runs kernels under the address sanitizer; it must be started for that."""
    return os.environ.get("TWEENRT_SANITIZE") == "1"


@functools.cache
def library(op: str, patch: Patch | None = None, gpu: bool = False) -> Path:
    """The shared library of `tests/native/<op>.cpp`, compiled if need be.

    Args:
        op: Name of the op, as its folder under `plugins` is called.
        patch: (old, new): compile a copy of the kernel in which `old`, which must occur once, reads `new`.
        gpu: Compile with nvcc for this machine's GPU instead of for the emulator.
    """
    launcher = NATIVE / f"{op}.cpp"
    if patch is None:
        return _linked(launcher, gpu)
    texts = _patched(launcher, *patch)
    with tempfile.TemporaryDirectory(dir=_made(BUILD)) as copy:
        for path, text in texts.items():
            target = Path(copy) / path.relative_to(ROOT)
            _made(target.parent)
            target.write_text(text)
        return _linked(Path(copy) / launcher.relative_to(ROOT), gpu, PATCHED_FLAGS)


def sources(path: Path) -> list[Path]:
    """`path` and every file of ours that it includes, directly or not."""
    found: dict[Path, None] = {}
    todo = [path.resolve()]
    while todo:
        file = todo.pop()
        if file in found:
            continue
        found[file] = None
        for name in re.findall(r'^\s*#include "(.+)"', file.read_text(), re.MULTILINE):
            beside = (file.parent / name).resolve()
            todo.append(beside if beside.exists() else NATIVE / name)
    return list(found)


def _patched(launcher: Path, old: str, new: str) -> dict[Path, str]:
    """Texts of all sources, one of them changed: a file of the op or, where none has `old`, a shared header."""
    texts = {path: path.read_text() for path in sources(launcher)}
    ours = [p for p in texts if (ROOT / "plugins") in p.parents and p.name != "device.cuh"]
    of_op = [p for p in ours if p.parent.name != "common"] or [launcher]
    for group in (of_op, [p for p in ours if p not in of_op]):
        places = [p for p in group for _ in range(texts[p].count(old))]
        if places:
            if len(places) > 1:
                raise BuildError(f"{old!r} must occur once, but occurs {len(places)} times; give more of the line")
            return {**texts, places[0]: texts[places[0]].replace(old, new)}
    raise BuildError(f"{old!r} does not occur in {[p.name for p in ours]}: the mutation is out of date")


def _linked(launcher: Path, gpu: bool, extra: tuple[str, ...] = ()) -> Path:
    if gpu:
        return _compiled([str(cuda_home() / "bin" / "nvcc"), *GPU_FLAGS, *extra], launcher, ".so")
    command = ["g++", *_host_flags()]
    objects = [_compiled([*command, "-c"], source, ".o") for source in EMULATOR]
    return _compiled([*command, *extra, "-shared"], launcher, ".so", objects)


def _host_flags() -> list[str]:
    sanitize = SANITIZE_FLAGS if sanitizing() else ("-Wl,--no-undefined",)
    return [*HOST_FLAGS, *sanitize, f"-I{NATIVE}", "-isystem", str(cuda_home() / "include")]


def _compiled(command: list[str], source: Path, suffix: str, objects: list[Path] | None = None) -> Path:
    """What `command` makes of `source`, kept under a name that stands for the command and all texts."""
    objects = objects or []
    texts = [path.read_bytes() for path in sources(source)]
    key = hashlib.sha256(repr((command, _version(command[0]), texts, objects)).encode()).hexdigest()[:24]
    target = _made(BUILD) / f"{source.stem}-{key}{suffix}"
    if target.exists():
        return target
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        made = Path(folder) / target.name
        words = [*command, str(source), *map(str, objects), "-o", str(made)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BuildError(f"{' '.join(words)}\n{done.stderr}")
        made.replace(target)
    return target


@functools.cache
def _version(compiler: str) -> str:
    return subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True).stdout


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
