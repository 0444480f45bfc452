"""Finished jobs on the disk, so that a run that was stopped goes on where it was."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from tweenrt.errors import UsageError
from tweenrt.runtime.jobs.job import Done, Job
from tweenrt.runtime.output import writing

MANIFEST = "manifest.jsonl"
_HEAD = {"tweenrt jobs": 1}
_ENDING, _UNFINISHED = ".nut", ".part"
_KEY_LENGTH = 32


class JobFolder:
    """The drawn frames of one clip: a file a job, and a manifest with a line for each file.

    A job's file is named after what it is made of: its pixels, what is drawn from them and by what. So a file of an
    earlier run is used where it is the same work, whatever else has changed. Every file is complete, and listed, or it
    is not used. One process at a time works in a folder.

    Args:
        path: the folder; it is made where there is none.
        drawn_by: names the network and everything else that decides what it draws.

    Raises:
        UsageError: the folder holds something else, or another run works in it.
        OutputError: it cannot be written.
    """

    def __init__(self, path: Path, drawn_by: str) -> None:
        self._path, self._drawn_by = path, drawn_by
        _expect_ours(path)
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
            self._manifest = (path / MANIFEST).open("a+", encoding="utf-8")
        try:
            self._lock()
            self._known = self._read()
            for unfinished in path.glob(f"*{_UNFINISHED}"):
                unfinished.unlink()
        except BaseException:
            self._manifest.close()
            raise

    def key(self, job: Job) -> str:
        """Names the work of `job`."""
        return hashlib.sha256(f"{self._drawn_by} {job.digest}".encode()).hexdigest()[:_KEY_LENGTH]

    def find(self, key: str) -> Path | None:
        """The file with the drawn frames of that work; None where there is none, or it is damaged."""
        path = self._file(key)
        if key not in self._known or not path.is_file():
            return None
        return path if hashlib.sha256(path.read_bytes()).hexdigest() == self._known[key] else None

    def keep(self, key: str, done: Done) -> Path:
        """Write the drawn frames of that work.

        Raises:
            OutputError: they cannot be written.
        """
        path, checksum = self._file(key), hashlib.sha256(done.content).hexdigest()
        with writing(path):
            part = path.with_suffix(_UNFINISHED)
            with part.open("wb") as file:
                file.write(done.content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
            self._add({"job": done.number, "key": key, "bytes": len(done.content), "sha256": checksum})
        self._known[key] = checksum
        return path

    def remove(self) -> None:
        """Delete what was kept."""
        for file in self._path.glob(f"*{_ENDING}"):
            file.unlink()
        self._known.clear()
        self.close()

    def close(self) -> None:
        """Let other runs work in the folder; delete it if nothing is kept there."""
        if not self._known:
            (self._path / MANIFEST).unlink(missing_ok=True)
            with suppress(OSError):  # it is gone, or holds files of others
                self._path.rmdir()
        self._manifest.close()

    def _file(self, key: str) -> Path:
        return self._path / f"{key}{_ENDING}"

    def _lock(self) -> None:
        try:
            fcntl.flock(self._manifest, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"{self._path}: another run works in this folder; wait for it, or choose another with --jobs"
            ) from None

    def _read(self) -> dict[str, str]:
        """Key → checksum of every file that is listed; a last line that was cut short is dropped."""
        self._manifest.seek(0)
        text = self._manifest.read()
        complete = text[: text.rfind("\n") + 1]
        self._manifest.truncate(len(complete.encode()))
        if not complete:
            self._add(_HEAD)
            return {}
        return _entries(self._path / MANIFEST, complete)

    def _add(self, entry: dict[str, Any]) -> None:
        self._manifest.write(json.dumps(entry) + "\n")
        self._manifest.flush()


def _entries(path: Path, text: str) -> dict[str, str]:
    try:
        head, *entries = (json.loads(line) for line in text.splitlines())
        if head != _HEAD:
            raise ValueError(f"its first line is {head}")  # noqa: TRY301
        return {entry["key"]: entry["sha256"] for entry in entries}
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path}: expected the list of finished jobs of an earlier run, it cannot be read ({error}); delete the "
            "folder, and every job is done again"
        ) from error


def _expect_ours(path: Path) -> None:
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path}: expected a folder for finished jobs, but this is a file; choose another with --jobs")
    if path.is_dir() and any(path.iterdir()) and not (path / MANIFEST).is_file():
        raise UsageError(f"{path}: expected a folder of finished jobs, this one holds other files; choose another")
