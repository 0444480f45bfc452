"""Q/DQ nodes in a graph: in the form that TensorRT fuses, with what the file needs and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper
from support.mixed import graph, mixed, run, types
from support.quantized import drawn, initializers, int8_layers, named, network, of_type

from tweenrt.calibration.int8.insert import OPSET, Int8Layer, insert
from tweenrt.calibration.int8.scales import Int8Weights, int8_weights
from tweenrt.calibration.view import FLOAT, FLOAT16

PAIR = """
    g (float[1,4,H,W] x) => (float[1,4,H,W] y, float[1,4,H,W] z) {
        a = Conv (x, w) b = Conv (a, v) c = Conv (a, u) y = Relu (b) z = Neg (c) }"""
Floats = NDArray[np.float32]


def pair() -> ModelProto:
    return named(graph(PAIR, w=drawn(1, 4, 4, 1, 1), v=drawn(2, 4, 4, 1, 1), u=drawn(3, 4, 4, 1, 1)))


def layer(weights: Any, scale: float = 0.125, axis: int = 0, factors: Floats | None = None) -> Int8Layer:
    return Int8Layer(scale, int8_weights(np.asarray(weights, np.float32), axis), factors)


def weight(model: ModelProto, name: str) -> Any:
    return numpy_helper.to_array(initializers(model)[name])


def inserted(model: ModelProto, **layers: Int8Layer) -> ModelProto:
    """The graph with these layers in INT8, checked in every way that holds for all."""
    result = insert(model, layers)
    onnx.checker.check_model(result, full_check=True)
    check_form(result)
    assert int8_layers(result) == set(layers)
    return result


def check_form(model: ModelProto) -> None:
    """No Q/DQ node floats, zero points are 0 in INT8, and every initializer has a reader."""
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    held = initializers(model)
    for node in of_type(model, "QuantizeLinear"):
        assert [r.op_type for r in readers[node.output[0]]] == ["DequantizeLinear"]
    for node in of_type(model, "DequantizeLinear"):
        assert {r.op_type for r in readers[node.output[0]]} <= {"Conv", "MatMul"}
    for node in (*of_type(model, "QuantizeLinear"), *of_type(model, "DequantizeLinear")):
        zero = numpy_helper.to_array(held[node.input[2]])
        assert zero.dtype == np.int8
        assert not zero.any()
        assert zero.shape == tuple(held[node.input[1]].dims)
    assert set(held) <= set(readers) | {o.name for o in model.graph.output}
    assert len(held) == len(model.graph.initializer), "no initializer twice"


def test_what_a_layer_reads_is_int8_and_so_are_its_weights() -> None:
    model = pair()
    result = inserted(model, a=layer(weight(model, "w"), 0.25))
    (quantize,) = of_type(result, "QuantizeLinear")
    assert quantize.input[0] == "x"
    assert float(weight(result, quantize.input[1])) == 0.25
    back, stored = of_type(result, "DequantizeLinear")
    assert back.input[1:] == quantize.input[1:]
    assert weight(result, stored.input[0]).dtype == np.int8
    assert "w" not in initializers(result), "the FP32 weights have no reader left"
    assert {"v", "u"} <= set(initializers(result))


def test_layers_that_read_the_same_share_one_pair() -> None:
    model = pair()
    result = inserted(model, b=layer(weight(model, "v")), c=layer(weight(model, "u")))
    assert [n.input[0] for n in of_type(result, "QuantizeLinear")] == ["a"]
    assert len(of_type(result, "DequantizeLinear")) == 3


def test_what_is_not_chosen_reads_floats() -> None:
    model = pair()
    result = inserted(model, b=layer(weight(model, "v")))
    (kept,) = (n for n in result.graph.node if n.output[0] == "c")
    assert list(kept.input) == ["a", "u"]


@pytest.mark.parametrize(("operator", "axis", "shape"), [("Conv", 0, (6, 4, 1, 1)), ("MatMul", 1, (4, 6))])
def test_weights_have_a_scale_for_each_output_channel(operator: str, axis: int, shape: tuple[int, ...]) -> None:
    sides = (1, 4, 5, 7) if operator == "Conv" else (1, 5, 4)
    exact = drawn(1, *shape)
    kind = ",".join(map(str, sides))
    out = kind.replace("4", "6")
    model = graph(f"g (float[{kind}] x) => (float[{out}] y) {{ y = {operator} (x, w) }}", w=exact)
    result = inserted(model, y=layer(exact, axis=axis))
    stored = of_type(result, "DequantizeLinear")[1]
    assert helper.get_node_attr_value(stored, "axis") == axis
    assert weight(result, stored.input[1]).shape == (6,)
    x = np.random.default_rng(0).integers(-127, 128, sides) * 0.125
    expected, got = (run(m, {"x": x.astype("f4")})[0] for m in (model, result))
    assert np.abs(got - expected).max() < 0.02 * np.abs(expected).max()


def test_modules_that_share_weights_still_do() -> None:
    text = """g (float[1,4,H,W] p, float[1,4,H,W] q) => (float[1,4,H,W] x, float[1,4,H,W] y) {
        x = Conv (p, w) y = Conv (q, w) }"""
    exact = drawn(1, 4, 4, 1, 1)
    result = inserted(graph(text, w=exact), x=layer(exact, 0.5), y=layer(exact, 0.25))
    whole = [i for i in result.graph.initializer if i.data_type == TensorProto.INT8 and len(i.dims) == 4]
    assert len(whole) == 1
    assert len(of_type(result, "DequantizeLinear")) == 3
    assert len(of_type(result, "QuantizeLinear")) == 2


def exactly(values: Floats) -> Int8Weights:
    """Weights that INT8 holds without rounding: multiples of 1/64."""
    return Int8Weights(np.rint(values * 64).astype(np.int8), np.full(len(values), 1 / 64, np.float32))


def test_balancing_changes_no_product() -> None:
    """With numbers that INT8 holds exactly the layer computes what it did."""
    rng = np.random.default_rng(0)
    factors = np.array([4, 1, 0.5, 2], np.float32)
    w = (rng.integers(-7, 8, (4, 4, 1, 1)) / 4).astype("f4") * factors.reshape(1, -1, 1, 1)
    x = rng.integers(-16, 17, (1, 4, 3, 5)).astype("f4") / factors.reshape(1, -1, 1, 1)
    model = graph("g (float[1,4,H,W] x) => (float[1,4,H,W] y) { y = Conv (x, w) }", w=w)
    divided = w / factors.reshape(1, -1, 1, 1)
    result = inserted(model, y=Int8Layer(0.5, exactly(divided), factors))
    assert [n.op_type for n in result.graph.node].index("Mul") == 0
    (by,) = of_type(result, "Mul")
    assert of_type(result, "QuantizeLinear")[0].input[0] == by.output[0]
    np.testing.assert_array_equal(run(result, {"x": x})[0], run(model, {"x": x})[0])


def test_layers_that_balance_apart_have_weights_of_their_own() -> None:
    text = """g (float[1,4,H,W] p, float[1,4,H,W] q) => (float[1,4,H,W] x, float[1,4,H,W] y) {
        x = Conv (p, w) y = Conv (q, w) }"""
    exact = drawn(1, 4, 4, 1, 1)
    f, g = np.array([1, 2, 1, 1], "f4"), np.array([1, 1, 4, 1], "f4")
    x, y = (layer(exact / by.reshape(1, -1, 1, 1), factors=by) for by in (f, g))
    result = inserted(graph(text, w=exact), x=x, y=y)
    whole = [i for i in result.graph.initializer if i.data_type == TensorProto.INT8 and len(i.dims) == 4]
    assert len(whole) == 2
    assert len(of_type(result, "Mul")) == 2


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    model = onnx.load(network(tmp_path / "g.onnx"))
    result = inserted(model, first=layer(weight(model, "w_first")))
    before, after = ({p.key: p.value for p in m.metadata_props} for m in (model, result))
    assert after == before | {"tweenrt.precision": "int8"}
    assert next(o.version for o in result.opset_import if o.domain == "") == OPSET == 19
    assert next(o.version for o in model.opset_import if o.domain == "") == 18, "the original is left alone"
    assert not of_type(model, "QuantizeLinear")


def test_without_layers_it_stays_what_it_was() -> None:
    result = insert(pair(), {})
    assert {p.key: p.value for p in result.metadata_props}["tweenrt.precision"] == "fp32"
    assert list(result.graph.node) == list(pair().graph.node)


def test_bodies_of_our_ops_get_the_opset_too() -> None:
    text = """
        g (float[1,4,8,8] x, float[1,2,8,8] flow) => (float[1,4,8,8] y) {
            a = Conv (x, w) y = tweenrt.BackwardWarp (a, flow) }"""
    exact = drawn(1, 4, 4, 1, 1)
    result = inserted(graph(text, w=exact), a=layer(exact))
    versions = {o.version for f in result.functions for o in f.opset_import if o.domain == ""}
    assert result.functions
    assert versions == {OPSET}


def test_a_later_opset_stays() -> None:
    exact = drawn(1, 4, 4, 1, 1)
    model = graph("g (float[1,4,H,W] x) => (float[1,4,H,W] y) { y = Conv (x, w) }", opset=20, w=exact)
    assert next(o.version for o in inserted(model, y=layer(exact)).opset_import if o.domain == "") == 20


def test_biases_stay_floats() -> None:
    text = "g (float[1,4,H,W] x) => (float[1,4,H,W] y) { y = Conv (x, w, b) }"
    exact = drawn(1, 4, 4, 1, 1)
    result = inserted(graph(text, w=exact, b=[1.0, 2.0, 3.0, 4.0]), y=layer(exact))
    (conv,) = of_type(result, "Conv")
    assert conv.input[2] == "b"
    assert weight(result, "b").dtype == np.float32


def test_settings_of_a_caller_stay_though_nothing_reads_them() -> None:
    text = """
        g (float[1,4,H,W] x, float[1] gain) => (float[1,4,H,W] y) <float[1] gain = {1.0}> { y = Conv (x, w) }"""
    exact = drawn(1, 4, 4, 1, 1)
    assert "gain" in initializers(insert(graph(text, w=exact), {"y": layer(exact)}))


def test_in_an_fp16_graph_scales_are_fp16(tmp_path: Path) -> None:
    model = onnx.load(network(tmp_path / "g.onnx"))
    factors = np.array([2, 1, 1, 1, 1, 4, 1, 1], np.float32)
    exact = {name: weight(model, name) for name in ("w_first", "w_second")}
    result = inserted(
        mixed(model),
        first=layer(exact["w_first"]),
        second=layer(exact["w_second"] / factors.reshape(1, -1, 1, 1), factors=factors),
    )
    kinds = types(result)
    for node in result.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            assert kinds[node.input[1]] == FLOAT16
        if node.output[0] in ("first", "second"):
            assert {kinds[name] for name in (*node.input, *node.output)} == {FLOAT16}
    assert kinds[of_type(result, "QuantizeLinear")[1].input[0]] == FLOAT16, "what is balanced too"
    assert {kinds[o.name] for o in result.graph.output} == {FLOAT}


def test_in_an_fp16_graph_a_layer_that_makes_an_output_is_found() -> None:
    """What leaves the graph is a cast to FP32 there, which has the output's name."""
    exact = drawn(1, 4, 4, 1, 1)
    model = mixed(graph("g (float[1,4,H,W] x) => (float[1,4,H,W] y) { y = Conv (x, w) }", w=exact))
    result = insert(model, {"y": layer(exact)})
    onnx.checker.check_model(result, full_check=True)
    assert int8_layers(result) == {"y/fp16"}
    assert [n.op_type for n in result.graph.node][-2:] == ["Conv", "Cast"]
