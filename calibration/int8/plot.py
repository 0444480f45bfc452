"""Accuracy against the least time of a frame, for every set of INT8 layers that was tried."""

from __future__ import annotations

from typing import Any

from tweenrt.calibration.int8.report import QuantizeReport, pareto
from tweenrt.runtime.profiling.svg import drawn

_TITLE = "PSNR lost against the least time of a frame"
_SIZE = (7.0, 4.0)  # inches


def plot(report: QuantizeReport) -> str:
    """One ``<svg>`` element.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    return drawn(_TITLE, _SIZE, lambda axes: _draw(axes, report))


def _draw(axes: Any, report: QuantizeReport) -> None:
    tried = report.front or (report.written,)
    dots = axes.scatter(
        [r.ms for r in tried], [r.point.drop_db for r in tried], c=[100 * r.share for r in tried], cmap="viridis"
    )
    front = pareto(tried)
    axes.plot([r.ms for r in front], [r.point.drop_db for r in front], "--", color="black", linewidth=0.8)
    axes.plot([report.written.ms], [report.written.point.drop_db], "o", mfc="none", mec="#c0392b", ms=11)
    axes.set_xlabel(f"least time of a frame on {report.device}, ms (roofline)")
    axes.set_ylabel("PSNR lost against the truth, dB")
    axes.figure.colorbar(dots, label="multiplications in INT8, %")
    axes.set_title("circle: what was written; dashes: no other set is better in both", fontsize=8)
