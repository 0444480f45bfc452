"""The unit of work: some frames of a clip, and what a network is to draw between them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from tweenrt.runtime.frames import Frame
from tweenrt.runtime.jobs.packing import pack
from tweenrt.runtime.ready import FrameDrawer, PreparedT, ReadyFrames


@dataclass(frozen=True)
class Call:
    """One call of a network. Frames are numbers in `Job.frames`.

    Attributes:
        first: the earlier frame of the pair.
        second: the later one.
        times: moments to draw, strictly between 0 and 1.
        before: the frame before the pair, for networks that look at four; None where there is none.
        after: the frame after the pair, likewise.
    """

    first: int
    second: int
    times: tuple[Fraction, ...]
    before: int | None = None
    after: int | None = None


@dataclass(frozen=True)
class Job:
    """Some calls of a network, which are done one after the other by one worker.

    Attributes:
        clip: number of the clip that it belongs to.
        number: its place among the jobs of that clip.
        frames: [H,W,3] RGB each, uint8 (0..255) or uint16 (0..65535).
        calls: what to draw, in order.
    """

    clip: int
    number: int
    frames: Sequence[Frame]
    calls: Sequence[Call]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the pixels and of what is drawn from them."""
        found = hashlib.sha256(repr(tuple(self.calls)).encode())
        for frame in self.frames:
            found.update(f"{frame.shape} {frame.dtype}".encode())
            found.update(np.ascontiguousarray(frame).data)
        return found.hexdigest()


@dataclass(frozen=True)
class Done:
    """A job's result.

    Attributes:
        clip: see `Job`.
        number: see `Job`.
        content: the drawn frames, in the order of the calls; see `tweenrt.runtime.jobs.packing`.
    """

    clip: int
    number: int
    content: bytes


class _Pixels:
    """A frame of a job; see `tweenrt.runtime.ready.HasPixels`."""

    def __init__(self, rgb: Frame) -> None:
        self.rgb = rgb


def do(job: Job, drawer: FrameDrawer[PreparedT], check: Callable[[], None] = lambda: None) -> Done:
    """Draw the frames of `job`.

    Args:
        job: what to draw.
        drawer: who draws.
        check: called before each call of the network; what it raises ends the job.

    Raises:
        UsageError: the network does not take its frames or moments.
        BackendError: the network failed.
    """
    held, ready = [_Pixels(frame) for frame in job.frames], ReadyFrames(drawer)
    drawn: list[Frame] = []
    for call in job.calls:
        check()
        before, after = (None if number is None else held[number] for number in (call.before, call.after))
        drawn += ready.draw(held[call.first], held[call.second], call.times, before, after)
    return Done(job.clip, job.number, pack(drawn))
