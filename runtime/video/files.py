"""Which reader and writer a path asks for."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from tweenrt.errors import UsageError
from tweenrt.runtime.timeline import Retiming
from tweenrt.runtime.video.clip import ClipInfo, Damaged, Sink, Source
from tweenrt.runtime.video.copying import Streams
from tweenrt.runtime.video.encoding import EncodingOptions
from tweenrt.runtime.video.images import ImageReader, ImageWriter
from tweenrt.runtime.video.reader import VideoReader
from tweenrt.runtime.video.writer import VideoWriter


def open_source(
    path: Path, *, rate: Fraction | None = None, damaged: Damaged = Damaged.REFUSE, gpu: int | None = None
) -> Source:
    """Open a video file, or a folder of images.

    Args:
        path: the file or folder.
        rate: images a second, for a folder; a video has its own times.
        damaged: what to do where a video is cut short or does not decode.
        gpu: decode a video on the GPU of this number and leave its frames there.

    Raises:
        VideoError: nothing can be decoded.
        UsageError: `rate` is missing, or given for a video.
    """
    if path.is_dir():
        return ImageReader(path, rate)
    if rate is not None:
        raise UsageError(f"{path}: an input rate is for folders of images; a video has its own times")
    if gpu is not None:
        from tweenrt.runtime.video.gpu_reader import GpuVideoReader

        return GpuVideoReader(path, gpu, damaged)
    return VideoReader(path, damaged)


def open_sink(
    path: Path,
    info: ClipInfo,
    retiming: Retiming,
    encoding: EncodingOptions,
    *,
    streams: Streams = Streams.ALL,
    overwrite: bool = False,
    gpu: int | None = None,
) -> Sink:
    """Open a video file, or a folder of images if the name has no ending.

    Args:
        path: the final name.
        info: the source.
        retiming: where output frames lie.
        encoding: codec, quality and further options; for a video only.
        streams: which of the source's other streams to copy; into a video only.
        overwrite: whether the name may be taken.
        gpu: encode a video on the GPU of this number, where its frames are.

    Raises:
        UsageError: the options do not fit, or the name is taken.
        OutputError: nothing can be written there.
    """
    if path.is_dir() or not path.suffix:
        if encoding != EncodingOptions():
            raise UsageError(f"{path}: a folder of images is PNG; encoder options are for videos")
        return ImageWriter(path, info, overwrite=overwrite)
    if gpu is not None:
        from tweenrt.runtime.video.gpu_writer import GpuVideoWriter

        return GpuVideoWriter(path, info, retiming, encoding, gpu, streams=streams, overwrite=overwrite)
    return VideoWriter(path, info, retiming, encoding, streams=streams, overwrite=overwrite)
