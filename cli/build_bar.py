"""How far an engine build is, on stderr."""

from __future__ import annotations

from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tweenrt.cli.console import err


class BuildBar:
    """Shows the phases of a build; nothing without a terminal.

    TensorRT checks between two steps whether it should stop, so Ctrl-C ends a build within seconds: the signal
    arrives in `update`, and the builder hands it on when TensorRT has returned.
    """

    def __init__(self) -> None:
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        self._bar = Progress(*columns, TimeRemainingColumn(), console=err, transient=True)
        self._task = self._bar.add_task("starting", total=None)

    def update(self, phase: str, done: int, steps: int) -> bool:
        """Show one step; see `tweenrt.runtime.build_progress.Progress`."""
        self._bar.update(self._task, completed=done, total=steps, description=phase)
        return True

    def __enter__(self) -> BuildBar:  # noqa: PYI034  (typing.Self needs Python 3.11)
        if err.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if err.is_terminal:
            self._bar.stop()
