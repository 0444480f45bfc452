"""Whether a file is as long as its own headers say: a download that broke off is found before any work starts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_MP4_FIRST = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"styp"}
_EBML = b"\x1a\x45\xdf\xa3"
_SEGMENT = b"\x18\x53\x80\x67"


def missing_bytes(path: Path) -> int:
    """How many bytes the file lacks.

    Looks at the outermost elements of MP4, MOV, Matroska, WebM and AVI files; 0 where nothing is missing, or where the
    format does not say how long a file is.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        file.seek(0)
        if head[4:8] in _MP4_FIRST:
            ends = _mp4_ends(file, size)
        elif head[:4] == _EBML:
            ends = _matroska_ends(file)
        elif head[:4] == b"RIFF":
            ends = _riff_ends(file, size)
        else:
            return 0
        return max(0, max(ends, default=size) - size)


def _mp4_ends(file: BinaryIO, size: int) -> Iterator[int]:
    """Where each top-level box says that it ends (ISO/IEC 14496-12, 4.2)."""
    start = 0
    while start + 8 <= size:
        file.seek(start)
        header = file.read(16)
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        if length < 8:
            return  # 0 runs to the end of the file; anything else is no box
        start += length
        yield start


def _matroska_ends(file: BinaryIO) -> Iterator[int]:
    """Where the segment says that it ends (RFC 8794, section 6; RFC 9559)."""
    file.seek(len(_EBML))
    header = _vint(file)
    if header is None:
        return
    file.seek(header, os.SEEK_CUR)
    if file.read(4) != _SEGMENT:
        return
    length = _vint(file)
    if length is not None:
        yield file.tell() + length


def _vint(file: BinaryIO) -> int | None:
    """A variable-size integer; None where it stands for "unknown"."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    width = 9 - first[0].bit_length()
    value = int.from_bytes(first + file.read(width - 1), "big") & ((1 << 7 * width) - 1)
    return None if value == (1 << 7 * width) - 1 else value


def _riff_ends(file: BinaryIO, size: int) -> Iterator[int]:
    """Where each RIFF chunk says that it ends; large AVI files have several."""
    start = 0
    while start + 8 <= size:
        file.seek(start)
        if file.read(4) != b"RIFF":
            return
        start += 8 + int.from_bytes(file.read(4), "little")
        yield start
