"""In which type each node computes, and why."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support.mixed import decisions, graph

from tweenrt.calibration.halves import half_input, half_output
from tweenrt.calibration.policy import MOST, Precision, Reason
from tweenrt.calibration.ranges import Range, body_of
from tweenrt.calibration.roles import Role

FP16, FP32, NONE = Precision.FP16, Precision.FP32, Precision.NONE
TWO_LAYERS = """
    g (float[1,3,8,8] frame0) => (float[1,3,8,8] frame_t) {
        first = Conv <pads = [1, 1, 1, 1]> (frame0, w)
        active = Relu (first)
        second = Conv <pads = [1, 1, 1, 1]> (active, w)
        third = Conv <pads = [1, 1, 1, 1]> (second, w)
        frame_t = Clip (third, low, high) }"""
WEIGHTS = {"w": np.full((3, 3, 3, 3), 0.1, "f4"), "low": 0.0, "high": 1.0}


def test_features_are_fp16_and_the_rest_fp32() -> None:
    found = decisions(graph(TWO_LAYERS, **WEIGHTS))
    assert {name: d.precision for name, d in found.items()} == {
        "first": FP16, "active": FP16, "second": FP16, "third": FP16, "frame_t": FP32,
    }  # fmt: skip
    assert found["frame_t"].words == Role.BLEND.words


def test_what_copies_keeps_the_type_that_it_finds() -> None:
    found = decisions(graph("""
        g (float[1,3,8,8] frame0, float[1,1,1,1] t) => (float[1,3,8,8] frame_t, float[1,1,4,4] y) {
            made = Conv <pads = [1, 1, 1, 1]> (frame0, w)
            flow, feature, residual = Split <axis = 1> (made, cut)
            turned = Transpose <perm = [0, 1, 3, 2]> (flow)
            swapped = Slice (frame0, zero, two, one)
            both = Concat <axis = 1> (swapped, feature)
            features = Concat <axis = 1> (feature, feature)
            y = Conv <strides = [2, 2]> (both, w1)
            z = Conv <strides = [2, 2]> (features, w1)
            sized = Shape (z)
            warped = tweenrt.BackwardWarp (frame0, turned)
            frame_t = Add (warped, residual) }""",
        w=np.ones((6, 3, 3, 3), "f4"), cut=np.array([2, 1, 3]), zero=np.array([0]), two=np.array([1]),
        one=np.array([1]), w1=np.ones((1, 2, 1, 1), "f4"),
    ))  # fmt: skip
    kept = {name: d.precision for name, d in found.items() if d.reason is Reason.MOVES}
    assert kept == {"flow": FP16, "turned": FP16, "swapped": FP32, "features": FP16}
    assert (found["both"].precision, found["both"].reason) == (FP16, Reason.ROLE), "of two types it makes features"
    assert found["sized"].precision is NONE


@pytest.mark.parametrize("extent", [-MOST * 1.01, MOST * 1.01, math.inf, math.nan])
def test_a_value_too_large_keeps_all_that_hold_it_in_fp32(extent: float) -> None:
    found = decisions(graph(TWO_LAYERS, **WEIGHTS), {"active": Range(min(extent, 0.0), max(extent, 0.0))})
    assert {name for name, d in found.items() if d.reason is Reason.RANGE} == {"active", "second"}
    assert found["second"].precision is FP32
    assert found["active"].detail.startswith("active reaches ")
    assert found["first"].precision is found["third"].precision is FP16


def test_a_value_within_reach_changes_nothing() -> None:
    found = decisions(graph(TWO_LAYERS, **WEIGHTS), {"active": Range(-MOST, MOST), "elsewhere": Range(0, 1e9)})
    assert not [d for d in found.values() if d.reason is Reason.RANGE]


def test_a_weight_too_large_keeps_its_layer_in_fp32() -> None:
    found = decisions(graph(TWO_LAYERS, **(WEIGHTS | {"w": np.full((3, 3, 3, 3), 2e4, "f4")})))
    assert {d.reason for name, d in found.items() if name in ("first", "second", "third")} == {Reason.WEIGHT}
    assert found["active"].reason is Reason.ROLE
    assert "weights beyond 16376" in found["first"].words


MASKED = """
    g (float[1,3,8,8] frame0) => (float[1,3,8,8] y) {
        mask = Slice (frame0, zero, one, one)
        tiles = tweenrt.MaskTiles (mask)
        y = tweenrt.MaskedConv2d (frame0, mask, w, b, s, tiles) }"""


def test_what_is_inside_a_body_that_computes_in_fp16_counts() -> None:
    model = graph(
        MASKED, zero=np.array([0]), one=np.array([1]), w=np.ones((3, 3, 3, 3), "f4"), b=[0, 0, 0], s=[1, 1, 1]
    )
    node = model.graph.node[2]
    assert decisions(model, {body_of(node): Range(0, 10)})["y"].precision is FP16
    assert decisions(model, {body_of(node): Range(0, 1e5)})["y"].reason is Reason.RANGE
    assert decisions(model)["tiles"].precision is NONE


def test_what_is_inside_a_body_that_computes_in_fp32_does_not() -> None:
    model = graph("""
        g (float[1,3,8,8] frame0, float[1,2,8,8] flow_a) => (float[1,3,8,8] y) {
            feature = Conv (frame0, w)
            y = tweenrt.BackwardWarp (feature, flow_a) }""", w=np.ones((3, 3, 1, 1), "f4"))  # fmt: skip
    ranges = {body_of(model.graph.node[1]): Range(0, 1e5), "flow_a": Range(-1e5, 1e5)}
    assert decisions(model, ranges)["y"].precision is FP16, "flow is FP32 whatever the warp is"


@pytest.mark.parametrize(
    ("text", "inputs", "outputs"),
    [
        ("y = Resize <mode = \"linear\"> (x, , w)", {0: True, 2: False}, {0: True}),
        ("y = LayerNormalization (x, w, w)", {0: True, 1: True, 2: True}, {0: True}),
        ("y = Concat <axis = 0> (x, x, x)", {0: True, 2: True}, {0: True}),
        ("y, z = Split <axis = 0, num_outputs = 2> (x)", {0: True}, {0: True, 1: True}),
        ("y = Greater (x, x)", {0: True}, {}),
        ("y = CastLike (x, w)", {0: True, 1: True}, {0: True}),
        ("y = tweenrt.WarpConcat (x, x, x, x, x)", {0: True, 2: True, 3: False, 4: False}, {0: True, 1: False}),
        ("y = tweenrt.WarpBlend (x, x, x, x, x, x)", {0: True, 2: False, 3: False, 5: True}, {0: True}),
        ("y = tweenrt.CorrelationLookup <radius = 1> (x, x)", {0: True, 1: False}, {0: True}),
        ("y = tweenrt.DeformConv2d (x, x, x, w, w)", {0: True, 1: False, 2: True, 3: True, 4: True}, {0: True}),
        ("y = tweenrt.ForwardSplat (x, x)", {0: True, 1: False}, {0: True}),
    ],
)  # fmt: skip
def test_which_ports_of_an_fp16_node_are_fp16(text: str, inputs: dict[int, bool], outputs: dict[int, bool]) -> None:
    from onnx import parser

    node = parser.parse_graph(f"g (float[4] x, float[4] w) => (float[4] y) {{ {text} }}").node[0]
    assert {place: half_input(node, place, 18) for place in inputs} == inputs
    assert {place: half_output(node, place, 18) for place in outputs} == outputs
