"""A bounded queue between two threads that carries the end of the stream, and failures, in both directions."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from threading import Condition
from typing import Generic, TypeVar

T = TypeVar("T")


class ChannelClosed(Exception):  # noqa: N818  (it says what happened, and is no failure of its own)
    """The other side has gone; there is nothing left to do."""


class Channel(Generic[T]):
    """Hands items from one thread to another, at most `capacity` waiting.

    A full channel makes the producer wait, so that a fast stage cannot fill the memory.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._items: deque[T] = deque()
        self._changed = Condition()
        self._finished = False
        self._closed = False

    def put(self, item: T) -> None:
        """Hand over `item`, waiting while the channel is full.

        Raises:
            ChannelClosed: the consumer has gone.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._items) < self._capacity)
            if self._closed:
                raise ChannelClosed
            self._items.append(item)
            self._changed.notify_all()

    def finish(self) -> None:
        """Nothing more will be put; the consumer's loop ends after what is waiting."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def close(self) -> None:
        """Drop what is waiting and turn both sides away."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        """The items, until the producer has finished.

        Raises:
            ChannelClosed: the channel was closed.
        """
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._finished or bool(self._items))
                if self._closed:
                    raise ChannelClosed
                if not self._items:
                    return
                item = self._items.popleft()
                self._changed.notify_all()
            yield item
