"""Pictures to RGB and back: the right matrix and range, and no loss that rounding does not explain."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from support.clips import planes, texture

from tweenrt.runtime.video.color import ColorTags, Converter
from tweenrt.runtime.video.formats import closest, layout, plain

# Kr, Kb (ITU-T H.273, table 4): BT.709, BT.601, BT.2020.
COEFFICIENTS = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}
LIMITED, FULL = 1, 2


def tags(matrix: int = 1, span: int = LIMITED, lines: int = 48) -> ColorTags:
    return ColorTags(matrix, span, 2, 2, lines)


def by_definition(rgb: NDArray[np.uint8], matrix: int, span: int, bits: int) -> NDArray[np.float64]:
    """Y', Cb, Cr of [H,W,3] RGB as H.273 defines them, [3,H,W], not rounded."""
    kr, kb = COEFFICIENTS[matrix]
    red, green, blue = np.moveaxis(rgb / 255.0, 2, 0)
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    parts = np.stack([luma, (blue - luma) / (2 - 2 * kb), (red - luma) / (2 - 2 * kr)])
    if span == FULL:
        return parts * (2**bits - 1) + np.array([0, 2 ** (bits - 1), 2 ** (bits - 1)])[:, None, None]
    scale = np.array([219, 224, 224])[:, None, None]
    return (parts * scale + np.array([16, 128, 128])[:, None, None]) * 2 ** (bits - 8)


def samples(picture: av.VideoFrame) -> NDArray[np.int64]:
    dtype = np.uint8 if layout(picture.format.name).bits == 8 else "<u2"
    return np.stack([np.frombuffer(p, dtype).reshape(picture.height, -1) for p in planes(picture)]).astype(np.int64)


@pytest.mark.parametrize("span", [LIMITED, FULL])
@pytest.mark.parametrize("matrix", COEFFICIENTS)
def test_rgb_becomes_the_yuv_of_the_standard(matrix: int, span: int) -> None:
    rgb = texture()
    eight = Converter(tags(matrix, span)).from_rgb(rgb, "yuv444p")
    assert np.abs(samples(eight) - by_definition(rgb, matrix, span, 8)).max() <= 1.2
    ten = Converter(tags(matrix, span)).from_rgb(rgb.astype(np.uint16) * 257, "yuv444p10le")
    assert np.abs(samples(ten) - by_definition(rgb, matrix, span, 10)).max() <= 0.51
    assert (ten.colorspace, ten.color_range) == (matrix, span)


@pytest.mark.parametrize("span", [LIMITED, FULL])
@pytest.mark.parametrize("matrix", COEFFICIENTS)
@pytest.mark.parametrize(("pix_fmt", "most"), [("yuv444p", 2), ("yuv444p10le", 0), ("yuv444p12le", 0)])
def test_yuv_survives_rgb(matrix: int, span: int, pix_fmt: str, most: int) -> None:
    deep = layout(pix_fmt).bits > 8
    rgb = texture().astype(np.uint16) * 257 if deep else texture()
    converter = Converter(tags(matrix, span))
    picture = converter.from_rgb(rgb, pix_fmt)
    back = converter.from_rgb(converter.to_rgb(picture), pix_fmt)
    assert np.abs(samples(back) - samples(picture)).max() <= most


@pytest.mark.parametrize(
    "pix_fmt", ["yuv420p", "yuv422p", "yuv420p10le", "nv12", "gray", "gray10le", "gbrp10le", "gbrp"]
)
def test_smooth_pictures_survive_every_format(pix_fmt: str) -> None:
    held = layout(pix_fmt)
    image = texture()
    if held.grey:
        image = np.repeat(image[..., :1], 3, axis=2)
    rgb = image.astype(np.uint16) * 257 if held.bits > 8 else image
    converter = Converter(tags(6))
    back = converter.to_rgb(converter.from_rgb(rgb, pix_fmt))
    assert back.dtype == rgb.dtype
    error = np.abs(back.astype(float) - rgb) / (257 if held.bits > 8 else 1)
    # Half the chroma samples cannot hold this texture; swscale's default flags lose three times as much.
    assert error.mean() < (1.5 if held.chroma != (1, 1) else 1.0)
    assert error.max() <= (24 if held.chroma != (1, 1) else 2)


def test_white_and_black_are_the_ends_of_the_range() -> None:
    for pix_fmt, white, black in (("yuv420p", 235, 16), ("yuv420p10le", 940, 64)):
        bits = layout(pix_fmt).bits
        for value, expected in ((2**bits - 1, white), (0, black)):
            full = np.full((16, 16, 3), 255 if value else 0, np.uint8)
            rgb = full.astype(np.uint16) * 257 if bits > 8 else full
            converter = Converter(tags(1))
            picture = converter.from_rgb(rgb, pix_fmt)
            dtype = np.uint8 if bits == 8 else "<u2"
            assert set(np.frombuffer(planes(picture)[0], dtype).tolist()) == {expected}
            assert np.array_equal(converter.to_rgb(picture), rgb)


