"""Builds the GStreamer element for the tests and runs it: in pipelines, and frame by frame in a harness."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from support.native_build import NATIVE, cmake, compiled, onnxruntime_library, run
from support.toolkit import ROOT, locked
from tweenrt.runtime.interpolator import Interpolator
from tweenrt.runtime.session import Backend
from tweenrt.runtime.timeline import Moment, Retiming, intervals

Frame = NDArray[np.uint8]
NANOSECOND = Fraction(1, 1_000_000_000)
_PACKAGES = ("gstreamer-check-1.0", "gstreamer-video-1.0")
_ERROR = re.compile(r"^(?:ERROR: from element \S+: |WARNING: erroneous pipeline: )(.+)$", re.MULTILINE)
_CHAIN = re.compile(r"chain .*pts: (\S+), duration: (\S+), offset")
_COUNTED = re.compile(r"(\d+) frames in, (\d+) drawn, (\d+) encoder runs, (\d+) drawing runs")
_TIMEOUT = 60


@dataclass(frozen=True)
class Ran:
    """What a pipeline did.

    Attributes:
        times: presentation time and duration of every frame that came out, in nanoseconds.
        counted: frames in, frames drawn, runs of the encoder, runs that drew.
        errors: what elements reported.
    """

    times: list[tuple[int, int]]
    counted: tuple[int, ...]
    errors: list[str]


@functools.cache
def missing() -> str | None:
    """Why the element cannot be built and run here; None if it can."""
    tools = [tool for tool in ("pkg-config", "gst-launch-1.0") if shutil.which(tool) is None]
    if tools:
        return f"{' and '.join(tools)} not installed (Debian: pkg-config, gstreamer1.0-tools)"
    if subprocess.run(["pkg-config", "--exists", *_PACKAGES], check=False).returncode != 0:
        return "GStreamer's headers are not installed (Debian: libgstreamer-plugins-base1.0-dev)"
    if subprocess.run(["gst-inspect-1.0", "--exists", "rawvideoparse"], check=False).returncode != 0:
        return "GStreamer's rawvideoparse is not installed (Debian: gstreamer1.0-plugins-base)"
    return None


@functools.cache
def plugin() -> Path:
    """The folder that holds the plugin, beside libtweenrt."""
    with locked("native-gstreamer") as folder:
        options = {"BUILD_TYPE": "None", "CXX_FLAGS": "-O1"}
        configure = [f"-DCMAKE_{name}={value}" for name, value in options.items()]
        switches = ["-DTWEENRT_TENSORRT=OFF", "-DTWEENRT_EXAMPLES=OFF", "-DTWEENRT_BUILD_GSTREAMER=ON"]
        run([*cmake(), "-S", str(NATIVE), "-B", str(folder), *configure, *switches])
        run([*cmake(), "--build", str(folder), "--parallel", "2"])
        return folder / "gstreamer-1.0"


@functools.cache
def harness() -> Path:
    """The program of `tests/native/gstreamer_harness.cpp`."""
    target = plugin().parent / "gstreamer_harness"
    flags = run(["pkg-config", "--cflags", "--libs", *_PACKAGES]).split()
    with locked("native-gstreamer"):
        return compiled(target, [str(ROOT / "tests" / "native" / "gstreamer_harness.cpp"), *flags])


def environment() -> dict[str, str]:
    """With the plugin, nobody's own plugins, and complaints of GLib ending the program."""
    folder = plugin()
    return os.environ | {
        "GST_PLUGIN_PATH": str(folder),
        "GST_REGISTRY": str(folder.parent / "registry.bin"),
        "GST_DEBUG": "tweenrtinterpolate:4",
        "GST_DEBUG_NO_COLOR": "1",
        "G_DEBUG": "fatal-criticals",
    }


def element(graph: Path | str, **properties: object) -> str:
    """The element with these properties, as a pipeline's text names it."""
    given: dict[str, object] = {"graph": graph, "threads": 1, "backend-library": onnxruntime_library()}
    given |= {name.replace("_", "-"): value for name, value in properties.items()}
    return "tweenrtinterpolate " + " ".join(f"{name}={value}" for name, value in given.items())


def launch(pipeline: str) -> Ran:
    """Run `pipeline` to its end; an ``identity silent=false`` in it tells the times."""
    command = ["gst-launch-1.0", "-v", *pipeline.split()]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
        timeout=_TIMEOUT,
        stdin=subprocess.DEVNULL,
    )
    said = done.stdout + done.stderr
    times = [(_nanoseconds(pts), _nanoseconds(duration)) for pts, duration in _CHAIN.findall(said)]
    errors = _ERROR.findall(said)
    assert (done.returncode != 0) == bool(errors), said[-3000:]
    counted = _COUNTED.findall(said)
    return Ran(times, tuple(map(int, counted[-1])) if counted else (), errors)


def _nanoseconds(text: str) -> int:
    hours, minutes, seconds = text.split(":")
    return (int(hours) * 60 + int(minutes)) * 60 * 10**9 + int(seconds.replace(".", ""))


def commanded(*commands: str) -> list[str]:
    """What the harness prints for `commands`; see `tests/native/gstreamer_harness.cpp`. Nothing of it is left over."""
    done = subprocess.run(
        [str(harness())],
        input="\n".join(commands),
        capture_output=True,
        text=True,
        check=False,
        env=environment() | {"GST_TRACERS": "leaks", "GST_DEBUG": "GST_TRACER:7"},
        timeout=_TIMEOUT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Leaks detected" not in done.stderr, done.stderr
    return done.stdout.splitlines()


def started(graph: Path, caps: str, **properties: object) -> list[str]:
    """Commands that open the element, `caps` at its input."""
    words = element(graph, **properties).split()[1:]
    return [*(f"set {word.replace('=', ' ', 1)}" for word in words), "start", f"caps {caps}"]


@dataclass(frozen=True)
class Shown:
    """A source frame, by its number, with its time in seconds."""

    number: int
    pts: Fraction
    duration: Fraction


def expected(
    graph: Path, frames: Sequence[Frame], times: Sequence[tuple[int, int]], retiming: Retiming
) -> list[tuple[Moment, Frame]]:
    """What Python shows and draws of `frames`, of which `times` gives pts and duration in nanoseconds."""
    source = [Shown(k, pts * NANOSECOND, duration * NANOSECOND) for k, (pts, duration) in enumerate(times)]
    found: list[tuple[Moment, Frame]] = []
    with Interpolator.open(graph, Backend.ONNXRUNTIME, threads=1) as interpolator:
        for interval in intervals(source, retiming):
            k = interval.first.number
            for moment in interval.moments:
                t = interval.position(moment)
                found.append((moment, frames[k] if t == 0 else _drawn(interpolator, frames, k, t)))
    return found


def _drawn(interpolator: Interpolator, frames: Sequence[Frame], k: int, t: Fraction) -> Any:
    before = frames[k - 1] if k else None
    after = frames[k + 2] if k + 2 < len(frames) else None
    return interpolator.between(frames[k], frames[k + 1], [t], before=before, after=after)[0]


def skip_where_missing() -> Any:
    """The mark for modules of tests that need GStreamer."""
    return pytest.mark.skipif(missing() is not None, reason=str(missing()))
