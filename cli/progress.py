"""Progress bars: of a run, with speed and time to go; of a build. Without a terminal a line every now and then."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress

from tweenrt.cli.console import err, step

if TYPE_CHECKING:
    from typing_extensions import Self

    from tweenrt.runtime.progress import Progress

_SECONDS_BETWEEN_LINES = 10.0


class _Shown:
    """A bar that is there while the block runs, on a terminal; without one, whoever shows something asks `_is_due`."""

    def __init__(self, *more: ProgressColumn) -> None:
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), *more)
        self._bar = RichProgress(*columns, console=err, transient=True)
        self._task = self._bar.add_task("starting", total=None)
        self._began = self._said = time.monotonic()

    def __enter__(self) -> Self:
        if err.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if err.is_terminal:
            self._bar.stop()

    def _show(self, phase: str, done: int, steps: int) -> None:
        """Show one step of a piece of work."""
        self._bar.update(self._task, completed=done, total=steps, description=phase)
        if self._is_due():
            step(f"{phase}: {done} of {steps} steps, {_clock(time.monotonic() - self._began)} so far")

    def _is_due(self) -> bool:
        """Whether to write a line now, because there is no terminal and the last one was long ago."""
        now = time.monotonic()
        if err.is_terminal or now - self._said < _SECONDS_BETWEEN_LINES:
            return False
        self._said = now
        return True


class Bar(_Shown):
    """Shows the events of a run on stderr.

    Example:
        >>> with Bar() as bar:  # doctest: +SKIP
        ...     interpolate_video(options, interpolator, bar.update)
    """

    def building(self, phase: str, done: int, steps: int) -> bool:
        """Show one step of an engine that is built first; see `tweenrt.runtime.engines.build_progress.Progress`."""
        self._show(f"building the engine: {phase}", done, steps)
        return True

    def update(self, event: Progress) -> None:
        """Show one event."""
        eta = "" if event.eta is None else f", {_clock(event.eta)} to go"
        text = f"{event.fps:.1f} fps{eta}"
        self._bar.update(self._task, completed=event.done, total=event.total, description=text)
        if self._is_due():
            step(f"{event.done} of {event.total or '?'} frames, {text}")


class PhaseBar(_Shown):
    """Shows the phases of a piece of work, such as an engine build, on stderr."""

    def __init__(self) -> None:
        super().__init__(TimeElapsedColumn(), TimeRemainingColumn())

    def update(self, phase: str, done: int, steps: int) -> bool:
        """Show one step; see `tweenrt.runtime.engines.build_progress.Progress`."""
        self._show(phase, done, steps)
        return True


def _clock(seconds: float) -> str:
    """``1:02:03`` or ``2:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
