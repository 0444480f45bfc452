"""The one import of PyAV, so that its absence names the extra to install, and what its errors mean for an output."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tweenrt.errors import require
from tweenrt.runtime.output import cannot_write, writing

if TYPE_CHECKING:
    import av
else:
    av = require("av", extra="video", why="Reading and writing video")

__all__ = ["av", "encoding_to"]


@contextmanager
def encoding_to(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong while `path` is encoded and written into `OutputError`."""
    try:
        with writing(path):
            yield
    except av.FFmpegError as error:
        raise cannot_write(path, error.strerror or str(error)) from error
