"""Run one graph for several moments of a pair: in batches, with its settings, and in iterations where it refines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from tweenrt.contract import TimeInput
from tweenrt.errors import UsageError
from tweenrt.runtime.session import Array, Session, Tensor, is_open

_REFERENCE, _REFERENCE_TIME = "frame_ref", "t_ref"


class Batches:
    """Runs one graph for several moments, as many at once as its N allows.

    Args:
        session: the graph that draws.
        max_batch: most moments in one run where N is open; None for as many as the session wants.
        iterations: runs for each frame, for networks with a reference frame.
    """

    def __init__(self, session: Session, max_batch: int | None, iterations: int) -> None:
        size = session.inputs["frame0"][0]
        self._session = session
        self._fixed = None if is_open(size) else int(size)
        self._max_batch = max_batch
        self._iterations = iterations
        self._settings: dict[str, Array] = {}
        self._sums: dict[str, tuple[Array, int]] = {}

    def run(
        self, feeds: dict[str, Tensor], times: Sequence[Fraction], maps: Sequence[Array] = (), *, keep: bool = False
    ) -> list[Any]:
        """Draw every moment.

        Args:
            feeds: every input but the times and the reference, with N = 1.
            times: moments.
            maps: where the graph takes distances, one [1,1,H',W'] for each moment.
            keep: leave the outputs where they were computed.

        Returns:
            One output for each moment.
        """
        drawn: list[Any] = []
        most = self._fixed or self._max_batch or self._session.most_at_once(feeds["frame0"].shape)
        for numbers, size in _chunks(len(times), most):
            count = self._fixed or (len(numbers) if self._max_batch else size)
            filled = [*numbers, *[numbers[-1]] * (count - len(numbers))]
            batch: dict[str, Any] = {name: _repeated(value, count) for name, value in feeds.items()}
            if self._session.info.t is TimeInput.MAP:
                batch["t"] = np.concatenate([maps[k] for k in filled])
            elif self._session.info.t is TimeInput.INPUT:
                batch["t"] = np.array([float(times[k]) for k in filled], np.float32).reshape(count, 1, 1, 1)
            run = self._iterated if _REFERENCE in self._session.inputs else self._run
            results = run(batch, keep=keep)
            drawn += list(results.pop("frame_t")[: len(numbers)])
            self._note(results, len(numbers))
        return drawn

    def set(self, name: str, value: float) -> None:
        """See `tweenrt.runtime.interpolator.Interpolator.set`."""
        if name not in self._session.settings:
            known = ", ".join(self._session.settings) or "none"
            raise UsageError(f"the graph of {self._session.info.model} has no setting {name!r}; it has: {known}")
        self._settings[name] = np.full([int(s) for s in self._session.settings[name]], value, np.float32)

    def reports(self) -> dict[str, list[float]]:
        """Mean of every reported row so far."""
        return {name: [float(v) for v in total / count] for name, (total, count) in self._sums.items()}

    def _run(self, batch: dict[str, Any], *, keep: bool) -> dict[str, Any]:
        return self._session.run(batch | self._settings, keep=keep)

    def _iterated(self, batch: dict[str, Any], *, keep: bool) -> dict[str, Any]:
        """Walk from the earlier frame to the moment in equal steps, each from what the one before drew.

        Source: Zhong et al., "Clearer Frames, Anytime", ECCV 2024, iterative reference-based estimation.
        """
        distance, reference = batch["t"], batch["frame0"]
        results: dict[str, Any] = {}
        for step in range(self._iterations):
            batch[_REFERENCE] = reference
            batch[_REFERENCE_TIME] = distance * np.float32(step / self._iterations)
            batch["t"] = distance * np.float32((step + 1) / self._iterations)
            results = self._run(batch, keep=keep or step + 1 < self._iterations)
            reference = results["frame_t"]
        return results

    def _note(self, results: dict[str, Any], count: int) -> None:
        for name, reported in results.items():
            value = np.asarray(reported)
            total, seen = self._sums.get(name, (np.zeros(value.shape[1:]), 0))
            self._sums[name] = (total + value[:count].sum(axis=0), seen + count)


def _chunks(count: int, most: int) -> Iterator[tuple[range, int]]:
    """The moments of every run, of which there are as few as possible, and the most that one of them has.

    Runs of an engine are all filled up to that: a CUDA graph belongs to one shape, and runs of two shapes by turns
    would never use one again.
    """
    runs = -(-count // most)
    size = -(-count // runs)
    for start in range(0, count, size):
        yield range(start, min(start + size, count)), size


def _repeated(value: Tensor, count: int) -> Tensor:
    return value if count == 1 else value.repeat(count, axis=0)
