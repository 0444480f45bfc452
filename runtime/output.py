"""Outputs that appear under their name only when they are complete."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tweenrt.errors import OutputError, UsageError

_NUMBERED = re.compile(r"\d+\.png", re.ASCII)


class Target:
    """A file or folder being written beside its final place, under a hidden temporary name.

    Args:
        path: the final name.
        folder: whether it is a folder.
        overwrite: whether something of that name may be replaced.

    Raises:
        UsageError: the name is taken.
        OutputError: nothing can be written there.
    """

    def __init__(self, path: Path, *, folder: bool, overwrite: bool) -> None:
        self._final, self._folder, self._overwrite = path, folder, overwrite
        self._check_name()
        self.path = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        with writing(path):
            if folder:
                self.path.mkdir()
            else:
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))

    def publish(self) -> None:
        """Make sure that the data is on the disk, and give it its name.

        Raises:
            OutputError: it cannot be renamed.
            UsageError: something of that name has appeared meanwhile.
        """
        self._check_name()
        with writing(self._final):
            if self._folder:
                if self._final.exists():
                    shutil.rmtree(self._final)
            else:
                with self.path.open("rb") as file:
                    os.fsync(file.fileno())
            self.path.replace(self._final)

    def discard(self) -> None:
        """Remove what was written; nothing happens after `publish`."""
        if self._folder:
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            self.path.unlink(missing_ok=True)

    def _check_name(self) -> None:
        if not os.path.lexists(self._final):
            return
        if self._folder:
            self._check_folder()
        elif self._final.is_dir():
            raise UsageError(f"{self._final}: expected a file name, but this is a folder")
        elif not self._overwrite:
            raise UsageError(f"{self._final}: exists already; choose another name or pass --overwrite")

    def _check_folder(self) -> None:
        if not self._final.is_dir():
            raise UsageError(f"{self._final}: expected a folder for the images, but this is a file")
        names = [entry.name for entry in self._final.iterdir()]
        if not names:
            return
        if not self._overwrite:
            raise UsageError(f"{self._final}: the folder is not empty; choose another one or pass --overwrite")
        foreign = [name for name in names if not _NUMBERED.fullmatch(name)]
        if foreign:
            raise UsageError(
                f"{self._final}: only a folder of numbered PNG files is overwritten, this one also holds "
                f"'{foreign[0]}'; choose another one"
            )


def write_whole(path: Path, content: bytes) -> None:
    """Write a small file, which appears under its name when it is complete; a file of that name is replaced.

    Raises:
        UsageError: the name is that of a folder.
        OutputError: it cannot be written.
    """
    target = Target(path, folder=False, overwrite=True)
    try:
        with writing(path):
            target.path.write_bytes(content)
        target.publish()
    finally:
        target.discard()


def expect_folders(*files: Path | None) -> None:
    """Before long work: see that the folders are there in which its results will be written.

    Raises:
        UsageError: one is missing.
    """
    for file in files:
        if file is not None and not file.parent.is_dir():
            raise UsageError(f"{file}: there is no folder {file.parent}; make it, or give another name")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the system refuses while `path` is written into `OutputError`."""
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error.strerror or str(error)) from error


def cannot_write(path: Path, why: str) -> OutputError:
    """The error for a result that could not be written and of which nothing is left."""
    return OutputError(
        f"{path}: cannot be written ({why}), nothing was left there; choose a folder that exists, that you may write "
        "to, and that has room"
    )
