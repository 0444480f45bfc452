"""What a video or an image folder is to the pipeline: facts about the clip, its frames, and where frames go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

from tweenrt.runtime.scene import Thumbnail
from tweenrt.runtime.timeline import Moment
from tweenrt.runtime.video.color import ColorTags


class Damaged(str, Enum):
    """What to do about a source that is cut short or does not decode cleanly."""

    REFUSE = "refuse"  # stop with an error; nothing is written
    SKIP = "skip"  # leave out what does not decode, and say so


@dataclass(frozen=True)
class ClipInfo:
    """Facts about a source.

    Attributes:
        path: the file or folder.
        width: in pixels.
        height: in pixels.
        pix_fmt: FFmpeg's name of the pixel format of `SourceFrame.picture`.
        color: the colour tags.
        rate: frames a second, on average.
        tick: unit of time, in seconds, in which every frame's time is a whole number.
        frames: how many frames there are; None where the source does not say.
        duration: of the picture, in seconds; None where the source does not say.
        aspect: width of a pixel over its height; None where the source does not say.
        rotation: degrees, counter-clockwise, that players turn the picture by.
        video_index: the stream's number in the file; None for an image folder.
        shift: seconds taken off every time in the file, because its clock starts anywhere (broadcast streams).
    """

    path: Path
    width: int
    height: int
    pix_fmt: str
    color: ColorTags
    rate: Fraction
    tick: Fraction
    frames: int | None = None
    duration: Fraction | None = None
    aspect: Fraction | None = None
    rotation: int = 0
    video_index: int | None = None
    shift: Fraction = Fraction(0)


@dataclass(frozen=True, eq=False)
class SourceFrame:
    """One frame of a source.

    Attributes:
        pts: when it is shown, in exact seconds.
        duration: for how long, in exact seconds.
        picture: as decoded, in the source's own pixel format: an `av.VideoFrame`, or a
            `tweenrt.runtime.video.surface.Surface` where it is on a GPU. It is for the `Sink` of the same kind.
        rgb: [H,W,3] RGB; uint8 (0..255), or uint16 (0..65535) where the source has more than 8 bits. Where the picture
            is on a GPU, that picture itself.
        thumbnail: see `tweenrt.runtime.scene.thumbnail`.
    """

    pts: Fraction
    duration: Fraction
    picture: Any
    rgb: Any
    thumbnail: Thumbnail


class Source(Protocol):
    """Something that frames come from.

    Attributes:
        info: facts about it.
        warnings: what the user should know, in sentences; may grow while frames are read.
    """

    info: ClipInfo
    warnings: list[str]

    def frames(self) -> Iterator[SourceFrame]:
        """The frames in order of time; once.

        Raises:
            VideoError: the source is damaged, or its frames change size or format.
        """

    def close(self) -> None:
        """Free what reading needs."""


class Sink(Protocol):
    """Something that frames go to. Nothing appears under its final name before `publish`.

    Attributes:
        warnings: what the user should know, in sentences.
    """

    warnings: list[str]

    def show(self, picture: Any, moment: Moment) -> None:
        """Write a source frame: its `SourceFrame.picture`.

        Raises:
            OutputError: it cannot be written.
        """

    def draw(self, frame: Any, moment: Moment) -> None:
        """Write a drawn frame: of the kind, size and dtype of `SourceFrame.rgb`.

        Raises:
            OutputError: it cannot be written.
        """

    def finish(self) -> None:
        """Write what is still held back and close the file.

        Raises:
            OutputError: it cannot be written.
        """

    def publish(self) -> None:
        """Give the finished output its name.

        Raises:
            OutputError: it cannot be renamed.
        """

    def discard(self) -> None:
        """Remove whatever was written; harmless after `publish`."""
