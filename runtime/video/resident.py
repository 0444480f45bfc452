"""Drawing between pictures of a video decoder, for a video encoder, without leaving the GPU."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Generic, cast

from tweenrt.runtime.cuda import Lane
from tweenrt.runtime.ready import FrameDrawer, PreparedT
from tweenrt.runtime.video.color import ColorTags
from tweenrt.runtime.video.surface import Surface, SurfaceConverter


class ResidentDrawer(Generic[PreparedT]):
    """A `tweenrt.runtime.ready.FrameDrawer` whose frames are surfaces.

    Frames are RGB only for as long as the network works on them, in a few places that take turns, so that the few
    CUDA graphs which an engine keeps fit them.

    Args:
        interpolator: draws; of a graph with uint8 frames, on a GPU.
        lane: the interpolator's.
        color: the colours of the stream.
    """

    def __init__(self, interpolator: FrameDrawer[PreparedT], lane: Lane, color: ColorTags) -> None:
        self._interpolator, self._lane = interpolator, lane
        self._surfaces = SurfaceConverter(lane, color)

    @property
    def neighbours(self) -> bool:
        """See `tweenrt.runtime.ready.FrameDrawer`."""
        return self._interpolator.neighbours

    def prepare(self, frame: Any) -> PreparedT:
        """Make a `Surface` ready, which must be computed."""
        return self._interpolator.prepare(cast("Any", self._surfaces.to_rgb(frame)))

    def between(
        self,
        frame0: PreparedT,
        frame1: PreparedT,
        times: Sequence[Fraction],
        *,
        before: PreparedT | None = None,
        after: PreparedT | None = None,
    ) -> list[Any]:
        """Draw the frames at `times`: a `Surface` for each, computed."""
        drawn: list[Any] = list(self._interpolator.between(frame0, frame1, times, before=before, after=after))
        surfaces: list[Surface] = [self._surfaces.from_rgb(frame) for frame in drawn]
        self._lane.synchronize()
        return surfaces


__all__ = ["ResidentDrawer"]
