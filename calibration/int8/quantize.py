"""A graph in FP32 becomes one whose costly layers compute in INT8: measure, search, write, judge, publish."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import onnx
from onnx import ModelProto, numpy_helper

from tweenrt.calibration.convert import graph_files, load_fp32
from tweenrt.calibration.int8.candidates import Candidate, Place, candidates
from tweenrt.calibration.int8.gains import Costs, Name
from tweenrt.calibration.int8.insert import Int8Layer, insert
from tweenrt.calibration.int8.judge import Opener, draw_all, judged
from tweenrt.calibration.int8.measuring import Measuring, digests
from tweenrt.calibration.int8.record import Calibration
from tweenrt.calibration.int8.report import QuantizeReport, Rated, WrittenGraph, worst
from tweenrt.calibration.int8.samples import Chosen
from tweenrt.calibration.int8.scales import Method, int8_weights, scale_of
from tweenrt.calibration.int8.search import Blocks, Gain, Judged, Point, Search, Sensitivity, most_trials, sensitivities
from tweenrt.calibration.policy import Precision, decide
from tweenrt.calibration.rounded import rounded
from tweenrt.calibration.typed import in_two_precisions
from tweenrt.calibration.view import GraphView
from tweenrt.contract import Kind
from tweenrt.errors import GateError, UsageError
from tweenrt.runtime.estimate.devices import Device
from tweenrt.runtime.evaluate.sample import Sample
from tweenrt.runtime.frames import Frame
from tweenrt.runtime.onnx_file import OnnxFile
from tweenrt.runtime.onnxruntime_session import OnnxRuntimeSession
from tweenrt.runtime.progress import Meter, ProgressCallback
from tweenrt.runtime.session import Session

SENSITIVITY_SAMPLES = 4
"""Frames that each block is tried on alone, at most."""

_BLAMED = 3


@dataclass(frozen=True)
class Budget:
    """What may be lost, and what must be won.

    Attributes:
        max_drop_db: PSNR against the truth that may be lost, the mean over the judged frames.
        min_share: of the multiplications that must become INT8, 0..1.
    """

    max_drop_db: float
    min_share: float = 0.5


@dataclass(frozen=True)
class QuantizeOptions:
    """What is asked for.

    Attributes:
        device: whose roofline says what a layer saves.
        method: how ranges are chosen.
        rest: precision of the other layers, FP16 or FP32.
        budget: for the search; None quantises every layer that reads features and makes features.
        threads: CPU threads for one run; None leaves the choice to ONNX Runtime.
    """

    device: Device
    method: Method = Method.MAX
    rest: Precision = Precision.FP16
    budget: Budget | None = None
    threads: int | None = None


def quantize(
    source: Path,
    out: Path,
    chosen: Chosen,
    options: QuantizeOptions,
    calibration: Path | None = None,
    *,
    progress: ProgressCallback | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> QuantizeReport:
    """Write `source` with its costly layers in INT8.

    Args:
        source: an FP32 graph of ours, or the folder of a split export.
        out: the new graph; a folder where `source` is one, whose files keep their names.
        chosen: frames to calibrate on and to judge by.
        options: what is asked for.
        calibration: a file for what is measured. Where it exists it is read, and nothing is measured.
        progress: told of every frame that is drawn.
        say: told each step, one sentence.

    Raises:
        GraphError: a graph is damaged, not ours, or cannot be quantised.
        UsageError: it is no FP32 graph, needs another graph's outputs, has nothing to quantise, or `calibration` is of
            another graph.
        GateError: no set of layers keeps to the budget; no graph is written.
    """
    graphs = [OnnxFile.load(path, extra="export", why="Quantising a graph") for path in graph_files(source)]
    _expect_frames(source, graphs)
    folder = out if source.is_dir() else out.parent
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".tweenrt-") as scratch:
        work = _Work(source, graphs, chosen, options, Path(scratch), progress)
        work.calibrate(calibration, say)
        report = work.search(say) if options.budget else work.by_policy(say)
        published = [g.path.replace(out / g.path.name if source.is_dir() else out) for g in report.graphs]
        final = (replace(g, path=path) for g, path in zip(report.graphs, published, strict=True))
        return replace(report, graphs=tuple(final))


class _Work:
    """One quantisation under way."""

    def __init__(
        self,
        source: Path,
        graphs: Sequence[OnnxFile],
        chosen: Chosen,
        options: QuantizeOptions,
        scratch: Path,
        progress: ProgressCallback | None,
    ) -> None:
        self._source, self._graphs, self._chosen, self._options, self._scratch = (
            source,
            graphs,
            chosen,
            options,
            scratch,
        )
        self._models = {graph.path: load_fp32(graph.path) for graph in graphs}
        self._views = {path: GraphView(model) for path, model in self._models.items()}
        self._layers = {path: candidates(view) for path, view in self._views.items()}
        size = chosen.judging[0].frame0.rgb.shape
        self._costs = Costs(graphs, (size[0], size[1]), options.device)
        self._blocks = _blocks(self._layers)
        self._meter = Meter(self._frames(), progress)
        self._calibration: Calibration

    def calibrate(self, path: Path | None, say: Callable[[str], None]) -> None:
        """Measure, or read what was measured."""
        if path is not None and path.exists():
            say(f"reading what was measured from {path}")
            self._calibration = Calibration.load(path, digests(self._graphs))
        else:
            say(f"measuring values on {len(self._chosen.calibration)} frames")
            threads = self._options.threads
            work = Measuring(self._source, self._graphs, self._models, self._layers, self._scratch, threads)
            self._calibration = work.run(self._chosen, self._meter)
            if path is not None:
                self._calibration.save(path)
        self._int8 = {path: self._int8_layers(path) for path in self._models}

    def by_policy(self, say: Callable[[str], None]) -> QuantizeReport:
        """Quantise what the policy allows, and say what it costs."""
        blocks = tuple(block for block, layers in self._blocks.items() if all(c.place is Place.BODY for _, c in layers))
        if not blocks:
            raise UsageError(
                f"{self._source}: no layer reads features and makes features, so there is nothing to quantise; give a "
                "budget (--max-drop-db), which tries the others too, or convert the graph to fp16"
            )
        say("drawing frames in FP32")
        expected, exact = self._in_fp32(self._chosen.judging)
        say(f"writing {len(blocks)} blocks in INT8")
        return self._report(exact, *self._written(blocks, exact, expected))

    def search(self, say: Callable[[str], None]) -> QuantizeReport:
        """Find the largest set within the budget."""
        budget = self._options.budget
        assert budget is not None
        say(f"trying each of {len(self._blocks)} blocks alone")
        step = -(-len(self._chosen.calibration) // SENSITIVITY_SAMPLES)
        few = self._chosen.calibration[::step]
        alone, _ = self._in_fp32(few)
        gains = {block: self._gain((block,)) for block in self._blocks}
        order = sensitivities(lambda blocks: self._tried(blocks, few, alone), gains)
        expected, exact = self._in_fp32(self._chosen.judging)
        say("trying sets of blocks")
        search = Search(exact, order, lambda blocks: self._tried(blocks, self._chosen.judging, expected))
        within = search.run(budget.max_drop_db)
        front = tuple(self._rated(point) for point in search.points)
        missed: list[Point] = []
        for point in sorted(within, key=lambda p: -self._gain(p.blocks).macs):
            if self._rated(point).share < budget.min_share:
                break
            graphs, found = self._written(point.blocks, exact, expected)
            if found.drop_db <= budget.max_drop_db:
                return self._report(exact, graphs, found, front, tuple(order))
            missed.append(found)
        raise GateError(self._refusal(budget, search.points, missed, order))

    def _frames(self) -> int:
        """How many frames are drawn, about: for ranges, for the statistics of each graph, and what the search tries."""
        chosen = self._chosen
        measuring = (1 + len(self._graphs)) * len(chosen.calibration)
        if self._options.budget is None:
            return measuring + 2 * len(chosen.judging)
        few = SENSITIVITY_SAMPLES
        trials = most_trials(len(self._blocks)) + 2  # FP32, and what is written
        return measuring + few * (1 + len(self._blocks)) + trials * len(chosen.judging)

    def _int8_layers(self, path: Path) -> dict[str, Int8Layer]:
        """What each layer of a graph needs to compute in INT8."""
        found: dict[str, Int8Layer] = {}
        for layer in self._layers[path]:
            measured = self._calibration.tensors[path.name][layer.tensor]
            exact = numpy_helper.to_array(self._views[path].weights[layer.weight])
            if measured.factors is not None:
                exact = layer.divided(exact, measured.factors)
            scale = scale_of(measured.thresholds[self._options.method])
            found[layer.key] = Int8Layer(scale, int8_weights(exact, layer.axis), measured.factors)
        return found

    def _in_fp32(self, samples: Sequence[Sample]) -> tuple[list[Frame], Judged]:
        frames = self._drawn(lambda path: self._models[path], samples)
        return frames, judged(frames, frames, samples)

    def _tried(self, blocks: Blocks, samples: Sequence[Sample], expected: Sequence[Frame]) -> Judged:
        """Judge a set of blocks; what else there is computes in FP32."""
        frames = self._drawn(lambda path: insert(self._models[path], self._chosen_layers(path, blocks)), samples)
        return judged(frames, expected, samples)

    def _drawn(self, model_of: Callable[[Path], ModelProto], samples: Sequence[Sample]) -> list[Frame]:
        return draw_all(self._source, self._opener(model_of), samples, self._meter)

    def _opener(self, model_of: Callable[[Path], ModelProto]) -> Opener:
        def opened(path: Path) -> Session:
            scratch = self._scratch / f"trial-{path.name}"
            onnx.save(model_of(path), scratch)
            return OnnxRuntimeSession(scratch, self._options.threads)

        return opened

    def _chosen_layers(self, path: Path, blocks: Blocks) -> dict[str, Int8Layer]:
        wanted = set(blocks)
        return {c.key: self._int8[path][c.key] for c in self._layers[path] if c.block in wanted}

    def _written(
        self, blocks: Blocks, exact: Judged, expected: Sequence[Frame]
    ) -> tuple[tuple[WrittenGraph, ...], Point]:
        """Write the graphs into the scratch folder and judge them, FP16 rounded as on a GPU."""
        graphs = tuple(self._write(graph, blocks) for graph in self._graphs)
        samples = self._chosen.judging
        frames = self._drawn(lambda path: rounded(onnx.load(self._scratch / path.name)), samples)
        found = judged(frames, expected, samples)
        return graphs, Point(blocks, found, exact.psnr_db - found.psnr_db)

    def _write(self, graph: OnnxFile, blocks: Blocks) -> WrittenGraph:
        path = graph.path
        model = self._models[path]
        if self._options.rest is Precision.FP16:
            model = in_two_precisions(self._views[path], decide(self._views[path], self._calibration.ranges[path.name]))
        layers = self._chosen_layers(path, blocks)
        model = insert(model, layers)
        onnx.checker.check_model(model, full_check=True)
        final = self._scratch / path.name
        onnx.save(model, final)
        int8 = tuple(c for c in self._layers[path] if c.key in layers)
        kept = tuple(c for c in self._layers[path] if c.key not in layers)
        return WrittenGraph(final, int8, kept, len(graph.serialised), final.stat().st_size)

    def _report(
        self,
        exact: Judged,
        graphs: tuple[WrittenGraph, ...],
        point: Point,
        front: tuple[Rated, ...] = (),
        order: tuple[Sensitivity, ...] = (),
    ) -> QuantizeReport:
        counts = (self._calibration.samples, len(self._chosen.judging))
        device = self._options.device.name
        return QuantizeReport(graphs, self._options.method, exact, self._rated(point), front, order, device, counts)

    def _rated(self, point: Point) -> Rated:
        names = self._names(point.blocks)
        return Rated(point, self._costs.share(names), self._costs.ms(names))

    def _names(self, blocks: Iterable[str]) -> set[Name]:
        return {(path.name, c.node.name) for block in blocks for path, c in self._blocks[block]}

    def _gain(self, blocks: Blocks) -> Gain:
        return self._costs.gain(self._names(blocks))

    def _refusal(
        self, budget: Budget, points: Sequence[Point], missed: Sequence[Point], order: Sequence[Sensitivity]
    ) -> str:
        """What to tell whoever asked for too much; `missed` are points that lost more once they were written."""
        written = {point.blocks: point for point in missed}
        rated = [self._rated(written.get(point.blocks, point)) for point in points]
        within = max((r.share for r in rated if r.point.drop_db <= budget.max_drop_db), default=0.0)
        enough = min((r for r in rated if r.share >= budget.min_share), key=lambda r: r.point.drop_db, default=None)
        more = (
            "no set reaches it"
            if enough is None
            else (
                f"the best with {enough.share:.0%} loses {enough.point.drop_db:.2f} dB, "
                f"{enough.point.drop_db - budget.max_drop_db:.2f} dB too much"
            )
        )
        blamed = ", ".join(f"{block} ({db:.1f} dB against FP32)" for block, db in worst(order, _BLAMED))
        return (
            f"{self._source}: within {budget.max_drop_db:g} dB at most {within:.0%} of the multiplications can "
            f"be INT8, {budget.min_share:.0%} were asked for; {more}. The blocks to blame: {blamed}. Nothing was "
            "written; allow more with --max-drop-db, ask for less with --min-share, or give more frames of the kind "
            "that it will see"
        )


def _expect_frames(source: Path, graphs: Sequence[OnnxFile]) -> None:
    kinds = {graph.info.kind for graph in graphs}
    if len(graphs) == 1 and kinds != {Kind.PAIR}:
        raise UsageError(
            f"{source}: expected a graph that draws frames, or the folder of a split export, got a graph of kind "
            f"'{graphs[0].info.kind.value}'; give the folder that holds both halves"
        )


def _blocks(layers: Mapping[Path, Sequence[Candidate]]) -> dict[str, list[tuple[Path, Candidate]]]:
    """Block → its layers, heads left out: flow, masks and pixels are made by layers that compute in floats."""
    found: dict[str, list[tuple[Path, Candidate]]] = {}
    for path, all_of in layers.items():
        heads = {c.block for c in all_of if c.place is Place.HEAD}
        for layer in all_of:
            if layer.block not in heads:
                found.setdefault(layer.block, []).append((path, layer))
    return found
