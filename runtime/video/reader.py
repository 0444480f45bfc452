"""Frames out of a video file, with exact times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

from tweenrt.errors import VideoError
from tweenrt.runtime.scene import thumbnail
from tweenrt.runtime.timeline import common_unit
from tweenrt.runtime.video.backend import av
from tweenrt.runtime.video.clip import ClipInfo, Damaged, SourceFrame
from tweenrt.runtime.video.color import ColorTags, Converter
from tweenrt.runtime.video.formats import layout, plain
from tweenrt.runtime.video.intact import missing_bytes

_ATTACHED_PICTURE = 1024
_USUAL_RATE = Fraction(25)
_PQ = 16
_CLOCK_STARTS_ANYWHERE = 0x200  # FFmpeg's AVFMT_TS_DISCONT

Timed = tuple[Fraction, "av.VideoFrame"]


class VideoReader:
    """A `tweenrt.runtime.video.clip.Source` on a video file.

    Args:
        path: the file.
        damaged: what to do where it is cut short or does not decode.

    Raises:
        VideoError: there is no such file, or nothing in it can be decoded as video.
    """

    _threads = "AUTO"

    def __init__(self, path: Path, damaged: Damaged = Damaged.REFUSE) -> None:
        self.warnings: list[str] = []
        self._path, self._damaged = path, damaged
        self._count = 0
        self._check_file()
        self._container = self._open(path)
        try:
            self._stream = _video_stream(self._container, path)
            self._stream.codec_context.thread_type = self._threads
            self._pictures = self._decoded()
            first = self._first()
            self.info = self._described(first)
        except BaseException:
            self._container.close()
            raise
        self._converter = Converter(self.info.color)
        self._note_what_is_left_out(first)

    def frames(self) -> Iterator[SourceFrame]:
        """See `tweenrt.runtime.video.clip.Source.frames`."""
        previous: Timed | None = None
        step = self._round_to_tick(1 / self.info.rate)
        for pts, picture in self._timed():
            if previous is not None:
                step = pts - previous[0]
                yield self._frame(*previous, step)
            previous = (pts, picture)
        if previous is not None:
            own = Fraction(previous[1].duration or 0) * self._tick()
            yield self._frame(*previous, own or step)

    def close(self) -> None:
        """See `tweenrt.runtime.video.clip.Source.close`."""
        self._container.close()

    def _open(self, path: Path) -> av.container.InputContainer:
        return _opened(path)

    def _first(self) -> av.VideoFrame:
        first = next(self._pictures, None)
        if first is None:
            raise VideoError(f"{self._path}: expected a video, but no frame of it can be decoded; check the file")
        self._pictures = chain([first], self._pictures)
        return first

    def _check_file(self) -> None:
        if not self._path.is_file():
            raise VideoError(f"{self._path}: no such file; give a video or a folder of images")
        if not self._path.stat().st_size:
            raise VideoError(f"{self._path}: expected a video, got an empty file; copy or download it again")
        missing = missing_bytes(self._path)
        if missing:
            self._damage(f"the file is cut short: {missing} bytes are missing at its end")

    def _described(self, first: av.VideoFrame) -> ClipInfo:
        stream = self._stream
        rate = stream.average_rate or stream.guessed_rate or _USUAL_RATE
        tick = self._tick()
        if first.pts is None:
            tick = common_unit(tick, 1 / rate)
        shift = _clock_start(self._container)
        info = ClipInfo(
            path=self._path,
            width=first.width,
            height=first.height,
            pix_fmt=plain(_held_as(first)),
            color=ColorTags.of(first),
            rate=rate,
            tick=tick,
            frames=stream.frames or None,
            duration=_duration(self._container, stream),
            aspect=stream.sample_aspect_ratio or None,
            rotation=int(first.rotation),
            video_index=stream.index,
            shift=shift,
        )
        return info if info.frames or not info.duration else replace(info, frames=round(info.duration * rate))

    def _note_what_is_left_out(self, first: av.VideoFrame) -> None:
        if layout(_held_as(first)).alpha:
            self.warnings.append("the alpha channel is left out")
        if first.interlaced_frame:
            self.warnings.append("the video is interlaced; deinterlace it first, or motion will show combs")
        if not self.info.color.known_matrix:
            self.warnings.append(
                f"the colour matrix {self.info.color.matrix} (H.273) is unknown; taken as BT.601 or BT.709 by height"
            )
        if self.info.color.transfer == _PQ:
            self.warnings.append("HDR10 mastering and light-level metadata are not carried over")

    def _decoded(self) -> Iterator[av.VideoFrame]:
        """Every picture that the stream decodes to."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError as error:
                self._damage(f"reading stops after frame {self._count}: {error.strerror or error}")
                return
            if packet is None:
                return
            if packet.is_corrupt:
                self._damage(f"the data at {_seconds(packet)} is damaged or cut short")
            try:
                pictures = packet.decode()
            except av.FFmpegError as error:
                self._damage(f"the data at {_seconds(packet)} cannot be decoded: {error.strerror or error}")
                continue
            for picture in pictures:
                self._check_picture(picture)
                self._count += 1
                yield picture

    def _check_picture(self, picture: av.VideoFrame) -> None:
        if picture.is_corrupt:
            self._damage(f"frame {self._count} decodes with errors")
        if not self._count:
            self._shape = (picture.width, picture.height, picture.format.name)
        shape = (picture.width, picture.height, picture.format.name)
        if shape != self._shape:
            expected, got = ("{}x{} {}".format(*s) for s in (self._shape, shape))
            raise VideoError(
                f"{self._path}: frames change from {expected} to {got} at frame {self._count}; "
                "cut the video there and interpolate the parts, or scale it to one size first"
            )

    def _timed(self) -> Iterator[Timed]:
        """Pictures with the time that each is shown, strictly ascending."""
        last: Fraction | None = None
        for number, picture in enumerate(self._pictures):
            if picture.pts is not None:
                pts = picture.pts * self._tick() - self.info.shift
            else:
                pts = Fraction(0) if last is None else last + 1 / self.info.rate
            if last is not None and pts <= last:
                self._damage(f"frame {number} is stamped {float(pts):.6f} s, not after {float(last):.6f} s before it")
                continue
            last = pts
            yield pts, picture

    def _frame(self, pts: Fraction, picture: av.VideoFrame, duration: Fraction) -> SourceFrame:
        held = self._converter.plain(picture)
        rgb = self._converter.to_rgb(held)
        return SourceFrame(pts, duration, held, rgb, thumbnail(rgb))

    def _tick(self) -> Fraction:
        return Fraction(self._stream.time_base or Fraction(1, 1_000_000))

    def _round_to_tick(self, time: Fraction) -> Fraction:
        return max(1, round(time / self.info.tick)) * self.info.tick

    def _damage(self, what: str) -> None:
        """Refuse damage, or note it once where it is to be skipped."""
        if self._damaged is Damaged.REFUSE:
            raise VideoError(
                f"{self._path}: {what}; copy, download or repair the file, or let what does not decode be left out "
                "(--damaged skip)"
            )
        if what not in self.warnings:
            self.warnings.append(what)


