"""Finished jobs on their way from those who do them to the one who joins them."""

from __future__ import annotations

from pathlib import Path
from threading import Condition


class Arrivals:
    """What has been done so far, for one thread that waits for it and one that hands it over."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._files: dict[tuple[int, int], Path] = {}
        self._counts: dict[int, int] = {}
        self._error: BaseException | None = None

    def put(self, clip: int, number: int, file: Path) -> None:
        """Job `number` of `clip` is done; its frames are in `file`."""
        with self._changed:
            self._files[clip, number] = file
            self._changed.notify_all()

    def end(self, clip: int, count: int) -> None:
        """`clip` has `count` jobs."""
        with self._changed:
            self._counts[clip] = count
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """Nothing more will come, because of `error`."""
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def take(self, clip: int, number: int) -> Path | None:
        """The file of a job, as soon as it is there; None where the clip has no such job.

        Raises:
            BaseException: what `fail` was told, where the job was not done before.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._is_settled(clip, number))
            if (clip, number) in self._files:
                return self._files.pop((clip, number))
            if self._error is not None:
                raise self._error
            return None

    def _is_settled(self, clip: int, number: int) -> bool:
        ended = clip in self._counts and number >= self._counts[clip]
        return (clip, number) in self._files or ended or self._error is not None
