"""Folders of images in and out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from tweenrt.errors import UsageError, VideoError
from tweenrt.runtime.frames import Frame
from tweenrt.runtime.output import Target
from tweenrt.runtime.scene import thumbnail
from tweenrt.runtime.timeline import Moment
from tweenrt.runtime.video.backend import av, encoding_to
from tweenrt.runtime.video.clip import ClipInfo, SourceFrame
from tweenrt.runtime.video.color import ColorTags, Converter
from tweenrt.runtime.video.encoding import encoded_tags
from tweenrt.runtime.video.formats import layout, plain
from tweenrt.runtime.video.still import DECODERS, decode_image

_DIGITS = 8


class ImageReader:
    """A `tweenrt.runtime.video.clip.Source` on a folder of images, in the natural order of their names.

    Args:
        folder: the folder; other files in it are ignored.
        rate: images a second.

    Raises:
        UsageError: no rate was given.
        VideoError: the folder holds no images, or the first one cannot be read.
    """

    def __init__(self, folder: Path, rate: Fraction | None) -> None:
        if rate is None:
            raise UsageError(f"{folder}: a folder of images has no frame rate; give one, such as --input-rate 24")
        self.warnings: list[str] = []
        self._files = sorted((p for p in folder.iterdir() if p.suffix.lower() in DECODERS), key=_natural)
        if not self._files:
            raise VideoError(f"{folder}: expected images ({', '.join(DECODERS)}), found none; give their folder")
        first = decode_image(self._files[0])
        self.info = ClipInfo(
            path=folder,
            width=first.width,
            height=first.height,
            pix_fmt=plain(first.format.name),
            color=ColorTags.of(first),
            rate=rate,
            tick=1 / rate,
            frames=len(self._files),
            duration=len(self._files) / rate,
        )
        self._shape = _shape(first)
        if layout(first.format.name).alpha:
            self.warnings.append("the alpha channel is left out")

    def frames(self) -> Iterator[SourceFrame]:
        """See `tweenrt.runtime.video.clip.Source.frames`."""
        converter = Converter(self.info.color)
        step = 1 / self.info.rate
        for number, file in enumerate(self._files):
            picture = decode_image(file)
            if _shape(picture) != self._shape:
                expected, got = ("{}x{} {}".format(*s) for s in (self._shape, _shape(picture)))
                raise VideoError(f"{file}: expected an image of {expected} as the first one, got {got}")
            held = converter.plain(picture)
            rgb = converter.to_rgb(held)
            yield SourceFrame(number * step, step, held, rgb, thumbnail(rgb))

    def close(self) -> None:
        """See `tweenrt.runtime.video.clip.Source.close`."""


class ImageWriter:
    """A `tweenrt.runtime.video.clip.Sink` on a folder of numbered PNG files, 8 bits a channel or 16.

    Args:
        folder: the final name of the folder.
        info: the source.
        overwrite: whether a folder of numbered PNG files may be replaced.

    Raises:
        UsageError: the name is taken.
        OutputError: nothing can be written there.
    """

    def __init__(self, folder: Path, info: ClipInfo, *, overwrite: bool = False) -> None:
        self.warnings: list[str] = []
        if info.rotation:
            self.warnings.append(f"players turn this video by {info.rotation}°; the images are not turned")
        self._folder = folder
        held = layout(info.pix_fmt)
        self._deep = held.bits > 8
        self._pix_fmt = "rgb48be" if self._deep else "rgb24"
        self._converter = Converter(info.color, encoded_tags(info.color, held, layout(self._pix_fmt)))
        self._context: Any = av.CodecContext.create("png", "w")
        self._context.width, self._context.height = info.width, info.height
        self._context.pix_fmt, self._context.time_base = self._pix_fmt, Fraction(1)
        self._number = 0
        self._target = Target(folder, folder=True, overwrite=overwrite)

    def show(self, picture: av.VideoFrame, moment: Moment) -> None:
        """See `tweenrt.runtime.video.clip.Sink.show`."""
        self.draw(self._converter.to_rgb(picture), moment)

    def draw(self, frame: Frame, moment: Moment) -> None:
        """See `tweenrt.runtime.video.clip.Sink.draw`."""
        del moment
        self._number += 1
        picture = self._converter.from_rgb(frame, self._pix_fmt)
        picture.pts = self._number
        with encoding_to(self._folder):
            data = b"".join(bytes(packet) for packet in self._context.encode(picture))
            (self._target.path / f"{self._number:0{_DIGITS}d}.png").write_bytes(data)

    def finish(self) -> None:
        """See `tweenrt.runtime.video.clip.Sink.finish`."""

    def publish(self) -> None:
        """See `tweenrt.runtime.video.clip.Sink.publish`."""
        self._target.publish()

    def discard(self) -> None:
        """See `tweenrt.runtime.video.clip.Sink.discard`."""
        self._target.discard()


def _shape(picture: av.VideoFrame) -> tuple[int, int, str]:
    return picture.width, picture.height, picture.format.name


def _natural(path: Path) -> list[tuple[int, str]]:
    """A key that sorts 2.png before 10.png."""
    parts = re.split(r"(\d+)", path.name.lower())
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
