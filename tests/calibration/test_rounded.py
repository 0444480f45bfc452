"""The FP32 twin that rounds as a GPU does, where ONNX Runtime's CPU provider does not."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from support.mixed import all_fp16, graph, mixed, run

from tweenrt.calibration.rounded import rounded

FRAME = np.random.default_rng(0).random((1, 3, 8, 8), np.float32)
CHAIN = """
    g (float[1,3,8,8] frame0) => (float[1,3,8,8] feature_0) {
        a = Conv (frame0, up)
        b = Conv (a, down)
        feature_0 = Relu (b) }"""


def diagonal(value: float) -> np.ndarray:
    return (np.eye(3) * value).astype(np.float32)[..., None, None]


def test_overflow_shows_and_onnx_runtime_alone_would_hide_it() -> None:
    """A constant frame of 300 becomes 90 000 between two layers; FP16 ends at 65 504."""
    converted = mixed(graph(CHAIN, up=diagonal(300), down=diagonal(1 / 300)))
    frame = np.full((1, 3, 8, 8), 300, np.float32)
    hidden, shown = run(converted, {"frame0": frame})[0], run(rounded(converted), {"frame0": frame})[0]
    assert np.allclose(hidden, 300, rtol=1e-2)
    assert not np.isfinite(shown).all()


def test_every_fp16_tensor_is_rounded_where_it_is_made() -> None:
    converted = mixed(graph(CHAIN, up=diagonal(0.7), down=diagonal(1.3)))
    half = np.float16
    a = (FRAME.astype(half).astype(np.float32) * np.float32(half(0.7))).astype(half)
    b = (a.astype(np.float32) * np.float32(half(1.3))).astype(half)
    np.testing.assert_array_equal(run(rounded(converted), {"frame0": FRAME})[0], b.astype(np.float32))


def test_bodies_are_rounded_too() -> None:
    text = """
        g (float[1,3,8,512] frame0) => (float[1,3,8,512] frame_t) {
            flow = Conv (frame0, w2)
            frame_t = tweenrt.BackwardWarp (frame0, flow) }"""
    model = graph(text, w2=np.full((2, 3, 1, 1), 0.3, "f4"))
    frame = np.random.default_rng(1).random((1, 3, 8, 512), np.float32)
    exact = run(model, {"frame0": frame})[0]
    error = {
        name: np.abs(run(rounded(convert(model)), {"frame0": frame})[0] - exact).max()
        for name, convert in (("mixed", mixed), ("all fp16", all_fp16))
    }
    assert 0 < error["mixed"] < 1e-3
    assert error["all fp16"] > 0.05


def test_the_branching_body_is_replaced_by_the_dense_one() -> None:
    from tweenrt.plugins.masked_conv2d.function import sparse

    text = """
        g (float[1,3,8,8] frame0) => (float[1,3,8,8] feature_0) {
            x = Conv (frame0, w)
            mask = Slice (frame0, zero, one, one)
            set = Greater (mask, half)
            ones = Cast <to = 1> (set)
            tiles = tweenrt.MaskTiles (ones)
            feature_0 = tweenrt.MaskedConv2d (x, ones, w3, b, s, tiles) }"""
    weights = {"w": diagonal(1), "w3": np.full((3, 3, 3, 3), 0.1, "f4"), "b": [0.1] * 3, "s": [0.5] * 3, "half": [0.5]}
    weights |= {"zero": np.array([0]), "one": np.array([1])}
    model = graph(text, **weights)
    dense = run(model, {"frame0": FRAME})[0]
    gathering = next(f for f in model.functions if f.name == "MaskedConv2d")
    gathering.CopyFrom(sparse(18))
    converted = mixed(model)
    onnx.checker.check_model(converted, full_check=True)
    assert not [n for n in rounded(converted).graph.node if n.op_type == "If"]
    for twin in (converted, rounded(converted)):
        np.testing.assert_allclose(run(twin, {"frame0": FRAME})[0], dense, rtol=0, atol=5e-3)


def test_nothing_is_rounded_that_was_fp32() -> None:
    model = graph("g (float[1,3,8,8] frame0) => (float[1,3,8,8] frame_t) { frame_t = Mul (frame0, k) }", k=[1 / 3])
    twin = rounded(mixed(model))
    assert not [n for n in twin.graph.node if n.op_type == "Cast"]
    np.testing.assert_array_equal(run(twin, {"frame0": FRAME})[0], FRAME * np.float32(1 / 3))


@pytest.mark.parametrize("value", [1e-9, 3e-8, 6e-5, 65504.0])
def test_subnormal_and_largest_numbers_round_as_in_numpy(value: float) -> None:
    converted = mixed(graph(CHAIN, up=diagonal(1), down=diagonal(1)))
    frame = np.full((1, 3, 8, 8), value, np.float32)
    np.testing.assert_array_equal(run(rounded(converted), {"frame0": frame})[0], frame.astype(np.float16))
