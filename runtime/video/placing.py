"""Whether a video can stay on the GPU from the decoder through the network to the encoder."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from tweenrt.contract import FrameIO, GraphInfo
from tweenrt.errors import UsageError
from tweenrt.runtime.cuda import Lane
from tweenrt.runtime.video.clip import ClipInfo, Damaged
from tweenrt.runtime.video.encoding import EncodingOptions
from tweenrt.runtime.video.gpu_reader import GpuVideoReader
from tweenrt.runtime.video.gpu_writer import plan_on_gpu
from tweenrt.runtime.video.nvidia import try_encoder
from tweenrt.runtime.video.reader import VideoReader
from tweenrt.runtime.video.surface import conversions


class VideoOn(str, Enum):
    """Where a video is decoded and encoded."""

    AUTO = "auto"  # on the GPU where frames can stay there, else on the CPU
    GPU = "gpu"  # on the GPU, or not at all
    CPU = "cpu"


def check_gpu_video(
    source: Path, target: Path, encoding: EncodingOptions, damaged: Damaged, graph: GraphInfo, lane: Lane | None
) -> None:
    """Make sure that a job's frames can stay on the GPU, with the same outcome as on the CPU.

    Decoder and encoder are tried out, since what they do depends on the GPU and on its driver.

    Args:
        source: what to read.
        target: what to write.
        encoding: codec, quality and further options.
        damaged: what to do where the source is damaged.
        graph: the network's.
        lane: where it runs; None on a CPU.

    Raises:
        TweenrtError: they cannot; the message says why.
    """
    if lane is None:
        raise UsageError("the network does not run on a GPU")
    if graph.io is not FrameIO.UINT8:
        raise UsageError("the graph takes floats; export it with --io uint8")
    if source.is_dir() or target.is_dir() or not target.suffix:
        raise UsageError("images are read and written on the CPU")
    if damaged is Damaged.SKIP:
        raise UsageError("--damaged skip needs the CPU's decoder, which says what is damaged")
    conversions()
    _check_files(source, target, encoding, lane)


def _check_files(source: Path, target: Path, encoding: EncodingOptions, lane: Lane) -> None:
    reader = VideoReader(source)
    reader.close()
    info = reader.info
    _check_pictures(info)
    plan = plan_on_gpu(target, info, encoding)
    on_gpu = GpuVideoReader(source, lane.gpu)
    try:
        _check_same(info, on_gpu.info)
        lane.activate()
        try_encoder(plan.codec, plan.options, lane.gpu, info.height, info.width)
    finally:
        on_gpu.close()


def _check_pictures(info: ClipInfo) -> None:
    if info.pix_fmt != "yuv420p":
        raise UsageError(f"expected 8-bit 4:2:0 (yuv420p), got {info.pix_fmt}")
    if info.width % 2 or info.height % 2:
        raise UsageError(f"expected even sides, got {info.width}x{info.height}")
    if not info.color.known_matrix:
        raise UsageError(f"the colour matrix {info.color.matrix} (H.273) is unknown")


def _check_same(info: ClipInfo, on_gpu: ClipInfo) -> None:
    expected, got = ((one.width, one.height, one.color, one.tick, one.shift) for one in (info, on_gpu))
    if expected != got:
        raise UsageError(f"NVDEC sees another video than the CPU's decoder: expected {expected}, got {got}")


__all__ = ["VideoOn", "check_gpu_video"]
