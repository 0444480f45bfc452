"""What every benchmark shares: interleaved timing, the facts of the machine, and the two files of a result."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
Row = dict[str, object]
PACKAGES = ("onnxruntime", "openvino", "onnx", "torch", "numpy")


@dataclass
class Samples:
    """Repeated measurements of one thing.

    Attributes:
        wall: seconds on the clock.
        cpu: seconds of processor time over all threads; other programs disturb it far less than the clock.
    """

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def add(self, wall: float, cpu: float) -> None:
        """Note one measurement."""
        self.wall.append(wall)
        self.cpu.append(cpu)

    def summary(self) -> dict[str, float]:
        """Medians in milliseconds, how far the quartiles are apart in per cent of the median, and the count."""
        found: dict[str, float] = {"n": len(self.wall)}
        for name, values in (("wall", self.wall), ("cpu", self.cpu)):
            middle = statistics.median(values)
            low, _, high = statistics.quantiles(values, n=4) if len(values) > 1 else (middle, middle, middle)
            found[f"{name}_ms"] = round(1000 * middle, 2)
            found[f"{name}_spread_percent"] = round(100 * (high - low) / middle, 1) if middle else 0.0
        return found


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """(wall, cpu) seconds of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def interleaved(contenders: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Samples]:
    """Each contender once per round, so that a disturbance hits all of them alike; one unmeasured round first."""
    samples = {name: Samples() for name in contenders}
    for measured in (False, *[True] * rounds):
        for name, work in contenders.items():
            wall, cpu = timed(work)
            if measured:
                samples[name].add(wall, cpu)
    return samples


def ratio(one: Samples, base: Samples) -> dict[str, float]:
    """Median and quartiles of `one`'s CPU time over that of `base`, round by round."""
    ratios = [a / b for a, b in zip(one.cpu, base.cpu, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    return {"ratio": round(middle, 3), "ratio_low": round(low, 3), "ratio_high": round(high, 3)}


def machine(threads: int) -> dict[str, object]:
    """What a figure cannot be read without."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "bound_to": len(os.sched_getaffinity(0)),
        "threads": threads,
        "load_average": [round(v, 1) for v in os.getloadavg()],
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: v for name in PACKAGES if (v := _version(name))},
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def merged(before: Iterable[Row], now: Iterable[Row], key: str) -> list[Row]:
    """The rows of `now`, and those of `before` whose value of `key` no row of `now` has."""
    fresh = list(now)
    measured = {row[key] for row in fresh}
    return [row for row in before if row[key] not in measured] + fresh


def write(
    name: str, facts: Mapping[str, object], title: str, notes: str, table: list[list[str]], folder: Path = RESULTS
) -> None:
    """Write ``results/<name>.json`` and ``results/<name>.md``.

    Args:
        name: of the benchmark.
        facts: everything, with `machine` under ``"machine"``.
        title: heading of the Markdown file.
        notes: what was measured and how, and what follows from it.
        table: rows of cells, the heading first.
        folder: where to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(facts, indent=1) + "\n")
    heading, *rows = table
    lines = [heading, ["---"] * len(heading), *rows]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    (folder / f"{name}.md").write_text(f"# {title}\n\n{notes.strip()}\n\n{text}\n")
    print(text)


def describe(facts: Mapping[str, object]) -> str:
    """The machine in one sentence."""
    packages = ", ".join(f"{k} {v}" for k, v in dict(facts["packages"]).items())  # type: ignore[call-overload]
    bound = facts.get("bound_to", facts["cores"])
    cores = f"{facts['cores']} cores" + (f", bound to {bound} of them" if bound != facts["cores"] else "")
    load = f"load average at the start {facts['load_average']}, " if "load_average" in facts else ""
    return (
        f"{facts['processor']}, {cores}, {facts['threads']} threads, {load}{facts['system']}, "
        f"Python {facts['python']}, {packages}, {facts['date']}."
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


__all__ = ["Row", "Samples", "describe", "interleaved", "machine", "merged", "ratio", "timed", "write"]
