"""Frames into a video file, at exact times, with the source's other streams beside them."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

from tweenrt.errors import UsageError
from tweenrt.runtime.frames import Frame
from tweenrt.runtime.output import Target
from tweenrt.runtime.timeline import Moment, Retiming
from tweenrt.runtime.video.backend import av, encoding_to
from tweenrt.runtime.video.clip import ClipInfo
from tweenrt.runtime.video.color import Converter
from tweenrt.runtime.video.copying import StreamCopier, Streams
from tweenrt.runtime.video.encoding import EncoderPlan, EncodingOptions, plan

_LARGEST = 2**31 - 1  # of either side of a time base
_FINE = 10_000  # ticks a second of a file's own clock, at least
_MICROSECOND = Fraction(1, 1_000_000)
_MILLISECOND = Fraction(1, 1000)


class VideoWriter:
    """A `tweenrt.runtime.video.clip.Sink` on a video file.

    Args:
        path: the final name; its ending chooses the container.
        info: the source.
        retiming: where output frames lie; it decides the unit of time.
        encoding: codec, quality and further options.
        streams: which of the source's other streams to copy.
        overwrite: whether a file of that name may be replaced.

    Raises:
        UsageError: the options do not fit the container or the encoder, or the name is taken.
        OutputError: nothing can be written there.
    """

    def __init__(
        self,
        path: Path,
        info: ClipInfo,
        retiming: Retiming,
        encoding: EncodingOptions,
        *,
        streams: Streams = Streams.ALL,
        overwrite: bool = False,
    ) -> None:
        self._path, self._info = path, info
        self._plan = self._planned(path, info, encoding)
        self.warnings = list(self._plan.warnings)
        self._unit = self._unit_of_time(retiming)
        self._durations: dict[int, int] = {}
        self._last = -1 << 62
        self._target = Target(path, folder=False, overwrite=overwrite)
        self._leftovers = ExitStack()
        self._leftovers.callback(self._target.discard)
        try:
            self._open(retiming.rate(info.rate), streams)
        except BaseException:
            self.discard()
            raise

    def show(self, picture: Any, moment: Moment) -> None:
        """See `tweenrt.runtime.video.clip.Sink.show`."""
        if picture.format.name != self._plan.pix_fmt:
            picture = self._converter.convert(picture, self._plan.pix_fmt)
        self._encode(picture, moment)

    def draw(self, frame: Frame, moment: Moment) -> None:
        """See `tweenrt.runtime.video.clip.Sink.draw`."""
        self._encode(self._converter.from_rgb(frame, self._plan.pix_fmt), moment)

    def finish(self) -> None:
        """See `tweenrt.runtime.video.clip.Sink.finish`."""
        with encoding_to(self._path):
            self._mux(self._stream.encode(None))
            self._copier.advance(None)
            self._container.close()

    def publish(self) -> None:
        """See `tweenrt.runtime.video.clip.Sink.publish`."""
        self._target.publish()
        self._leftovers.close()

    def discard(self) -> None:
        """See `tweenrt.runtime.video.clip.Sink.discard`."""
        self._leftovers.close()

    def _planned(self, path: Path, info: ClipInfo, encoding: EncodingOptions) -> EncoderPlan:
        return plan(path, info, encoding)

    def _unit_of_time(self, retiming: Retiming) -> Fraction:
        unit = retiming.unit(self._info.tick)
        if max(unit.numerator, unit.denominator) > _LARGEST:
            self.warnings.append(f"times are multiples of {unit} s, finer than files can store; rounded to 1 µs")
            unit = _MICROSECOND
        if self._plan.container in {"matroska", "webm"} and unit % _MILLISECOND:
            self.warnings.append("Matroska stores times in milliseconds from 0 on; write .mp4 or .mov for exact ones")
        return unit

    def _open(self, rate: Fraction, streams: Streams) -> None:
        chosen, clock = self._plan, self._unit.denominator
        options = {}
        if chosen.container in {"mp4", "mov"}:
            # The file's own clock would round the start of a stream, and its duration, to milliseconds.
            options["movie_timescale"] = str(clock * -(-_FINE // clock) if clock < _FINE else clock)
        self._container = av.open(str(self._target.path), "w", format=chosen.container, container_options=options)
        self._leftovers.callback(self._abandon)
        self._copier = StreamCopier(self._info, streams, self.warnings)
        self._leftovers.callback(self._copier.close)
        self._stream = self._encoder(chosen, rate)
        self._copier.attach(self._container, self._stream)
        # Source frames come in the source's own format and with its own tags; RGB ones take the output's.
        rgb_source = chosen.color.matrix != self._info.color.matrix
        self._converter = Converter(
            chosen.color if rgb_source and chosen.color.matrix else self._info.color, chosen.color
        )
        self._start_encoding()

    def _abandon(self) -> None:
        with suppress(av.FFmpegError, OSError):  # a full disk fails once more; the file goes anyway
            self._container.close()

    def _encoder(self, chosen: EncoderPlan, rate: Fraction) -> av.VideoStream:
        limited = rate.limit_denominator(1_000_000)
        try:
            added = self._container.add_stream(chosen.codec, rate=limited, options=dict(chosen.options))
        except ValueError as error:
            raise UsageError(f"{self._path}: this kind of file cannot hold {chosen.codec}; choose another") from error
        stream = cast("av.VideoStream", added)
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = self._info.width, self._info.height, chosen.pix_fmt
        context.time_base = stream.time_base = self._unit
        chosen.color.mark(context)
        if self._info.aspect:
            context.sample_aspect_ratio = self._info.aspect
        if self._info.rotation:
            stream.set_display_rotation(self._info.rotation)
        if chosen.codec in {"libx265", "hevc_nvenc"} and chosen.container in {"mp4", "mov"}:
            context.codec_tag = "hvc1"  # the tag that QuickTime plays
        return stream

    def _start_encoding(self) -> None:
        try:
            self._stream.codec_context.open()
        except av.FFmpegError as error:
            chosen, why = self._plan, error.strerror or error
            raise UsageError(
                f"the encoder {chosen.codec} refuses its options {chosen.options}: {why}; change them"
            ) from error
        with encoding_to(self._path):
            self._container.start_encoding()
        unknown = sorted(set(self._stream.codec_context.options))
        if unknown:
            raise UsageError(f"the encoder {self._plan.codec} has no option {', '.join(unknown)}; see FFmpeg's manual")

    def _encode(self, picture: av.VideoFrame, moment: Moment) -> None:
        pts = max(round(moment.pts / self._unit), self._last + 1)
        self._last = pts
        self._durations[pts] = max(1, round(moment.duration / self._unit))
        picture.pts, picture.time_base = pts, self._unit
        picture.pict_type = 0  # a decoded frame remembers its type and would dictate it to the encoder
        with encoding_to(self._path):
            self._mux(self._stream.encode(picture))

    def _mux(self, packets: list[av.Packet[Any]]) -> None:
        for packet in packets:
            if packet.pts is not None:
                packet.duration = self._durations.pop(packet.pts, packet.duration)
            if packet.dts is not None:
                self._copier.advance(Fraction(packet.dts * packet.time_base))
            self._container.mux(packet)
