"""Graphs in two precisions: strongly typed, with no cast that is not needed."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from support.mixed import all_fp16, casts, graph, mixed, psnr, round_trips, run, types

from tweenrt.calibration.policy import MOST
from tweenrt.calibration.ranges import Range
from tweenrt.calibration.view import FLOAT, FLOAT16
from tweenrt.contract import GraphInfo

W3 = np.full((3, 3, 3, 3), 0.1, "f4")
FRAME = {"frame0": np.random.default_rng(0).random((1, 3, 8, 8), np.float32)}


def test_a_tensor_is_cast_once_for_all_who_want_it() -> None:
    model = mixed(graph("""
        g (float[1,3,8,8] frame0) => (float[1,3,8,8] frame_t) {
            a = Conv <pads = [1, 1, 1, 1]> (frame0, w)
            b = Conv <pads = [1, 1, 1, 1]> (frame0, w)
            c = Add (a, b)
            d = Conv <pads = [1, 1, 1, 1]> (c, w)
            e = Mul (d, frame0)
            f = Add (d, e)
            frame_t = Clip (f, low, high) }""", w=W3, low=0.0, high=1.0))  # fmt: skip
    assert Counter(casts(model)) == {("frame0", FLOAT16): 1, ("d", FLOAT): 1}
    kinds = types(model)
    assert {kinds[name] for name in "abcd"} == {FLOAT16}
    assert {kinds[name] for name in ("e", "f", "frame0", "frame_t")} == {FLOAT}
    assert [node.name for node in model.graph.node if node.op_type == "Cast"] == ["frame0/fp16/cast", "d/fp32/cast"]


def test_an_output_is_fp32_whoever_makes_it() -> None:
    model = mixed(graph("""
        g (float[1,3,8,8] frame0) => (float[1,3,8,8] feature_0, float[1,3,8,8] feature_1) {
            feature_0 = Conv <pads = [1, 1, 1, 1]> (frame0, w)
            feature_1 = Conv <pads = [1, 1, 1, 1]> (feature_0, w) }""", w=W3))  # fmt: skip
    assert [o.name for o in model.graph.output] == ["feature_0", "feature_1"]
    assert {types(model)[o.name] for o in model.graph.output} == {FLOAT}
    assert casts(model) == [("frame0", FLOAT16), ("feature_0/fp16", FLOAT), ("feature_1/fp16", FLOAT)]
    assert model.graph.node[3].input[0] == "feature_0/fp16", "the next layer reads what was not cast"


def test_weights_are_stored_in_the_type_in_which_they_are_read() -> None:
    model = mixed(graph("""
        g (float[1,3,8,8] frame0) => (float[1,3,8,8] frame_t) {
            a = Mul (frame0, gain)
            b = Conv <pads = [1, 1, 1, 1]> (a, w)
            c = PRelu (b, gain)
            d = Conv <pads = [1, 1, 1, 1]> (c, w)
            frame_t = Clip (d, low, high) }""",
        w=W3, gain=[0.5], low=0.0, high=1.0, unused=[1.0]))  # fmt: skip
    stored = {i.name: i.data_type for i in model.graph.initializer}
    assert stored == {
        "gain": FLOAT, "gain/fp16": FLOAT16, "w/fp16": FLOAT16, "low": FLOAT, "high": FLOAT,
    }  # fmt: skip
    half = next(i for i in model.graph.initializer if i.name == "w/fp16")
    np.testing.assert_array_equal(numpy_helper.to_array(half), W3.astype(np.float16))


def test_a_setting_keeps_its_name_its_type_and_its_default() -> None:
    model = graph("""
        g (float[1,3,8,8] frame0, float[1] gain) => (float[1,3,8,8] frame_t) <float[1] gain = {0.5}> {
            a = Conv <pads = [1, 1, 1, 1]> (frame0, w)
            b = Mul (a, gain)
            c = Conv <pads = [1, 1, 1, 1]> (b, w)
            frame_t = Clip (c, low, high) }""", w=W3, low=0.0, high=1.0)  # fmt: skip
    result = mixed(model)
    assert types(result)["gain"] == FLOAT
    assert ("gain", FLOAT16) in casts(result)
    louder = {**FRAME, "gain": np.ones(1, np.float32)}
    assert psnr(run(model, louder)[0], run(result, louder)[0]) > 60
    assert psnr(run(result, FRAME)[0], run(result, louder)[0]) < 60


def test_what_an_attribute_types_is_typed_anew() -> None:
    model = mixed(graph("""
        g (float[1,3,8,8] frame0) => (float[1,3,8,8] frame_t) {
            set = Greater (frame0, half)
            mask = Cast <to = 1> (set)
            size = Shape (frame0)
            ones = ConstantOfShape <value = float[1] {2.0}> (size)
            zeros = ConstantOfShape (size)
            a = Conv <pads = [1, 1, 1, 1]> (frame0, w)
            b = Mul (a, mask)
            c = Mul (b, ones)
            d = Add (c, zeros)
            e = Conv <pads = [1, 1, 1, 1]> (d, w)
            frame_t = Clip (e, low, high) }""", w=W3, half=[0.5], low=0.0, high=1.0))  # fmt: skip
    assert casts(model) == [("frame0", FLOAT16), ("e", FLOAT)]
    assert {types(model)[name] for name in ("mask", "ones", "zeros")} == {FLOAT16}
    a = run(graph("g (float[1,3,8,8] frame0) => (float[1,3,8,8] y) { y = Identity (frame0) }"), FRAME)[0]
    assert run(model, {"frame0": a})[0].shape == a.shape


def test_a_value_too_large_is_never_cast_down() -> None:
    text = """
        g (float[1,3,8,8] frame0) => (float[1,3,8,8] frame_t) {
            a = Conv <pads = [1, 1, 1, 1]> (frame0, w)
            b = Mul (a, large)
            c = Mul (b, small)
            d = Conv <pads = [1, 1, 1, 1]> (c, w)
            frame_t = Clip (d, low, high) }"""
    weights = {"w": W3, "large": 1e4, "small": 1e-4, "low": 0.0, "high": 1.0}
    model = mixed(graph(text, **weights), {"b": Range(0, MOST * 2)})
    assert casts(model) == [("frame0", FLOAT16), ("a", FLOAT), ("c", FLOAT16), ("d", FLOAT)]
    assert types(model)["b"] == FLOAT


def test_bodies_take_fp16_features_with_fp32_flow() -> None:
    model = graph("""
        g (float[1,3,16,16] frame0, float[1,3,16,16] frame1) => (float[1,3,16,16] frame_t, float[1,6,8,8] feature_0) {
            a = Conv <pads = [1, 1, 1, 1]> (frame0, w)
            b = Conv <pads = [1, 1, 1, 1]> (frame1, w)
            low = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (frame0, w4)
            step = Conv <pads = [1, 1, 1, 1]> (frame1, w4)
            seen, flow = tweenrt.WarpConcat (a, b, a, step, low)
            flow0, flow1 = Split <axis = 1, num_outputs = 2> (flow)
            splat = tweenrt.ForwardSplat (a, flow0)
            warped = tweenrt.BackwardWarp (b, flow1)
            both = Concat <axis = 1> (splat, warped)
            feature_0 = Conv <strides = [2, 2]> (both, w6)
            logits = Conv (seen, w1)
            mask = Sigmoid (logits)
            residual = Conv (seen, w13)
            drawn = tweenrt.WarpBlend (frame0, frame1, flow0, flow1, mask, residual)
            frame_t = Clip (drawn, zero, one) }""",
        w=W3, w4=np.full((4, 3, 3, 3), 0.1, "f4"), w6=np.ones((6, 6, 1, 1), "f4"), w1=np.ones((1, 13, 1, 1), "f4") / 13,
        w13=np.full((3, 13, 1, 1), 0.01, "f4"), zero=0.0, one=1.0,
    )  # fmt: skip
    result, kinds = mixed(model), types(mixed(model))
    assert (kinds["seen"], kinds["flow"], kinds["warped"], kinds["splat"]) == (FLOAT16, FLOAT, FLOAT16, FLOAT16)
    assert ("step", FLOAT) in casts(result)
    assert ("low", FLOAT) in casts(result)
    feeds = {name: np.random.default_rng(3).random((1, 3, 16, 16), np.float32) for name in ("frame0", "frame1")}
    assert psnr(run(model, feeds)[0], run(result, feeds)[0]) > 60


def test_a_deformable_convolution_takes_both_types() -> None:
    """Its standard operator wants one, so the body widens; the file says what the CUDA kernel takes."""
    model = graph("""
        g (float[1,4,8,8] feature0_0) => (float[1,4,8,8] feature_0) {
            x = Conv (feature0_0, w4)
            offset = Conv (feature0_0, w18)
            logits = Conv (feature0_0, w9)
            mask = Sigmoid (logits)
            feature_0 = tweenrt.DeformConv2d <offset_group = 1> (x, offset, mask, weight, bias) }""", opset=19,
        w4=np.ones((4, 4, 1, 1), "f4") / 4, w18=np.ones((18, 4, 1, 1), "f4"), w9=np.ones((9, 4, 1, 1), "f4"),
        weight=np.full((4, 4, 3, 3), 0.1, "f4"), bias=[0.1] * 4,
    )  # fmt: skip
    result = mixed(model)
    kinds = types(result)
    node = next(n for n in result.graph.node if n.op_type == "DeformConv2d")
    assert [kinds[name] for name in node.input] == [FLOAT16, FLOAT, FLOAT16, FLOAT16, FLOAT16]
    feeds = {"feature0_0": np.random.default_rng(1).random((1, 4, 8, 8), np.float32)}
    assert psnr(run(model, feeds)[0], run(result, feeds)[0]) > 60


def test_the_metadata_says_fp16_and_else_what_it_said() -> None:
    model = graph(
        "g (float[1,3,8,8] frame0) => (float[1,3,8,8] frame_t) { frame_t = Conv (frame0, w) }", w=W3[..., :1, :1]
    )
    before, after = ({p.key: p.value for p in m.metadata_props} for m in (model, mixed(model)))
    assert GraphInfo.from_metadata(after, "").precision == "fp16"
    assert after | {"tweenrt.precision": "fp32"} == before


def test_shapes_on_record_keep_up() -> None:
    model = graph("""
        g (float[1,3,8,8] frame0) => (float[1,3,8,8] frame_t) {
            a = Conv <pads = [1, 1, 1, 1]> (frame0, w)
            frame_t = Clip (a, low, high) }""", w=W3, low=0.0, high=1.0)  # fmt: skip
    noted = onnx.shape_inference.infer_shapes(model)
    assert [v.type.tensor_type.elem_type for v in mixed(noted).graph.value_info if v.name == "a"] == [FLOAT16]


def test_the_naive_conversion_of_these_tests_is_one() -> None:
    model = graph("""
        g (float[1,3,8,8] frame0, float[1,2,8,8] flow_a) => (float[1,3,8,8] frame_t) {
            frame_t = tweenrt.BackwardWarp (frame0, flow_a) }""")  # fmt: skip
    result, kinds = all_fp16(model), types(all_fp16(model))
    made = {n.output[0] for n in result.graph.node if n.op_type != "Constant"} - {"frame_t"}
    assert FLOAT not in {kinds[name] for name in made}


@pytest.mark.parametrize("copies", ["Transpose <perm = [0, 1, 3, 2]> (f)", "Concat <axis = 1> (f, a)"])
def test_a_round_trip_would_be_seen(copies: str) -> None:
    """Of the tests' own detector: FP32 to FP16, a copy, and back."""
    text = f"""
        g (float[1,3,8,8] x) => (float[1,A,8,8] y) {{
            a = Cast <to = 10> (x) f = Cast <to = 10> (x) b = {copies} y = Cast <to = 1> (b) }}"""
    assert round_trips(graph(text)) == ["b"]
