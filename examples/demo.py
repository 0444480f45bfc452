"""The shortest tour: fetch RIFE 4.25, export it, double a clip, and see how good and how fast that is.

Run by `make demo`. Everything that is fetched or made is kept in the cache, so a second run is quicker.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from tweenrt import Interpolator, TweenrtError
from tweenrt.export.prepare import prepare_graph
from tweenrt.runtime.held_out import HeldOutRow, evaluate_held_out
from tweenrt.runtime.pipeline import PipelineOptions, Summary, interpolate_video
from tweenrt.runtime.progress import Progress
from tweenrt.runtime.timeline import ByFactor

MODEL = "rife-4.25"
ROOT = Path(__file__).resolve().parents[1]
CLIP = ROOT / "examples" / "bigbuckbunny.mp4"
RESULT = ROOT / "out" / "bigbuckbunny-x2.mp4"

console = Console(highlight=False)


@dataclass
class Steps:
    """Says what is being done and how long it took."""

    count: int
    done: int = 0

    def begin(self, text: str) -> None:
        """Announce the next step."""
        self.done += 1
        console.print(f"[bold]{self.done}/{self.count}[/bold] {text}", soft_wrap=True)

    @staticmethod
    def detail(text: str) -> None:
        """One thing inside a step."""
        console.print(f"    {text}", markup=False, soft_wrap=True)


def main() -> None:
    """Run all steps; see the module's text."""
    steps = Steps(4)
    start = time.perf_counter()
    steps.begin(f"Fetching the weights of {MODEL} and exporting them as ONNX (quick if they are in the cache)")
    graph = prepare_graph(MODEL, steps.detail)
    steps.detail(f"the graph: {graph}")

    with Interpolator.open(graph) as interpolator:
        steps.begin(f"Doubling the frame rate of {CLIP.relative_to(ROOT)}")
        summary = double(interpolator)
        steps.begin("Re-creating every other frame of the clip from its neighbours, without showing it")
        rows = list(held_out(interpolator))

    steps.begin("The numbers")
    report(summary, rows)
    console.print(
        f"\nDone in {time.perf_counter() - start:.0f} s. Watch {RESULT.relative_to(ROOT)} beside the original."
    )


def double(interpolator: Interpolator) -> Summary:
    """Write `RESULT`, telling the progress every second or so."""
    RESULT.parent.mkdir(exist_ok=True)
    said = time.perf_counter()

    def tell(event: Progress) -> None:
        nonlocal said
        if time.perf_counter() - said >= 2 or event.done == event.total:
            said = time.perf_counter()
            Steps.detail(f"{event.done} of {event.total} frames, {event.fps:.1f} frames a second")

    return interpolate_video(PipelineOptions(CLIP, RESULT, ByFactor(2), overwrite=True), interpolator, tell)


def held_out(interpolator: Interpolator) -> list[HeldOutRow]:
    """Draw and score the frames that are held out."""
    rows = []
    for row in evaluate_held_out(CLIP, interpolator):
        rows.append(row)
        if len(rows) % 4 == 0:
            Steps.detail(f"frame {row.number}: {row.psnr:.2f} dB, plain average {row.average_psnr:.2f} dB")
    return rows


def report(summary: Summary, rows: list[HeldOutRow]) -> None:
    """Print time and quality."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(f"mean over {len(rows)} held-out frames")
    for title in ("PSNR dB", "SSIM", "seconds a frame"):
        table.add_column(title, justify="right")
    drawn = [float(np.mean([getattr(row, name) for row in rows])) for name in ("psnr", "ssim", "seconds")]
    plain = [float(np.mean([getattr(row, name) for row in rows])) for name in ("average_psnr", "average_ssim")]
    table.add_row(MODEL, f"{drawn[0]:.2f}", f"{drawn[1]:.4f}", f"{drawn[2]:.3f}")
    table.add_row("plain average of both neighbours", f"{plain[0]:.2f}", f"{plain[1]:.4f}", "-")
    console.print(table)
    Steps.detail(
        f"{summary.source_frames} frames became {summary.output_frames}; {summary.drawn_frames} were drawn, "
        f"{summary.seconds_per_drawn_frame:.3f} s each in the network, {summary.seconds:.1f} s for everything"
    )


if __name__ == "__main__":
    try:
        main()
    except TweenrtError as error:
        sys.exit(f"error: {error}")
