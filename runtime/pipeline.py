"""Decode → timeline → interpolator → encode, each at its own pace.

Decoding and encoding have a thread each; the network runs in the caller's. Between them lie bounded channels, so the
slowest stage sets the pace and memory does not grow with the clip. A failure anywhere, or Ctrl-C, closes the channels,
ends both threads and removes what was written.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Generic

from tweenrt.errors import UsageError
from tweenrt.runtime.channel import Channel, ChannelClosed
from tweenrt.runtime.frames import Frame
from tweenrt.runtime.neighbours import Surrounded, surrounded
from tweenrt.runtime.progress import Meter, ProgressCallback
from tweenrt.runtime.ready import FrameDrawer, PreparedT, ReadyFrames
from tweenrt.runtime.scene import CUT_THRESHOLD, DUPLICATE_THRESHOLD, Duplicates, SceneJudge
from tweenrt.runtime.schedule import schedule
from tweenrt.runtime.timeline import ByFactor, Moment, Retiming
from tweenrt.runtime.video import (
    ClipInfo,
    Damaged,
    EncodingOptions,
    Sink,
    Source,
    SourceFrame,
    Streams,
    open_sink,
    open_source,
)

if TYPE_CHECKING:
    from av import VideoFrame

_DECODED_AHEAD = 4
_WAITING_TO_BE_ENCODED = 8
_MOMENTS_A_CALL = 8

Write = Callable[[Moment], None]


@dataclass(frozen=True)
class PipelineOptions:
    """One job.

    Attributes:
        source: a video file, or a folder of images.
        target: the video file to write, or a name without an ending for a folder of PNG images.
        retiming: `ByFactor` or `ToRate`.
        input_rate: images a second; needed for a folder, refused for a video.
        cut_threshold: see `SceneJudge`; None looks for no cuts.
        duplicates: what to do about frames that repeat the one before.
        duplicate_threshold: see `SceneJudge`.
        encoding: codec, quality and further options.
        streams: which of the source's other streams to copy.
        damaged: what to do where the source is cut short or does not decode.
        overwrite: whether the target may exist.
    """

    source: Path
    target: Path
    retiming: Retiming
    input_rate: Fraction | None = None
    cut_threshold: float | None = CUT_THRESHOLD
    duplicates: Duplicates = Duplicates.HOLD
    duplicate_threshold: float = DUPLICATE_THRESHOLD
    encoding: EncodingOptions = field(default_factory=EncodingOptions)
    streams: Streams = Streams.ALL
    damaged: Damaged = Damaged.REFUSE
    overwrite: bool = False


@dataclass
class Summary:
    """What a run did.

    Attributes:
        target: the finished file or folder.
        source_frames: frames read.
        output_frames: frames written.
        drawn_frames: how many of them the network drew.
        cuts: intervals that were not drawn across because of a cut.
        duplicates: intervals whose second frame repeats the first, whether held or drawn across.
        seconds: for the whole run.
        drawing_seconds: spent in the network.
        warnings: what the user should know, in sentences.
    """

    target: Path
    source_frames: int = 0
    output_frames: int = 0
    drawn_frames: int = 0
    cuts: int = 0
    duplicates: int = 0
    seconds: float = 0.0
    drawing_seconds: float = 0.0
    warnings: list[str] = field(default_factory=list)

    @property
    def seconds_per_drawn_frame(self) -> float:
        """Mean time in the network for one drawn frame; 0 where none was drawn."""
        return self.drawing_seconds / self.drawn_frames if self.drawn_frames else 0.0


def interpolate_video(
    options: PipelineOptions, interpolator: FrameDrawer[PreparedT], progress: ProgressCallback | None = None
) -> Summary:
    """Interpolate a video into another one. The target appears only when it is complete.

    Args:
        options: what to read and write.
        interpolator: draws the frames; used from the calling thread only.
        progress: called in the calling thread after every output frame.

    Raises:
        UsageError: the options contradict each other or do not fit the source.
        VideoError: the source cannot be read.
        OutputError: the target cannot be written.
        BackendError: the network failed.
    """
    if options.source.resolve() == options.target.resolve():
        raise UsageError(f"{options.target}: expected another name for the output than for the input")
    source = open_source(options.source, rate=options.input_rate, damaged=options.damaged)
    try:
        sink = open_sink(
            options.target,
            source.info,
            options.retiming,
            options.encoding,
            streams=options.streams,
            overwrite=options.overwrite,
        )
        try:
            return _Run(options, source, sink, interpolator, progress).complete()
        finally:
            sink.discard()
    finally:
        source.close()


class _Run(Generic[PreparedT]):
    """One job under way."""

    def __init__(
        self,
        options: PipelineOptions,
        source: Source,
        sink: Sink,
        interpolator: FrameDrawer[PreparedT],
        progress: ProgressCallback | None,
    ) -> None:
        self._options, self._source, self._sink = options, source, sink
        self._neighbours, self._ready = interpolator.neighbours, ReadyFrames(interpolator)
        self._meter = Meter(expected_frames(source.info, options.retiming), progress)
        self._summary = Summary(options.target)
        self._decoded: Channel[SourceFrame] = Channel(_DECODED_AHEAD)
        self._finished: Channel[Callable[[], None]] = Channel(_WAITING_TO_BE_ENCODED)
        self._waiting: tuple[Write, Moment] | None = None

    def complete(self) -> Summary:
        """Run to the end and publish the output."""
        threads = [_Stage("decode", self._decode, self._close), _Stage("encode", self._encode, self._close)]
        try:
            for thread in threads:
                thread.start()
            self._interpolate()
            self._finished.finish()
            threads[1].join()
        except ChannelClosed:
            pass  # one of the threads has failed and says why below
        finally:
            self._close()
            for thread in threads:
                if thread.ident is not None:
                    thread.join()
        for thread in threads:
            thread.reraise()
        assert all(thread.finished for thread in threads)
        self._sink.publish()
        return self._summed_up()

    def _decode(self) -> None:
        for frame in self._source.frames():
            self._decoded.put(frame)
        self._decoded.finish()

    def _encode(self) -> None:
        for write in self._finished:
            write()
        self._sink.finish()

    def _interpolate(self) -> None:
        options = self._options
        look_for_duplicates = options.duplicates is not Duplicates.DRAW
        judge = SceneJudge(options.cut_threshold, options.duplicate_threshold if look_for_duplicates else None)
        end = Fraction(0)
        segments = schedule(self._counted(), options.retiming, judge, options.duplicates)
        # Looking ahead costs a frame of memory and delay, so it is left to the networks that need it.
        places = surrounded(segments) if self._neighbours else map(Surrounded[SourceFrame], segments)
        for place in places:
            self._fill(place)
            end = place.segment.first.pts + place.segment.first.duration
        self._hand_over(None, Moment(end, Fraction(0)))
        self._summary.cuts, self._summary.duplicates = judge.cuts, judge.duplicates

    def _counted(self) -> Iterator[SourceFrame]:
        for frame in self._decoded:
            self._summary.source_frames += 1
            yield frame

    def _fill(self, place: Surrounded[SourceFrame]) -> None:
        """Hand every moment of a segment to the encoder, in order."""
        moments = place.segment.moments
        drawn: dict[Moment, Frame] = {}
        for i, moment in enumerate(moments):
            shown = place.segment.shown(moment)
            if shown is not None:
                self._show(shown.picture, moment)
                continue
            if moment not in drawn:
                drawn = self._drawn(place, moments[i : i + _MOMENTS_A_CALL])
            self._draw(drawn.pop(moment), moment)

    def _drawn(self, place: Surrounded[SourceFrame], moments: Sequence[Moment]) -> dict[Moment, Frame]:
        """Run the network for `moments`, which all lie between the segment's two frames."""
        segment, start = place.segment, time.perf_counter()
        assert segment.second is not None
        times = [segment.position(moment) for moment in moments]
        frames = self._ready.draw(segment.first, segment.second, times, place.before, place.after)
        self._summary.drawing_seconds += time.perf_counter() - start
        return dict(zip(moments, frames, strict=True))

    def _show(self, picture: VideoFrame, moment: Moment) -> None:
        self._hand_over(partial(self._sink.show, picture), moment)
        self._meter.count(drawn=False)

    def _draw(self, frame: Frame, moment: Moment) -> None:
        self._hand_over(partial(self._sink.draw, frame), moment)
        self._meter.count(drawn=True)

    def _hand_over(self, write: Write | None, moment: Moment) -> None:
        """Put the frame before this one into the channel; how long the last one is shown is known at the end only."""
        if self._waiting is not None:
            before, at = self._waiting
            self._finished.put(partial(before, at.until(moment.pts)))
        self._waiting = None if write is None else (write, moment)

    def _close(self) -> None:
        self._decoded.close()
        self._finished.close()

    def _summed_up(self) -> Summary:
        summary = self._summary
        summary.output_frames, summary.drawn_frames = self._meter.done, self._meter.drawn
        summary.seconds = self._meter.elapsed
        summary.warnings = [*self._source.warnings, *self._sink.warnings]
        return summary


class _Stage(Thread):
    """A thread that keeps its failure for later, and tells the others to stop."""

    def __init__(self, name: str, work: Callable[[], None], stop: Callable[[], None]) -> None:
        super().__init__(name=name, daemon=True)
        self._work, self._stop = work, stop
        self._error: BaseException | None = None
        self.finished = False

    def run(self) -> None:
        """Work until done, failed or told to stop."""
        try:
            self._work()
            self.finished = True
        except ChannelClosed:
            pass  # another stage has failed, or the user has stopped the run
        except BaseException as error:  # noqa: BLE001  (raised again in the caller's thread)
            self._error = error
            self._stop()

    def reraise(self) -> None:
        """Raise what the thread failed with, if it did."""
        if self._error is not None:
            raise self._error


def expected_frames(info: ClipInfo, retiming: Retiming) -> int | None:
    """About how many output frames there will be; None where the source does not say how long it is."""
    if isinstance(retiming, ByFactor):
        return None if info.frames is None else info.frames * retiming.factor
    return None if info.duration is None else math.ceil(info.duration * retiming.rate(info.rate))
