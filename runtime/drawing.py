"""How a network's graphs are called: whole, or cut into encoder and synthesis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

import numpy as np

from tweenrt.contract import GraphInfo, Kind, Reuse
from tweenrt.errors import GraphError, UsageError
from tweenrt.runtime.frames import FrameFormat
from tweenrt.runtime.session import Array, Session, Shape, is_open

if TYPE_CHECKING:
    from tweenrt.runtime.interpolator import PreparedFrame


class Drawer(Protocol):
    """Draws moments of a pair of prepared frames."""

    info: GraphInfo

    def draw(self, first: PreparedFrame, second: PreparedFrame, times: Sequence[Fraction]) -> list[Array]:
        """One output for each moment: [3,H',W'] float32, or [H,W,3] uint8 for uint8 graphs."""

    def check_size(self, height: int, width: int, form: FrameFormat) -> None:
        """Refuse padded frames that the graph does not take.

        Raises:
            UsageError: the graph was exported for another size.
        """

    def close(self) -> None:
        """Free the graphs."""


class PairDrawer:
    """Calls a ``pair`` graph."""

    def __init__(self, session: Session, max_batch: int) -> None:
        self.info = session.info
        self._session = session
        self._batches = _Batches(session, max_batch)

    def draw(self, first: PreparedFrame, second: PreparedFrame, times: Sequence[Fraction]) -> list[Array]:
        """See `Drawer.draw`."""
        return self._batches.run({"frame0": first.ready, "frame1": second.ready}, times)

    def check_size(self, height: int, width: int, form: FrameFormat) -> None:
        """See `Drawer.check_size`."""
        _check_size(self._session.inputs["frame0"], height, width, form)

    def close(self) -> None:
        """See `Drawer.close`."""
        self._session.close()


class SplitDrawer:
    """Calls an ``encoder`` graph once per frame (or pair) and a ``synthesis`` graph for the moments."""

    def __init__(self, encoder: Session, synthesis: Session, max_batch: int) -> None:
        _expect_halves(encoder, synthesis)
        self.info = synthesis.info
        self._encoder, self._synthesis = encoder, synthesis
        self._batches = _Batches(synthesis, max_batch)

    def draw(self, first: PreparedFrame, second: PreparedFrame, times: Sequence[Fraction]) -> list[Array]:
        """See `Drawer.draw`."""
        feeds = {"frame0": first.ready, "frame1": second.ready}
        if self.info.reuse is Reuse.PAIR:
            feeds |= self._encoder.run(feeds)
        else:
            for side, frame in enumerate((first, second)):
                feeds |= {f"feature{side}_{i}": f for i, f in enumerate(self._features(frame))}
        return self._batches.run(feeds, times)

    def check_size(self, height: int, width: int, form: FrameFormat) -> None:
        """See `Drawer.check_size`."""
        _check_size(self._synthesis.inputs["frame0"], height, width, form)

    def close(self) -> None:
        """See `Drawer.close`."""
        self._encoder.close()
        self._synthesis.close()

    def _features(self, frame: PreparedFrame) -> tuple[Array, ...]:
        if frame.features is None:
            frame.features = tuple(self._encoder.run({"frame": frame.ready}).values())
        return frame.features


class _Batches:
    """Runs one graph for several moments, as many at once as its N allows."""

    def __init__(self, session: Session, max_batch: int) -> None:
        size = session.inputs["frame0"][0]
        self._session = session
        self._takes_t = "t" in session.inputs
        self._fixed = None if is_open(size) else int(size)
        self._most = max_batch if self._fixed is None else self._fixed

    def run(self, feeds: dict[str, Array], times: Sequence[Fraction]) -> list[Array]:
        """`feeds` holds every input but t, with N = 1."""
        drawn: list[Array] = []
        for chunk in _chunks(times, self._most):
            count = self._fixed or len(chunk)
            batch = {name: _repeated(value, count) for name, value in feeds.items()}
            if self._takes_t:
                filled = [*chunk, *[chunk[-1]] * (count - len(chunk))]
                batch["t"] = np.array([float(t) for t in filled], np.float32).reshape(count, 1, 1, 1)
            drawn += list(self._session.run(batch)["frame_t"][: len(chunk)])
        return drawn


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


def _expect_halves(encoder: Session, synthesis: Session) -> None:
    found = (encoder.info.kind, synthesis.info.kind)
    if found != (Kind.ENCODER, Kind.SYNTHESIS):
        raise GraphError(f"expected an encoder and a synthesis graph, found {found[0].value} and {found[1].value}")
    if encoder.info.pair_id != synthesis.info.pair_id:
        raise GraphError(
            f"encoder (pair {encoder.info.pair_id}) and synthesis (pair {synthesis.info.pair_id}) come from different "
            "exports; export them together with --kind split"
        )


__all__ = ["Drawer", "PairDrawer", "SplitDrawer"]
