"""Decode → timeline → interpolator → encode, each at its own pace.

Decoding and encoding have a thread each; the network runs in the caller's. Between them lie bounded channels, so the
slowest stage sets the pace and memory does not grow with the clip. A failure anywhere, or Ctrl-C, closes the channels,
ends both threads and removes what was written.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Generic

from tweenrt.errors import UsageError
from tweenrt.runtime.channel import Channel, ChannelClosed
from tweenrt.runtime.cuda import Lane
from tweenrt.runtime.plan import Draw, Show, Step, steps
from tweenrt.runtime.progress import Meter, ProgressCallback
from tweenrt.runtime.ready import FrameDrawer, PreparedT, ReadyFrames
from tweenrt.runtime.scene import CUT_THRESHOLD, DUPLICATE_THRESHOLD, Duplicates, SceneJudge
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
from tweenrt.runtime.video.resident import ResidentDrawer

_DECODED_AHEAD = 4
_WAITING_TO_BE_ENCODED = 8

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
        gpu_video: keep frames on the GPU from the decoder to the encoder; the lane of the interpolator. Whether that
            is possible says `tweenrt.runtime.video.placing.check_gpu_video`.
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
    gpu_video: Lane | None = None

    def judge(self) -> SceneJudge:
        """Who tells cuts and duplicates from motion."""
        return SceneJudge(self.cut_threshold, None if self.duplicates is Duplicates.DRAW else self.duplicate_threshold)

    def steps(
        self, frames: Iterable[SourceFrame], judge: SceneJudge, *, neighbours: bool
    ) -> Iterator[Step[SourceFrame]]:
        """What a run over `frames` does; see `tweenrt.runtime.plan.steps`."""
        return steps(frames, self.retiming, judge, self.duplicates, neighbours=neighbours)


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
    gpu = None if options.gpu_video is None else options.gpu_video.gpu
    source = open_source(options.source, rate=options.input_rate, damaged=options.damaged, gpu=gpu)
    try:
        sink = open_sink(
            options.target,
            source.info,
            options.retiming,
            options.encoding,
            streams=options.streams,
            overwrite=options.overwrite,
            gpu=gpu,
        )
        try:
            if options.gpu_video is None:
                return _Run(options, source, sink, interpolator, progress).complete()
            drawer = ResidentDrawer(interpolator, options.gpu_video, source.info.color)
            return _Run(options, source, sink, drawer, progress).complete()
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
        self._end = Fraction(0)

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
        judge = self._options.judge()
        for step in self._options.steps(self._counted(), judge, neighbours=self._neighbours):
            if isinstance(step, Show):
                self._hand_over(partial(self._sink.show, step.frame.picture), step.moment)
                self._meter.count(drawn=False)
            else:
                self._draw(step)
        self._hand_over(None, Moment(self._end, Fraction(0)))
        self._summary.cuts, self._summary.duplicates = judge.cuts, judge.duplicates

    def _counted(self) -> Iterator[SourceFrame]:
        for frame in self._decoded:
            self._summary.source_frames += 1
            self._end = frame.pts + frame.duration
            yield frame

    def _draw(self, step: Draw[SourceFrame]) -> None:
        """Run the network once and hand what it drew to the encoder."""
        start = time.perf_counter()
        frames = self._ready.draw(*step.pair, step.times, step.place.before, step.place.after)
        self._summary.drawing_seconds += time.perf_counter() - start
        for frame, moment in zip(frames, step.moments, strict=True):
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
