"""Small clips that tests make with PyAV, and a stand-in for a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 48, 64
NTSC = Fraction(24000, 1001)


def texture(seed: int = 0, height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.uint8]:
    """A smooth coloured texture, [H,W,3]."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(30, 226, (height // 8 + 2, width // 8 + 2, 3)).astype(np.float32)
    rows = np.arange(height) / 8
    columns = np.arange(width) / 8
    top = (
        coarse[rows.astype(int)] * (1 - rows % 1)[:, None, None]
        + coarse[rows.astype(int) + 1] * (rows % 1)[:, None, None]
    )
    left, share = columns.astype(int), (columns % 1)[None, :, None]
    return (top[:, left] * (1 - share) + top[:, left + 1] * share).astype(np.uint8)


def moving(count: int, height: int = HEIGHT, width: int = WIDTH, seed: int = 0) -> list[NDArray[np.uint8]]:
    """A texture that moves two pixels a frame: motion, no cut, no duplicate."""
    still = texture(seed, height, width)
    return [np.roll(still, 2 * i, axis=1) for i in range(count)]


@dataclass
class Clip:
    """A clip to be written.

    Attributes:
        images: [H,W,3] RGB uint8.
        ticks: times in `time_base`; one tick apart if empty.
        time_base: seconds a tick.
        last: duration of the last frame in ticks.
        tags: colour tags for the encoder: matrix, range, primaries, transfer.
        audio: seconds of a tone, 0 for none.
        subtitles: (start, end, text) in seconds.
        chapters: (start, end, name) in milliseconds.
        attachment: a file to attach.
        container: options of the muxer.
    """

    images: Sequence[NDArray[np.uint8]]
    ticks: Sequence[int] = ()
    time_base: Fraction = 1 / NTSC
    last: int = 1
    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    options: dict[str, str] = field(default_factory=lambda: {"preset": "ultrafast", "crf": "10"})
    tags: tuple[int, int, int, int] | None = None
    aspect: Fraction | None = None
    rotation: int = 0
    audio: float = 0.0
    subtitles: Sequence[tuple[float, float, str]] = ()
    chapters: Sequence[tuple[int, int, str]] = ()
    attachment: bytes = b""
    container: dict[str, str] = field(default_factory=dict)

    def write(self, path: Path) -> Path:
        """Encode into `path`."""
        with av.open(str(path), "w", container_options=self.container) as output:
            output.metadata["title"] = "a test"
            if self.chapters:
                output.set_chapters(
                    [
                        {"id": i, "start": a, "end": b, "time_base": Fraction(1, 1000), "metadata": {"title": name}}
                        for i, (a, b, name) in enumerate(self.chapters)
                    ]
                )
            picture = self._picture_stream(output)
            sound = self._audio_stream(output) if self.audio else None
            words = self._subtitle_stream(output) if self.subtitles else None
            if self.attachment:
                output.add_attachment("font.ttf", "application/x-truetype-font", self.attachment)
            self._encode(output, picture)
            if sound is not None:
                _tone(output, sound, self.audio)
            if words is not None:
                _speak(output, words, self.subtitles)
        return path

    def _picture_stream(self, output: Any) -> Any:
        stream = output.add_stream(
            self.codec, rate=(1 / self.time_base).limit_denominator(100000), options=self.options
        )
        context = stream.codec_context
        context.height, context.width = self.images[0].shape[:2]
        context.pix_fmt, context.time_base = self.pix_fmt, self.time_base
        stream.time_base = self.time_base
        if self.tags:
            context.colorspace, context.color_range, context.color_primaries, context.color_trc = self.tags
        if self.aspect:
            context.sample_aspect_ratio = self.aspect
        if self.rotation:
            stream.set_display_rotation(self.rotation)
        return stream

    def _audio_stream(self, output: Any) -> Any:
        stream = output.add_stream("aac", rate=48000)
        stream.codec_context.layout = "mono"
        stream.metadata["language"] = "deu"
        return stream

    def _subtitle_stream(self, output: Any) -> Any:
        stream = output.add_mux_stream("subrip" if output.format.name == "matroska" else "mov_text")
        stream.time_base = Fraction(1, 1000)
        stream.metadata["language"] = "eng"
        return stream

    def _encode(self, output: Any, stream: Any) -> None:
        ticks = list(self.ticks) or list(range(len(self.images)))
        steps = dict(zip(ticks, [*np.diff(ticks).tolist(), self.last], strict=True))
        pictures = [self._picture(image, tick) for image, tick in zip(self.images, ticks, strict=True)]
        for picture in [*pictures, None]:
            for packet in stream.encode(picture):
                packet.duration = steps[packet.pts]
                output.mux(packet)

    def _picture(self, image: NDArray[np.uint8], tick: int) -> av.VideoFrame:
        matrix, span = (self.tags[0], self.tags[1]) if self.tags else (6, 1)
        picture = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(
            format=self.pix_fmt,
            dst_colorspace={1: 1, 9: 9}.get(matrix, 5),
            dst_color_range=2 if self.pix_fmt.startswith(("gbr", "rgb", "bgr")) else span,
        )
        picture.pts, picture.time_base = tick, self.time_base
        if self.tags:
            picture.colorspace, picture.color_range, picture.color_primaries, picture.color_trc = self.tags
        return picture


