"""Everything about our CUDA kernels that needs an NVIDIA GPU, in one run of less than nine minutes.

    python benchmarks/gpu/plugins.py [--only parity,sanitizer,speed,density] [--out DIR] [--emulator]

Writes gpu_plugins_<device>.json and .md into benchmarks/results: whether the kernels are right (the tests' parity,
compute-sanitizer), how fast they are and what part of the machine that is, how torch compares, at which share of active
tiles MaskedConv2d stops paying, and whether the targets are reached. See README.md beside this. A step that fails is
recorded and stops no other; what is done is written after every step, so Ctrl-C loses only the step at hand.

With --emulator everything runs on the CPU emulator at tiny sizes, into build/benchmarks: its times mean nothing.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "benchmarks")]

import checks  # noqa: E402
import record  # noqa: E402
import report  # noqa: E402
import targets  # noqa: E402
from session import Session  # noqa: E402
from support.toolkit import cuda_home  # noqa: E402

OPS = (
    *("backward_warp", "warp_resize", "warp_concat", "warp_blend", "merge", "forward_splat"),
    *("correlation_lookup", "deform_conv2d", "mask_tiles", "masked_conv2d"),
)
SECONDS = 525  # of a whole run
Facts = dict[str, Any]


def main() -> None:
    """See the module."""
    wanted = arguments()
    session = Session(wanted.emulator, SECONDS if not wanted.emulator else 3600)
    facts = begun(wanted)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for step in ("machine", "build", *wanted.only):
            run(step, session, facts)
            save(wanted.out, session, facts)
    except KeyboardInterrupt:
        session.stop()
        session.say("interrupted")
    save(wanted.out, session, facts)
    print(report.targets_table(targets.judged(facts["steps"], wanted.emulator)))


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--emulator", action="store_true", help="on the CPU emulator, at tiny sizes")
    parser.add_argument("--only", default="parity,speed,density,sanitizer", help="steps, separated by commas")
    parser.add_argument("--out", type=Path, help="folder of the results")
    wanted = parser.parse_args()
    wanted.only = wanted.only.split(",")
    if unknown := set(wanted.only) - set(STEPS):
        parser.error(f"--only takes {', '.join(STEPS)}; got {', '.join(sorted(unknown))}")
    wanted.out = wanted.out or (ROOT / "build" / "benchmarks" if wanted.emulator else record.RESULTS)
    return wanted


def begun(wanted: argparse.Namespace) -> Facts:
    """The facts of a run before its first step; steps of an earlier run on this device stay until they run again."""
    gpu = {} if wanted.emulator else nvidia_smi()
    if not gpu and not wanted.emulator:
        raise SystemExit("expected an NVIDIA GPU, but nvidia-smi shows none; --emulator runs the script without one")
    device = re.sub(r"[^a-z0-9]+", "_", gpu.get("name", "emulator").lower()).strip("_")
    before = wanted.out / f"gpu_plugins_{device}.json"
    steps = json.loads(before.read_text())["steps"] if before.exists() else {}
    facts: Facts = {"device": device, "emulator": wanted.emulator, "gpu": gpu, "nvcc": nvcc()}
    return facts | {"host": record.machine(threads=1), "steps": steps}


def nvidia_smi() -> dict[str, str]:
    """What nvidia-smi says of the first GPU; empty without it."""
    keys = ("name", "driver_version", "memory.total", "clocks.sm", "clocks.mem", "clocks.max.sm", "clocks.max.mem")
    if not shutil.which("nvidia-smi"):
        return {}
    query = ["nvidia-smi", f"--query-gpu={','.join(keys)},power.limit,temperature.gpu", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True, check=False)
    first = done.stdout.splitlines()[0].split(", ") if done.returncode == 0 and done.stdout else []
    return dict(zip((*keys, "power.limit", "temperature.gpu"), first, strict=False))


def nvcc() -> str:
    """The version of the compiler."""
    try:
        command = [str(cuda_home() / "bin" / "nvcc"), "--version"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, RuntimeError, subprocess.CalledProcessError):
        return "no nvcc"
    return "nvcc " + "".join(re.findall(r"release (\S+),", done.stdout))


def save(folder: Path, session: Session, facts: Facts) -> None:
    """Write both files. Trouble with the table must not cost the steps that are left."""
    try:
        session.say(f"wrote {report.write(folder, facts)} and .json")
    except Exception as error:  # noqa: BLE001  (the numbers are in the .json by then)
        session.say(f"the .md could not be written: {type(error).__name__}: {error}")


def run(step: str, session: Session, facts: Facts) -> None:
    """Run a step and note what it found; whatever it raises is noted, too."""
    session.say(f"{step}: begins")
    start = time.monotonic()
    found: Facts = {"date": facts["host"]["date"], "seconds": 0.0, "failed": "interrupted"}
    facts["steps"][step] = found
    try:
        ALL[step](session, OPS, found)
    except Exception as error:  # noqa: BLE001  (one step must not stop the others)
        found["failed"] = f"{type(error).__name__}: {error}"[:2000]
    finally:
        found["seconds"] = round(time.monotonic() - start, 1)
    session.say(f"{step}: {found['failed'].splitlines()[0] if found['failed'] else 'done'}")


def machine(session: Session, _: tuple[str, ...], facts: Facts) -> None:
    """What the GPU is and what it reaches."""
    got = session.measured("machine")
    facts.update(rows=got.rows, failed=got.failed)


def speed(session: Session, ops: tuple[str, ...], facts: Facts) -> None:
    """Times of every op, a process for each: an illegal access ends the CUDA context of its process."""
    facts["rows"], failed = [], []
    for op in ops:
        got = session.measured("speed", (op,))
        facts["rows"] += got.rows
        failed += [f"{op}: {why}" for why in (got.failed, *(r["failed"] for r in got.rows if "failed" in r)) if why]
    facts["failed"] = "; ".join(failed)[:2000]


def density(session: Session, _: tuple[str, ...], facts: Facts) -> None:
    """MaskedConv2d over the share of active tiles."""
    got = session.measured("density")
    facts.update(rows=got.rows, failed=got.failed)


STEPS: dict[str, Callable[[Session, tuple[str, ...], Facts], None]] = {
    "parity": checks.parity,
    "sanitizer": checks.sanitizer,
    "speed": speed,
    "density": density,
}
ALL = {"machine": machine, "build": checks.build, **STEPS}

if __name__ == "__main__":
    main()
