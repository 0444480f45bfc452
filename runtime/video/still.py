"""Single images in and out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tweenrt.errors import VideoError
from tweenrt.runtime.frames import Frame
from tweenrt.runtime.output import write_whole
from tweenrt.runtime.video.backend import av
from tweenrt.runtime.video.color import ColorTags, Converter

DECODERS = {
    ".png": "png",
    ".jpg": "mjpeg",
    ".jpeg": "mjpeg",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".bmp": "bmp",
    ".webp": "webp",
}
"""The ending of an image's name → FFmpeg's decoder."""


def read_image(path: Path) -> Frame:
    """Read one image.

    Args:
        path: a file with an ending of `DECODERS`.

    Returns:
        [H,W,3] RGB, uint8 (0..255), or uint16 (0..65535) where the file has more than 8 bits; alpha is left out. The
        pixels of a PNG come out as they are stored.

    Raises:
        VideoError: the file is missing or damaged, or has another ending.
    """
    picture = decode_image(path)
    converter = Converter(ColorTags.of(picture))
    return converter.to_rgb(converter.plain(picture))


def decode_image(path: Path) -> av.VideoFrame:
    """Decode one image, in its own pixel format.

    Raises:
        VideoError: the file is missing or damaged, or has another ending.
    """
    decoder = DECODERS.get(path.suffix.lower())
    if decoder is None:
        raise VideoError(f"{path}: expected an image ({', '.join(DECODERS)}); convert it to PNG")
    context: Any = av.CodecContext.create(decoder, "r")
    try:
        pictures: list[av.VideoFrame] = [*context.decode(av.Packet(path.read_bytes())), *context.decode(None)]
    except FileNotFoundError as error:
        raise VideoError(f"{path}: no such image; check the path") from error
    except av.FFmpegError as error:
        raise VideoError(f"{path}: this image cannot be decoded ({error.strerror or error}); check the file") from error
    if not pictures or pictures[0].is_corrupt:
        raise VideoError(f"{path}: this image is empty or damaged; check the file")
    return pictures[0]


def write_png(path: Path, image: Frame) -> None:
    """Write one image, which appears under its name when it is complete; a file of that name is replaced.

    Args:
        path: the file.
        image: [H,W,3] RGB, uint8.

    Raises:
        OutputError: it cannot be written.
    """
    picture = av.VideoFrame.from_ndarray(image, format="rgb24")
    context: Any = av.CodecContext.create("png", "w")
    context.width, context.height, context.pix_fmt, context.time_base = picture.width, picture.height, "rgb24", 1
    write_whole(path, b"".join(bytes(packet) for packet in context.encode(picture)))
