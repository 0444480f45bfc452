"""The tests of frames and of wrong uses once more with AddressSanitizer and UBSan, which end a process that errs.

The sanitizer must be loaded before everything else, hence the process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support.graphs import blend_halves
from support.native_abi import clip
from support.native_build import built, onnxruntime_library, run

TESTS = Path(__file__).parents[2]
FILES = ("test_frames.py", "test_errors.py", "test_networks.py", "test_convert.py")


def environment(leaks: int) -> dict[str, str]:
    # The sanitizer looks for the function that throws exceptions when it starts, and Python does not bring it.
    paths = [run(["g++", f"-print-file-name={name}"]).strip() for name in ("libasan.so", "libstdc++.so.6")]
    return {
        **os.environ,
        "TWEENRT_SANITIZE": "1",
        "LD_PRELOAD": " ".join(paths),
        "ASAN_OPTIONS": f"detect_leaks={leaks}:halt_on_error=1:exitcode=99",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "OMP_NUM_THREADS": "1",
    }


def test_frames_and_wrong_uses_stay_inside_their_memory() -> None:
    built(sanitize=True)
    files = [str(Path(__file__).with_name(name)) for name in FILES]
    options = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *files],
        capture_output=True,
        text=True,
        check=False,
        cwd=TESTS,
        env=environment(leaks=0),
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert " passed" in done.stdout
    assert " skipped" not in done.stdout


def test_the_pipe_gives_all_memory_back(tmp_path: Path) -> None:
    frames = clip(3, 46, 58)
    words = ["--size", "58x46", "--threads", "1", "--backend-library", str(onnxruntime_library())]
    done = subprocess.run(
        [str(built(sanitize=True) / "tweenrt-pipe"), str(blend_halves(tmp_path / "halves")), *words],
        input=b"".join(frame.tobytes() for frame in frames),
        capture_output=True,
        check=False,
        env=environment(leaks=1),
    )
    assert done.returncode == 0, done.stderr.decode()[-4000:]
    assert len(done.stdout) == 6 * frames[0].nbytes
