"""Decoded pictures to RGB and back, with the stream's own matrix and range.

Up to 8 bits swscale does the work, with accurate rounding and full chroma. Above, its RGB conversions are off by whole
10-bit steps (its 16-bit white is 65280), so only chroma is resampled there and the matrix is applied here, in float32.

Coarser chroma is taken to lie in the middle of its pixels both ways, whatever the stream says of it: nothing lets PyAV
store RGB with chroma elsewhere, and read in one place but stored in another it would move from source to drawn frames.

A stream that does not say which matrix it uses is taken as BT.709 if it has more than 576 lines, else as BT.601, which
is what players do. The choice is used both ways, and the stream stays without a tag.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tweenrt.runtime.frames import Frame
from tweenrt.runtime.video.backend import av
from tweenrt.runtime.video.formats import Layout, grey, layout, plain, yuv444

UNSPECIFIED = 2
_FULL, _LIMITED = 2, 1
_SD_LINES = 576
_BT709, _BT601 = 1, 6

# AVColorSpace → (Kr, Kb, swscale's number): ITU-T H.273, table 4.
_MATRICES: dict[int, tuple[float, float, int]] = {
    1: (0.2126, 0.0722, 1),
    4: (0.30, 0.11, 4),
    5: (0.299, 0.114, 5),
    6: (0.299, 0.114, 5),
    7: (0.212, 0.087, 7),
    9: (0.2627, 0.0593, 9),
    10: (0.2627, 0.0593, 9),  # constant luminance, treated as the other BT.2020
}
# bicubic | full chroma horizontal interpolation and input | accurate rounding | the same on every machine
_SCALER_FLAGS = 4 | 0x2000 | 0x4000 | 0x40000 | 0x80000
_PEAK = 65535.0
_LINES_AT_A_TIME = 32  # few enough for the cache


@dataclass(frozen=True)
class ColorTags:
    """What a stream says about its colours, as FFmpeg's numbers (ITU-T H.273); 2 is "unspecified".

    Attributes:
        matrix: AVColorSpace.
        range: AVColorRange, 0 where the stream does not say.
        primaries: AVColorPrimaries.
        transfer: AVColorTransferCharacteristic.
        lines: height of the picture, which decides where `matrix` is unspecified.
    """

    matrix: int
    range: int
    primaries: int
    transfer: int
    lines: int

    @classmethod
    def of(cls, frame: av.VideoFrame) -> ColorTags:
        """The tags of a decoded frame; a range that its pixel format implies counts."""
        implied = _FULL if frame.format.name.startswith("yuvj") else int(frame.color_range)
        return cls(int(frame.colorspace), implied, int(frame.color_primaries), int(frame.color_trc), int(frame.height))

    @property
    def known_matrix(self) -> bool:
        """Whether YUV with this tag can be converted exactly."""
        return self.matrix in _MATRICES or self.matrix in (0, UNSPECIFIED)

    @property
    def full(self) -> bool:
        """Whether luma spans the whole range of its integers."""
        return self.range == _FULL

    @property
    def coefficients(self) -> tuple[float, float, int]:
        """Kr, Kb and swscale's number of the matrix in use."""
        fallback = _BT709 if self.lines > _SD_LINES else _BT601
        return _MATRICES.get(self.matrix, _MATRICES[fallback])

    def equation(self, bits: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Y'CbCr of that depth = matrix · RGB (0..65535) + offset, not rounded (H.273, equations 38 to 46)."""
        kr, kb, _ = self.coefficients
        luma = np.array([kr, 1 - kr - kb, kb])
        parts = np.stack([luma, (np.eye(3)[2] - luma) / (2 - 2 * kb), (np.eye(3)[0] - luma) / (2 - 2 * kr)])
        one = 2.0 ** (bits - 8)
        if self.full:
            span, offset = np.full(3, 2.0**bits - 1), np.array([0, 128, 128]) * one
        else:
            span, offset = np.array([219, 224, 224]) * one, np.array([16, 128, 128]) * one
        return parts * span[:, None] / _PEAK, offset

    def as_limited_yuv(self) -> ColorTags:
        """The tags for these colours once RGB has become YUV."""
        return replace(self, matrix=_BT709 if self.lines > _SD_LINES else _BT601, range=_LIMITED)

    def mark(self, target: av.VideoFrame | av.VideoCodecContext) -> None:
        """Write the tags onto a frame or an encoder."""
        target.colorspace, target.color_range = self.matrix, self.range
        target.color_primaries, target.color_trc = self.primaries, self.transfer


class Converter:
    """Converts pictures of one stream; one for each thread.

    Args:
        tags: the colours of the YUV side.
        marks: the tags that results carry; None for `tags`.
    """

    def __init__(self, tags: ColorTags, marks: ColorTags | None = None) -> None:
        self._tags = tags
        self._marks = tags if marks is None else marks
        self._scaler = av.video.reformatter.VideoReformatter()

    def plain(self, picture: av.VideoFrame) -> av.VideoFrame:
        """The same pixels without alpha or palette, in a format of `formats.plain`; `picture` itself if it is one."""
        name, wanted = picture.format.name, plain(picture.format.name)
        if name == wanted:
            return picture
        both_planar = layout(wanted).planar and layout(name).planar
        copied = _copied(picture, wanted) if both_planar else self.convert(picture, wanted)
        self._marks.mark(copied)
        return copied

    def to_rgb(self, picture: av.VideoFrame) -> Frame:
        """A plain picture as [H,W,3] RGB: uint8, or uint16 over the full 0..65535 if it has more than 8 bits."""
        held = layout(picture.format.name)
        if held.planar and held.chroma != (1, 1):
            picture = _copied(picture, held.name)  # which does not say where its chroma lies: in the middle
        if held.bits <= 8:
            return _packed(self.convert(picture, "rgb24"), np.uint8)
        if held.rgb and held.planar and held.bits <= 16:
            return _interleaved_rgb(picture, held)
        if held.rgb or held.bits > 16:
            return _packed(self.convert(picture, "rgb48le"), np.uint16)
        whole = self.convert(picture, grey(held.bits) if held.grey else yuv444(held.bits))
        return self._from_luma_chroma(whole, held)

    def from_rgb(self, frame: Frame, name: str) -> av.VideoFrame:
        """[H,W,3] RGB, uint8 or uint16 (0..65535), as a picture in the pixel format `name`, tagged."""
        picture = self._from_rgb(frame, layout(name))
        self._marks.mark(picture)
        return picture

    def convert(self, picture: av.VideoFrame, name: str) -> av.VideoFrame:
        """A picture in another pixel format; RGB is full range, everything else has the stream's range."""
        matrix = self._tags.coefficients[2]
        return self._scaler.reformat(
            picture,
            format=name,
            src_colorspace=matrix,
            dst_colorspace=matrix,
            src_color_range=self._range_of(picture.format.name),
            dst_color_range=self._range_of(name),
            interpolation=_SCALER_FLAGS,
        )

    def _range_of(self, name: str) -> int:
        return _FULL if layout(name).rgb or self._tags.full else _LIMITED

    def _from_rgb(self, frame: Frame, held: Layout) -> av.VideoFrame:
        if frame.dtype == np.uint8:
            return self.convert(av.VideoFrame.from_ndarray(frame, format="rgb24"), held.name)
        if held.rgb:
            if held.planar and held.bits > 8:
                return _planar_rgb(frame, held)
            return self.convert(av.VideoFrame.from_ndarray(frame, format="rgb48le"), held.name)
        whole = self._to_luma_chroma(frame, held)
        return whole if whole.format.name == held.name else self.convert(whole, held.name)

    def _to_luma_chroma(self, frame: Frame, held: Layout) -> av.VideoFrame:
        """[H,W,3] RGB, uint16, as a 4:4:4 or grey picture of `held`'s depth."""
        matrix, offset = self._tags.equation(held.bits)
        whole = av.VideoFrame(frame.shape[1], frame.shape[0], grey(held.bits) if held.grey else yuv444(held.bits))
        targets = [_samples(whole, i) for i in range(len(whole.planes))]
        _combine(_channels(frame), targets, matrix, offset, 2**held.bits - 1)
        return whole

    def _from_luma_chroma(self, whole: av.VideoFrame, held: Layout) -> Frame:
        """A 4:4:4 or grey picture as [H,W,3] RGB, uint16."""
        matrix, offset = self._tags.equation(held.bits)
        sources = [_samples(whole, i) for i in range(len(whole.planes))]
        inverse = np.linalg.inv(matrix).astype(np.float64)[:, : len(sources)]
        frame = np.empty((whole.height, whole.width, 3), np.uint16)
        _combine(sources, _channels(frame), inverse, -inverse @ offset[: len(sources)], _PEAK)
        return frame


def _planar_rgb(frame: Frame, held: Layout) -> av.VideoFrame:
    """[H,W,3] RGB, uint16, as a planar picture."""
    picture = av.VideoFrame(frame.shape[1], frame.shape[0], held.name)
    peak = 2**held.bits - 1
    _combine(_channels(frame), _planar_channels(picture), np.eye(3) * (peak / _PEAK), np.zeros(3), peak)
    return picture


def _interleaved_rgb(picture: av.VideoFrame, held: Layout) -> Frame:
    """A planar picture as [H,W,3] RGB, uint16."""
    frame = np.empty((picture.height, picture.width, 3), np.uint16)
    scale = np.eye(3) * (_PEAK / (2**held.bits - 1))
    _combine(_planar_channels(picture), _channels(frame), scale, np.zeros(3), _PEAK)
    return frame


def _channels(frame: Frame) -> list[NDArray[Any]]:
    """Red, green and blue of [H,W,3], each [H,W], in the frame's memory."""
    return [frame[..., i] for i in range(3)]


def _planar_channels(picture: av.VideoFrame) -> list[NDArray[Any]]:
    """Red, green and blue of a planar RGB picture (FFmpeg's planes are green, blue, red), each [H,W]."""
    return [_samples(picture, i) for i in (2, 0, 1)]


def _combine(
    sources: list[NDArray[Any]],
    targets: list[NDArray[Any]],
    matrix: NDArray[np.float64],
    offset: NDArray[np.float64],
    peak: float,
) -> None:
    """Set targets = matrix · sources + offset, rounded and limited to 0..peak; all [H,W], written in place."""
    for top in range(0, len(sources[0]), _LINES_AT_A_TIME):
        lines = slice(top, top + _LINES_AT_A_TIME)
        parts = [source[lines].astype(np.float32) for source in sources]
        for target, weights, start in zip(targets, matrix.astype(np.float32), offset.astype(np.float32), strict=False):
            total = np.full(parts[0].shape, start)
            for part, weight in zip(parts, weights, strict=True):
                if weight:
                    total += part * weight
            target[lines] = np.clip(np.rint(total, out=total), 0, peak, out=total)


def _copied(picture: av.VideoFrame, name: str) -> av.VideoFrame:
    """The first planes of a planar picture in new memory, as the planar format `name`, without tags."""
    copied = av.VideoFrame(picture.width, picture.height, name)
    for i in range(len(copied.planes)):
        _bytes_of(copied, i)[:] = _bytes_of(picture, i)
    return copied


def _samples(picture: av.VideoFrame, plane: int) -> NDArray[Any]:
    """The components in a plane of a planar picture, [H,W], in its own memory."""
    order = ">" if picture.format.is_big_endian else "<"
    raw = _bytes_of(picture, plane)
    return raw if layout(picture.format.name).bits <= 8 else raw.view(f"{order}u2")


def _bytes_of(picture: av.VideoFrame, plane: int) -> NDArray[np.uint8]:
    """The bytes of a plane of a planar picture, [H, bytes a line], in its own memory, without the alignment."""
    part = picture.planes[plane]
    width = part.width if layout(picture.format.name).bits <= 8 else 2 * part.width
    return _lines(part, part.height)[:, :width]


def _lines(plane: Any, height: int) -> NDArray[np.uint8]:
    return np.frombuffer(plane, np.uint8)[: height * plane.line_size].reshape(height, plane.line_size)


def _packed(picture: av.VideoFrame, dtype: type[np.uint8 | np.uint16]) -> Frame:
    """A copy of an rgb24 or rgb48le picture, [H,W,3]."""
    items = _lines(picture.planes[0], picture.height).view(dtype)
    return np.ascontiguousarray(items[:, : picture.width * 3]).reshape(picture.height, picture.width, 3)
