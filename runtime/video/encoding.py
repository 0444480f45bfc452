"""How the output is encoded: container, codec, pixel format and the options that they need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tweenrt.errors import UsageError
from tweenrt.runtime.video.backend import av
from tweenrt.runtime.video.clip import ClipInfo
from tweenrt.runtime.video.color import ColorTags
from tweenrt.runtime.video.formats import Layout, closest, layout, same_pixels


@dataclass(frozen=True)
class EncodingOptions:
    """What the user may choose.

    Attributes:
        codec: FFmpeg's name of an encoder; None takes the container's usual one.
        crf: constant quality, lower is better; None takes 18 (x264, x265) or 24 (VP9, AV1).
        preset: the encoder's speed setting.
        lossless: source frames come out bit for bit.
        extra: further encoder options by FFmpeg's names; they win over the others.
    """

    codec: str | None = None
    crf: int | None = None
    preset: str | None = None
    lossless: bool = False
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Container:
    """What a file name's ending means.

    Attributes:
        format: FFmpeg's name of the muxer.
        codecs: encoders to choose from, the usual one first.
        lossless: the same for lossless output.
    """

    format: str
    codecs: tuple[str, ...]
    lossless: tuple[str, ...]


@dataclass(frozen=True)
class EncoderPlan:
    """A complete choice.

    Attributes:
        container: FFmpeg's name of the muxer.
        codec: FFmpeg's name of the encoder.
        pix_fmt: what it is given.
        options: its options.
        color: the tags of the encoded stream.
        warnings: what is lost, in sentences.
    """

    container: str
    codec: str
    pix_fmt: str
    options: dict[str, str]
    color: ColorTags
    warnings: tuple[str, ...] = ()


_MP4 = Container("mp4", ("libx264", "libx265"), ("libx264", "libx264rgb", "libx265"))
_CONTAINERS = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": replace(_MP4, format="mov"),
    ".mkv": Container("matroska", ("libx264", "libx265"), ("libx264", "libx264rgb", "ffv1")),
    ".webm": Container("webm", ("libvpx-vp9",), ("libvpx-vp9",)),
}
_CRF = {"libx264": 18, "libx264rgb": 18, "libx265": 18, "libvpx-vp9": 24, "libsvtav1": 24, "libaom-av1": 24}
_LOSSLESS: dict[str, dict[str, str]] = {
    "libx264": {"qp": "0"},
    "libx264rgb": {"qp": "0"},
    "libx265": {"x265-params": "lossless=1"},
    "libvpx-vp9": {"lossless": "1"},
    "ffv1": {},
    "ffvhuff": {},
    "rawvideo": {},
}
_BASE: dict[str, dict[str, str]] = {
    "libx265": {"x265-params": "log-level=error"},
    "libvpx-vp9": {"row-mt": "1"},
    "ffv1": {"level": "3"},
}
_ANY_SIZE = {"ffv1", "ffvhuff", "libvpx-vp9", "libaom-av1", "rawvideo", "png"}


def container_of(path: Path) -> Container:
    """The container that a file name asks for.

    Raises:
        UsageError: the ending is not one of ours.
    """
    try:
        return _CONTAINERS[path.suffix.lower()]
    except KeyError:
        raise UsageError(
            f"{path}: expected an output that ends in {', '.join(_CONTAINERS)}, or a folder (no ending) for images; "
            f"got '{path.suffix}'"
        ) from None


def plan(path: Path, info: ClipInfo, options: EncodingOptions) -> EncoderPlan:
    """Choose how to encode `info`'s frames into `path`.

    Raises:
        UsageError: the options contradict each other, or no encoder fulfils them.
    """
    container = container_of(path)
    wanted = _wanted(info, options)
    codec, held = (_lossless if options.lossless else _lossy)(container, wanted, info, options)
    return EncoderPlan(
        container=container.format,
        codec=codec,
        pix_fmt=held.name,
        options=_options(codec, options),
        color=encoded_tags(info.color, layout(info.pix_fmt), held),
        warnings=tuple(_losses(wanted, held, codec)),
    )


def encoded_tags(color: ColorTags, source: Layout, target: Layout) -> ColorTags:
    """The tags of the encoded stream: the source's, but for the matrix and range where RGB becomes YUV or back."""
    if source.rgb == target.rgb:
        return color
    if target.rgb:
        return replace(color, matrix=0, range=2)
    return color.as_limited_yuv()


