"""The one import of PyAV, so that its absence names the extra to install."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tweenrt.errors import require

if TYPE_CHECKING:
    import av
else:
    av = require("av", extra="video", why="Reading and writing video")

__all__ = ["av"]
