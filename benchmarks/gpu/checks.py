"""Are the kernels right? The tests' parity on this device, and compute-sanitizer's view of small launches."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from session import MEASURE, ROOT, Session
from support.kernel_build import library
from support.toolkit import cuda_home

Facts = dict[str, Any]

TOOLS = ("memcheck", "racecheck")
# On the emulator, the tests that take no more than seconds: only the way there is tried.
_QUICK = "emulator and not parity and not reference and not mutation"
_AT_ONCE = 4
_SECONDS = 90
_FAILURES = 8  # that are named


def build(session: Session, ops: tuple[str, ...], facts: Facts) -> None:
    """Compile the launchers of all ops for this device, several at once."""

    def compiled(op: str) -> Facts:
        try:
            path = library(op, gpu=not session.emulator)
        except (RuntimeError, OSError) as error:
            session.say(f"build: {op} FAILED")
            return {"op": op, "failed": str(error)[-2000:]}
        session.say(f"build: {op}")
        return {"op": op, "library_kib": path.stat().st_size // 1024}

    with ThreadPoolExecutor(1 if session.emulator else len(ops)) as pool:
        rows = list(pool.map(compiled, ops))
    facts.update(rows=rows, failed=_named(rows))


def parity(session: Session, ops: tuple[str, ...], facts: Facts) -> None:
    """The tests of tests/plugins, a process for each op: an illegal access ends the CUDA context of its process."""
    with ThreadPoolExecutor(1 if session.emulator else _AT_ONCE) as pool:
        try:
            rows = list(pool.map(lambda op: _tested(session, op), ops))
        except BaseException:
            session.stop()
            raise
    facts.update(rows=rows, failed=_named(rows))


def _tested(session: Session, op: str) -> Facts:
    which = ["-m", "not gpu and not slow", "-k", _QUICK] if session.emulator else ["-m", "gpu"]
    tests = ROOT / "tests" / "plugins" / f"test_{op}_kernel.py"
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "found.xml"
        # Results count here, not what another version of torch warns of.
        options = ["-W", "default", "-q", "--color=no", "-p", "no:cacheprovider", f"--junitxml={found}"]
        done = session.run([sys.executable, "-m", "pytest", str(tests), *which, *options], _SECONDS)
        row: Facts = {"op": op} | (_counts(found) if found.exists() else {"failed": done.told()})
    session.say(f"parity: {op}: {row}")
    return row


def _counts(path: Path) -> Facts:
    """What a report of pytest says."""
    cases = list(ET.parse(path).getroot().iter("testcase"))
    bad = [c for c in cases if c.find("failure") is not None or c.find("error") is not None]
    skipped = sum(c.find("skipped") is not None for c in cases)
    row: Facts = {"passed": len(cases) - len(bad) - skipped, "wrong": len(bad), "skipped": skipped}
    if bad:
        row["first_wrong"] = [f"{c.get('name')}: {_message(c)}" for c in bad[:_FAILURES]]
    if bad or skipped or not cases:
        row["failed"] = f"{len(bad)} of {len(cases)} tests failed, {skipped} were skipped"
    return row


def _message(case: ET.Element) -> str:
    trouble = case.find("failure") if case.find("failure") is not None else case.find("error")
    return str(trouble.get("message", ""))[:200] if trouble is not None else ""


def sanitizer(session: Session, ops: tuple[str, ...], facts: Facts) -> None:
    """compute-sanitizer over one small launch of each op and format; without the tool, the launches alone."""
    tool = None if session.emulator else _tool()
    if tool is None:
        alone = session.measured("launches", ops)
        reason = "not run: no GPU" if session.emulator else "not run: compute-sanitizer was not found"
        facts.update(rows=[], launched=len(alone.rows), not_run=reason, failed=alone.failed)
        return
    facts["rows"] = list(_sanitized(session, tool, ops))
    facts["failed"] = _named(facts["rows"], "tool")


def _sanitized(session: Session, tool: str, ops: tuple[str, ...]) -> Iterator[Facts]:
    # Each tensor an allocation of its own, so that what lies beyond its end is nobody's.
    apart = {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}
    for name in TOOLS:
        with tempfile.TemporaryDirectory() as folder:
            launched = Path(folder) / "rows"
            options = ["--tool", name, "--error-exitcode", "9", "--report-api-errors", "no"]
            command = [tool, *options, sys.executable, str(MEASURE), "launches", str(launched)]
            done = session.run([*command, *(w for op in ops for w in ("--op", op))], _SECONDS, apart)
            count = len(launched.read_text().splitlines()) if launched.exists() else 0
        row = {"tool": name, "launched": count, **_judged(name, done.output)}
        if done.code != 0 and "failed" not in row:
            row["failed"] = done.told()
        session.say(f"sanitizer: {name}: {row.get('failed', 'clean')}, {count} launches")
        yield row


def _judged(name: str, output: str) -> Facts:
    """What the summary of a tool says."""
    pattern = r"ERROR SUMMARY: (\d+)" if name == "memcheck" else r"RACECHECK SUMMARY: (\d+)"
    found = re.findall(pattern, output)
    if not found:
        return {"failed": "no summary: " + output.strip()[-500:]}
    if any(int(count) for count in found):
        reports = [line for line in output.splitlines() if line.startswith("=========")]
        return {"reports": reports[:60], "failed": f"{name} reports {sum(map(int, found))}"}
    return {}


def _tool() -> str | None:
    home = os.environ.get("CUDA_HOME") or str(cuda_home())
    return shutil.which("compute-sanitizer") or shutil.which("compute-sanitizer", path=f"{home}/bin")


def _named(rows: list[Facts], key: str = "op") -> str:
    """The rows that failed, in one line; empty if none did."""
    return "; ".join(f"{row[key]}: {row['failed']}" for row in rows if row.get("failed"))[:2000]