def _wanted(info: ClipInfo, options: EncodingOptions) -> Layout:
    """What to look for: the source's format, or 4:2:0 where RGB goes to a lossy encoder."""
    source = layout(info.pix_fmt)
    if source.rgb and not options.lossless:
        return replace(source, name="yuv420p", rgb=False, chroma=(2, 2))
    return source


def _lossy(container: Container, wanted: Layout, info: ClipInfo, options: EncodingOptions) -> tuple[str, Layout]:
    """The first encoder that keeps depth and chroma, else the container's usual one with its closest format."""
    found = _offers(container.codecs, wanted, info, options)
    for codec, held in found:
        if held.bits >= wanted.bits and not _coarser(wanted, held):
            return codec, held
    return found[0]


def _lossless(container: Container, wanted: Layout, info: ClipInfo, options: EncodingOptions) -> tuple[str, Layout]:
    candidates = (options.codec,) if options.codec else container.lossless
    for codec in candidates:
        if codec not in _LOSSLESS:
            raise UsageError(f"expected a lossless encoder ({', '.join(_LOSSLESS)}), got {codec}")
    for codec, held in _offers(candidates, wanted, info, options):
        if same_pixels(held, wanted):
            return codec, held
    raise UsageError(
        f"{info.path}: its frames ({info.width}x{info.height} {info.pix_fmt}) cannot be stored losslessly by "
        f"{' or '.join(candidates)}; write an .mkv file, whose FFV1 takes them, or leave --lossless out"
    )


def _offers(
    candidates: tuple[str, ...], wanted: Layout, info: ClipInfo, options: EncodingOptions
) -> list[tuple[str, Layout]]:
    """Every usable encoder with the format of its own that comes closest."""
    offers = []
    for codec in (options.codec,) if options.codec else candidates:
        held = closest(wanted, _formats(codec), info.width, info.height, any_size=codec in _ANY_SIZE)
        if held is not None:
            offers.append((codec, held))
    if not offers:
        tried = options.codec or ", ".join(candidates)
        raise UsageError(f"no encoder of this installation ({tried}) takes {info.width}x{info.height} {info.pix_fmt}")
    return offers


def _formats(codec: str) -> list[str]:
    """The pixel formats that an encoder takes; none where it is not a video encoder of this installation."""
    try:
        found = av.Codec(codec, "w")
    except av.codec.codec.UnknownCodecError:
        return []
    if found.type != "video":
        return []
    return [pixel.name for pixel in found.video_formats or []]


def _options(codec: str, options: EncodingOptions) -> dict[str, str]:
    chosen = dict(_BASE.get(codec, {}))
    if options.lossless:
        _merge(chosen, _LOSSLESS[codec])
    elif options.crf is not None or codec in _CRF:
        chosen["crf"] = str(_CRF[codec] if options.crf is None else options.crf)
    if options.preset is not None:
        chosen["preset"] = options.preset
    _merge(chosen, options.extra)
    return chosen


def _merge(chosen: dict[str, str], more: Mapping[str, str]) -> None:
    """Add options; those that are lists of their own ("x265-params") are joined."""
    for name, value in more.items():
        joined = name.endswith("-params") and name in chosen
        chosen[name] = f"{chosen[name]}:{value}" if joined else value


def _losses(wanted: Layout, held: Layout, codec: str) -> list[str]:
    losses = []
    if held.bits < wanted.bits:
        losses.append(f"{codec} takes at most {held.bits} bits; the source's {wanted.bits} are rounded")
    if _coarser(wanted, held):
        losses.append(f"{codec} cannot keep the source's chroma resolution; frames are stored as {held.name}")
    return losses


def _coarser(wanted: Layout, held: Layout) -> bool:
    """Whether `held` has fewer chroma samples than there is chroma to keep."""
    return not wanted.grey and any(h > w for h, w in zip(held.chroma, wanted.chroma, strict=True))
