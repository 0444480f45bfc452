"""How a network's graphs are called: whole, or cut into encoder and synthesis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from tweenrt.contract import GraphInfo, Kind, Reuse
from tweenrt.errors import GraphError, UsageError
from tweenrt.runtime.frames import FrameFormat
from tweenrt.runtime.session import Array, Session, Shape, is_open

if TYPE_CHECKING:
    from tweenrt.runtime.interpolator import PreparedFrame


FOUR = 4
"""Frames that some networks look at, instead of two."""


class Window(NamedTuple):
    """The pair to draw between, and its neighbours for networks that look at four frames.

    Attributes:
        first: the earlier frame of the pair.
        second: the later frame.
        before: the frame before `first`; None where there is none, and then `first` stands for it.
        after: the frame after `second`, likewise.
    """

    first: PreparedFrame
    second: PreparedFrame
    before: PreparedFrame | None = None
    after: PreparedFrame | None = None

    def feeds(self, info: GraphInfo) -> dict[str, Array]:
        """The frame inputs of a graph."""
        feeds = {"frame0": self.first.ready, "frame1": self.second.ready}
        if info.frames == FOUR:
            feeds["frame_prev"] = (self.before or self.first).ready
            feeds["frame_next"] = (self.after or self.second).ready
        return feeds


class Drawer(Protocol):
    """Draws moments of a pair of prepared frames."""

    info: GraphInfo

    def draw(self, frames: Window, times: Sequence[Fraction]) -> list[Array]:
        """One output for each moment: [3,H',W'] float32, or [H,W,3] uint8 for uint8 graphs."""

    def check_size(self, height: int, width: int, form: FrameFormat) -> None:
        """Refuse padded frames that the graph does not take.

        Raises:
            UsageError: the graph was exported for another size.
        """

    def set(self, name: str, value: float) -> None:
        """See `tweenrt.runtime.interpolator.Interpolator.set`."""

    def reports(self) -> dict[str, list[float]]:
        """See `tweenrt.runtime.interpolator.Interpolator.reports`."""

    def close(self) -> None:
        """Free the graphs."""


class PairDrawer:
    """Calls a ``pair`` graph."""

    def __init__(self, session: Session, max_batch: int) -> None:
        self.info = session.info
        self._session = session
        self._batches = _Batches(session, max_batch)

    def draw(self, frames: Window, times: Sequence[Fraction]) -> list[Array]:
        """See `Drawer.draw`."""
        return self._batches.run(frames.feeds(self.info), times)

    def check_size(self, height: int, width: int, form: FrameFormat) -> None:
        """See `Drawer.check_size`."""
        _check_size(self._session.inputs["frame0"], height, width, form)

    def set(self, name: str, value: float) -> None:
        """See `Drawer.set`."""
        self._batches.set(name, value)

    def reports(self) -> dict[str, list[float]]:
        """See `Drawer.reports`."""
        return self._batches.reports()

    def close(self) -> None:
        """See `Drawer.close`."""
        self._session.close()


class SplitDrawer:
    """Calls an ``encoder`` graph once per frame (or pair) and a ``synthesis`` graph for the moments."""

    def __init__(self, encoder: Session, synthesis: Session, max_batch: int) -> None:
        _expect_halves(encoder, synthesis, (Kind.ENCODER, Kind.SYNTHESIS))
        self.info = synthesis.info
        self._encoder, self._synthesis = encoder, synthesis
        self._batches = _Batches(synthesis, max_batch)

    def draw(self, frames: Window, times: Sequence[Fraction]) -> list[Array]:
        """See `Drawer.draw`."""
        feeds = frames.feeds(self.info)
        if self.info.reuse is Reuse.PAIR:
            feeds |= self._encoder.run(feeds)
        else:
            for side, frame in enumerate((frames.first, frames.second)):
                feeds |= {f"feature{side}_{i}": f for i, f in enumerate(self._features(frame))}
        return self._batches.run(feeds, times)

    def check_size(self, height: int, width: int, form: FrameFormat) -> None:
        """See `Drawer.check_size`."""
        _check_size(self._synthesis.inputs["frame0"], height, width, form)

    def set(self, name: str, value: float) -> None:
        """See `Drawer.set`."""
        self._batches.set(name, value)

    def reports(self) -> dict[str, list[float]]:
        """See `Drawer.reports`."""
        return self._batches.reports()

    def close(self) -> None:
        """See `Drawer.close`."""
        self._encoder.close()
        self._synthesis.close()

    def _features(self, frame: PreparedFrame) -> tuple[Array, ...]:
        if frame.features is None:
            frame.features = tuple(self._encoder.run({"frame": frame.ready}).values())
        return frame.features


class FlowRefineDrawer:
    """Calls a ``flow`` graph once per pair and a ``refine`` graph for the moments."""

    def __init__(self, flow: Session, refine: Session, max_batch: int) -> None:
        _expect_halves(flow, refine, (Kind.FLOW, Kind.REFINE))
        self.info = refine.info
        self._flow, self._refine = flow, refine
        self._batches = _Batches(refine, max_batch)
        self._last: tuple[Window, dict[str, Array]] | None = None

    def draw(self, frames: Window, times: Sequence[Fraction]) -> list[Array]:
        """See `Drawer.draw`."""
        feeds = frames.feeds(self.info)
        if self._last is None or any(a is not b for a, b in zip(self._last[0], frames, strict=True)):
            self._last = (frames, self._flow.run(feeds))
        return self._batches.run(feeds | self._last[1], times)

    def check_size(self, height: int, width: int, form: FrameFormat) -> None:
        """See `Drawer.check_size`."""
        _check_size(self._refine.inputs["frame0"], height, width, form)

    def set(self, name: str, value: float) -> None:
        """See `Drawer.set`."""
        self._batches.set(name, value)

    def reports(self) -> dict[str, list[float]]:
        """See `Drawer.reports`."""
        return self._batches.reports()

    def close(self) -> None:
        """See `Drawer.close`."""
        self._flow.close()
        self._refine.close()


class _Batches:
    """Runs one graph for several moments, as many at once as its N allows."""

    def __init__(self, session: Session, max_batch: int) -> None:
        size = session.inputs["frame0"][0]
        self._session = session
        self._takes_t = "t" in session.inputs
        self._fixed = None if is_open(size) else int(size)
        self._most = max_batch if self._fixed is None else self._fixed
        self._settings: dict[str, Array] = {}
        self._sums: dict[str, tuple[Array, int]] = {}

    def run(self, feeds: dict[str, Array], times: Sequence[Fraction]) -> list[Array]:
        """`feeds` holds every input but t, with N = 1."""
        drawn: list[Array] = []
        for chunk in _chunks(times, self._most):
            count = self._fixed or len(chunk)
            batch = {name: _repeated(value, count) for name, value in feeds.items()}
            if self._takes_t:
                filled = [*chunk, *[chunk[-1]] * (count - len(chunk))]
                batch["t"] = np.array([float(t) for t in filled], np.float32).reshape(count, 1, 1, 1)
            results = self._session.run(batch | self._settings)
            drawn += list(results.pop("frame_t")[: len(chunk)])
            self._note(results, len(chunk))
        return drawn

    def set(self, name: str, value: float) -> None:
        if name not in self._session.settings:
            known = ", ".join(self._session.settings) or "none"
            raise UsageError(f"the graph of {self._session.info.model} has no setting {name!r}; it has: {known}")
        self._settings[name] = np.full([int(s) for s in self._session.settings[name]], value, np.float32)

    def reports(self) -> dict[str, list[float]]:
        """Mean of every reported row so far."""
        return {name: [float(v) for v in total / count] for name, (total, count) in self._sums.items()}

    def _note(self, results: dict[str, Array], count: int) -> None:
        for name, value in results.items():
            total, seen = self._sums.get(name, (np.zeros(value.shape[1:]), 0))
            self._sums[name] = (total + value[:count].sum(axis=0), seen + count)


def _chunks(times: Sequence[Fraction], most: int) -> Iterator[Sequence[Fraction]]:
    for start in range(0, len(times), most):
        yield times[start : start + most]


def _repeated(value: Array, count: int) -> Array:
    return value if count == 1 else np.repeat(value, count, axis=0)


def _check_size(shape: Shape, height: int, width: int, form: FrameFormat) -> None:
    for want, got in zip(shape[2:4], (height, width), strict=True):
        if not is_open(want) and want != got:
            raise UsageError(
                f"the graph was exported for frames of {shape[2]}x{shape[3]} pixels, got {form.height}x{form.width} "
                f"(padded {height}x{width}); export it with --size {height}x{width} or --dynamic"
            )


def _expect_halves(first: Session, second: Session, kinds: tuple[Kind, Kind]) -> None:
    found = (first.info.kind, second.info.kind)
    if found != kinds:
        wanted = " and ".join(f"'{kind.value}'" for kind in kinds)
        raise GraphError(f"expected the graphs {wanted}, found '{found[0].value}' and '{found[1].value}'")
    if first.info.pair_id != second.info.pair_id:
        raise GraphError(
            f"{kinds[0].value} (pair {first.info.pair_id}) and {kinds[1].value} (pair {second.info.pair_id}) come from "
            "different exports; export them together with --kind split"
        )


__all__ = ["FOUR", "Drawer", "FlowRefineDrawer", "PairDrawer", "SplitDrawer", "Window"]
