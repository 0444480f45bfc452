"""Audio, subtitles and attachments: copied packet for packet beside the new picture."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from fractions import Fraction
from typing import Any

from tweenrt.errors import UsageError
from tweenrt.runtime.video.backend import av
from tweenrt.runtime.video.clip import ClipInfo

# Tags that describe the old file, and would be false in the new one.
_STALE = {"encoder", "major_brand", "minor_version", "compatible_brands", "duration"}
_NO_TEXT = b"\0\0"
_TAKES_ATTACHMENTS = "matroska"
_STALE_STREAM = {"encoder", "duration", "bps", "number_of_frames", "number_of_bytes", "vendor_id"}


class Streams(str, Enum):
    """Which of the source's other streams go into the output."""

    ALL = "all"  # every audio, subtitle and attachment stream; an error where the container does not take one
    FITTING = "fitting"  # those that the container takes; a warning for each that it does not
    NONE = "none"  # picture only


class StreamCopier:
    """Copies a source's other streams while the picture is written.

    Reads the file a second time, so that packets never wait for the network.

    Args:
        info: the source.
        streams: which streams to copy.
        warnings: where to say what is left out, in sentences.
    """

    def __init__(self, info: ClipInfo, streams: Streams, warnings: list[str]) -> None:
        self._warnings = warnings
        self._info, self._streams = info, streams
        self._source: av.container.InputContainer | None = None
        if info.video_index is not None:
            self._source = av.open(str(info.path))
        self._targets: dict[int, av.stream.Stream] = {}
        self._output: av.container.OutputContainer | None = None
        self._waiting: av.Packet[Any] | None = None
        self._packets: Iterator[av.Packet[Any]] = iter(())

    def attach(self, output: av.container.OutputContainer, picture: av.VideoStream) -> None:
        """Declare the streams, and copy the tags and chapters of the file and the tags of the picture.

        Raises:
            UsageError: the container does not take a stream that is to be copied.
        """
        if self._source is None:
            return
        self._output = output
        output.metadata.update(_fresh(self._source.metadata, _STALE))
        output.set_chapters(_shifted(self._source.chapters(), self._info.shift))
        for stream in self._source.streams:
            if stream.index == self._info.video_index:
                _copy_tags(stream, picture)
            else:
                self._declare(stream, output)
        wanted = [stream for stream in self._source.streams if stream.index in self._targets]
        if wanted:
            self._packets = self._source.demux(*wanted)

    def advance(self, until: Fraction | None) -> None:
        """Write the packets of times before `until`, in seconds; all that are left if None."""
        while (packet := self._next()) is not None:
            if until is not None and _time_of(packet) - self._info.shift >= until:
                return
            self._waiting = None
            self._write(packet)

    def close(self) -> None:
        """Free the source."""
        if self._source is not None:
            self._source.close()

    def _next(self) -> av.Packet[Any] | None:
        while self._waiting is None:
            packet = self._read()
            if packet is None:
                return None
            if not _is_filler(packet):
                self._waiting = packet
        return self._waiting

    def _read(self) -> av.Packet[Any] | None:
        try:
            return next(self._packets, None)
        except av.FFmpegError as error:
            self._warnings.append(f"audio and subtitles end early: {error.strerror or error}")
            return None

    def _write(self, packet: av.Packet[Any]) -> None:
        ticks = int(self._info.shift / packet.time_base)
        if packet.pts is not None:
            packet.pts -= ticks
        if packet.dts is not None:
            packet.dts -= ticks
        packet.stream = self._targets[packet.stream.index]
        if self._output is not None:
            self._output.mux(packet)

    def _declare(self, stream: av.stream.Stream, output: av.container.OutputContainer) -> None:
        if self._streams is Streams.NONE:
            return
        if stream.type not in {"audio", "subtitle", "attachment"}:
            self._warnings.append(f"{_described(stream)} is not copied: only audio, subtitles and attachments are")
            return
        if stream.type == "attachment" and output.format.name != _TAKES_ATTACHMENTS:
            self._refuse(stream, output, None)
            return
        try:
            target = output.add_stream_from_template(stream)
        except (ValueError, av.FFmpegError) as error:
            self._refuse(stream, output, error)
            return
        _copy_tags(stream, target)
        if stream.type != "attachment":
            self._targets[stream.index] = target

    def _refuse(self, stream: av.stream.Stream, output: av.container.OutputContainer, error: Exception | None) -> None:
        what = f"{_described(stream)} cannot be stored in {output.format.name}"
        if self._streams is Streams.ALL:
            other = ".mp4" if output.format.name == _TAKES_ATTACHMENTS else ".mkv"
            raise UsageError(
                f"{self._info.path}: {what}; write an {other} file, or pass --streams fitting to leave such streams out"
            ) from error
        self._warnings.append(f"{what} and is left out")


def _is_filler(packet: av.Packet[Any]) -> bool:
    """Whether a packet carries nothing: the mark of a stream's end, or an MP4's pause between subtitles.

    The muxer writes such pauses by itself; copied ones would come on top.
    """
    context = packet.stream.codec_context
    if context is not None and context.codec.canonical_name == "mov_text":
        return packet.size <= len(_NO_TEXT)
    return not packet.size and packet.pts is None


def _described(stream: av.stream.Stream) -> str:
    context = stream.codec_context
    known = context.codec.canonical_name if context is not None else getattr(stream, "name", None)
    codec = known or "unknown codec"
    language = f", {stream.language}" if stream.language else ""
    return f"stream {stream.index} ({stream.type}, {codec}{language})"


def _copy_tags(source: av.stream.Stream, target: av.stream.Stream) -> None:
    target.metadata.update(_fresh(source.metadata, _STALE_STREAM))
    target.disposition = source.disposition


def _fresh(tags: dict[str, str], stale: set[str]) -> dict[str, str]:
    return {k: v for k, v in tags.items() if k.lower().split("-")[0] not in stale and not k.startswith("_STATISTICS")}


def _shifted(chapters: list[av.container.Chapter], shift: Fraction) -> list[av.container.Chapter]:
    for chapter in chapters:
        ticks = int(shift / (chapter["time_base"] or 1))
        chapter["start"] -= ticks
        chapter["end"] -= ticks
    return chapters


def _time_of(packet: av.Packet[Any]) -> Fraction:
    stamp = packet.dts if packet.dts is not None else packet.pts
    return Fraction((stamp or 0) * packet.time_base)
