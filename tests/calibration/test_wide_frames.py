"""Beyond column 2048 FP16 has no coordinate for every pixel. A mixed graph must not notice, a naive one does."""

from __future__ import annotations

import numpy as np
import onnx
from support.mixed import all_fp16, graph, mixed, run

from tweenrt.calibration.rounded import rounded

WIDTH, HEIGHT = 4096, 8
FLOW = 10.3, -7.6  # x into the earlier and the later frame; the sum of a level's step and twice the coarser flow
PIXELS = 0.05  # at most, for any column
SCALE = 2048.0

# The last two levels of a decoder: layers that "predict" a known flow, accumulation, and the final blend.
TEXT = f"""
    g (float[1,3,{HEIGHT},{WIDTH}] frame0, float[1,3,{HEIGHT},{WIDTH}] frame1) =>
      (float[1,3,{HEIGHT},{WIDTH}] frame_t) {{
        both = Concat <axis = 1> (frame0, frame1)
        coarse = Conv <strides = [2, 2]> (both, nothing, coarse_flow)
        finer = Resize <mode = "linear"> (coarse, , twice)
        doubled = Mul (finer, two)
        step = Conv (both, nothing, step_flow)
        flow = Add (step, doubled)
        flow0, flow1 = Split <axis = 1, num_outputs = 2> (flow)
        logit = Conv (both, nothing1)
        mask = Sigmoid (logit)
        residual = Conv (both, nothing3)
        frame_t = tweenrt.WarpBlend (frame0, frame1, flow0, flow1, mask, residual) }}"""


def network() -> onnx.ModelProto:
    coarse = np.array([FLOW[0] * 0.4, 0, FLOW[1] * 0.4, 0], "f4")
    step = np.array([FLOW[0], 0, FLOW[1], 0], "f4") - 2 * coarse
    return graph(
        TEXT, nothing=np.zeros((4, 6, 1, 1), "f4"), coarse_flow=coarse, step_flow=step, two=2.0,
        twice=np.array([1, 1, 2, 2], "f4"), nothing1=np.zeros((1, 6, 1, 1), "f4"),
        nothing3=np.zeros((3, 6, 1, 1), "f4"),
    )  # fmt: skip


def columns_seen(model: onnx.ModelProto) -> np.ndarray:
    """The mean column that each pixel sees in both frames, for frames whose brightness is their column."""
    ramp = np.broadcast_to(np.arange(WIDTH, dtype=np.float32) / SCALE - 1, (1, 3, HEIGHT, WIDTH)).copy()
    (seen,) = run(rounded(model), {"frame0": ramp, "frame1": ramp})
    return (seen[0, 0, HEIGHT // 2].astype(np.float64) + 1) * SCALE


def errors(model: onnx.ModelProto) -> np.ndarray:
    """Distance from where each pixel should have looked, in pixels, away from the border."""
    expected = np.arange(WIDTH) + sum(FLOW) / 2
    return np.abs(columns_seen(model) - expected)[16:-16]


def test_a_mixed_graph_samples_where_it_should() -> None:
    assert errors(mixed(network())).max() < PIXELS


def test_the_exact_graph_tells_what_the_test_can_resolve() -> None:
    assert errors(network()).max() < PIXELS / 10


def test_a_graph_all_in_fp16_fails() -> None:
    found = errors(all_fp16(network()))
    assert found[WIDTH // 2 :].max() > 10 * PIXELS
