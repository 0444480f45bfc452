"""Nothing is allocated for a frame, and memory stays as it is however long a video runs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from support.graphs import blend, blend_bytes, blend_halves
from support.native_abi import constants
from support.native_build import onnxruntime_headers, onnxruntime_library, program, shared_library
from support.native_graphs import distances, fixed, flow_and_refine, pair_features

HEIGHT, WIDTH = 24, 40
GRAPHS = {
    "blend.onnx": blend,
    "bytes.onnx": blend_bytes,
    "halves": blend_halves,
    "fixed.onnx": fixed,
    "distances.onnx": distances,
    "pair": pair_features,
    "flow": flow_and_refine,
}


def driven(graph: Path, pixels: str, frames: int, *, probe: bool) -> tuple[int, int, int, int, int]:
    """Allocations, one of the program's own included; runs; kilobytes early and at the end; drawn frames."""
    library, environment = onnxruntime_library(), {**os.environ, "OMP_NUM_THREADS": "1"}
    if probe:
        environment["TWEENRT_PROBE"] = str(library)
        library = shared_library("native_probe.cpp", include=onnxruntime_headers())
        environment["LD_PRELOAD"] = str(library)
    words = [graph, library, constants()[f"PIXELS_{pixels}"], HEIGHT, WIDTH, frames]
    command = [str(program("native_drive.cpp")), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    allocations, runs, start, end, drawn = map(int, done.stdout.split())
    return allocations, runs, start, end, drawn


@pytest.mark.parametrize("name", GRAPHS)
def test_a_frame_allocates_nothing(tmp_path: Path, name: str) -> None:
    allocations, runs, _, _, drawn = driven(GRAPHS[name](tmp_path / name), "RGB8", 120, probe=True)
    assert drawn == 2 * 119
    assert runs >= drawn
    assert allocations == 1


@pytest.mark.parametrize("pixels", ["RGB_F32", "NV12"])
def test_neither_do_other_pixels(tmp_path: Path, pixels: str) -> None:
    assert driven(blend(tmp_path / "blend.onnx"), pixels, 120, probe=True)[0] == 1


def test_memory_stays_the_same_over_ten_thousand_frames(tmp_path: Path) -> None:
    _, _, start, end, drawn = driven(blend_halves(tmp_path / "halves"), "RGB8", 10_001, probe=False)
    assert drawn == 2 * 10_000
    assert end - start <= 256
