"""How far an engine build is, and how it is ended early."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

Progress = Callable[[str, int, int], bool]
"""Called with the phase, the steps done and the steps in all; False ends the build."""


def progress_monitor(module: ModuleType, progress: Progress | None) -> Any:
    """An ``IProgressMonitor`` of `module` that reports the outermost phases to `progress`.

    Its method ``raise_if_stopped`` raises KeyboardInterrupt if `progress` ended the build, or whatever it raised.
    """

    class Monitor(module.IProgressMonitor):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            module.IProgressMonitor.__init__(self)
            self.steps: dict[str, int] = {}
            self.stopped: BaseException | None = None

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            """Called by TensorRT."""
            if parent_phase is None:
                self.steps[phase_name] = num_steps
                self._report(phase_name, 0)

        def step_complete(self, phase_name: str, step: int) -> bool:
            """Called by TensorRT; False asks it to stop."""
            if phase_name in self.steps:
                self._report(phase_name, step + 1)
            return self.stopped is None

        def phase_finish(self, phase_name: str) -> None:
            """Called by TensorRT."""
            if phase_name in self.steps:
                self._report(phase_name, self.steps[phase_name])

        def raise_if_stopped(self) -> None:
            """Raise what ended the build, if anything did."""
            if self.stopped is not None:
                raise self.stopped

        def _report(self, phase: str, done: int) -> None:
            # An exception must not pass through TensorRT's frames: it is kept and raised when the build has ended.
            try:
                if progress is not None and self.stopped is None and not progress(phase, done, self.steps[phase]):
                    self.stopped = KeyboardInterrupt()
            except BaseException as error:  # noqa: BLE001
                self.stopped = error

    return Monitor()
