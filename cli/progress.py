"""A progress bar with speed and time to go; without a terminal, a line every now and then."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as RichProgress

from tweenrt.cli.console import err, step

if TYPE_CHECKING:
    from tweenrt.runtime.progress import Progress

_SECONDS_BETWEEN_LINES = 10.0


class Bar:
    """Shows the events of a run on stderr.

    Example:
        >>> with Bar() as bar:  # doctest: +SKIP
        ...     interpolate_video(options, interpolator, bar.update)
    """

    def __init__(self) -> None:
        self._bar = RichProgress(
            BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), console=err, transient=True
        )
        self._task = self._bar.add_task("starting", total=None)
        self._said = time.monotonic()

    def update(self, event: Progress) -> None:
        """Show one event."""
        eta = "" if event.eta is None else f", {_clock(event.eta)} to go"
        text = f"{event.fps:.1f} fps{eta}"
        self._bar.update(self._task, completed=event.done, total=event.total, description=text)
        if not err.is_terminal and time.monotonic() - self._said >= _SECONDS_BETWEEN_LINES:
            self._said = time.monotonic()
            step(f"{event.done} of {event.total or '?'} frames, {text}")

    def __enter__(self) -> Bar:  # noqa: PYI034  (typing.Self needs Python 3.11)
        if err.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if err.is_terminal:
            self._bar.stop()


def _clock(seconds: float) -> str:
    """``1:02:03`` or ``2:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
