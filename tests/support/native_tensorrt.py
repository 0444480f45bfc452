"""Builds libtweenrt's TensorRT modules, and a CUDA and a TensorRT without a GPU for them to run on (tests/native).

Everything lands under build/native-tensorrt, named by a hash of what went into it.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from support.toolkit import ROOT, cuda_home, locked

NATIVE = ROOT / "runtime" / "native"
SOURCES = NATIVE / "src"
FAKE = ROOT / "tests" / "native" / "tensorrt_fake"
WARNINGS = ("-Wall", "-Wextra", "-Werror")
_FLAGS = ("-std=c++17", "-O1", "-g", "-fPIC", *WARNINGS, "-ffp-contract=off")
_SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-sanitize=vptr")
_IMPLEMENTED = {
    "NvInferImpl.h": ("VRuntime", "VCudaEngine", "VExecutionContext", "VHostMemory"),
    "NvInferRuntimeCommon.h": ("IPluginRegistry",),
}
# What TensorRT-RTX's own headers have and TensorRT's do not; not their text, but what a caller can say.
_RTX_VERSION = "#define TRT_MAJOR_RTX 1\n#define TRT_MINOR_RTX 7\n"
_RTX_CACHE = """class IRuntimeCache : public INoCopy {
  public:
    virtual ~IRuntimeCache() noexcept = default;
    virtual bool deserialize(void const* blob, size_t size) noexcept = 0;
    virtual IHostMemory* serialize() const noexcept = 0;
};
enum class DynamicShapesKernelSpecializationStrategy : int32_t { kLAZY = 0, kEAGER = 1, kNONE = 2 };
"""
_RTX_CONFIG = """    virtual void setDynamicShapesKernelSpecializationStrategy(
        DynamicShapesKernelSpecializationStrategy strategy) noexcept = 0;
    virtual IRuntimeCache* createRuntimeCache() const noexcept = 0;
    virtual bool setRuntimeCache(IRuntimeCache const& cache) noexcept = 0;
