"""What a user may choose when exporting."""

from __future__ import annotations

from dataclasses import dataclass

from tweenrt.contract import FrameIO, Kind


@dataclass(frozen=True)
class ExportOptions:
    """What to export.

    Attributes:
        kinds: which graphs; several share one pair id.
        size: H and W in pixels, or None to leave both dynamic.
        batch: N, or None to leave it dynamic.
        io: how frames enter and leave.
    """

    kinds: tuple[Kind, ...] = (Kind.PAIR,)
    size: tuple[int, int] | None = None
    batch: int | None = None
    io: FrameIO = FrameIO.FLOAT
