"""Frames in GPU memory into a video file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tweenrt.errors import UsageError
from tweenrt.runtime.cuda import Lane
from tweenrt.runtime.timeline import Moment, Retiming
from tweenrt.runtime.video.backend import encoding_to
from tweenrt.runtime.video.clip import ClipInfo
from tweenrt.runtime.video.copying import Streams
from tweenrt.runtime.video.encoding import EncoderPlan, EncodingOptions, container_of
from tweenrt.runtime.video.nvidia import ENCODERS, Pictures
from tweenrt.runtime.video.surface import Surface
from tweenrt.runtime.video.writer import VideoWriter

_QUALITY = 18
_CONTAINERS = {"mp4", "mov", "matroska"}


def plan_on_gpu(path: Path, info: ClipInfo, options: EncodingOptions) -> EncoderPlan:
    """Choose how NVENC encodes `info`'s frames into `path`: constant quality, of which `options.crf` is the level.

    Raises:
        UsageError: the options ask for what NVENC does not do.
    """
    container, codec = container_of(path), options.codec or ENCODERS[0]
    if options.lossless:
        raise UsageError("--lossless keeps every bit of the source, and NVENC is not used for that")
    if codec not in ENCODERS:
        raise UsageError(f"expected an encoder of the GPU ({', '.join(ENCODERS)}), got --codec {codec}")
    if options.codec is None and (options.preset or options.extra):
        raise UsageError(f"--preset and --encoder-option are for the CPU's encoder unless --codec names {codec}")
    if container.format not in _CONTAINERS:
        raise UsageError(f"{path.suffix} files do not take what NVENC encodes; write .mp4, .mov or .mkv")
    chosen = {"rc": "vbr", "cq": str(_QUALITY if options.crf is None else options.crf), "b": "0"}
    preset = {"preset": options.preset} if options.preset else {}
    return EncoderPlan(container.format, codec, "cuda", {**chosen, **preset, **options.extra}, info.color)


class GpuVideoWriter(VideoWriter):
    """A `tweenrt.runtime.video.clip.Sink` that encodes frames in GPU memory with NVENC.

    Source frames and drawn ones are surfaces, which must be computed.

    Args:
        path: the final name; its ending chooses the container.
        info: the source.
        retiming: where output frames lie; it decides the unit of time.
        encoding: codec, quality and further options.
        gpu: number of the GPU.
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
        gpu: int,
        *,
        streams: Streams = Streams.ALL,
        overwrite: bool = False,
    ) -> None:
        self._lane, self._pictures = Lane(gpu), Pictures(gpu)
        super().__init__(path, info, retiming, encoding, streams=streams, overwrite=overwrite)

    def show(self, picture: Surface, moment: Moment) -> None:
        """See `tweenrt.runtime.video.clip.Sink.show`."""
        self._lane.activate()
        with encoding_to(self._path):
            frame = self._pictures.of(picture)
        self._plan.color.mark(frame)
        self._encode(frame, moment)

    def draw(self, frame: Any, moment: Moment) -> None:
        """See `tweenrt.runtime.video.clip.Sink.draw`."""
        self.show(frame, moment)

    def discard(self) -> None:
        """See `tweenrt.runtime.video.clip.Sink.discard`."""
        super().discard()
        for name in ("_stream", "_container"):
            self.__dict__.pop(name, None)  # the encoder, which refers to the memory of its frames
        self._lane.close()

    def _planned(self, path: Path, info: ClipInfo, encoding: EncodingOptions) -> EncoderPlan:
        return plan_on_gpu(path, info, encoding)

    def _start_encoding(self) -> None:
        """The encoder learns from its first frame which memory it is given, and is opened then."""


__all__ = ["GpuVideoWriter", "plan_on_gpu"]