"""


@dataclass(frozen=True)
class Build:
    """What there is to load.

    Attributes:
        module: a backend of libtweenrt.
        library: the TensorRT that it opens.
        cuda: the CUDA runtime of both.
        driver: functions to drive the module with.
        plugins: a plugin library.
    """

    module: Path
    library: Path
    cuda: Path
    driver: Path
    plugins: Path


def sanitizing() -> bool:
    """Whether this process runs under the address sanitizer; it must be started for that."""
    return os.environ.get("TWEENRT_SANITIZE") == "1"


@functools.cache
def tensorrt_headers() -> Path:
    """The folder of the TensorRT headers that plugins/cmake/FindTensorRTHeaders.cmake pins, whatever is installed."""
    cmake = shutil.which("cmake", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}") or "cmake"
    with locked("native-tensorrt") as folder:
        script = folder / "headers.cmake"
        finder = ROOT / "plugins" / "cmake" / "FindTensorRTHeaders.cmake"
        script.write_text(
            "cmake_policy(VERSION 3.25)\nset(CMAKE_FIND_PACKAGE_NAME TensorRTHeaders)\n"
            "unset(ENV{TENSORRT_ROOT})\nset(CMAKE_FIND_USE_CMAKE_SYSTEM_PATH OFF)\n"
            "set(CMAKE_FIND_USE_SYSTEM_ENVIRONMENT_PATH OFF)\n"
            f'include("{finder}")\nfile(WRITE headers.txt "${{TensorRTHeaders_INCLUDE_DIR}}")\n'
        )
        run([cmake, f"-DPython3_EXECUTABLE={sys.executable}", "-P", str(script)], folder)
        return Path((folder / "headers.txt").read_text())


def rtx_headers() -> Path:
    """TensorRT's headers, with what TensorRT-RTX's have beside."""
    texts = {path.name: path.read_text() for path in tensorrt_headers().glob("NvInfer*.h")}
    version = re.sub(r"(#define NV_TENSORRT_MAJOR) \w+", r"\1 TRT_MAJOR_RTX", texts["NvInferVersion.h"])
    version = re.sub(r"(#define NV_TENSORRT_MINOR) \w+", r"\1 TRT_MINOR_RTX", version)
    texts["NvInferVersion.h"] = version.replace("#define NV_TENSORRT_MAJOR", _RTX_VERSION + "#define NV_TENSORRT_MAJOR")
    runtime = texts["NvInferRuntime.h"]
    start = runtime.index("class IRuntimeConfig : public INoCopy")
    end = runtime.index("protected:", start)
    texts["NvInferRuntime.h"] = (
        runtime[:start] + _RTX_CACHE + runtime[start:end] + "public:\n" + _RTX_CONFIG + runtime[end:]
    )
    folder = _folder() / f"rtx-{_hash(sorted(texts.items()))}"
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        _write(folder / name, text)
    return folder


def stand_ins(headers: Path) -> Path:
    """A folder with stand_ins.h: for each class that TensorRT implements one that has all its functions, none of which
    may be called. What the fake overrides may.
    """
    text = "#pragma once\n#include <cstdio>\n#include <cstdlib>\n#include <NvInferRuntime.h>\n"
    text += "[[noreturn]] inline void unexpected(char const* name) {\n"
    text += '    std::fprintf(stderr, "libtweenrt must not call %s\\n", name);\n    std::abort();\n}\n'
    text += "namespace nvinfer1 {\nusing namespace apiv;\n"
    for header, names in _IMPLEMENTED.items():
        source = re.sub(r"//.*", "", (headers / header).read_text())
        text += "".join(_stand_in(source, name) for name in names)
    folder = _folder() / f"stand-ins-{_hash(text)}"
    folder.mkdir(exist_ok=True)
    _write(folder / "stand_ins.h", text + "}\n")
    return folder


def _stand_in(source: str, name: str) -> str:
    body = re.search(rf"class {name}\b[^;{{]*\{{(.*?)\n\}};", source, re.DOTALL)
    assert body, f"the headers have no class {name}"
    kept = re.sub(r"#if.*?#endif", "", body[1], flags=re.DOTALL)
    lines = [f"class StandIn{name} : public {name} {{\n  public:\n"]
    for found in re.finditer(r"virtual ([^~;{]*?)= 0;", kept, re.DOTALL):
        signature = re.sub(r"\s+", " ", found[1]).strip()
        signature = re.sub(r" = \"?\w*\"?(?=[,)])", "", signature)
        lines.append(f'    {signature} override {{ unexpected("{name}: {signature}"); }}\n')
    return "".join([*lines, "};\n"])


def build(*, rtx: bool = False) -> Build:
    """A module for TensorRT or TensorRT-RTX, and all that it needs."""
    headers = rtx_headers() if rtx else tensorrt_headers()
    plain = [*_flags(tensorrt_headers()), f"-I{FAKE}"]
    faked = [*_with_cuda(headers, rtx=rtx), "-isystem", str(stand_ins(headers))]
    return Build(
        module(headers, rtx=rtx),
        _linked(faked, [FAKE / "fake_nvinfer.cpp"], "libtensorrt_rtx.so.1" if rtx else "libnvinfer.so"),
        _cuda(),
        _linked(plain, [FAKE / "driver.cpp", SOURCES / "convert.cpp"], "libdriver.so"),
        _linked(plain, [FAKE / "fake_plugins.cpp"], "libtweenrt_plugins.so"),
    )


def module(headers: Path, *, rtx: bool) -> Path:
    """A backend of libtweenrt, compiled with `headers`, on the fake CUDA runtime."""
    # Unique symbols would keep a module loaded that has been closed.
    own = ["-DTWEENRT_EMULATE", "-fvisibility=hidden", "-fno-gnu-unique", "-Wl,--no-undefined"]
    flags = [*own, *_with_cuda(headers, rtx=rtx)]
    return _linked(flags, module_sources(), f"libtweenrt_tensorrt{'_rtx' if rtx else ''}.so")


def module_sources() -> list[Path]:
    """Of a module, in C++ and CUDA."""
    ours = sorted((SOURCES / "tensorrt").glob("*.c[pu]*"))
    return [p for p in ours if p.suffix in (".cpp", ".cu")] + [SOURCES / "convert.cpp", SOURCES / "sha256.cpp"]


def syntax_only(compiler: str, sources: list[Path], *flags: str) -> None:
    """Let `compiler` read sources of a module with all warnings, as errors."""
    run([compiler, "-fsyntax-only", *_flags(tensorrt_headers()), *flags, *map(str, sources)])


def _cuda() -> Path:
    return _linked([*_flags(tensorrt_headers()), f"-I{FAKE}"], [FAKE / "fake_cuda.cpp"], "libfake_cudart.so")


def _with_cuda(headers: Path, *, rtx: bool) -> list[str]:
    flavour = ["-DTWEENRT_RTX"] if rtx else []
    return [*_flags(headers), *flavour, f"-I{FAKE}", str(_cuda()), f"-Wl,-rpath,{_cuda().parent}"]


def _flags(headers: Path) -> list[str]:
    system = [f for folder in (headers, cuda_home() / "include") for f in ("-isystem", str(folder))]
    return [*_FLAGS, *(_SANITIZE if sanitizing() else ()), *system, f"-I{NATIVE / 'include'}"]


def _linked(flags: list[str], sources: list[Path], name: str) -> Path:
    """A shared library of `sources`, compiled if need be. Its folder is named by all that went into it."""
    objects = [_compiled(flags, source) for source in sources]
    target = _folder() / f"{name.split('.')[0]}-{_hash((flags, objects))}" / name
    return _made(target, ["g++", *map(str, objects), *flags, "-shared", f"-Wl,-soname,{name}", "-ldl"])


def _compiled(flags: list[str], source: Path) -> Path:
    headers = [*SOURCES.glob("*.h"), *(NATIVE / "include").rglob("*.h"), *FAKE.glob("*.h"), *source.parent.glob("*.*h")]
    texts = [path.read_bytes() for path in [source, *sorted({*headers})]]
    kept = [flag for flag in flags if not flag.startswith("-Wl,") and not flag.endswith(".so")] + own_names()
    target = _folder() / "objects" / f"{source.name}-{_hash((kept, texts))}.o"
    return _made(target, ["g++", *kept, "-c", "-x", "c++", str(source)])


def own_names() -> list[str]:
    """Other names for what fake_cuda.cpp implements.

    A real CUDA runtime in this process, such as PyTorch's, would take the calls under the names that both have.
    """
    source = (FAKE / "fake_cuda.cpp").read_text()
    names = re.findall(r"^(?:cudaError_t|char const\*) (cuda\w+)\(", source, re.MULTILINE)
    return [f"-D{name}=fake_{name}" for name in names]


def _made(target: Path, command: list[str]) -> Path:
    """`target`, which `command` makes, given ``-o``, where it is not there."""
    if not target.exists():
        target.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            made = Path(folder) / target.name
            run([*command, "-o", str(made)])
            made.replace(target)
    return target


def _folder() -> Path:
    folder = ROOT / "build" / "native-tensorrt"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _write(path: Path, text: str) -> None:
    """Write `text`, unless it is there: what reads it would be compiled again."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def _hash(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:20]


def run(command: list[str], folder: Path | None = None) -> str:
    """What `command` prints.

    Raises:
        RuntimeError: it failed.
    """
    plain = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}  # no sanitizer in compilers
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder, env=plain)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout
