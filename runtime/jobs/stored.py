"""Frames that were drawn elsewhere, for the pipeline that joins them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import count, islice

from tweenrt.errors import VideoError
from tweenrt.runtime.frames import Frame
from tweenrt.runtime.jobs.arrivals import Arrivals
from tweenrt.runtime.jobs.packing import unpack


class StoredFrames:
    """A `tweenrt.runtime.ready.FrameDrawer` that gives what was drawn before, in order, and waits where it must.

    Args:
        arrivals: where finished jobs come from.
        clip: number of the clip.
        neighbours: whether the network looks at four frames; it decides how far the pipeline looks ahead.
    """

    def __init__(self, arrivals: Arrivals, clip: int, *, neighbours: bool) -> None:
        self.neighbours = neighbours
        self._frames = _stored(arrivals, clip)

    def prepare(self, frame: Frame) -> Frame:
        """Nothing needs to be made ready."""
        return frame

    def between(
        self,
        frame0: Frame,  # noqa: ARG002  (they were looked at where the frames were drawn)
        frame1: Frame,  # noqa: ARG002
        times: Sequence[Fraction],
        *,
        before: Frame | None = None,  # noqa: ARG002
        after: Frame | None = None,  # noqa: ARG002
    ) -> list[Frame]:
        """The next frames, one for each of `times`.

        Raises:
            VideoError: the source has changed since the frames were drawn.
        """
        frames = list(islice(self._frames, len(times)))
        if len(frames) < len(times):
            raise VideoError(
                "the source changed while it was worked on: read again, it asks for more frames; run again"
            )
        return frames


def _stored(arrivals: Arrivals, clip: int) -> Iterator[Frame]:
    for number in count():
        file = arrivals.take(clip, number)
        if file is None:
            return
        yield from unpack(file.read_bytes(), str(file))
