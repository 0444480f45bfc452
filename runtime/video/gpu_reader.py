"""Frames out of a video file straight into GPU memory."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from tweenrt.runtime.cuda import Lane
from tweenrt.runtime.video import nvidia
from tweenrt.runtime.video.backend import av
from tweenrt.runtime.video.clip import Damaged, SourceFrame
from tweenrt.runtime.video.reader import VideoReader
from tweenrt.runtime.video.surface import SurfaceConverter


class GpuVideoReader(VideoReader):
    """A `tweenrt.runtime.video.clip.Source` whose frames are decoded by NVDEC and stay on the GPU.

    Pictures are copied out of the decoder's own few surfaces at once. A frame that comes out is computed.

    Args:
        path: the file; 8-bit 4:2:0 with even sides.
        gpu: number of the GPU.
        damaged: what to do where it is cut short or does not decode. NVDEC conceals more than FFmpeg's decoders do, so
            that less of what is damaged is noticed.

    Raises:
        VideoError: it cannot be decoded there.
        BackendError: the GPU refuses the work.
    """

    _threads = "SLICE"

    def __init__(self, path: Path, gpu: int, damaged: Damaged = Damaged.REFUSE) -> None:
        self._lane = Lane(gpu)
        super().__init__(path, damaged)
        self._surfaces = SurfaceConverter(self._lane, self.info.color)

    def close(self) -> None:
        """See `tweenrt.runtime.video.clip.Source.close`."""
        super().close()
        self._lane.close()

    def _open(self, path: Path) -> av.container.InputContainer:
        self._lane.activate()
        return nvidia.decoding(path, self._lane.gpu)

    def _frame(self, pts: Fraction, picture: av.VideoFrame, duration: Fraction) -> SourceFrame:
        self._lane.activate()
        self._lane.wait_for_others()
        held = nvidia.surface_of(picture).copied(self._lane)
        thumbnail = self._surfaces.thumbnail(self._surfaces.to_rgb(held))  # waits for all of it
        return SourceFrame(pts, duration, held, held, thumbnail)


__all__ = ["GpuVideoReader"]
