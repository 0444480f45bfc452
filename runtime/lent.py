"""Memory of a caller that is used without a copy, watched for being used again too early."""

from __future__ import annotations

from tweenrt.errors import UsageError
from tweenrt.runtime.frames import Frame

_PLACES = 32


class Lent:
    """A frame whose memory belongs to its caller.

    Cameras and decoders like to fill one buffer again and again. About 32 places along each side are remembered, a few
    thousand values, so that another picture in the same memory is noticed; a change between those places is not.

    Args:
        frame: in memory of the CPU, of any shape and dtype.
    """

    def __init__(self, frame: Frame) -> None:
        self._places = frame[tuple(slice(None, None, max(1, side // _PLACES)) for side in frame.shape)]
        self._held = self._places.tobytes()

    def check(self) -> None:
        """Make sure that it still holds what it held.

        Raises:
            UsageError: it was changed.
        """
        if self._places.tobytes() != self._held:
            raise UsageError(
                "expected a frame to stay as it is until it has been drawn from, but its memory holds another picture "
                "by now; frames are used without a copy, so give each one memory of its own (frame.copy())"
            )


__all__ = ["Lent"]
