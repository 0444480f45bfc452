"""Who does jobs: an executor, and what it calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from threading import Event

from tweenrt.errors import BackendError
from tweenrt.runtime.jobs.job import Done, Job

_AHEAD = 2
_SECONDS_BETWEEN_LOOKS = 0.2


@dataclass(frozen=True)
class Crew:
    """Several workers who can all do the same job and come to the same result.

    Attributes:
        executor: hands jobs to workers, and gives a job to another one where a worker is lost.
        work: does one job; what the executor calls.
        hands: how many jobs can be done at the same time now.
        neighbours: whether the network looks at the frames around a pair.
        drawn_by: names the network and everything else that decides what it draws.
        lost: what the executor raises, or `hands`, where no worker lives to the end of a job, or none can be reached.
    """

    executor: Executor
    work: Callable[[Job], Done]
    hands: Callable[[], int]
    neighbours: bool
    drawn_by: str
    lost: tuple[type[BaseException], ...] = ()

    def finished(self, jobs: Iterable[Job], stop: Event) -> Iterator[Done]:
        """Do `jobs`, and give each as soon as it is done.

        At most two jobs for each worker are under way, so that no worker waits and memory does not grow.

        Args:
            jobs: taken from as there is room.
            stop: ends the work before its end, within a fraction of a second, once it is set.

        Raises:
            TweenrtError: a job failed.
            BackendError: the workers were lost.
        """
        try:
            yield from self._finished(jobs, stop)
        except self.lost as error:
            raise BackendError(
                f"the workers were lost with their jobs ({type(error).__name__}: {error}); look at their logs and the "
                "scheduler's (memory, driver), then run the same command again: it goes on from there"
            ) from error

    def _finished(self, jobs: Iterable[Job], stop: Event) -> Iterator[Done]:
        under_way: set[Future[Done]] = set()
        try:
            for job in jobs:
                under_way.add(self.executor.submit(self.work, job))
                while len(under_way) >= _AHEAD * max(1, self.hands()) and not stop.is_set():
                    yield from _taken(under_way)
                if stop.is_set():
                    return
            while under_way and not stop.is_set():
                yield from _taken(under_way)
        finally:
            for future in under_way:
                future.cancel()


def _taken(under_way: set[Future[Done]]) -> Iterator[Done]:
    """What has been done meanwhile, failures last; nothing, if that takes longer than a moment."""
    done = wait(under_way, _SECONDS_BETWEEN_LOOKS, FIRST_COMPLETED).done
    for future in sorted(done, key=lambda future: future.cancelled() or future.exception() is not None):
        under_way.remove(future)
        yield future.result()
