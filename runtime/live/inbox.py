"""A bounded queue between two threads that knows the time: it waits by a clock, and can let old items go."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from threading import Condition
from typing import Generic, TypeVar

from tweenrt.runtime.channel import ChannelClosed
from tweenrt.runtime.live.clock import Clock

T = TypeVar("T")


class Inbox(Generic[T]):
    """Hands items from one thread to another, at most `capacity` waiting.

    Args:
        capacity: most items that wait.
        clock: tells the time.
        waits: whether a full inbox makes the producer wait; else the oldest item is let go.
        overdue: whether an item has waited too long; an item whose successor is overdue as well is let go. None lets
            none go.

    Attributes:
        dropped: how many items were let go.
    """

    def __init__(self, capacity: int, clock: Clock, *, waits: bool, overdue: Callable[[T], bool] | None) -> None:
        self._capacity, self._clock, self._waits, self._overdue = capacity, clock, waits, overdue
        self._items: deque[T] = deque()
        self._changed = Condition()
        self._finished = self._closed = False
        self._error: BaseException | None = None
        self.dropped = 0

    def put(self, item: T) -> None:
        """Leave `item`.

        Raises:
            ChannelClosed: the consumer has gone, or `finish` was called.
        """
        with self._changed:
            while self._waits and len(self._items) >= self._capacity and not self._closed:
                self._clock.wait(self._changed, None)
            if self._closed or self._finished:
                raise ChannelClosed
            if len(self._items) >= self._capacity:
                self._drop_oldest()
            self._items.append(item)
            self._clock.notify(self._changed)

    def finish(self, error: BaseException | None = None) -> None:
        """Nothing more will come; after what is waiting, the consumer's loop ends, or fails with `error`."""
        with self._changed:
            self._finished, self._error = True, error
            self._clock.notify(self._changed)

    def close(self) -> None:
        """Let go what is waiting, and turn both sides away."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._clock.notify(self._changed)

    def rest_until(self, moment: float) -> None:
        """Wait until it is `moment`.

        Raises:
            ChannelClosed: the inbox is closed.
        """
        with self._changed:
            while not self._closed and (seconds := moment - self._clock.now()) > 0:
                self._clock.wait(self._changed, seconds)
            if self._closed:
                raise ChannelClosed

    def rest_until_finished(self) -> None:
        """Wait until the producer has finished."""
        with self._changed:
            while not self._finished:
                self._clock.wait(self._changed, None)

    def __iter__(self) -> Iterator[T]:
        """The items, until the producer has finished.

        Raises:
            ChannelClosed: the inbox was closed.
            BaseException: what the producer finished with.
        """
        while True:
            with self._changed:
                while not (self._closed or self._finished or self._items):
                    self._clock.wait(self._changed, None)
                if self._closed:
                    raise ChannelClosed
                if not self._items:
                    if self._error is not None:
                        raise self._error
                    return
                while self._overdue is not None and len(self._items) > 1 and self._overdue(self._items[1]):
                    self._drop_oldest()
                item = self._items.popleft()
                self._clock.notify(self._changed)
            yield item

    def _drop_oldest(self) -> None:
        self._items.popleft()
        self.dropped += 1


__all__ = ["Inbox"]
