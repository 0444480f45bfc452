"""Small files that are written at once."""

from __future__ import annotations

from pathlib import Path

from tweenrt.runtime.video.target import Target, writing


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, which appears under its name when it is complete; a file of that name is replaced.

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
