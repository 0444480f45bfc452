"""Where tweenrt keeps what it need not make twice: one folder a user, safe for several processes at once."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import platformdirs

from tweenrt.errors import OutputError

VARIABLE = "TWEENRT_CACHE"
"""Environment variable that names another folder."""

_MAKING = ".making-"
_LOCK = ".lock"


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
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=f"{_MAKING}{target.name}-") as scratch:
                made = Path(scratch) / target.name
                make(made)
                _replace(made, target)
    return target


def touch(target: Path) -> None:
    """Note that `target` was used now; a folder that cannot be written to notes nothing."""
    with suppress(OSError):
        os.utime(target)


def sweep() -> dict[Path, int]:
    """Remove what processes that were killed left behind: unfinished results, and lock files that nobody holds.

    What a process that lives is making, or waits for, stays.

    Returns:
        The folders of unfinished results, and how many bytes were in each.
    """
    found: dict[Path, int] = {}
    for folder, folders, files in os.walk(root()):
        locks = {name[1 : -len(_LOCK)] for name in files if name.startswith(".") and name.endswith(_LOCK)}
        scratch = {_made_in(name) for name in folders if name.startswith(_MAKING)}
        folders[:] = [name for name in folders if not name.startswith(_MAKING)]
        for name in locks | scratch:
            with suppress(BlockingIOError):
                found |= _clear(Path(folder) / name)
    return found


def _clear(target: Path) -> dict[Path, int]:
    """Remove what was left of making `target`.

    Raises:
        BlockingIOError: somebody is making it.
    """
    with _take(_lock_of(target), fcntl.LOCK_EX | fcntl.LOCK_NB):
        left = [path for path in target.parent.glob(f"{_MAKING}*") if _made_in(path.name) == target.name]
        sizes = {path: sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) for path in left}
        for path in left:
            shutil.rmtree(path)
        _lock_of(target).unlink()
    return sizes


def _lock_of(target: Path) -> Path:
    return target.with_name(f".{target.name}{_LOCK}")


def _made_in(scratch: str) -> str:
    """The target that is made in the folder `scratch`; what older versions left does not tell."""
    return scratch.removeprefix(_MAKING).rpartition("-")[0] or "unknown"


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    """Hold the lock file of `target`; the system drops it when the process ends, however it ends."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle = _take(_lock_of(target), fcntl.LOCK_EX)
    except OSError as error:
        raise OutputError(
            f"{target.parent}: cannot write to the cache folder ({error.strerror}); "
            f"set {VARIABLE} to a folder that you can write to"
        ) from error
    with handle:
        yield


def _take(path: Path, how: int) -> IO[str]:
    """Open the lock file at `path` and lock it.

    Raises:
        BlockingIOError: `how` says not to wait, and somebody holds it.
        OSError: it cannot be made.
    """
    while True:
        handle = path.open("w")
        try:
            fcntl.flock(handle, how)
            # One that was removed while we waited for it would not keep out who comes later.
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle.fileno()), path.stat()):
                    return handle
        except BaseException:
            handle.close()
            raise
        handle.close()


def _replace(made: Path, target: Path) -> None:
    if target.is_dir():
        shutil.rmtree(target)  # a folder that is not empty cannot be renamed over
    made.replace(target)
