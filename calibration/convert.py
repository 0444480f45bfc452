"""A graph in FP32 becomes one in two precisions: measure, decide, write, compare, publish."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto

from tweenrt.calibration.gate import MIN_PSNR_DB
from tweenrt.calibration.policy import Precision, decide
from tweenrt.calibration.ranges import RangeSession
from tweenrt.calibration.report import Converted, Report, half_weights
from tweenrt.calibration.rounded import rounded
from tweenrt.calibration.shortcuts import take_shortcuts
from tweenrt.calibration.trial import Opener, open_trial
from tweenrt.calibration.typed import in_two_precisions
from tweenrt.calibration.view import GraphView
from tweenrt.calibration.windows import Window
from tweenrt.contract import Kind
from tweenrt.errors import GateError, GraphError, UsageError
from tweenrt.runtime.compare import FRAME, Difference, difference
from tweenrt.runtime.onnx_file import OnnxFile
from tweenrt.runtime.onnxruntime_session import OnnxRuntimeSession
from tweenrt.runtime.progress import Meter, ProgressCallback
from tweenrt.runtime.session import Array

_HALVES = ((Kind.FLOW, Kind.REFINE), (Kind.ENCODER, Kind.SYNTHESIS))


def convert(
    source: Path,
    out: Path,
    windows: Sequence[Window],
    *,
    min_psnr_db: float = MIN_PSNR_DB,
    threads: int | None = None,
    progress: ProgressCallback | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Report:
    """Write `source` with features in FP16 and everything else in FP32.

    Args:
        source: an FP32 graph of ours, or the folder of a split export.
        out: the new graph; a folder where `source` is one, whose files keep their names.
        windows: frames to measure ranges on and to compare on.
        min_psnr_db: the least PSNR of the new frames against those of `source`, with FP16 rounded as on a GPU.
        threads: CPU threads for one run; None leaves the choice to ONNX Runtime.
        progress: told of every frame that is drawn.
        say: told each step, one sentence.

    Raises:
        GraphError: a graph is damaged, not ours, or cannot be converted.
        UsageError: it is no FP32 graph, or needs another graph's outputs.
        GateError: the converted graph differs by more than `min_psnr_db` allows; nothing is written.
    """
    graphs = {path: load_fp32(path) for path in graph_files(source)}
    folder = out if source.is_dir() else out.parent
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".tweenrt-") as scratch:
        work = _Work(source, graphs, windows, Path(scratch), threads, Meter(2 * len(windows), progress))
        say("measuring how large its values get")
        expected = work.draw(work.open_measuring)
        say("writing it in two precisions")
        converted = work.write()
        say("comparing the frames of both")
        worst = _worst(expected, work.draw(work.open_rounding))
        if not worst.psnr_db >= min_psnr_db:
            raise GateError(_refusal(source, worst, min_psnr_db))
        return Report(tuple(_publish(c, out / c.path.name if source.is_dir() else out) for c in converted), worst)


def graph_files(source: Path) -> list[Path]:
    """`source` itself, or the two graphs in the folder `source`.

    Raises:
        GraphError: they are not there.
    """
    if not source.is_dir():
        return [source]
    for halves in _HALVES:
        found = [source / f"{kind.value}.onnx" for kind in halves]
        if all(path.is_file() for path in found):
            return found
    raise GraphError(
        f"{source}: expected encoder.onnx and synthesis.onnx, or flow.onnx and refine.onnx, in this folder; make them "
        "with `tweenrt export MODEL --kind split`"
    )


@dataclass
class _Work:
    """One conversion under way.

    Attributes:
        source: what is converted.
        graphs: its files, read.
        windows: frames to try them on.
        scratch: a folder for what is not yet to be seen.
        threads: CPU threads for one run.
        meter: counts what is drawn.
        measuring: the FP32 graphs once they are opened.
    """

    source: Path
    graphs: dict[Path, ModelProto]
    windows: Sequence[Window]
    scratch: Path
    threads: int | None
    meter: Meter
    measuring: dict[Path, RangeSession] = field(default_factory=dict)

    def draw(self, opener: Opener) -> list[list[Array]]:
        """What the graphs that `opener` opens make of every window."""
        trial = open_trial(self.source, opener)
        try:
            drawn = []
            for number, window in enumerate(self.windows):
                drawn.append(trial.run(window, number))
                self.meter.count(drawn=True)
            return drawn
        finally:
            trial.close()

    def open_measuring(self, path: Path) -> RangeSession:
        """The FP32 graph, which notes how large its tensors get."""
        session = RangeSession(self.graphs[path], self.scratch / f"measuring-{path.name}", self.threads)
        session.path = path  # for messages
        self.measuring[path] = session
        return session

    def open_rounding(self, path: Path) -> OnnxRuntimeSession:
        """The converted graph, which rounds as a GPU would."""
        twin = self.scratch / f"rounding-{path.name}"
        onnx.save(rounded(onnx.load(self.scratch / path.name)), twin)
        session = OnnxRuntimeSession(twin, self.threads)
        session.path = path
        return session

    def write(self) -> list[Converted]:
        """Convert every graph, under its own name in `scratch`."""
        return [self._write(path, model) for path, model in self.graphs.items()]

    def _write(self, path: Path, model: ModelProto) -> Converted:
        view = GraphView(model)
        decisions = decide(view, self.measuring[path].ranges)
        mixed = in_two_precisions(view, decisions)
        onnx.checker.check_model(mixed, full_check=True)
        onnx.save(mixed, self.scratch / path.name)
        casts = len(mixed.graph.node) - len(view.nodes)
        return Converted(self.scratch / path.name, tuple(decisions), casts, half_weights(model, mixed))


def load_fp32(path: Path) -> ModelProto:
    """Read a graph that is to be written in other precisions.

    Raises:
        GraphError: it is missing, damaged or not ours.
        UsageError: it is not in FP32.
    """
    file = OnnxFile.load(path, extra="export", why="Converting a graph")
    if file.info.precision != Precision.FP32.value:
        raise UsageError(f"{path}: expected an fp32 graph, got {file.info.precision}; convert the one it was made from")
    model: ModelProto = file.model
    take_shortcuts(model)
    return model


def _worst(expected: list[list[Array]], got: list[list[Array]]) -> Difference:
    """The window and output that differ most. A single [H,W,3] picture is the new frame."""
    name = FRAME if expected[0][0].ndim == 3 else "output"
    pairs = ((e, g, k) for k in range(len(expected)) for e, g in zip(expected[k], got[k], strict=True))
    return min((difference(name, _unit(e), _unit(g), k) for e, g, k in pairs), key=lambda d: d.psnr_db)


def _unit(values: Array) -> Array:
    return values / np.float32(255) if values.dtype == np.uint8 else values


def _refusal(source: Path, worst: Difference, least: float) -> str:
    return (
        f"{source}: in FP16 it draws pair {worst.pair} with {worst.psnr_db:.1f} dB against FP32, at least {least:g} dB "
        "were asked for. Nothing was written; give frames of the kind that it will see with --frames, or allow less "
        "with --min-psnr"
    )


def _publish(converted: Converted, final: Path) -> Converted:
    converted.path.replace(final)
    return replace(converted, path=final)
