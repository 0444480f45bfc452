"""Every kernel once more under the address sanitizer, which sees each byte that a kernel reads or writes outside.

The sanitizer must be loaded before everything else, hence the processes of their own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


def sanitized(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`python *arguments` in a process that builds and runs kernels under the sanitizer."""
    found = subprocess.run(["g++", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    environment = {
        **os.environ,
        "TWEENRT_SANITIZE": "1",
        "LD_PRELOAD": found.stdout.strip(),
        "ASAN_OPTIONS": "detect_leaks=0:halt_on_error=1",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=TESTS, env=environment)


def report_of(call: str) -> str:
    """What the sanitizer says of a call of a kernel of self_test."""
    done = sanitized(
        "-c",
        "import numpy as np\n"
        "from support.kernels import Kernels, Output\n"
        "def run(function, *arguments): Kernels('self_test', function=function).run(*arguments)\n" + call,
    )
    assert done.returncode != 0, "the sanitizer noticed nothing"
    return done.stderr


def line_of(text: str) -> int:
    lines = (TESTS / "native" / "self_test.cpp").read_text().splitlines()
    return next(k for k, line in enumerate(lines, start=1) if text in line)


def test_every_kernel_stays_inside_its_memory() -> None:
    files = sorted(str(path) for path in Path(__file__).parent.glob("test_*_kernel.py"))
    done = sanitized(
        "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "-k", "not mutation and not gpu", *files
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert " passed" in done.stdout
    assert " skipped" not in done.stdout


@pytest.mark.parametrize("at", [13, -1])
@pytest.mark.parametrize(
    ("verb", "arguments"),
    [("read", "np.zeros(13, np.uint8), Output((1,), np.int32)"), ("write", "Output((13,), np.uint8)")],
)
def test_an_access_outside_is_reported(verb: str, arguments: str, at: int) -> None:
    report = report_of(f"run('launch_{verb}_at', {at}, {arguments})")
    assert "heap-buffer-overflow" in report
    assert f"{verb.upper()} of size 1" in report
    assert f"self_test.cpp:{line_of(f'void {verb}_at')}" in report


def test_a_copy_from_outside_is_reported_where_it_was_asked_for() -> None:
    report = report_of("run('launch_copy_from', 1, np.zeros(20, np.uint8), Output((1,), np.int32))")
    assert "heap-buffer-overflow" in report
    assert f"self_test.cpp:{line_of('copy_16_bytes(stage, in + at, true)')}" in report


def test_a_misaligned_access_is_reported() -> None:
    report = report_of("run('launch_read_vector_at', 4, np.zeros(32, np.uint8), Output((1,), np.int32))")
    assert "misaligned address" in report
    assert f"self_test.cpp:{line_of('*out = vector->x')}" in report
