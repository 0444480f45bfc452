"""Making room in the cache: what was not used for long, and what processes that were killed have left behind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tweenrt import cache
from tweenrt.runtime.engines.engine_cache import entries

_DAY = 86400.0
_CACHES = ("timings", "kernels")  # of TensorRT's builder; of TensorRT-RTX, which compiles when an engine is loaded


@dataclass(frozen=True)
class Pruned:
    """What was removed.

    Attributes:
        engines: the engines.
        caches: how many files of timings and compiled kernels.
        abandoned: how many unfinished results of processes that were killed.
        bytes: of all of it.
    """

    engines: tuple[Path, ...]
    caches: int
    abandoned: int
    bytes: int


def prune(older_than_days: float | None, now: float) -> Pruned:
    """Remove engines, timings and compiled kernels, what nobody is making any more, and lock files that nobody holds.

    Args:
        older_than_days: of what is whole, only that which was not used for so long; None removes all.
        now: seconds since the epoch.
    """
    newest = float("inf") if older_than_days is None else now - older_than_days * _DAY
    old = [entry for entry in entries() if entry.used < newest or entry.info is None]
    stale = list(_stale(newest))
    removed = sum(entry.bytes for entry in old) + sum(path.stat().st_size for path in stale)
    for path in (*(entry.path for entry in old), *stale):
        path.unlink(missing_ok=True)
    abandoned = cache.sweep()
    return Pruned(tuple(entry.path for entry in old), len(stale), len(abandoned), removed + sum(abandoned.values()))


def _stale(newest: float) -> Iterator[Path]:
    """Files of timings and compiled kernels that were not used since `newest`."""
    files = (path for name in _CACHES for path in (cache.root() / name).glob("*.cache"))
    return (path for path in files if path.stat().st_mtime < newest)