def _tone(output: Any, stream: Any, seconds: float) -> None:
    samples = np.sin(np.arange(int(seconds * 48000)) * 0.05).astype(np.float32)
    for start in range(0, len(samples), 1024):
        chunk = av.AudioFrame.from_ndarray(samples[None, start : start + 1024], format="fltp", layout="mono")
        chunk.sample_rate, chunk.pts, chunk.time_base = 48000, start, Fraction(1, 48000)
        output.mux(stream.encode(chunk))
    output.mux(stream.encode(None))


def _speak(output: Any, stream: Any, subtitles: Sequence[tuple[float, float, str]]) -> None:
    for start, end, text in subtitles:
        data = text.encode()
        if output.format.name != "matroska":
            data = len(data).to_bytes(2, "big") + data
        packet = av.Packet(data)
        packet.stream, packet.time_base = stream, Fraction(1, 1000)
        packet.pts = packet.dts = int(start * 1000)
        packet.duration = int((end - start) * 1000)
        output.mux(packet)


@dataclass(frozen=True)
class Seen:
    """What a decoder finds in a video file."""

    times: list[Fraction]
    end: Fraction
    pictures: list[av.VideoFrame]
    stream: Any


def seen(path: Path) -> Seen:
    """Decode the first video stream of `path`."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        pictures, ends = [], [Fraction(0)]
        for packet in container.demux(stream):
            if packet.pts is not None:
                ends.append((packet.pts + (packet.duration or 0)) * packet.time_base)
            pictures += packet.decode()
        facts = {
            name: getattr(stream.codec_context, name)
            for name in ("colorspace", "color_range", "color_primaries", "color_trc", "pix_fmt", "sample_aspect_ratio")
        }
        return Seen([p.pts * p.time_base for p in pictures], max(ends), pictures, facts)


def packets(path: Path, kind: str) -> list[tuple[Fraction, Fraction, bytes]]:
    """Every packet of the first stream of a kind: time, duration, bytes."""
    with av.open(str(path)) as container:
        stream = next(s for s in container.streams if s.type == kind)
        return [
            (p.pts * p.time_base, (p.duration or 0) * p.time_base, bytes(p))
            for p in container.demux(stream)
            if p.pts is not None
        ]


def planes(picture: av.VideoFrame) -> list[bytes]:
    """The pixels of a picture, without the alignment of its lines."""
    found = []
    for plane in picture.planes:
        wide = plane.width * (1 if max(c.bits for c in picture.format.components) <= 8 else 2)
        lines = np.frombuffer(plane, np.uint8).reshape(plane.height, -1)
        found.append(lines[:, :wide].tobytes())
    return found


class Blend:
    """Draws by mixing two frames; stands in for a network and counts what it is asked."""

    neighbours = False

    def __init__(self) -> None:
        self.prepared = 0
        self.asked: list[Fraction] = []
        self.around: list[tuple[NDArray[Any] | None, NDArray[Any] | None]] = []

    def prepare(self, frame: NDArray[Any]) -> NDArray[Any]:
        """Nothing to do but count."""
        self.prepared += 1
        return frame

    def between(
        self,
        frame0: NDArray[Any],
        frame1: NDArray[Any],
        times: Sequence[Fraction],
        *,
        before: NDArray[Any] | None = None,
        after: NDArray[Any] | None = None,
    ) -> list[NDArray[Any]]:
        """(1 - t)·frame0 + t·frame1."""
        self.asked += times
        self.around.append((before, after))
        a, b = frame0.astype(np.float32), frame1.astype(np.float32)
        return [np.rint((1 - float(t)) * a + float(t) * b).astype(frame0.dtype) for t in times]
