"""A live run inside asyncio: nothing here holds up the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from types import TracebackType

from tweenrt.runtime.frames import Frame
from tweenrt.runtime.live.live import Live
from tweenrt.runtime.live.report import Deadline, LiveReport
from tweenrt.runtime.stream import TimedFrame


class AsyncLive:
    """A `Live` that is waited for in a thread of its own.

    Example:
        >>> async with AsyncLive(Live(interpolator, policy=Deadline.WAIT)) as live:  # doctest: +SKIP
        ...     source = asyncio.create_task(read_camera(live))  # awaits live.push(frame), then calls live.finish()
        ...     async for shown in live:
        ...         await send(shown.frame)

    Args:
        live: closed with this; its interpolator is not.
    """

    def __init__(self, live: Live) -> None:
        self._live = live
        self._frames = iter(live)
        self._thread = ThreadPoolExecutor(1, "tweenrt-live")
        self._closed = False

    async def push(self, frame: Frame, pts: Fraction | None = None) -> None:
        """See `Live.push`; waits where that would (`Deadline.WAIT`)."""
        if self._live.policy is Deadline.WAIT:
            await asyncio.to_thread(self._live.push, frame, pts)
        else:
            self._live.push(frame, pts)

    def finish(self, error: BaseException | None = None) -> None:
        """See `Live.finish`."""
        self._live.finish(error)

    def report(self) -> LiveReport:
        """See `Live.report`."""
        return self._live.report()

    async def close(self) -> None:
        """See `Live.close`; returns when nothing is being drawn any more."""
        if self._closed:
            return
        self._closed = True
        self._live.close()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._frames.close)
        self._thread.shutdown()

    async def __aiter__(self) -> AsyncIterator[TimedFrame]:
        """See `Live.__iter__`."""
        loop = asyncio.get_running_loop()
        while not self._closed:
            shown = await loop.run_in_executor(self._thread, next, self._frames, None)
            if shown is None:
                return
            yield shown

    async def __aenter__(self) -> AsyncLive:  # noqa: PYI034  (typing.Self needs Python 3.11)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


__all__ = ["AsyncLive"]
