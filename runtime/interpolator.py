"""Two frames and some moments in, new frames out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from tweenrt.contract import FrameIO, GraphInfo, Kind, TimeInput
from tweenrt.errors import GraphError, UsageError
from tweenrt.runtime.cuda import Lane
from tweenrt.runtime.device_memory import on_device
from tweenrt.runtime.distance import DistanceMap, Region, distance_map
from tweenrt.runtime.drawing import FOUR, Drawer, FlowRefineDrawer, PairDrawer, SplitDrawer, Window
from tweenrt.runtime.frames import Frame, FrameFormat, Planar, crop, on_host, pad, pad_map
from tweenrt.runtime.lent import Lent
from tweenrt.runtime.scene import SceneJudge
from tweenrt.runtime.session import ENGINE_ENDING, Array, Backend, Session, Tensor, open_session
from tweenrt.runtime.stream import StreamedT, stream
from tweenrt.runtime.timeline import ByFactor, ToRate

if TYPE_CHECKING:
    from tweenrt.runtime.device_memory import DeviceArray

_HALF = Fraction(1, 2)
Time = Fraction | float
Opener = Callable[[Path, Backend, int | None, Lane | None], Session]


class PreparedFrame:
    """A frame made ready for one interpolator: padded, and encoded at most once.

    Pass the same object as `frame1` of one pair and `frame0` of the next, and the network's encoder runs once for
    it. Drop it and its features are freed.
    """

    def __init__(self, form: FrameFormat, ready: Tensor, *, keep: bool = False, lent: Lent | None = None) -> None:
        self.form = form
        self.ready = ready
        self.keep = keep  # what is drawn from it stays on the GPU, as it was given there
        self.lent = lent  # where `ready` is the caller's own memory
        self.features: tuple[Tensor, ...] | None = None


class Interpolator:
    """Draws frames between frames with one network.

    Not safe for use from several threads at once; open one per thread.

    Example:
        >>> with Interpolator.open("rife-4.25.onnx") as interpolator:  # doctest: +SKIP
        ...     (middle,) = interpolator.between(frame0, frame1, [0.5])
    """

    def __init__(self, drawer: Drawer, lane: Lane | None = None) -> None:
        self._drawer = drawer
        self._lane = lane
        self.info: GraphInfo = drawer.info
        self._regions: tuple[Region, ...] = ()

    @classmethod
    def open(
        cls,
        graph: str | Path,
        backend: Backend = Backend.AUTO,
        *,
        threads: int | None = None,
        max_batch: int | None = None,
        iterations: int = 2,
        lane: Lane | None = None,
        opener: Opener = open_session,
    ) -> Interpolator:
        """Load a graph.

        Args:
            graph: an ONNX file of kind ``pair`` or an engine built from one, or a folder that holds ``encoder`` and
                ``synthesis``, or ``flow`` and ``refine``, as ``.onnx`` or ``.engine``.
            backend: what executes it.
            threads: CPU threads for one run; None leaves the choice to the backend.
            max_batch: most moments drawn in one run, where the graph leaves N open; None for as many as an engine was
                built for (`tweenrt build --batch`), and one of a graph. On a CPU more than one is up to 10 % slower,
                from 128x192 to 512x896, and takes as many times the memory.
            iterations: runs for each frame, for networks that refine an earlier estimate ([D,R]); others ignore it.
            lane: the GPU to use, and who is told of engines that are built; None for the first GPU. The interpolator
                closes it.
            opener: loads each file; for who wants to stand between the interpolator and its sessions.

        Raises:
            GraphError: a file is missing, damaged, not ours, or of another kind.
        """
        if iterations < 1:
            raise UsageError(f"expected 1 iteration or more, got {iterations}")
        path = Path(graph)
        lane = lane or Lane()
        if path.is_dir():
            halves, paths = _halves(path)
            first, second = (opener(half, backend, threads, lane) for half in paths)
            return cls(halves(first, second, max_batch, iterations), lane)
        session = opener(path, backend, threads, lane)
        _expect_pair(session, path)
        return cls(PairDrawer(session, max_batch, iterations), lane)

    def prepare(self, frame: Frame) -> PreparedFrame:
        """Make `frame` ready, so that what can be computed once is.

        Args:
            frame: [H,W,3] or [3,H,W], RGB; uint8, uint16, float16 or float32 (0..1), a numpy array or one of a library
                that has DLPack. With TensorRT also an array in GPU memory, of any library that has
                ``__cuda_array_interface__`` or DLPack. A contiguous frame that needs no change is used without a copy:
                [H,W,3] uint8 for graphs with uint8 frames, else [3,H,W] float32 whose sides are multiples of
                `info.divisor`. It must not change before it has been drawn from. A frame in GPU memory must be such a
                one, and what is drawn from it stays there: `tweenrt.runtime.DeviceArray`.

        Raises:
            UsageError: the frame has another shape or dtype, or a size that the graph does not take.
        """
        if on_device(frame):
            return self._prepare_on_device(frame)
        frame = on_host(frame)
        form = FrameFormat.of(frame)
        if self.info.io is FrameIO.UINT8:
            ready = _bytes(frame, form)
        else:
            ready = pad(form.to_planar(frame), self.info.padding, self.info.divisor)
            self._drawer.check_size(ready.shape[2], ready.shape[3], form)
        placed = self._drawer.place(ready)
        borrowed = isinstance(placed, np.ndarray) and np.may_share_memory(placed, frame)
        return PreparedFrame(form, placed, lent=Lent(frame) if borrowed else None)

    def between(
        self,
        frame0: Frame | PreparedFrame,
        frame1: Frame | PreparedFrame,
        times: Sequence[Time],
        *,
        before: Frame | PreparedFrame | None = None,
        after: Frame | PreparedFrame | None = None,
        distances: Sequence[DistanceMap] | None = None,
    ) -> list[Frame]:
        """Draw the frames at `times` between two frames.

        Args:
            frame0: the earlier frame; see `prepare`.
            frame1: the later frame, of the same size, layout and dtype.
            times: moments strictly between 0 (`frame0`) and 1 (`frame1`), in any order.
            before: the frame before `frame0`, for networks that look at four frames (`info.frames`); others ignore
                it. None at the start of a clip and after a cut: then `frame0` stands for it, as if nothing had moved.
            after: the frame after `frame1`, likewise; `frame1` stands for it.
            distances: for networks that take a moment for every pixel (`info.t`), one [H,W] float32 in 0..1 for each
                of `times`, which then only give the order. Without it every pixel gets the frame's moment, or its
                region's (`use_regions`).

        Returns:
            One frame for each moment, in the layout and dtype of the inputs.

        Raises:
            UsageError: the frames differ in format or were changed since they were prepared, a moment is not between 0
                and 1, or the network draws only midpoints and a moment is no power-of-two fraction.
        """
        window = self._window(frame0, frame1, before, after)
        first, second = window[:2]
        moments = [Fraction(t) for t in times]
        if any(not 0 < t < 1 for t in moments):
            raise UsageError(f"expected moments strictly between 0 and 1, got {[float(t) for t in moments]}")
        if not moments:
            return []
        if self.info.t is TimeInput.FIXED:
            drawn = _Midpoints(self, first, second)
            return [drawn.at(t) for t in moments]
        maps = self._maps(moments, distances, first.form)
        return self._finished(self._drawer.draw(window, moments, maps, keep=first.keep), first)

    def stream(
        self,
        frames: Iterable[StreamedT],
        factor: int = 2,
        *,
        rate: Fraction | None = None,
        judge: SceneJudge | None = None,
    ) -> Iterator[StreamedT]:
        """Give the frames of a stream with drawn ones between them, each when it is asked for.

        A source frame is taken when the output needs it, and let go when it is no longer looked at, so that memory does
        not grow. Source frames come out as the objects that were given; they must not change until the stream has gone
        past them.

        Args:
            frames: frames as `prepare` takes them, of one format; or `TimedFrame`, and then so is what comes out.
            factor: n frames become factor·n: every interval is split evenly, and the last frame is held.
            rate: frames a second instead, for `TimedFrame`: one at every k/rate after the first.
            judge: tells cuts, across which nothing is drawn, and repeats, which are held; None looks for neither.

        Raises:
            UsageError: as `between`; or times are missing, mixed or out of order.
        """
        retiming = ByFactor(factor) if rate is None else ToRate(Fraction(rate))
        return stream(self, frames, retiming, judge)

    def use_regions(self, regions: Sequence[Region]) -> None:
        """From now on draw these parts of the picture at moments of their own.

        Raises:
            UsageError: the network takes one moment for the whole frame.
        """
        if regions and self.info.t is not TimeInput.MAP:
            raise UsageError(
                f"{self.info.model} takes one moment for the whole frame; regions need a network with a distance map, "
                "such as rife-d or ifrnet-d"
            )
        self._regions = tuple(regions)

    @property
    def lane(self) -> Lane | None:
        """Where the network runs on a GPU, whose memory frames may stay in; None on a CPU."""
        return self._lane if on_device(self._drawer.place(np.zeros(1, np.uint8))) else None

    @property
    def neighbours(self) -> bool:
        """Whether the network also looks at the frames before and after the pair."""
        return self.info.frames == FOUR

    def set(self, name: str, value: float) -> None:
        """Change a setting that the graph exposes, such as ``mask_threshold`` of UGSP.

        Raises:
            UsageError: the graph has no such setting.
        """
        self._drawer.set(name, value)

    def reports(self) -> dict[str, list[float]]:
        """What the graph says about its own work beside the frames, averaged over all frames drawn so far.

        UGSP reports ``mask_density`` (share of pixels computed at 1/8, 1/4 and 1/2 of the size) and
        ``executed_share`` (of the dense network's multiply-accumulates). Most networks report nothing.
        """
        return self._drawer.reports()

    def close(self) -> None:
        """Free the network; the interpolator cannot be used after that."""
        self._drawer.close()
        if self._lane is not None:
            self._lane.close()

    def __enter__(self) -> Interpolator:  # noqa: PYI034  (typing.Self needs Python 3.11)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _window(
        self,
        frame0: Frame | PreparedFrame,
        frame1: Frame | PreparedFrame,
        before: Frame | PreparedFrame | None,
        after: Frame | PreparedFrame | None,
    ) -> Window:
        """The frames that the network looks at, prepared and of one format."""
        around = (before, after) if self.neighbours else (None, None)
        neighbours = [None if frame is None else self._prepared(frame) for frame in around]
        window = Window(self._prepared(frame0), self._prepared(frame1), *neighbours)
        given = [frame for frame in window if frame is not None]
        forms = [frame.form for frame in given]
        if len({frame.keep for frame in given}) > 1:
            raise UsageError("expected all frames in GPU memory or none, got both; bring them to one place first")
        if any(form != forms[0] for form in forms):
            raise UsageError(f"expected frames of one format, got {' and '.join(str(form) for form in forms)}")
        for frame in given:
            if frame.lent is not None:
                frame.lent.check()
        return window

    def _maps(
        self, moments: Sequence[Fraction], distances: Sequence[DistanceMap] | None, form: FrameFormat
    ) -> list[Planar]:
        """The distances of every moment as the graph wants them, [1,1,H',W']; none where it takes no map."""
        if self.info.t is not TimeInput.MAP:
            if distances is not None:
                raise UsageError(
                    f"{self.info.model} takes one moment for the whole frame, not distances for its pixels"
                )
            return []
        size = (form.height, form.width)
        found = distances or [distance_map(float(t), *size, self._regions) for t in moments]
        if len(found) != len(moments) or any(m.shape != size for m in found):
            raise UsageError(f"expected {len(moments)} distance maps of {size[0]}x{size[1]}, one for each moment")
        planar = [np.ascontiguousarray(m, np.float32)[None, None] for m in found]
        return (
            planar
            if self.info.io is FrameIO.UINT8
            else [pad_map(m, self.info.padding, self.info.divisor) for m in planar]
        )

    def _prepared(self, frame: Frame | PreparedFrame) -> PreparedFrame:
        return frame if isinstance(frame, PreparedFrame) else self.prepare(frame)

    def _finish(self, drawn: Array, form: FrameFormat) -> Frame:
        """One output of the network, [3,H',W'] float or [H,W,3] uint8, in the caller's format."""
        if self.info.io is FrameIO.UINT8:
            return drawn if form.channels_last else np.ascontiguousarray(np.moveaxis(drawn, 2, 0))
        planar: Planar = crop(drawn, self.info.padding, self.info.divisor, form.height, form.width)
        return form.from_planar(planar)

    def _midpoint(self, first: PreparedFrame, second: PreparedFrame) -> Frame:
        (drawn,) = self._finished(self._drawer.draw(Window(first, second), [_HALF], keep=first.keep), first)
        return drawn

    def _prepare_on_device(self, frame: Any) -> PreparedFrame:
        """See `prepare`: a frame in GPU memory, as the graph takes it."""
        placed = cast("DeviceArray", self._drawer.place(frame))
        form = FrameFormat.of(placed)
        takes_bytes = self.info.io is FrameIO.UINT8
        wanted = (True, np.dtype(np.uint8)) if takes_bytes else (False, np.dtype(np.float32))
        if (form.channels_last, form.dtype) != wanted:
            raise UsageError(
                f"expected a frame in GPU memory as {'[H,W,3] uint8' if takes_bytes else '[3,H,W] float32, 0..1'}, "
                f"which this graph takes without a copy, got {list(placed.shape)} {placed.dtype}; convert it there, or "
                "export the graph with another --io"
            )
        if not takes_bytes:
            self._check_whole(form)
        return PreparedFrame(form, placed.reshape(1, *placed.shape), keep=True)

    def _check_whole(self, form: FrameFormat) -> None:
        """A float frame in GPU memory is not padded, so that its size must be one that the graph takes."""
        if form.height % self.info.divisor or form.width % self.info.divisor:
            raise UsageError(
                f"expected a float frame in GPU memory whose sides are multiples of {self.info.divisor}, got "
                f"{form.height}x{form.width}; pad it, or export the graph with --io uint8, which pads by itself"
            )
        self._drawer.check_size(form.height, form.width, form)

    def _finished(self, drawn: list[Any], first: PreparedFrame) -> list[Frame]:
        """What was drawn, as callers get it."""
        if not first.keep:
            return [self._finish(picture, first.form) for picture in drawn]
        lane = cast("DeviceArray", first.ready).lane
        kept: list[Any] = [p if on_device(p) else lane.upload(p) for p in drawn]  # the CPU may have drawn them
        lane.synchronize()
        return kept


class _Midpoints:
    """Moments of a pair by halving, each midpoint drawn once."""

    def __init__(self, interpolator: Interpolator, first: PreparedFrame, second: PreparedFrame) -> None:
        self._interpolator = interpolator
        self._prepared = {Fraction(0): first, Fraction(1): second}
        self._drawn: dict[Fraction, Frame] = {}

    def at(self, t: Fraction) -> Frame:
        if t.denominator & (t.denominator - 1):
            raise UsageError(
                f"{self._interpolator.info.model} draws midpoints only, so moments are halves, quarters, eighths …; "
                f"got {t}. Use a factor of 2, 4 or 8, or a model that takes t (`tweenrt models`)"
            )
        if t not in self._drawn:
            half_step = Fraction(1, t.denominator)
            pair = (self._ready(t - half_step), self._ready(t + half_step))
            self._drawn[t] = self._interpolator._midpoint(*pair)
        return self._drawn[t]

    def _ready(self, t: Fraction) -> PreparedFrame:
        if t not in self._prepared:
            self._prepared[t] = self._interpolator.prepare(self.at(t))
        return self._prepared[t]


def _bytes(frame: Frame, form: FrameFormat) -> Array:
    """A frame for a uint8 graph, [1,H,W,3]."""
    if form.dtype != np.uint8:
        raise UsageError(
            f"this graph takes uint8 frames, got {form.dtype}; export it with --io float for more than 8 bits"
        )
    return np.ascontiguousarray(frame if form.channels_last else np.moveaxis(frame, 0, 2))[None]


def _halves(folder: Path) -> tuple[type[FlowRefineDrawer | SplitDrawer], list[Path]]:
    """Who calls the two files of `folder`, and where they are; graphs, or engines where there are no graphs."""
    ending = ENGINE_ENDING if any(folder.glob(f"*{ENGINE_ENDING}")) and not any(folder.glob("*.onnx")) else ".onnx"
    flows = (folder / f"{Kind.FLOW.value}{ending}").is_file()
    kinds = (Kind.FLOW, Kind.REFINE) if flows else (Kind.ENCODER, Kind.SYNTHESIS)
    return FlowRefineDrawer if flows else SplitDrawer, [folder / f"{kind.value}{ending}" for kind in kinds]


def _expect_pair(session: Session, path: Path) -> None:
    kind = session.info.kind
    if kind is not Kind.PAIR:
        session.close()
        raise GraphError(
            f"{path}: expected a 'pair' graph, found '{kind.value}'; give the folder that holds it and its other half"
        )