def _seconds(packet: av.Packet[Any]) -> str:
    stamp = packet.pts if packet.pts is not None else packet.dts
    return "its end" if stamp is None else f"{float(stamp * packet.time_base):.3f} s"


def _held_as(picture: av.VideoFrame) -> str:
    """The pixel format of a picture; on a GPU, of what lies in its memory."""
    return str((picture.sw_format or picture.format).name)


def _opened(path: Path) -> av.container.InputContainer:
    try:
        return av.open(str(path))
    except av.FFmpegError as error:
        raise VideoError(
            f"{path}: expected a video, FFmpeg cannot open it ({error.strerror or error}); check that the file is "
            "complete and is a video"
        ) from error


def _video_stream(container: av.container.InputContainer, path: Path) -> av.VideoStream:
    for stream in container.streams.video:
        if not int(stream.disposition) & _ATTACHED_PICTURE and stream.codec_context is not None:
            return stream
    found = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
    raise VideoError(f"{path}: expected a file with a video stream, found {found} only; give a video")


def _clock_start(container: av.container.InputContainer) -> Fraction:
    """The earliest time in a format whose clock starts anywhere, such as MPEG transport streams; 0 for all others."""
    if not container.format.flags & _CLOCK_STARTS_ANYWHERE:
        return Fraction(0)
    starts = [s.start_time * s.time_base for s in container.streams if s.start_time is not None and s.time_base]
    return Fraction(min(starts, default=0))


def _duration(container: av.container.InputContainer, stream: av.VideoStream) -> Fraction | None:
    if stream.duration and stream.time_base:
        return Fraction(stream.duration * stream.time_base)
    return Fraction(container.duration, 1_000_000) if container.duration else None
