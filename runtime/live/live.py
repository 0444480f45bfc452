"""Interpolate a live source: who has a frame pushes it, who shows frames asks for the next one."""

from __future__ import annotations

import atexit
import sys
from collections.abc import Generator
from fractions import Fraction
from types import TracebackType
from typing import Any

from tweenrt.errors import UsageError
from tweenrt.runtime.channel import ChannelClosed
from tweenrt.runtime.frames import Frame
from tweenrt.runtime.live.clock import Clock, SteadyClock
from tweenrt.runtime.live.drawing import Arrived, Deadlines, Drawing, Output
from tweenrt.runtime.live.inbox import Inbox
from tweenrt.runtime.live.report import Deadline, LiveReport, Tally
from tweenrt.runtime.ready import FrameDrawer
from tweenrt.runtime.scene import SceneJudge
from tweenrt.runtime.stream import Origin, TimedFrame, Times
from tweenrt.runtime.timeline import ByFactor, Retiming

_DOUBLED = ByFactor(2)
_WAITING_TO_BE_SHOWN = 8


class Live:
    """Draws between the frames of a live source, and hands every frame over when it is due.

    A frame is due `delay` seconds after the moment that it shows: a source frame that long after its `push`, a drawn
    one evenly in between. A frame between two others can be drawn only when the later one has come, so that `delay` has
    to be longer than the source's interval (two, for networks that look at four frames) plus the time to draw. A source
    frame that is late is handed over all the same, but what is overdue is let go where its successor is overdue too. A
    drawing that was begun is not broken off, so that what is handed over in its place can be late.

    Frames are pushed from one thread at a time and taken from one thread, the same or another. They are drawn in a
    third one while somebody takes them; nobody else may use the interpolator then, nor download a `DeviceArray` of its
    lane. Draw one frame before the source starts, so that it does not wait for an engine to be built.

    Example:
        >>> with Live(interpolator, delay=0.1) as live:  # doctest: +SKIP
        ...     camera.on_frame(live.push)
        ...     for shown in live:
        ...         screen.show(shown.frame)

    Args:
        interpolator: draws the frames; not closed with this.
        retiming: where output frames lie: `ByFactor`, or `ToRate` for a rate that does not follow the source's.
        policy: what to do with a drawn frame that would be late.
        delay: from the moment that a frame shows to when it is due, in seconds.
        paced: hand no frame over before it is due. Without it each comes as soon as it is there; for consumers that go
            by `pts` themselves.
        capacity: most source frames that wait. A further one makes `push` wait (`Deadline.WAIT`), else the oldest goes.
        judge: tells cuts, across which nothing is drawn, and repeats; None looks for neither.
        clock: tells the time.

    Raises:
        UsageError: `delay` is below 0 or `capacity` below 1.
    """

    def __init__(
        self,
        interpolator: FrameDrawer[Any],
        retiming: Retiming = _DOUBLED,
        *,
        policy: Deadline = Deadline.SKIP,
        delay: float = 0.1,
        paced: bool = True,
        capacity: int = 16,
        judge: SceneJudge | None = None,
        clock: Clock | None = None,
    ) -> None:
        if delay < 0 or capacity < 1:
            raise UsageError(f"expected a delay of 0 s or more and a capacity of 1 or more, got {delay} and {capacity}")
        self.policy = policy
        self._paced, self._judged = paced, judge is not None
        self._clock = clock or SteadyClock()
        self._deadlines = deadlines = Deadlines(self._clock, policy, delay)
        self._drawing = Drawing(interpolator, retiming, judge, deadlines)
        waits = policy is Deadline.WAIT
        self._inbox: Inbox[Arrived] = Inbox(
            capacity,
            self._clock,
            waits=waits,
            overdue=None if waits else lambda frame: deadlines.is_late(frame.arrived + delay),
        )
        self._outbox: Inbox[Output] = Inbox(
            _WAITING_TO_BE_SHOWN,
            self._clock,
            waits=True,
            overdue=None if waits else lambda output: deadlines.is_late(output.due),
        )
        self._times, self._tally = Times(), Tally()

    def push(self, frame: Frame, pts: Fraction | None = None) -> None:
        """Hand in the next source frame.

        Args:
            frame: see `tweenrt.runtime.Interpolator.prepare`; its memory is used without a copy, so that it must be the
                frame's own.
            pts: when the source says that it is shown, in seconds; None for now. All frames have it, or none.

        Raises:
            ChannelClosed: the consumer has gone; stop.
            UsageError: it is no frame, or not after the one before.
        """
        now = self._clock.now()
        when = self._times.stamp(now) if pts is None else Fraction(pts)
        held = Arrived(frame, when, self._times.duration(when, None), judged=self._judged)
        held.arrived = now
        self._inbox.put(held)
        self._tally.received += 1

    def finish(self, error: BaseException | None = None) -> None:
        """No more frames will come.

        Args:
            error: what the source failed with; it is raised where the frames are taken, after those that came before,
                in the place of the last.
        """
        self._inbox.finish(error)

    def close(self) -> None:
        """Stop at once: frames under way are let go, who waits for frames has seen the last one, `push` is refused."""
        self._inbox.close()
        self._outbox.close()

    def report(self) -> LiveReport:
        """How it goes; may be asked for at any time, from any thread."""
        return self._tally.report(self._inbox.dropped, self._outbox.dropped)

    def __iter__(self) -> Generator[TimedFrame, None, None]:
        """The output frames in order of time, until `finish` or `close`. When it ends, nothing is being drawn any more.

        Raises:
            UsageError: a frame was changed before it had been drawn from, or does not fit the one before.
            BackendError: the network failed.
        """
        # A thread that is stopped inside of a network's C++ takes the whole process down.
        atexit.register(self._end)
        self._clock.start(self._draw)
        try:
            for output in self._outbox:
                shown = self._handed_over(output)
                if shown is not None:
                    yield shown
        except ChannelClosed:
            return
        finally:
            if not sys.is_finalizing():  # then it has ended already
                self._end()
                atexit.unregister(self._end)

    def _end(self) -> None:
        """Stop, and wait until nothing is being drawn any more."""
        self.close()
        self._outbox.rest_until_finished()

    def __enter__(self) -> Live:  # noqa: PYI034  (typing.Self needs Python 3.11)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _draw(self) -> None:
        """What the drawing thread does."""
        failure: BaseException | None = None
        try:
            for output in self._drawing.outputs(self._inbox):
                self._outbox.put(output)
        except ChannelClosed:
            pass  # the consumer has gone
        except BaseException as error:  # noqa: BLE001  (raised again where the frames are taken)
            failure = error
        self._outbox.finish(failure)

    def _handed_over(self, output: Output) -> TimedFrame | None:
        """What the consumer gets, when it is due; None where it gets nothing."""
        origin, frame = output.origin, output.drawn
        if origin is Origin.DRAWN and (frame is None or self._is_too_late(output)):
            if self.policy is not Deadline.REPEAT:
                self._tally.skipped += 1
                return None
            origin = Origin.REPEATED
        if origin is not Origin.DRAWN or frame is None:
            frame = output.source.rgb
        if self._paced:
            self._outbox.rest_until(output.due)
        self._tally.note(origin, (self._clock.now() - output.happened) * 1e3)
        return TimedFrame(frame, output.moment.pts, output.moment.duration, origin)

    def _is_too_late(self, output: Output) -> bool:
        return self.policy is not Deadline.WAIT and self._deadlines.is_late(output.due)


__all__ = ["Live"]
