"""One run of the benchmark: its clock, its processes, and what they measured."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
MEASURE = Path(__file__).with_name("measure.py")
TOLD = 1500  # characters of what a failed process said that are kept


@dataclass(frozen=True)
class Done:
    """A process that has ended.

    Attributes:
        code: its exit code, negative for a signal.
        output: what it printed and complained of.
    """

    code: int
    output: str

    def told(self) -> str:
        """Its end, for a failure."""
        return f"exit code {self.code}: {self.output.strip()[-TOLD:]}"


@dataclass
class Measured:
    """What a part of `measure.py` left behind.

    Attributes:
        rows: all rows that it finished.
        failed: why it ended early; empty if it did not.
    """

    rows: list[dict[str, Any]]
    failed: str


@dataclass
class Session:
    """Runs processes, none beyond the time that is left.

    Attributes:
        emulator: whether kernels run on the emulator.
        seconds: for everything.
    """

    emulator: bool
    seconds: float
    _start: float = field(default_factory=time.monotonic)
    _running: set[subprocess.Popen[str]] = field(default_factory=set)

    def say(self, text: str) -> None:
        """Print a line with the time since the start."""
        print(f"[{time.monotonic() - self._start:6.1f} s] {text}", flush=True)

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self._start + self.seconds - time.monotonic()

    def run(self, command: list[str], limit: float, extra: dict[str, str] | None = None, echo: bool = False) -> Done:
        """Run a process for at most `limit` seconds.

        Args:
            command: what to run, in the root of the repository.
            limit: seconds; less if less is left.
            extra: variables to add to the environment.
            echo: whether its lines appear as they come.
        """
        limit = min(limit, self.left)
        if limit <= 0:
            return Done(-1, "no time was left for it")
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        variables = {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **(extra or {})}
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        # A group of its own, so that what the process starts ends with it.
        with subprocess.Popen(command, cwd=ROOT, env=variables, start_new_session=True, **pipes) as process:
            self._running.add(process)
            timer = threading.Timer(limit, _end, [process])
            timer.start()
            try:
                lines = list(self._lines(process, echo))
            finally:
                timer.cancel()
                _end(process)
                self._running.discard(process)
        late = f"\nended after {limit:.0f} s" if process.returncode == -signal.SIGKILL else ""
        return Done(process.returncode, "".join(lines) + late)

    def _lines(self, process: subprocess.Popen[str], echo: bool) -> Iterator[str]:
        assert process.stdout is not None
        for line in process.stdout:
            if echo:
                self.say("  " + line.rstrip())
            yield line
        process.wait()

    def measured(self, task: str, ops: tuple[str, ...] = (), limit: float = 75) -> Measured:
        """Run a part of `measure.py`. The rows that it finished are there even where it ends early."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "rows"
            command = [sys.executable, str(MEASURE), task, str(file), *(w for op in ops for w in ("--op", op))]
            done = self.run([*command, *(["--emulator"] * self.emulator)], limit, echo=True)
            rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
            return Measured(rows, "" if done.code == 0 else done.told())

    def stop(self) -> None:
        """End every process that is running."""
        for process in list(self._running):
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