def test_an_unspecified_matrix_depends_on_the_height() -> None:
    assert tags(2, lines=576).coefficients[:2] == COEFFICIENTS[6]
    assert tags(2, lines=577).coefficients[:2] == COEFFICIENTS[1]


@pytest.mark.parametrize("pix_fmt", ["yuvj420p", "yuva420p", "yuva444p10le", "gbrap", "rgba", "bgra", "ya8", "pal8"])
def test_plain_pictures_keep_their_pixels(pix_fmt: str) -> None:
    rgb = np.full((18, 22, 3), 200, np.uint8)
    rgb[4:9] = (90, 20, 30)
    source = av.VideoFrame.from_ndarray(rgb, format="rgb24")
    if pix_fmt == "pal8":
        image = np.zeros((18, 22), np.uint8)
        palette = np.zeros((256, 4), np.uint8)
        picture = av.VideoFrame.from_ndarray((image, palette), format="pal8")
    else:
        picture = source.reformat(format=pix_fmt)
    held = Converter(tags(6)).plain(picture)
    assert held.format.name == plain(pix_fmt)
    assert not layout(held.format.name).alpha
    if layout(pix_fmt).planar:
        assert planes(held) == planes(picture)[: len(held.planes)]


def test_odd_sizes_convert() -> None:
    rgb = texture(0, 35, 53)
    converter = Converter(tags(1, lines=35))
    for pix_fmt in ("yuv420p", "yuv444p", "yuv420p10le"):
        deep = layout(pix_fmt).bits > 8
        back = converter.to_rgb(converter.from_rgb(rgb.astype(np.uint16) * 257 if deep else rgb, pix_fmt))
        assert back.shape == rgb.shape


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "yuv420p10le"])
def test_chroma_stays_where_it_is(pix_fmt: str) -> None:
    """H.264's decoder says that chroma lies left, which the way back to YUV could not heed."""
    one = 2 ** (layout(pix_fmt).bits - 8)
    given = (128 + 4 * np.arange(-12, 12).repeat(2).clip(-10, 10)) * one
    picture = av.VideoFrame(given.size, 48, pix_fmt)
    for plane, row in zip(picture.planes, (np.full(given.size, 128 * one), given[::2], given[::-2]), strict=True):
        lines = np.zeros((plane.height, plane.line_size // (1 if one == 1 else 2)), np.uint8 if one == 1 else "<u2")
        lines[:, : row.size] = row
        plane.update(lines.tobytes())
    (decoded,) = through_h264(picture)
    converter = Converter(ColorTags.of(decoded))
    back = converter.from_rgb(converter.to_rgb(decoded), pix_fmt)
    for before, after in zip(planes(decoded)[1:], planes(back)[1:], strict=True):
        moved = np.subtract(*(np.frombuffer(p, np.uint8 if one == 1 else "<u2").astype(float) for p in (after, before)))
        assert abs(moved.mean()) < 0.1 * one  # a quarter of a sample would be 1


def through_h264(picture: av.VideoFrame) -> list[av.VideoFrame]:
    """A picture encoded without loss and decoded."""
    encoder: Any = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = picture.width, picture.height, picture.format.name
    encoder.time_base, encoder.options = Fraction(1, 25), {"qp": "0"}
    picture.pts = 0
    packets = [*encoder.encode(picture), *encoder.encode(None)]
    decoder: Any = av.CodecContext.create("h264", "r")
    return [frame for packet in [*packets, None] for frame in decoder.decode(packet)]


def test_closest_keeps_depth_first_and_chroma_next() -> None:
    offered = ["yuv420p", "yuvj420p", "yuv444p", "nv12", "yuv420p10le", "yuv444p10le", "gray"]

    def chosen(pix_fmt: str, width: int = 64) -> str:
        held = closest(layout(pix_fmt), offered, width, 48, any_size=False)
        assert held is not None
        return held.name

    assert chosen("yuv420p") == "yuv420p"
    assert chosen("yuv422p") == "yuv444p"
    assert chosen("yuv420p12le") == "yuv420p10le"
    assert chosen("gray") == "gray"
    assert chosen("gray10le") == "yuv420p10le"
    assert chosen("yuv420p", width=63) == "yuv444p"
    assert closest(layout("yuv420p"), ["yuv420p"], 63, 48, any_size=False) is None
