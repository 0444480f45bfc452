"""Interpolate videos with frames that a crew draws: the same files that one process writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from threading import Event, Thread

from tweenrt.runtime.jobs.arrivals import Arrivals
from tweenrt.runtime.jobs.crew import Crew
from tweenrt.runtime.jobs.cut import JOB_BYTES, cut
from tweenrt.runtime.jobs.folder import JobFolder
from tweenrt.runtime.jobs.job import Job
from tweenrt.runtime.jobs.orders import Order
from tweenrt.runtime.jobs.stored import StoredFrames
from tweenrt.runtime.pipeline import Summary, interpolate_video
from tweenrt.runtime.plan import Draw
from tweenrt.runtime.progress import ProgressCallback
from tweenrt.runtime.video import open_source


def distribute(
    orders: Sequence[Order],
    crew: Crew,
    progress: ProgressCallback | None = None,
    started: Callable[[Order], None] = lambda _: None,
    job_bytes: int = JOB_BYTES,
) -> Iterator[Summary]:
    """Interpolate videos one after the other; the crew works ahead, also on those that come next.

    Each source is read twice: to cut its jobs, and to write the target, through the same pipeline as without a crew.
    So the target is the same, bit for bit, as long as every worker draws what one process would. What is drawn lies in
    the order's folder until its target is complete; then the folder is deleted. A run that was stopped, whatever
    stopped it, goes on from there.

    Args:
        orders: what to do.
        crew: who draws.
        progress: called in the calling thread after every output frame of a video.
        started: called before a video is begun.
        job_bytes: see `cut`.

    Yields:
        For each order what was done. `drawing_seconds` is how long the pipeline waited for drawn frames.

    Raises:
        UsageError: options contradict each other, or a folder holds something else.
        VideoError: a source cannot be read.
        OutputError: a target or a folder cannot be written.
        BackendError: the workers or the network failed.
    """
    with _Feeder(orders, crew, job_bytes) as feeder:
        for clip, order in enumerate(orders):
            started(order)
            frames = StoredFrames(feeder.arrivals, clip, neighbours=crew.neighbours)
            yield interpolate_video(order.options, frames, progress)
            feeder.folders[clip].remove()


class _Feeder:
    """A thread that cuts jobs, has them done, and keeps what comes back."""

    def __init__(self, orders: Sequence[Order], crew: Crew, job_bytes: int) -> None:
        self.arrivals = Arrivals()
        self.folders: list[JobFolder] = []
        self._orders, self._crew, self._job_bytes = orders, crew, job_bytes
        self._keys: dict[tuple[int, int], str] = {}
        self._stop = Event()
        self._thread = Thread(target=self._run, name="jobs", daemon=True)

    def __enter__(self) -> _Feeder:  # noqa: PYI034  (typing.Self needs Python 3.11)
        try:
            for order in self._orders:
                self.folders.append(JobFolder(order.folder, self._crew.drawn_by))
        except BaseException:
            self._close_folders()
            raise
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._close_folders()

    def _close_folders(self) -> None:
        for folder in self.folders:
            folder.close()

    def _run(self) -> None:
        try:
            for done in self._crew.finished(self._new_jobs(), self._stop):
                key = self._keys.pop((done.clip, done.number))
                self.arrivals.put(done.clip, done.number, self.folders[done.clip].keep(key, done))
        except BaseException as error:  # noqa: BLE001  (raised again in the thread that joins)
            self.arrivals.fail(error)

    def _new_jobs(self) -> Iterator[Job]:
        """The jobs that no earlier run has done."""
        for clip in range(len(self._orders)):
            count = 0
            for job in self._jobs(clip):
                count += 1
                key = self.folders[clip].key(job)
                found = self.folders[clip].find(key)
                if found is not None:
                    self.arrivals.put(clip, job.number, found)
                    continue
                self._keys[clip, job.number] = key
                yield job
            self.arrivals.end(clip, count)

    def _jobs(self, clip: int) -> Iterator[Job]:
        options = self._orders[clip].options
        source = open_source(options.source, rate=options.input_rate, damaged=options.damaged)
        try:
            steps = options.steps(source.frames(), options.judge(), neighbours=self._crew.neighbours)
            draws = (step for step in steps if isinstance(step, Draw))
            yield from cut(draws, clip, self._job_bytes)
        finally:
            source.close()
