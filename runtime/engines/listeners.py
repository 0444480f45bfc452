"""Who hears what TensorRT says: whoever listens in the thread where it speaks."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Hears(Protocol):
    """Keeps messages; `tweenrt.runtime.engines.tensorrt.Log` is one."""

    def keep(self, severity: int, message: str) -> None:
        """Take one message."""


class Listeners:
    """The listeners of a process, of each thread those that began within one another.

    TensorRT also speaks in threads of its own, in which nobody listens. It does not tell for whom they work, so what is
    said there goes to everybody's innermost: a reason that is told twice is better than one that is lost.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stacks: defaultdict[int, list[Hears]] = defaultdict(list)

    @contextmanager
    def hears(self, listener: Hears) -> Iterator[None]:
        """Let `listener` hear what is said in this thread meanwhile."""
        thread = threading.get_ident()
        with self._lock:
            self._stacks[thread].append(listener)
        try:
            yield
        finally:
            with self._lock:
                self._stacks[thread].pop()
                if not self._stacks[thread]:
                    del self._stacks[thread]

    def keep(self, severity: int, message: str) -> None:
        """Pass on one message."""
        with self._lock:
            mine = self._stacks.get(threading.get_ident())
            hearing = [stack[-1] for stack in ([mine] if mine else self._stacks.values())]
        for listener in hearing:
            listener.keep(severity, message)


__all__ = ["Listeners"]
