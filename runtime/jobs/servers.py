"""Inference servers that draw: a thread for each request that may be under way."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from threading import Event, local

from tweenrt.errors import BackendError, UsageError
from tweenrt.runtime.distance import Region
from tweenrt.runtime.interpolator import Interpolator
from tweenrt.runtime.jobs.crew import Crew
from tweenrt.runtime.jobs.job import Done, Job, do
from tweenrt.runtime.serving.server_session import ServerSession, interpolator_on

_PAUSES = (1.0, 3.0, 10.0)


@dataclass(frozen=True)
class Servers:
    """Servers that all have the same model.

    Attributes:
        urls: see `tweenrt.runtime.serving.endpoint.Endpoint`; one at least.
        model: its name on each of them.
        connections: requests under way at each server; what its dynamic batching can put together.
        timeout: seconds to wait for one answer.
        iterations: runs for each frame, for [D,R] networks.
        regions: parts of the picture that are drawn at moments of their own.
        pauses: seconds to wait before a job that failed is tried again, each time at the next server.
    """

    urls: Sequence[str]
    model: str
    connections: int = 4
    timeout: float = 120.0
    iterations: int = 2
    regions: Sequence[Region] = ()
    pauses: Sequence[float] = _PAUSES

    def open(self, number: int) -> tuple[Interpolator, str]:
        """An interpolator on one of the servers, and what names the graph there.

        Raises:
            TweenrtError: see `ServerSession`.
        """
        session = ServerSession(self.urls[number % len(self.urls)], self.model, self.timeout)
        interpolator = interpolator_on(session, self.iterations)
        interpolator.use_regions(self.regions)
        return interpolator, session.digest


@contextmanager
def server_crew(servers: Servers) -> Iterator[Crew]:
    """Work with `servers`.

    Raises:
        UsageError: an address is none, a server has no such model, or servers have different ones.
        GraphError: the model does not say what it is, or is a part of a network.
        BackendError: a server does not answer.
        MissingExtraError: the package ``tritonclient`` is not installed.
    """
    drawn_by, neighbours = _examined(servers)
    threads = servers.connections * len(servers.urls)
    hands = _Hands(servers)
    with ThreadPoolExecutor(threads, "request") as executor:
        try:
            yield Crew(executor, hands.do, lambda: threads, neighbours, drawn_by)
        finally:
            hands.stop()
            executor.shutdown(wait=True, cancel_futures=True)


def _examined(servers: Servers) -> tuple[str, bool]:
    """What names that which draws, and whether the network looks at four frames; the same on every server."""
    found = set()
    for number in range(len(servers.urls)):
        interpolator, digest = servers.open(number)
        found.add((digest, interpolator.neighbours))
        interpolator.close()
    if len(found) > 1:
        raise UsageError(f"the servers' models {servers.model!r} differ; serve the same graph from all of them")
    ((digest, neighbours),) = found
    named = hashlib.sha256(f"{digest} {servers.iterations}".encode())
    for region in servers.regions:
        named.update(f"{region.mask.shape} {region.t}".encode() + region.mask.tobytes())
    return named.hexdigest(), neighbours


class _Hands:
    """What the threads work with: each has a connection of its own."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._own = local()
        self._numbers = count()
        self._stopped = Event()

    def do(self, job: Job) -> Done:
        """Do `job`, on another server where one fails."""
        for pause in self._servers.pauses:
            done = self._tried(job)
            if done is not None:
                return done
            self._stopped.wait(pause)
        return do(job, self._opened(), self._check)

    def stop(self) -> None:
        """End what is under way after the answer that it waits for."""
        self._stopped.set()

    def _tried(self, job: Job) -> Done | None:
        """`job`, done; None where the server failed, and then the thread goes to another one."""
        try:
            return do(job, self._opened(), self._check)
        except BackendError:
            self._let_go()
            return None

    def _check(self) -> None:
        if self._stopped.is_set():
            raise BackendError("the run was stopped")

    def _opened(self) -> Interpolator:
        interpolator: Interpolator | None = getattr(self._own, "interpolator", None)
        if interpolator is None:
            interpolator, _ = self._servers.open(next(self._numbers))
            self._own.interpolator = interpolator
        return interpolator

    def _let_go(self) -> None:
        interpolator: Interpolator | None = getattr(self._own, "interpolator", None)
        self._own.interpolator = None
        if interpolator is not None:
            interpolator.close()
