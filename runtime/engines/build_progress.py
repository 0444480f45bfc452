"""How far an engine build is, and how it is ended early."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")
Progress = Callable[[str, int, int], bool]
"""Called, from a thread of the build, with the phase, the steps done and the steps in all; False ends the build."""


def progress_monitor(module: ModuleType, progress: Progress | None) -> Any:
    """An ``IProgressMonitor`` of `module` that reports the outermost phases to `progress`, at every step inside them.

    Its method ``stop`` ends the build at its next step. ``raise_if_stopped`` then raises what ``stop`` was given, what
    `progress` raised, or KeyboardInterrupt if `progress` asked for the end.
    """

    class Monitor(module.IProgressMonitor):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            module.IProgressMonitor.__init__(self)
            self.steps: dict[str, int] = {}
            self.now = ("starting", 0, 0)
            self.stopped: BaseException | None = None

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            """Called by TensorRT."""
            if parent_phase is None:
                self.steps[phase_name] = num_steps
            self._reach(phase_name, 0)

        def step_complete(self, phase_name: str, step: int) -> bool:
            """Called by TensorRT; False asks it to stop."""
            self._reach(phase_name, step + 1)
            return self.stopped is None

        def phase_finish(self, phase_name: str) -> None:
            """Called by TensorRT."""
            self._reach(phase_name, self.steps.get(phase_name, 0))

        def stop(self, why: BaseException) -> None:
            """End the build at its next step; the first reason counts."""
            self.stopped = self.stopped or why

        def raise_if_stopped(self) -> None:
            """Raise what ended the build, if anything did."""
            if self.stopped is not None:
                raise self.stopped

        def _reach(self, phase: str, done: int) -> None:
            if phase in self.steps:
                self.now = (phase, done, self.steps[phase])
            self.stopped = self.stopped or _tell(progress, self.now)

    return Monitor()


def _tell(progress: Progress | None, now: tuple[str, int, int]) -> BaseException | None:
    """Why the build should end; None if it should not."""
    # An exception must not pass through TensorRT's frames: it is kept and raised when the build has ended.
    try:
        return None if progress is None or progress(*now) else KeyboardInterrupt()
    except BaseException as error:  # noqa: BLE001
        return error


def run_apart(work: Callable[[], ResultT], stop: Callable[[BaseException], None]) -> ResultT:
    """Do `work` in a thread of its own, and wait for it where signals arrive.

    Python raises what a signal means (KeyboardInterrupt, for one) in whatever the main thread is doing. In a function
    of ours that TensorRT has called, its bindings would catch that, say so in the log, and go on. A thread that merely
    waits is free to take it.

    Args:
        work: what to do.
        stop: told what was raised in the thread that waits, so that `work` can end early. It is raised once it has.
    """
    with ThreadPoolExecutor(1, "tweenrt-build") as thread:
        thread.submit(int).result()  # a signal that comes while a thread starts would leave it to itself
        try:
            return thread.submit(work).result()
        except BaseException as error:
            stop(error)
            raise
