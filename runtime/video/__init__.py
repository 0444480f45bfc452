"""Video files and image folders in and out, on PyAV. Importing this package needs the extra ``video``."""

from __future__ import annotations

from tweenrt.runtime.video.clip import ClipInfo, Damaged, Sink, Source, SourceFrame
from tweenrt.runtime.video.copying import Streams
from tweenrt.runtime.video.encoding import EncodingOptions
from tweenrt.runtime.video.files import open_sink, open_source

__all__ = [
    "ClipInfo",
    "Damaged",
    "EncodingOptions",
    "Sink",
    "Source",
    "SourceFrame",
    "Streams",
    "open_sink",
    "open_source",
]
