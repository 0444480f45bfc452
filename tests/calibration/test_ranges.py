"""How large tensors get, measured by the graph itself while it runs."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from support.mixed import graph

from tweenrt.calibration.ranges import Range, RangeSession, body_of

NAN, INF = float("nan"), float("inf")
TEXT = """
    g (float[1,3,H,W] frame0, float[1,2,H,W] flow_a) => (float[1,3,H,W] frame_t) {
        large = Mul (frame0, gain)
        warped = tweenrt.BackwardWarp (large, flow_a)
        size = Shape (warped)
        frame_t = Neg (warped) }"""


def session(folder: Path, text: str = TEXT, **weights: object) -> RangeSession:
    return RangeSession(graph(text, **({"gain": [100.0]} | weights)), folder / "measuring.onnx", 1)


def test_every_float_tensor_is_measured_over_all_runs(tmp_path: Path) -> None:
    measuring = session(tmp_path)
    flow = np.full((1, 2, 4, 6), -8.0, np.float32)  # the corner of the frame is seen everywhere
    for low, high in ((0.0, 0.5), (-0.25, 0.1)):
        frame = np.linspace(low, high, 72, dtype=np.float32).reshape(1, 3, 4, 6)
        results = measuring.run({"frame0": frame, "flow_a": flow})
        assert set(results) == {"frame_t"}, "what is measured is no output"
        assert results["frame_t"].max() == pytest.approx(-100 * low, abs=1e-4)
    found = {name: (round(r.least, 4), round(r.most, 4)) for name, r in measuring.ranges.items()}
    assert found == {
        "frame0": (-0.25, 0.5),
        "flow_a": (-8.0, -8.0),
        "large": (-25.0, 50.0),
        "warped": (-25.0, 33.8028),
        "frame_t": (-33.8028, 25.0),
    }


def test_frames_of_another_size_add_to_the_same_ranges(tmp_path: Path) -> None:
    measuring = session(tmp_path)
    for side, value in ((4, 0.5), (8, -2.0)):
        frame, flow = np.full((1, 3, side, side), value, np.float32), np.zeros((1, 2, side, side), np.float32)
        measuring.run({"frame0": frame, "flow_a": flow})
    assert measuring.ranges["large"] == Range(-200.0, 50.0)


def test_the_inside_of_a_body_that_computes_in_its_own_type(tmp_path: Path) -> None:
    """Where the mask is not set the dense body convolves too, and infinity times zero would be no number."""
    text = """
        g (float[1,3,8,8] frame0, float[1,1,8,8] mask) => (float[1,3,8,8] y) {
            tiles = tweenrt.MaskTiles (mask)
            y = tweenrt.MaskedConv2d (frame0, mask, w, b, s, tiles) }"""
    weights = {"w": np.full((3, 3, 3, 3), 1e4, "f4"), "b": [0] * 3, "s": [1] * 3}
    measuring = session(tmp_path, text, **weights)
    mask = np.zeros((1, 1, 8, 8), np.float32)
    measuring.run({"frame0": np.ones((1, 3, 8, 8), np.float32), "mask": mask})
    name = body_of(graph(text, **weights).graph.node[1])
    assert measuring.ranges["y"].extent == 0
    assert measuring.ranges[name].extent == pytest.approx(27e4)


@pytest.mark.parametrize(("value", "extent"), [(INF, INF), (-INF, INF), (NAN, INF), (3.0, 3.0)])
def test_what_is_not_finite_is_infinitely_large(value: float, extent: float) -> None:
    assert Range(min(value, 0.0), value).extent == extent
    assert (Range(0, 1) | Range(value, value) | Range(0, 2)).extent == extent


def test_ranges_join() -> None:
    assert Range(-1, 2) | Range(0, 5) == Range(-1, 5)
    assert math.isnan((Range(NAN, NAN) | Range(0, 1)).most)
