"""What tests of the kernels need to compile them: a CUDA toolkit and the built plugin library."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build"
# nvcc, its device compiler, headers and runtime, as pip packages: for machines without a CUDA toolkit.
_TOOLKIT = (
    "nvidia-cuda-nvcc==13.0.88",
    "nvidia-nvvm==13.0.88",
    "nvidia-cuda-crt==13.0.88",
    "nvidia-cuda-runtime==13.0.96",
    "nvidia-cuda-cccl==13.3.5.0.6",
)
_DISASSEMBLER = ("nvidia-cuda-cuobjdump==13.5.37", "nvidia-cuda-nvdisasm==13.5.37")


@contextmanager
def locked(name: str) -> Iterator[Path]:
    """The folder `name` under build/, held by one process at a time."""
    folder = BUILD / name
    folder.mkdir(parents=True, exist_ok=True)
    with (BUILD / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


@cache
def cuda_home() -> Path:
    """A CUDA toolkit with bin/nvcc and include/: the machine's, or one installed under build/ with pip."""
    nvcc = shutil.which("nvcc")
    for home in (os.environ.get("CUDA_HOME"), nvcc and str(Path(nvcc).resolve().parents[1]), "/usr/local/cuda"):
        if home and all((Path(home) / part).is_file() for part in ("bin/nvcc", "include/cuda_runtime_api.h")):
            return Path(home)
    return _installed("cuda-toolkit", _TOOLKIT)


@cache
def disassembler() -> Path:
    """cuobjdump, which finds nvdisasm beside itself."""
    return _installed("cuda-disassembler", _DISASSEMBLER) / "bin" / "cuobjdump"


@cache
def plugin_library() -> Path:
    """libtweenrt_plugins.so for every architecture, built under build/plugins as `make plugins` builds it."""
    with locked("plugins") as folder:
        cmake = [shutil.which("cmake", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}") or "cmake"]
        compiler = cuda_home() / "bin" / "nvcc"
        _run([*cmake, "-S", ROOT / "plugins", "-B", folder, f"-DCMAKE_CUDA_COMPILER={compiler}"])
        _run([*cmake, "--build", folder, "--parallel", "2"])
        return folder / "libtweenrt_plugins.so"


def _installed(name: str, packages: tuple[str, ...]) -> Path:
    with locked(name) as folder:
        stamp = folder / "packages.txt"
        if not stamp.exists() or stamp.read_text() != "\n".join(packages):
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade"]
            _run([*pip, "--no-deps", "--target", folder, *packages])
            stamp.write_text("\n".join(packages))
        home = next((folder / "nvidia").glob("cu*"))
        for tool in (home / "bin").iterdir():
            tool.chmod(0o755)
        if (home / "lib").is_dir() and not (home / "lib64").exists():  # where nvcc looks for the libraries
            (home / "lib64").symlink_to("lib")
        return home


def _run(command: list[str | Path]) -> None:
    done = subprocess.run([str(part) for part in command], check=False, capture_output=True, text=True)
    if done.returncode:
        tail = re.sub(r"^ptxas info.*\n|^ +\d+ bytes.*\n", "", done.stdout + done.stderr, flags=re.MULTILINE)[-4000:]
        raise RuntimeError(f"{command[0]} failed:\n{tail}")
