"""When does computing only the masked pixels pay? UGSP with its dense and its gather body, at given mask densities.

    python benchmarks/masked_conv.py [--quick]

Writes results/masked_conv.json and .md. `plugins/masked_conv2d/function.py` takes its break-even from there. The masks
are smooth blobs of the wanted density, the same scene at every level, because random weights make no useful masks.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import record
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from tweenrt.export import registry
from tweenrt.export.checkpoint import load_random
from tweenrt.export.exporter import export
from tweenrt.export.frames import moving_frames
from tweenrt.export.models.ugsp import UGSP
from tweenrt.export.options import ExportOptions, MaskedConv
from tweenrt.plugins.masked_conv2d.function import BREAK_EVEN, sparse

THREADS = 2
SIZES = ((256, 448), (720, 1280))
DENSITIES = (0.05, 0.10, 0.25, 0.40, 0.50, 0.75)
ALWAYS = 2.0  # a break-even that no density reaches: gather whatever the mask says


class Blobs(UGSP):
    """UGSP whose masks are given."""

    density = 0.5

    def _mask(self, logits: Tensor) -> Tensor:
        coarse = torch.from_numpy(np.random.default_rng(4).standard_normal((1, 1, 9, 16)).astype(np.float32))
        field = F.interpolate(coarse, size=logits.shape[2:], mode="bicubic", align_corners=False)
        threshold = torch.quantile(field.flatten(), 1.0 - self.density)
        # A copy of the logits keeps the layers that make them in the graph; the result does not depend on them.
        return (field + 0.0 * logits[:, :1] - threshold > self.mask_threshold).to(logits.dtype)


def graphs(size: tuple[int, int], density: float, folder: Path) -> dict[str, Path]:
    """Body → a graph with masks of `density`."""
    kind = type("Blobs", (Blobs,), {"density": density})
    loaded = load_random(replace(registry.get("ugsp"), build=kind), 0)
    paths = {}
    for body in MaskedConv:
        paths[body.value] = folder / f"{body.value}.onnx"
        export(loaded, ExportOptions(size=size, batch=1, masked_conv=body), paths[body.value])
    model = onnx.load(paths["gather"])
    kept = [f for f in model.functions if f.name != "MaskedConv2d"]
    del model.functions[:]
    model.functions.extend([*kept, sparse(loaded.spec.opset, ALWAYS)])
    paths["always gather"] = folder / "always.onnx"
    onnx.save(model, paths["always gather"])
    return paths


def session(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = THREADS
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def measure(size: tuple[int, int], density: float, rounds: int) -> dict[str, object]:
    """All bodies on one pair of frames, side by side."""
    frames = moving_frames(*size)
    feeds = {"frame0": frames[:1], "frame1": frames[1:]}
    with tempfile.TemporaryDirectory() as folder:
        sessions = {name: session(p) for name, p in graphs(size, density, Path(folder)).items()}
        outputs = {name: s.run(None, feeds) for name, s in sessions.items()}
        samples = record.interleaved({n: (lambda s=s: s.run(None, feeds)) for n, s in sessions.items()}, rounds)
    worst = max(float(np.abs(outputs["dense"][0] - o[0]).max()) for o in outputs.values())
    return {
        "size": f"{size[0]}x{size[1]}",
        "density": density,
        "found_density": [round(float(d), 3) for d in outputs["dense"][1][0]],
        "executed_share": round(float(outputs["dense"][2].squeeze()), 3),
        "max_abs_difference": worst,
        "dense": samples["dense"].summary(),
        "gather": record.ratio(samples["gather"], samples["dense"]),
        "always gather": record.ratio(samples["always gather"], samples["dense"]),
    }


def _spread(found: dict[str, float]) -> str:
    return f"{found['ratio']:.2f} ({found['ratio_low']:.2f} to {found['ratio_high']:.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the small size only")
    quick = parser.parse_args().quick
    machine = record.machine(THREADS)
    torch.set_num_threads(THREADS)
    results = [measure(s, d, 3) for s in SIZES[: 1 if quick else 2] for d in DENSITIES]
    rows = [["size", "density", "work executed", "dense ms", "gather / dense", "always gather / dense"]]
    for r in results:
        cells = [_spread(r[name]) for name in ("gather", "always gather")]
        work = [f"{r['density']:.0%}", f"{r['executed_share']:.0%}", f"{r['dense']['cpu_ms']:.0f}"]
        rows.append([r["size"], *work, *cells])
    notes = (
        f"{record.describe(machine)}\n\nThe whole UGSP network, one middle frame, CPU time; the ratios are medians of "
        f"{results[0]['dense']['n']} interleaved rounds with their quartiles. Below 1 the sparse graph is faster. "
        f"“gather” is what tweenrt exports: it falls back to dense above a density of {BREAK_EVEN:.0%}."
    )
    record.write("masked_conv", {"machine": machine, "results": results}, "Mask-guided convolution", notes, rows)


if __name__ == "__main__":
    main()
