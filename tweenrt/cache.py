"""Where tweenrt keeps what it need not make twice: one folder a user, safe for several processes at once."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from tweenrt.errors import OutputError

VARIABLE = "TWEENRT_CACHE"
"""Environment variable that names another folder."""


def root() -> Path:
    """The cache folder, which need not exist yet: `VARIABLE`, else the user's own cache folder."""
    chosen = os.environ.get(VARIABLE)
    return Path(chosen).expanduser().absolute() if chosen else platformdirs.user_cache_path("tweenrt")


def make_once(target: Path, make: Callable[[Path], object], valid: Callable[[Path], bool] = Path.exists) -> Path:
    """Give `target`, and make it first where it is not there.

    Of several processes that ask for the same target one makes it while the others wait. The target appears under
    its name only when it is complete.

    Args:
        target: a file or folder inside the cache.
        make: called with a free path beside the target; writes a file or folder there.
        valid: whether what is at `target` can be used; if not, it is made again.

    Returns:
        `target`.

    Raises:
        OutputError: the cache folder cannot be written to.
    """
    if valid(target):
        return target
    with _locked(target):
        if not valid(target):
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=".making-") as scratch:
                made = Path(scratch) / target.name
                make(made)
                _replace(made, target)
    return target


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    """Hold the lock file of `target`; the system drops it when the process ends, however it ends."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle = (target.parent / f".{target.name}.lock").open("w")
    except OSError as error:
        raise OutputError(
            f"{target.parent}: cannot write to the cache folder ({error.strerror}); "
            f"set {VARIABLE} to a folder that you can write to"
        ) from error
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _replace(made: Path, target: Path) -> None:
    if target.is_dir():
        shutil.rmtree(target)  # a folder that is not empty cannot be renamed over
    made.replace(target)
