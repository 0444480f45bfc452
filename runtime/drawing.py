"""How a network's graphs are called: whole, or cut into encoder and synthesis."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from tweenrt.contract import GraphInfo, Kind, Reuse
from tweenrt.errors import GraphError, UsageError
from tweenrt.runtime.batches import Batches
from tweenrt.runtime.frames import FrameFormat
from tweenrt.runtime.session import Array, Session, Shape, Tensor, is_open

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

    def feeds(self, info: GraphInfo) -> dict[str, Tensor]:
        """The frame inputs of a graph."""
        feeds = {"frame0": self.first.ready, "frame1": self.second.ready}
        if info.frames == FOUR:
            feeds["frame_prev"] = (self.before or self.first).ready
            feeds["frame_next"] = (self.after or self.second).ready
        return feeds


class Drawer(Protocol):
    """Draws moments of a pair of prepared frames."""

    info: GraphInfo

    def draw(
        self, frames: Window, times: Sequence[Fraction], maps: Sequence[Array] = (), *, keep: bool = False
    ) -> list[Any]:
        """One output for each moment: [3,H',W'] float32, or [H,W,3] uint8 for uint8 graphs.

        Args:
            frames: what to draw from.
            times: moments, each strictly between 0 and 1.
            maps: for networks that take a distance for every pixel, one [1,1,H',W'] for each moment.
            keep: leave the outputs where they were computed.
        """

    def place(self, array: Tensor) -> Tensor:
        """Bring a frame to where the graphs compute; see `tweenrt.runtime.session.Session.place`."""

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


class _GraphDrawer:
    """What all drawers share: one graph that draws, and perhaps one before it.

    Args:
        drawing: the graph whose output is the new frame.
        max_batch: most moments drawn in one run; None for as many as the session wants.
        iterations: runs for each frame, for networks that refine an earlier estimate.
        others: graphs that run before it.
    """

    def __init__(self, drawing: Session, max_batch: int | None, iterations: int, *others: Session) -> None:
        self.info = drawing.info
        self._drawing = drawing
        self._sessions = (drawing, *others)
        self._batches = Batches(drawing, max_batch, iterations)

    def check_size(self, height: int, width: int, form: FrameFormat) -> None:
        """See `Drawer.check_size`."""
        _check_size(self._drawing.inputs["frame0"], height, width, form)

    def place(self, array: Tensor) -> Tensor:
        """See `Drawer.place`."""
        return self._drawing.place(array)

    def set(self, name: str, value: float) -> None:
        """See `Drawer.set`."""
        self._batches.set(name, value)

    def reports(self) -> dict[str, list[float]]:
        """See `Drawer.reports`."""
        return self._batches.reports()

    def close(self) -> None:
        """See `Drawer.close`."""
        for session in self._sessions:
            session.close()


class PairDrawer(_GraphDrawer):
    """Calls a ``pair`` graph."""

    def __init__(self, session: Session, max_batch: int | None, iterations: int) -> None:
        super().__init__(session, max_batch, iterations)

    def draw(
        self, frames: Window, times: Sequence[Fraction], maps: Sequence[Array] = (), *, keep: bool = False
    ) -> list[Any]:
        """See `Drawer.draw`."""
        return self._batches.run(frames.feeds(self.info), times, maps, keep=keep)


class SplitDrawer(_GraphDrawer):
    """Calls an ``encoder`` graph once per frame (or pair) and a ``synthesis`` graph for the moments."""

    def __init__(self, encoder: Session, synthesis: Session, max_batch: int | None, iterations: int) -> None:
        _expect_halves(encoder, synthesis, (Kind.ENCODER, Kind.SYNTHESIS))
        super().__init__(synthesis, max_batch, iterations, encoder)
        self._encoder = encoder

    def draw(
        self, frames: Window, times: Sequence[Fraction], maps: Sequence[Array] = (), *, keep: bool = False
    ) -> list[Any]:
        """See `Drawer.draw`."""
        feeds = frames.feeds(self.info)
        if self.info.reuse is Reuse.PAIR:
            feeds |= self._encoder.run(feeds, keep=True)
        else:
            for side, frame in enumerate((frames.first, frames.second)):
                feeds |= {f"feature{side}_{i}": f for i, f in enumerate(self._features(frame))}
        return self._batches.run(feeds, times, maps, keep=keep)

    def _features(self, frame: PreparedFrame) -> tuple[Tensor, ...]:
        if frame.features is None:
            frame.features = tuple(self._encoder.run({"frame": frame.ready}, keep=True).values())
        return frame.features


class FlowRefineDrawer(_GraphDrawer):
    """Calls a ``flow`` graph once per pair and a ``refine`` graph for the moments."""

    def __init__(self, flow: Session, refine: Session, max_batch: int | None, iterations: int) -> None:
        _expect_halves(flow, refine, (Kind.FLOW, Kind.REFINE))
        super().__init__(refine, max_batch, iterations, flow)
        self._flow = flow
        self._last: tuple[Window, dict[str, Tensor]] | None = None

    def draw(
        self, frames: Window, times: Sequence[Fraction], maps: Sequence[Array] = (), *, keep: bool = False
    ) -> list[Any]:
        """See `Drawer.draw`."""
        feeds = frames.feeds(self.info)
        if self._last is None or any(a is not b for a, b in zip(self._last[0], frames, strict=True)):
            self._last = (frames, self._flow.run(feeds, keep=True))
        return self._batches.run(feeds | self._last[1], times, maps, keep=keep)


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
