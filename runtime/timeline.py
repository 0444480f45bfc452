"""Which moments an output video shows, exactly: a factor or a target rate applied to a stream of source frames.

Times are `fractions.Fraction` seconds from end to end, so 24000/1001 doubled is 48000/1001 and a variable frame rate
stays what it is. Nothing here looks at pixels, and nothing is kept but the frame before the current one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import gcd
from typing import Generic, Protocol, TypeVar

from tweenrt.errors import UsageError

FrameT = TypeVar("FrameT", bound="Timed")


class Timed(Protocol):
    """A source frame, as far as the timeline is concerned."""

    @property
    def pts(self) -> Fraction:
        """When it is shown first, in seconds."""

    @property
    def duration(self) -> Fraction:
        """How long, in seconds; the timeline reads it of the last frame only."""


@dataclass(frozen=True)
class Moment:
    """One output frame that is to be shown at `pts` for `duration`, both in exact seconds."""

    pts: Fraction
    duration: Fraction

    def until(self, end: Fraction) -> Moment:
        """The same frame, shown up to `end` at most."""
        return Moment(self.pts, min(self.duration, end - self.pts))


@dataclass(frozen=True)
class Interval(Generic[FrameT]):
    """The output moments from one source frame up to the next.

    Attributes:
        first: the frame that the interval starts with.
        second: the frame that it runs up to; None after the last frame, which is then held.
        moments: the output frames in it, in order, at or after `first` and before `second`; may be empty.
    """

    first: FrameT
    second: FrameT | None
    moments: tuple[Moment, ...]

    def position(self, moment: Moment) -> Fraction:
        """Where `moment` lies: 0 at `first`, below 1 up to `second`; 0 throughout where the last frame is held."""
        if self.second is None:
            return Fraction(0)
        return (moment.pts - self.first.pts) / (self.second.pts - self.first.pts)


class Retiming(Protocol):
    """A rule that places output frames."""

    def moments(self, origin: Fraction, start: Fraction, end: Fraction) -> tuple[Moment, ...]:
        """The output frames with ``start <= pts < end``.

        Args:
            origin: when the first source frame is shown.
            start: when the current source frame is shown.
            end: when the next one is shown, or the last one ends.
        """

    def unit(self, tick: Fraction) -> Fraction:
        """A unit of time in which every output time and duration is a whole number.

        Args:
            tick: the unit in which source times and durations are whole numbers.
        """

    def rate(self, source: Fraction) -> Fraction:
        """Output frames a second for a source that has `source` frames a second."""


@dataclass(frozen=True)
class ByFactor:
    """n frames become factor·n: every interval is split evenly, and the last frame is held for its own duration.

    Raises:
        UsageError: the factor is below 1.
    """

    factor: int

    def __post_init__(self) -> None:
        if self.factor < 1:
            raise UsageError(f"expected a factor of 1 or more, got {self.factor}")

    def moments(self, origin: Fraction, start: Fraction, end: Fraction) -> tuple[Moment, ...]:
        """See `Retiming.moments`."""
        del origin
        step = (end - start) / self.factor
        return tuple(Moment(start + i * step, step) for i in range(self.factor))

    def unit(self, tick: Fraction) -> Fraction:
        """See `Retiming.unit`."""
        return tick / self.factor

    def rate(self, source: Fraction) -> Fraction:
        """See `Retiming.rate`."""
        return source * self.factor


@dataclass(frozen=True)
class ToRate:
    """A frame at every k/rate after the first source frame, up to the end of the last one.

    The last output frame may reach past the end of the source; see `Moment.until`.

    Raises:
        UsageError: the rate is not above 0.
    """

    fps: Fraction

    def __post_init__(self) -> None:
        if self.fps <= 0:
            raise UsageError(f"expected a frame rate above 0, got {self.fps}")

    def moments(self, origin: Fraction, start: Fraction, end: Fraction) -> tuple[Moment, ...]:
        """See `Retiming.moments`."""
        step = 1 / self.fps
        numbers = range(self._first_at(start - origin), self._first_at(end - origin))
        return tuple(Moment(origin + k * step, step) for k in numbers)

    def unit(self, tick: Fraction) -> Fraction:
        """See `Retiming.unit`."""
        return common_unit(1 / self.fps, tick)

    def rate(self, source: Fraction) -> Fraction:
        """See `Retiming.rate`."""
        del source
        return self.fps

    def _first_at(self, elapsed: Fraction) -> int:
        """The number of the first output frame at or after `elapsed`."""
        return -(-(elapsed * self.fps) // 1)


def common_unit(a: Fraction, b: Fraction) -> Fraction:
    """The largest unit of which `a` and `b` are whole multiples."""
    scale = a.denominator * b.denominator
    whole_a, whole_b = a.numerator * b.denominator, b.numerator * a.denominator
    return Fraction(gcd(whole_a, whole_b), scale)


def intervals(frames: Iterable[FrameT], retiming: Retiming) -> Iterator[Interval[FrameT]]:
    """Lay the output moments over the source frames, one interval at a time.

    Args:
        frames: source frames in order of time.
        retiming: where the output frames lie.

    Yields:
        One interval for each source frame; the last one has no second frame.
    """
    previous: FrameT | None = None
    origin = Fraction(0)
    for frame in frames:
        if previous is None:
            origin = frame.pts
        else:
            yield Interval(previous, frame, retiming.moments(origin, previous.pts, frame.pts))
        previous = frame
    if previous is not None:
        end = previous.pts + previous.duration
        yield Interval(previous, None, retiming.moments(origin, previous.pts, end))
