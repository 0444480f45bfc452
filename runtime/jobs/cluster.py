"""Workers on several GPUs or hosts, through Dask."""

from __future__ import annotations

import logging
import secrets
import signal
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import resource_tracker
from threading import Lock
from typing import Any

import tweenrt
from tweenrt.contract import GraphInfo
from tweenrt.errors import BackendError, MissingExtraError, TweenrtError, UsageError, require
from tweenrt.runtime.drawing import FOUR
from tweenrt.runtime.gpu import find_gpus
from tweenrt.runtime.interpolator import Interpolator
from tweenrt.runtime.jobs.crew import Crew
from tweenrt.runtime.jobs.job import Done, Job, do
from tweenrt.runtime.jobs.recipe import Recipe

_SECONDS_TO_CONNECT = 30
_EXTRA, _WHY = "cluster", "Working with several processes or hosts"


class Bench:
    """One worker's place: the network, opened when the first job comes.

    Args:
        recipe: the network.
        gpu: number of the GPU to use.
    """

    def __init__(self, recipe: Recipe, gpu: int) -> None:
        self._recipe, self._gpu = recipe, gpu
        self._lock = Lock()  # a worker may have been started with several threads; a network serves one at a time
        self._interpolator: Interpolator | None = None

    def do(self, job: Job) -> Done:
        """See `tweenrt.runtime.jobs.job.do`."""
        with self._lock:
            return do(job, self._opened())

    def info(self) -> GraphInfo:
        """What the network says about itself."""
        with self._lock:
            return self._opened().info

    def close(self) -> None:
        """Free the network."""
        with self._lock:
            if self._interpolator is not None:
                self._interpolator.close()

    def _opened(self) -> Interpolator:
        if self._interpolator is None:
            try:
                self._interpolator = self._recipe.open(self._gpu)
            except MissingExtraError as error:  # it cannot be sent: it is not made from its message
                raise UsageError(f"on a worker: {error}") from None
        return self._interpolator


@contextmanager
def local_cluster(workers: int) -> Iterator[str]:
    """Worker processes on this machine, which are started again where they end; gives the address of their scheduler.

    Worker k uses GPU k, or k modulo the number of GPUs. Only this machine can reach them.

    Raises:
        MissingExtraError: the package ``distributed`` is not installed.
    """
    distributed = require("distributed", extra=_EXTRA, why=_WHY)
    with ExitStack() as stack:
        with _without_interrupts():
            cluster = distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                memory_limit=0,
                silence_logs=logging.CRITICAL,
            )
            stack.enter_context(cluster)
        yield cluster.scheduler_address


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Let the threads and processes that are started in this block, and those that they start, never see Ctrl-C.

    A terminal sends it to all of them, but only this process is to end, and to end the others.
    """
    resource_tracker.ensure_running()  # starting it later would lift the block in the thread that starts processes
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def local_crew(workers: int, recipe: Recipe) -> Iterator[Crew]:
    """The workers of a `local_cluster`; see `cluster_crew`."""
    with local_cluster(workers) as address, cluster_crew(address, recipe) as crew:
        yield crew


@contextmanager
def cluster_crew(address: str, recipe: Recipe) -> Iterator[Crew]:
    """The workers of a Dask cluster; they may come and go while work is done.

    A job whose worker is lost is done by another one. The graph is sent to every worker, also to those that join
    later; they need tweenrt in the same version, with the packages of the backend.

    Args:
        address: of the scheduler, such as ``tcp://10.0.0.1:8786``.
        recipe: the network.

    Raises:
        BackendError: there is no scheduler at the address, or it has no workers.
        UsageError: the graph does not run on the workers.
        MissingExtraError: the package ``distributed`` is not installed.
    """
    distributed = require("distributed", extra=_EXTRA, why=_WHY)
    name = f"tweenrt-{secrets.token_hex(8)}"
    lost = (distributed.scheduler.KilledWorker, distributed.comm.core.CommClosedError, CancelledError)
    with _client(distributed, address) as client:
        try:
            info = _hand_out(client, _plugin(distributed, recipe), name)
            executor = client.get_executor(pure=False)
            yield Crew(
                executor, _Work(name), lambda: len(client.nthreads()), info.frames == FOUR, recipe.drawn_by, lost
            )
        finally:
            with suppress(Exception):  # workers that could not take it cannot let go of it
                client.unregister_worker_plugin(name)


def _hand_out(client: Any, plugin: Any, name: str) -> GraphInfo:
    """Give every worker its bench, and ask one of them to open the network."""
    try:
        client.register_plugin(plugin, name=name)
        info: GraphInfo = client.submit(_info, name, pure=False).result()
    except TweenrtError:
        raise
    except Exception as error:  # whatever the workers raise comes back as it is
        raise BackendError(
            f"the workers cannot open the network ({type(error).__name__}: {error}); they need tweenrt "
            f"{tweenrt.__version__} with the packages of the backend, and memory for it"
        ) from error
    return info


@contextmanager
def _client(distributed: Any, address: str) -> Iterator[Any]:
    dask = require("dask", extra=_EXTRA, why=_WHY)
    # Frames are sent with their job, on purpose: the scheduler then has them where a worker is lost.
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TiB"}):
        try:
            client = distributed.Client(address, timeout=_SECONDS_TO_CONNECT)
            client.wait_for_workers(1, timeout=_SECONDS_TO_CONNECT)
        except OSError as error:  # TimeoutError is one of them
            raise BackendError(
                f"{address}: no Dask scheduler with workers answers there within {_SECONDS_TO_CONNECT} s ({error}); "
                "start `dask scheduler` and `dask worker`, and give the scheduler's address"
            ) from error
        with client:
            yield client


def _plugin(distributed: Any, recipe: Recipe) -> Any:
    """A ``WorkerPlugin`` that gives every worker its bench, under the plugin's name."""

    class Benches(distributed.WorkerPlugin):  # type: ignore[misc]
        def setup(self, worker: Any) -> None:
            """Called by Dask when the worker starts, or when this is registered."""
            gpus = len(find_gpus().found)
            # Only workers of a local cluster have numbers for names; others see the one GPU they were started for.
            self.bench = Bench(recipe, worker.name % gpus if gpus and isinstance(worker.name, int) else 0)

        def teardown(self, worker: Any) -> None:  # noqa: ARG002
            """Called by Dask when the worker ends, or when this is unregistered."""
            self.bench.close()

    return Benches()


class _Work:
    """What a worker calls for a job."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, job: Job) -> Done:
        return _bench(self._name).do(job)


def _info(name: str) -> GraphInfo:
    return _bench(name).info()


def _bench(name: str) -> Bench:
    bench: Bench = require("distributed", extra=_EXTRA, why=_WHY).get_worker().plugins[name].bench
    return bench
