"""What a measurement cannot be read without: the machine, what else ran on it, and how much memory was taken."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import tweenrt
from tweenrt.runtime.gpu import find_gpus

BUSY = 0.25
"""Load average for each processor from which a measurement is disturbed."""

_PACKAGES = ("numpy", "onnxruntime", "onnxruntime-gpu", "openvino", "tensorrt", "tensorrt-rtx", "cuda-python")
_ROOT = Path("/")
_STEADY = ("performance", "")  # no governor is shown where the system cannot change the clock


@dataclass(frozen=True)
class Machine:
    """Where and when it was measured. A string is empty where the system does not tell.

    Attributes:
        processor: its model.
        processors: how many this process may use.
        board: model of a board with a device tree, such as a Jetson.
        gpus: what NVIDIA's driver shows.
        governor: how the system chooses the processor's clock.
        power_mode: number of a Jetson's power mode, as ``nvpmodel`` keeps it.
        throttled: how often the processor has slowed down for heat since it was started; None where it is not told.
        load_average: of the last minute, before the measurement.
        system: operating system and architecture.
        python: version.
        packages: name → version of those that execute graphs.
        tweenrt: version.
        date: day and time, UTC.
    """

    processor: str
    processors: int
    board: str
    gpus: tuple[str, ...]
    governor: str
    power_mode: str
    throttled: int | None
    load_average: float
    system: str
    python: str
    packages: dict[str, str]
    tweenrt: str
    date: str

    @classmethod
    def here(cls, root: Path = _ROOT) -> Machine:
        """This machine; `root` is where its files are."""
        return cls(
            processor=_processor(root),
            processors=len(os.sched_getaffinity(0)),
            board=_text(root / "sys/firmware/devicetree/base/model"),
            gpus=tuple(map(str, find_gpus().found)),
            governor=_text(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            power_mode=_text(root / "var/lib/nvpmodel/status").removeprefix("pmode:"),
            throttled=throttle_count(root),
            load_average=os.getloadavg()[0],
            system=f"{platform.system()} {platform.release()} {platform.machine()}",
            python=platform.python_version(),
            packages={name: found for name in _PACKAGES if (found := _version(name))},
            tweenrt=tweenrt.__version__,
            date=time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()),
        )

    def warnings(self, throttled_after: int | None) -> list[str]:
        """What makes the figures doubtful, in sentences.

        Args:
            throttled_after: `throttle_count` after the measurement.
        """
        found = []
        if self.load_average > BUSY * self.processors:
            found.append(
                f"other programs were running: load average {self.load_average:.2f} on {self.processors} processors "
                "before the start; times are longer and spread more than on a quiet machine"
            )
        if self.governor not in _STEADY:
            found.append(f"the processor's clock varies: governor {self.governor!r}, 'performance' would hold it")
        if self.throttled is not None and throttled_after is not None and throttled_after > self.throttled:
            found.append(f"the processor slowed down for heat {throttled_after - self.throttled} times meanwhile")
        return found


@dataclass(frozen=True)
class Memory:
    """Resident memory of this process, in bytes.

    Attributes:
        before_load: before the graphs were loaded.
        after_load: when they were.
        after_runs: after the measurement.
        peak: the most there ever was, loading included.
    """

    before_load: int
    after_load: int
    after_runs: int
    peak: int

    @property
    def growth(self) -> int:
        """What loading and running added."""
        return self.after_runs - self.before_load


def resident_bytes(root: Path = _ROOT) -> tuple[int, int]:
    """Resident memory of this process in bytes: now, and the most so far."""
    lines = (line.split() for line in _text(root / "proc/self/status").splitlines())
    kilobytes = {words[0]: int(words[1]) for words in lines if words and words[0] in ("VmRSS:", "VmHWM:")}
    return kilobytes["VmRSS:"] * 1024, kilobytes["VmHWM:"] * 1024


def throttle_count(root: Path = _ROOT) -> int | None:
    """How often the processor has slowed down for heat; None where the system does not tell."""
    files = (root / "sys/devices/system/cpu").glob("cpu*/thermal_throttle/core_throttle_count")
    counts = [int(text) for file in files if (text := _text(file)).isdigit()]
    return sum(counts) if counts else None


def _processor(root: Path) -> str:
    lines = _text(root / "proc/cpuinfo").splitlines()
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor())


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return ""


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


__all__ = ["BUSY", "Machine", "Memory", "resident_bytes", "throttle_count"]
