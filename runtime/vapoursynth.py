"""Interpolation as a VapourSynth filter."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from tweenrt.contract import FrameIO, TimeInput
from tweenrt.errors import UsageError, require
from tweenrt.runtime.frames import Frame
from tweenrt.runtime.interpolator import Interpolator, PreparedFrame
from tweenrt.runtime.session import Backend

_CUT_AFTER, _CUT_BEFORE = "_SceneChangeNext", "_SceneChangePrev"
_ABSOLUTE, _NUMERATOR, _DENOMINATOR = "_AbsoluteTime", "_DurationNum", "_DurationDen"
_FORMATS = ("RGB24", "RGB48", "RGBH", "RGBS")
_KEPT = 8  # prepared frames; VapourSynth asks for frames nearly in order

Props = Mapping[str, Any]


def interpolate(clip: Any, model: str | Path | Interpolator, factor: int = 2, backend: Backend = Backend.AUTO) -> Any:
    """Draw `factor` - 1 frames between every two frames of a clip.

    Source frames keep their pixels. n frames become factor·n: after the last one, and before a cut, the source frame is
    held. A cut is where a frame has the property ``_SceneChangeNext`` or the next one ``_SceneChangePrev``, as
    ``misc.SCDetect`` and other filters set them; without the properties there are none. Durations, and times where
    frames have them, are divided likewise; all other properties of a drawn frame are those of the source frame before.

    Args:
        clip: a ``VideoNode`` of fixed format and size: RGB24, RGB48, RGBH or RGBS (0..1), full range. Convert others
            first, for example ``clip.resize.Bicubic(format=vs.RGBS, matrix_in_s="709")``.
        model: a graph, a folder of two or an engine, see `Interpolator.open`; or an open interpolator, which must not
            be closed while the clip is used and which nobody else uses meanwhile.
        factor: output frames for each source frame.
        backend: what executes a graph.

    Returns:
        A ``VideoNode`` of the same format and size.

    Raises:
        UsageError: the clip's format is another one or varies, or the network does not draw what is asked for.
        GraphError: the graph cannot be used.
        MissingExtraError: VapourSynth is not installed.
    """
    vs = require("vapoursynth", extra="vapoursynth", why="Interpolating a VapourSynth clip")
    _check_clip(clip)
    if factor < 1:
        raise UsageError(f"expected a factor of 1 or more, got {factor}")
    interpolator = model if isinstance(model, Interpolator) else Interpolator.open(model, backend)
    _check_network(interpolator, clip.format.name, factor)
    offsets = (0, 1, -1, 2) if interpolator.neighbours else (0, 1)
    spread = [vs.core.std.Interleave([_shifted(clip, by)] * factor) for by in offsets]
    return vs.core.std.ModifyFrame(spread[0], spread, _Filter(interpolator, clip.num_frames, factor, offsets))


class _Filter:
    """What VapourSynth calls for every output frame, from any of its threads."""

    def __init__(self, interpolator: Interpolator, count: int, factor: int, offsets: Sequence[int]) -> None:
        self._interpolator, self._count, self._factor, self._offsets = interpolator, count, factor, offsets
        self._prepared: OrderedDict[int, PreparedFrame] = OrderedDict()
        self._lock = Lock()

    def __call__(self, n: int, f: list[Any]) -> Any:
        """Output frame `n`, from the source frames around it in the order of the offsets."""
        number, step = divmod(n, self._factor)
        frames = dict(zip(self._offsets, f, strict=True))
        out = frames[0].copy()
        for name, value in changes(frames[0].props, step, self._factor).items():
            out.props[name] = value
        held = number == self._count - 1 or is_cut(frames[0].props, frames[1].props)
        if step and not held:
            for plane, drawn in enumerate(self._draw(number, step, frames)):
                np.copyto(np.asarray(out[plane]), drawn)
        return out

    def _draw(self, number: int, step: int, frames: Mapping[int, Any]) -> Frame:
        """[3,H,W] in the clip's type."""
        with self._lock:
            first, second = (self._ready(number + by, frames[by]) for by in (0, 1))
            before, after = (self._neighbour(number, by, frames) for by in (-1, 2))
            moment = Fraction(step, self._factor)
            (drawn,) = self._interpolator.between(first, second, [moment], before=before, after=after)
            return drawn

    def _neighbour(self, number: int, by: int, frames: Mapping[int, Any]) -> PreparedFrame | None:
        """The frame before or after the pair; None beyond the ends of the clip and beyond a cut."""
        if by not in frames or not 0 <= number + by < self._count:
            return None
        pair = (frames[by], frames[0]) if by < 0 else (frames[1], frames[by])
        return None if is_cut(pair[0].props, pair[1].props) else self._ready(number + by, frames[by])

    def _ready(self, number: int, frame: Any) -> PreparedFrame:
        if number not in self._prepared:
            self._prepared[number] = self._interpolator.prepare(np.stack([np.asarray(frame[k]) for k in range(3)]))
        self._prepared.move_to_end(number)
        while len(self._prepared) > _KEPT:
            self._prepared.popitem(last=False)
        return self._prepared[number]


def is_cut(first: Props, second: Props) -> bool:
    """Whether two neighbouring source frames say that there is a cut between them."""
    return bool(first.get(_CUT_AFTER, 0) or second.get(_CUT_BEFORE, 0))


def changes(props: Props, step: int, factor: int) -> dict[str, Any]:
    """How the properties of output frame `step` of a source frame differ from `props`.

    A cut before a source frame is one before its first output frame only, a cut after it one after its last. The
    duration needs no change: ``std.Interleave`` has divided it.
    """
    found: dict[str, Any] = {}
    if _CUT_BEFORE in props and step > 0:
        found[_CUT_BEFORE] = 0
    if _CUT_AFTER in props and step < factor - 1:
        found[_CUT_AFTER] = 0
    if _ABSOLUTE in props and props.get(_DENOMINATOR):
        found[_ABSOLUTE] = props[_ABSOLUTE] + step * props[_NUMERATOR] / props[_DENOMINATOR]
    return found


def _shifted(clip: Any, by: int) -> Any:
    """The clip whose frame k is frame k + `by`; beyond the ends, the first and the last."""
    edge = min(abs(by), clip.num_frames)
    if not by:
        return clip
    if by < 0:
        return (clip[0] * edge + clip)[: clip.num_frames]
    return (clip + clip[clip.num_frames - 1] * edge)[edge : edge + clip.num_frames]


def _check_clip(clip: Any) -> None:
    found = getattr(getattr(clip, "format", None), "name", None) or "a varying format"
    if found not in _FORMATS or not clip.width:
        raise UsageError(
            f"expected a clip of fixed size in {', '.join(_FORMATS)}, got {found}; convert it first, for example "
            'clip.resize.Bicubic(format=vs.RGBS, matrix_in_s="709")'
        )


def _check_network(interpolator: Interpolator, name: str, factor: int) -> None:
    info = interpolator.info
    if info.io is FrameIO.UINT8 and name != "RGB24":
        raise UsageError(f"this graph takes bytes, got a clip of {name}; use --io float, or convert the clip to RGB24")
    if info.t is TimeInput.FIXED and factor & (factor - 1):
        raise UsageError(f"{info.model} draws midpoints only; use a factor of 2, 4 or 8, got {factor}")


__all__ = ["interpolate"]
