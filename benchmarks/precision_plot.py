"""Accuracy against latency and file size, for every precision of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from record import Row


def draw(rows: Sequence[Row]) -> str:
    """An SVG document with a row of two plots for each model."""
    import io

    models = sorted({str(row["model"]) for row in rows})
    with matplotlib.rc_context({"svg.hashsalt": "precision", "font.size": 8}):
        figure = Figure(figsize=(9, 3.4 * len(models)), layout="constrained")
        axes = figure.subplots(len(models), 2, squeeze=False)
        for (latency, size), model in zip(axes, models, strict=True):
            ours: list[Any] = [row for row in rows if row["model"] == model]
            _scatter(latency, [row for row in ours if "ms" in row], "ms", f"{model}: least ms of a frame (roofline)")
            _scatter(size, [row for row in ours if "mb" in row], "mb", f"{model}: MB of the file")
        written = io.BytesIO()
        figure.savefig(written, format="svg", metadata={"Date": None})
    return written.getvalue().decode()


def _scatter(axes: Any, rows: Sequence[Any], key: str, label: str) -> None:
    for row in rows:
        (dot,) = axes.plot([row[key]], [row["lost_db"]], "o", label=row["precision"])
        for point in row.get("front", []):
            if key == "ms":
                axes.plot([point["ms"]], [point["drop_db"]], ".", color=dot.get_color(), alpha=0.3)
    axes.axhline(0, color="black", linewidth=0.5)
    axes.set_xlabel(label)
    axes.set_ylabel("PSNR lost against FP32, dB")
    axes.legend()
