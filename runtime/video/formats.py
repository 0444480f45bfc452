"""Pixel formats: what one can hold, and which of an encoder's comes closest to a source's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from tweenrt.runtime.video.backend import av

_FLOAT_BITS = 32


@dataclass(frozen=True)
class Layout:
    """What a pixel format holds.

    Attributes:
        name: FFmpeg's name, such as ``"yuv420p10le"``.
        rgb: red, green and blue instead of luma and chroma.
        grey: luma only.
        bits: per component.
        chroma: pixels that share a chroma sample, across and down; (1, 1) for RGB and grey.
        alpha: has an alpha channel.
        planar: every component has a plane of its own.
    """

    name: str
    rgb: bool
    grey: bool
    bits: int
    chroma: tuple[int, int]
    alpha: bool
    planar: bool

    def fits(self, width: int, height: int, *, any_size: bool) -> bool:
        """Whether a frame of this size can be stored; `any_size` where the encoder takes half chroma samples."""
        across, down = self.chroma
        return any_size or (width % across == 0 and height % down == 0)


@cache
def layout(name: str) -> Layout:
    """What the pixel format `name` holds."""
    pixel = av.VideoFormat(name, 16, 16)
    parts = pixel.components
    colours = [part for part in parts if not part.is_alpha]
    rgb = pixel.is_rgb or pixel.has_palette
    grey = len(colours) == 1 and not rgb
    chroma = (1, 1) if rgb or grey else (16 // pixel.chroma_width(16), 16 // pixel.chroma_height(16))
    return Layout(
        name=name,
        rgb=rgb,
        grey=grey,
        bits=max((part.bits for part in parts), default=8),
        chroma=chroma,
        alpha=len(colours) < len(parts) or pixel.has_palette,
        planar=len({part.plane for part in parts}) == len(parts),
    )


def plain(name: str) -> str:
    """The format to work in for frames of format `name`: without alpha, palette, or a colour range in the name."""
    if name.startswith("yuvj"):
        return name.replace("yuvj", "yuv", 1)
    if name.startswith("yuva"):
        return name.replace("yuva", "yuv", 1)
    if name.startswith("gbrap"):
        return name.replace("gbrap", "gbrp", 1)
    held = layout(name)
    if not held.alpha:
        return name
    if held.grey:
        return "gray" if held.bits <= 8 else "gray16le"
    return "rgb24" if held.bits <= 8 else "rgb48le"


def yuv444(bits: int) -> str:
    """Planar 4:4:4 of that depth, little-endian."""
    return "yuv444p" if bits == 8 else f"yuv444p{bits}le"


def grey(bits: int) -> str:
    """Luma only, of that depth, little-endian."""
    return "gray" if bits == 8 else f"gray{bits}le"


def closest(wanted: Layout, offered: Iterable[str], width: int, height: int, *, any_size: bool) -> Layout | None:
    """The format among `offered` that loses least of `wanted`, for frames of this size.

    Depth counts first, then chroma resolution; formats that hold more than is needed cost little. None if none fits.
    """
    layouts = [layout(name) for name in offered if _is_candidate(name)]
    usable = [held for held in layouts if held.fits(width, height, any_size=any_size)]
    return min(usable, key=lambda held: _loss(wanted, held), default=None)


def same_pixels(a: Layout, b: Layout) -> bool:
    """Whether frames convert between the two without changing a value."""
    return (a.rgb, a.grey, a.bits, a.chroma) == (b.rgb, b.grey, b.bits, b.chroma)


def _is_candidate(name: str) -> bool:
    if name.startswith("yuvj") or not av.VideoFormat(name, 16, 16).components:
        return False  # an old name for full range, or the memory of some hardware
    held = layout(name)
    return not held.alpha and held.bits < _FLOAT_BITS and not name.endswith("be")


def _loss(wanted: Layout, held: Layout) -> tuple[int, ...]:
    kept = held.chroma if wanted.grey else wanted.chroma  # what there is no chroma of cannot become coarser
    coarser = sum(max(0, h - k) for h, k in zip(held.chroma, kept, strict=True))
    finer = sum(max(0, k - h) for h, k in zip(held.chroma, (2, 2) if wanted.grey else kept, strict=True))
    return (
        int(held.grey and not wanted.grey),
        max(0, wanted.bits - held.bits),
        int(held.rgb != wanted.rgb),
        coarser,
        held.bits - wanted.bits,
        int(wanted.grey and not held.grey),
        finer,
        int(not held.planar),
    )
