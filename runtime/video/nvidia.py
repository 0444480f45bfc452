"""What is asked of PyAV to decode with NVDEC and encode with NVENC, with frames that stay in GPU memory.

FFmpeg works in the CUDA context that is current in the calling thread, which is that of the `Lane` of that thread, so
that addresses mean the same to both. Its own work is queued on the default stream.

Not every PyAV has these codecs: its wheels for x86-64 do, those for aarch64 (18.1) do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

from tweenrt.errors import BackendError, UsageError, VideoError, require
from tweenrt.runtime.video.backend import av
from tweenrt.runtime.video.surface import Surface

ENCODERS = ("h264_nvenc", "hevc_nvenc", "av1_nvenc")
_SURFACES = "nv12"
_USUAL_RATE = Fraction(25)


def decoding(path: Path, gpu: int) -> av.container.InputContainer:
    """A file whose video is decoded by NVDEC; its pictures stay in GPU memory.

    Args:
        path: the file.
        gpu: number of the GPU, which is current in this thread.

    Raises:
        VideoError: it cannot be opened, or not be decoded there.
    """
    try:
        return av.open(str(path), hwaccel=_device(gpu))
    except (av.FFmpegError, NotImplementedError, RuntimeError) as error:
        raise VideoError(
            f"{path}: GPU {gpu} does not decode it ({error}); decode it on the CPU (--video cpu)"
        ) from error


def surface_of(picture: av.VideoFrame) -> Surface:
    """Where a decoded picture lies.

    Raises:
        VideoError: it is not in GPU memory, or not 8-bit 4:2:0.
    """
    held = picture.sw_format
    if held is None or held.name != _SURFACES:
        found = picture.format.name if held is None else held.name
        raise VideoError(
            f"expected pictures in GPU memory as {_SURFACES}, got {found}; decode on the CPU (--video cpu)"
        )
    luma, chroma = picture.planes
    return Surface(luma.buffer_ptr, chroma.buffer_ptr, luma.line_size, picture.height, picture.width, picture)


class Pictures:
    """Makes pictures for an encoder of surfaces, without a copy; used from one thread.

    Args:
        gpu: number of the GPU, which is current in the thread that makes the first one.
    """

    def __init__(self, gpu: int) -> None:
        self._context = av.video.frame.CudaContext(gpu, primary_ctx=False, current_ctx=True)

    def of(self, surface: Surface) -> av.VideoFrame:
        """`surface`, which must be computed; it is kept as long as the picture is."""
        size, half = (surface.height, surface.width), (surface.height // 2, surface.width // 2)
        planes = (
            _Plane(surface, surface.luma, size, (surface.pitch, 1)),
            _Plane(surface, surface.chroma, (*half, 2), (surface.pitch, 2, 1)),
        )
        return av.VideoFrame.from_dlpack(planes, format=_SURFACES, cuda_context=self._context)


def try_encoder(codec: str, options: Mapping[str, str], gpu: int, height: int, width: int) -> None:
    """Make sure that NVENC encodes frames of this size with these options.

    Args:
        codec: one of `ENCODERS`.
        options: FFmpeg's, for it.
        gpu: number of the GPU, which is current in this thread.
        height: in pixels.
        width: in pixels.

    Raises:
        UsageError: this PyAV has no such encoder, or the encoder no such option.
        BackendError: it cannot be opened.
    """
    try:
        encoder = cast("av.VideoCodecContext", av.CodecContext.create(codec, "w", hwaccel=_device(gpu)))
    except av.codec.codec.UnknownCodecError as error:
        raise UsageError(f"this PyAV was built without {codec}; install one whose FFmpeg has NVENC") from error
    except (av.FFmpegError, NotImplementedError) as error:
        raise BackendError(f"{codec} cannot be used on GPU {gpu} ({error})") from error
    encoder.width, encoder.height, encoder.pix_fmt = width, height, _SURFACES
    encoder.framerate, encoder.options = _USUAL_RATE, dict(options)
    try:
        encoder.open()
    except av.FFmpegError as error:
        why = error.strerror or error
        raise BackendError(
            f"{codec} does not encode {width}x{height} with {dict(options)} on GPU {gpu} ({why})"
        ) from error
    if encoder.options:
        raise UsageError(f"{codec} has no option {', '.join(sorted(encoder.options))}; see FFmpeg's manual")


class _Plane:
    """A plane of a surface, as DLPack knows it."""

    def __init__(self, owner: Surface, address: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
        self._owner = owner
        self.__cuda_array_interface__ = {
            "version": 3,
            "shape": shape,
            "typestr": "|u1",
            "data": (address, False),
            "strides": strides,
            "stream": None,
        }

    def __dlpack__(self) -> Any:
        views = require("cuda.core.utils", extra="tensorrt", why="Handing frames in GPU memory to an encoder")
        return views.StridedMemoryView.from_cuda_array_interface(self, stream_ptr=-1).__dlpack__()


def _device(gpu: int) -> av.codec.hwaccel.HWAccel:
    # PyAV asks for the primary context where it is not told otherwise, which FFmpeg refuses once CUDA has made it.
    options: dict[str, object] = {"primary_ctx": "0", "current_ctx": "1"}
    return av.codec.hwaccel.HWAccel(
        "cuda", device=str(gpu), allow_software_fallback=False, options=options, is_hw_owned=True
    )


__all__ = ["ENCODERS", "Pictures", "decoding", "surface_of", "try_encoder"]
