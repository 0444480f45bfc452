"""Which layers can compute in INT8, and where they stand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto
from support.mixed import graph
from support.quantized import drawn, network

from tweenrt.calibration.int8.candidates import Candidate, Place, candidates
from tweenrt.calibration.view import GraphView

FRAMES = "float[1,3,H,W] frame0, float[1,3,H,W] frame1, float[1,1,1,1] t"
SQUARE = drawn(1, 8, 8, 1, 1)
ENTER, HEAD = drawn(2, 8, 3, 1, 1), drawn(3, 3, 8, 1, 1)


def places(model: ModelProto) -> dict[str, Place]:
    return {c.key: c.place for c in candidates(GraphView(model))}


def of(nodes: str, inputs: str = FRAMES, **weights: object) -> dict[str, Place]:
    """Output → place, of the nodes between `a`, features of frame0, and `z`, which the new frame is made of."""
    text = f"""
        g ({inputs}) => (float[1,3,H,W] frame_t) {{
            a = Conv (frame0, enter)
            {nodes}
            head = Conv (z, leave)
            frame_t = Add (frame1, head) }}"""
    found = places(graph(text, **({"enter": ENTER, "leave": HEAD, "w": SQUARE} | weights)))
    assert (found.pop("a"), found.pop("head")) == (Place.ENTRY, Place.HEAD)
    return found


def one(model: ModelProto, name: str) -> Candidate:
    return next(c for c in candidates(GraphView(model)) if c.key == name)


def test_the_small_network(tmp_path: Path) -> None:
    found = places(onnx.load(network(tmp_path / "g.onnx")))
    assert found == {
        "entered": Place.ENTRY,
        "first": Place.BODY,
        "second": Place.BODY,
        "residual": Place.HEAD,
    }
    assert list(found) == ["entered", "first", "second", "residual"], "in the order of the graph"


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ("z = Conv (a, w)", {"z": Place.BODY}),
        ("b = Relu (a) z = Conv (b, w)", {"z": Place.BODY}),
        ("b = PRelu (a, slope) z = Conv (b, w)", {"z": Place.BODY}),
        ("b = Mul (a, t) z = Conv (b, w)", {"z": Place.BODY}),
    ],
    ids=["conv", "relu", "prelu", "product"],
)
def test_from_features_to_features(nodes: str, expected: dict[str, Place]) -> None:
    assert of(nodes, slope=np.full((8, 1, 1), 0.1, "f4")) == expected


@pytest.mark.parametrize(
    "nodes",
    [
        "c = Concat <axis = 1> (a, frame1) b = Conv (c, wide) z = Relu (b)",
        "h = Sub (frame0, frame1) c = Concat <axis = 1> (a, h) b = Conv (c, wide) z = Relu (b)",
        "c = Concat <axis = 1> (a, frame1) p = AveragePool <kernel_shape = [1, 1]> (c) b = Conv (p, wide) z = Relu (b)",
    ],
    ids=["frame", "difference", "pooled"],
)
def test_a_layer_that_reads_frames_beside_features_is_an_entry(nodes: str) -> None:
    assert of(nodes, wide=drawn(5, 8, 11, 1, 1)) == {"b": Place.ENTRY}


def test_a_layer_that_reads_flow_or_t_is_an_entry() -> None:
    text = """
        g (float[1,3,H,W] frame0, float[1,2,H,W] flow_0_1, float[1,1,H,W] t) => (float[1,8,H,W] x, float[1,8,H,W] y) {
            a = Conv (frame0, enter) flows = Concat <axis = 1> (a, flow_0_1) times = Concat <axis = 1> (a, t)
            b = Conv (flows, ten) c = Conv (times, nine) d = Relu (b) e = Relu (c)
            x = Conv (d, w) y = Conv (e, w) }"""
    weights = {"enter": ENTER, "ten": drawn(1, 8, 10, 1, 1), "nine": drawn(2, 8, 9, 1, 1), "w": SQUARE}
    found = places(graph(text, **weights))
    assert {name for name, place in found.items() if place is Place.ENTRY} == {"a", "b", "c"}
    assert found["x"] is found["y"] is Place.BODY, "an output of a graph that is no frame and no flow is a feature"


@pytest.mark.parametrize("name", ["tail", "frames_mean", "flow_bias", "t"])
def test_a_weight_is_no_frame_whatever_its_name(name: str) -> None:
    inputs = FRAMES.replace("float[1,1,1,1] t", "float[1,1,1,1] moment")
    nodes = f"c = Concat <axis = 0> (a, {name}) b = Conv (c, w) z = Slice (b, zero, one, zero)"
    weights = {name: np.zeros((1, 8, 4, 4), "f4"), "zero": np.array([0]), "one": np.array([1])}
    assert of(nodes, inputs, **weights) == {"b": Place.BODY}


@pytest.mark.parametrize(
    "nodes",
    [
        "moved = tweenrt.BackwardWarp (frame1, flow)",
        "twice = Add (flow, flow) moved = tweenrt.BackwardWarp (frame1, twice)",
        (
            "u, v = Split <axis = 1, num_outputs = 2> (flow) k = tweenrt.BackwardWarp (frame1, u) "
            "moved = tweenrt.BackwardWarp (k, v)"
        ),
        (
            "s = Constant <value_floats = [1.0, 1.0, 2.0, 2.0]> () large = Resize (flow, , s) "
            "moved = tweenrt.BackwardWarp (frame1, large)"
        ),
        (
            "u, v = Split <axis = 1, num_outputs = 2> (flow) k = tweenrt.BackwardWarp (frame1, u) "
            "both = Concat <axis = 1> (k, v) moved = Conv (both, five)"
        ),
    ],
    ids=["read", "added", "split", "resized", "beside a feature"],
)
def test_a_layer_that_makes_flow_is_a_head(nodes: str) -> None:
    nodes = f"flow = Conv (a, {'four' if 'Split' in nodes else 'two'}) {nodes} z = Conv (moved, enter)"
    assert (
        of(nodes, two=drawn(1, 2, 8, 1, 1), four=drawn(2, 4, 8, 1, 1), five=drawn(3, 3, 5, 1, 1))["flow"] is Place.HEAD
    )


def test_a_head_that_reads_frames_is_a_head() -> None:
    text = f"g ({FRAMES}) => (float[1,3,H,W] frame_t) {{ b = Conv (frame0, w) frame_t = Add (frame1, b) }}"
    assert places(graph(text, w=drawn(1, 3, 3, 1, 1))) == {"b": Place.HEAD}


@pytest.mark.parametrize(
    ("nodes", "weights"),
    [
        ("k = Mul (w, w) z = Conv (a, k)", {}),
        ("z = Mul (a, a)", {}),
        ("z = Relu (a)", {}),
        ("z = ConvTranspose (a, w)", {}),
        (
            "tiles = tweenrt.MaskTiles (mask) z = tweenrt.MaskedConv2d (a, mask, w3, bias, bias, tiles)",
            {"w3": drawn(1, 8, 8, 3, 3), "bias": [0.0] * 8},
        ),
    ],
    ids=["computed weights", "product", "no layer", "transposed", "an op of ours"],
)
def test_what_cannot_be_int8(nodes: str, weights: dict[str, object]) -> None:
    inputs = f"{FRAMES}, float[1,1,H,W] mask" if "mask" in nodes else FRAMES
    assert of(nodes, inputs, **weights) == {}


def test_weights_that_a_caller_may_set_are_not_quantised() -> None:
    text = f"""
        g ({FRAMES}, float[8,8,1,1] w) => (float[1,3,H,W] frame_t) {{
            a = Conv (frame0, enter) b = Conv (a, w) head = Conv (b, leave) frame_t = Add (frame1, head) }}"""
    assert set(places(graph(text, enter=ENTER, leave=HEAD, w=SQUARE))) == {"a", "head"}


TOKENS = """
    g (float[1,16,8] tokens) => (float[1,16,8] y, float[1,16,16] scores) {
        a = MatMul (tokens, w)
        b = MatMul (a, v)
        k = Transpose <perm = [0, 2, 1]> (b)
        scores = MatMul (b, k)
        y = MatMul (b, w) }"""


def test_matrix_products_with_weights() -> None:
    model = graph(TOKENS, w=drawn(1, 8, 8), v=drawn(2, 8, 8))
    assert list(places(model)) == ["a", "b", "y"], "a product of two features has no weights"
    found = one(model, "b")
    assert (found.tensor, found.weight, found.axis) == ("a", "v", 1)
    assert not found.has_own_channels


@pytest.mark.parametrize(
    ("shape", "group", "own"), [((12, 8, 1, 1), 1, True), ((8, 2, 1, 1), 4, False)], ids=["whole", "grouped"]
)
def test_the_axes_of_weights(shape: tuple[int, ...], group: int, own: bool) -> None:
    text = f"g (float[1,8,H,W] x) => (float[1,C,H,W] y) {{ y = Conv <group = {group}> (x, w) }}"
    exact = drawn(1, *shape)
    found = one(graph(text, w=exact), "y")
    assert (found.axis, found.has_own_channels) == (0, own)
    if own:
        by_input = found.by_input(exact)
        assert by_input.shape == (8, 12, 1, 1)
        factors = 2.0 ** np.arange(8, dtype=np.float32)
        np.testing.assert_array_equal(
            found.by_input(found.divided(exact, factors)), by_input / factors[:, None, None, None]
        )


def test_layers_that_share_weights_are_told_apart() -> None:
    text = """g (float[1,8,H,W] p, float[1,8,H,W] q) => (float[1,8,H,W] x, float[1,8,H,W] y) {
        x = Conv (p, w) y = Conv (q, w) }"""
    found = candidates(GraphView(graph(text, w=SQUARE)))
    assert [(c.key, c.tensor, c.weight) for c in found] == [("x", "p", "w"), ("y", "q", "w")]


@pytest.mark.parametrize(
    ("name", "block"), [("encoder.0/conv", "encoder.0"), ("a/b/conv", "a/b"), ("conv_7", "conv_7"), ("", "y")]
)
def test_a_block_is_a_module(name: str, block: str) -> None:
    model = graph("g (float[1,8,H,W] x) => (float[1,8,H,W] y) { y = Conv (x, w) }", w=SQUARE)
    model.graph.node[0].name = name
    assert one(model, "y").block == block
