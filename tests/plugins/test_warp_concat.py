"""The portable body of WarpConcat against PyTorch."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from numpy.typing import NDArray
from onnx import ModelProto, helper, parser

from tweenrt.export.passes.attach_bodies import attach_bodies
from tweenrt.plugins.backward_warp import function
from tweenrt.plugins.warp_concat.reference import warp_concat

Array = NDArray[Any]
# Two warps whose positions are rounded differently, of noise between 0 and 1; flows of a few pixels in FP32.
ROUNDING = 2e-5
# Two FP32 results, nearly the same, may be rounded to neighbouring FP16 numbers.
HALF_STEP = 2.0**-10

OPEN = ("N", "C", "F", "H", "W", "H2", "W2")
TYPES = {np.dtype(np.float32): "float", np.dtype(np.float16): "float16"}


class Inputs(NamedTuple):
    """What the op takes, in its order."""

    feature0: Array
    feature1: Array
    feature: Array
    step: Array
    coarse: Array


class Sizes(NamedTuple):
    """Samples, channels of the warped features and of the other, rows, columns."""

    n: int = 2
    c: int = 12
    f: int = 5
    h: int = 18
    w: int = 26


def example(sizes: Sizes, motion: float = 3.0) -> Inputs:
    """Features between 0 and 1; flows of about `motion` pixels on both levels."""
    rng = np.random.default_rng(2)
    n, c, f, h, w = sizes
    features = (rng.random((n, k, h, w), dtype=np.float32) for k in (c, c, f))
    flows = (rng.standard_normal((n, 4, h // k, w // k), dtype=np.float32) * motion for k in (1, 2))
    return Inputs(*features, *flows)


def as_types(given: Inputs, features: type[np.floating[Any]], flows: type[np.floating[Any]]) -> Inputs:
    return Inputs(*(x.astype(features) for x in given[:3]), *(x.astype(flows) for x in given[3:]))


def concat_model(given: Inputs, order: str = "", opset: int = 18, *, static: bool = False) -> ModelProto:
    """One node; its sizes are open or those of `given`."""
    (n, c, h, w), f = given.feature0.shape, given.feature.shape[1]
    n, c, f, h, w, h2, w2 = (n, c, f, h, w, h // 2, w // 2) if static else OPEN
    feature, flow = TYPES[given.feature.dtype], TYPES[given.step.dtype]
    return attach_bodies(
        parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": {opset}, "tweenrt": 1]>
        g ({feature}[{n},{c},{h},{w}] feature0, {feature}[{n},{c},{h},{w}] feature1, {feature}[{n},{f},{h},{w}] feature,
           {flow}[{n},4,{h},{w}] step, {flow}[{n},4,{h2},{w2}] coarse)
        => ({feature}[{n},S,{h},{w}] seen, {flow}[{n},4,{h},{w}] flow)
        {{ seen, flow = tweenrt.WarpConcat {order} (feature0, feature1, feature, step, coarse) }}
        """)
    )


def session_of(model: ModelProto) -> ort.InferenceSession:
    onnx.checker.check_model(model, full_check=True)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run(model: ModelProto, given: Inputs) -> tuple[Array, Array]:
    seen, flow = session_of(model).run(["seen", "flow"], given._asdict())
    return seen, flow


def expected(given: Inputs, *, feature_first: bool = True) -> tuple[Array, Array]:
    seen, flow = warp_concat(*(torch.from_numpy(x) for x in given), feature_first=feature_first)
    return seen.numpy(), flow.numpy()


def assert_equal(
    got: tuple[Array, Array], wanted: tuple[Array, Array], atol: float = ROUNDING, rtol: float = 0
) -> None:
    for ours, reference in zip(got, wanted, strict=True):
        assert ours.dtype == reference.dtype
        np.testing.assert_allclose(ours, reference, rtol=rtol, atol=atol)


SIZES = [
    pytest.param(Sizes(1, 8, 8, 16, 24), id="multiples-of-8"),
    pytest.param(Sizes(2, 54, 54, 6, 10), id="ifrnet-s"),
    pytest.param(Sizes(1, 3, 1, 2, 40), id="two-rows"),
    pytest.param(Sizes(3, 1, 13, 14, 2), id="two-columns"),
    pytest.param(Sizes(1, 20, 7, 2, 2), id="four-pixels"),
]


@pytest.mark.parametrize("motion", [0.3, 3.0])
@pytest.mark.parametrize("sizes", SIZES)
def test_body_is_the_reference(sizes: Sizes, motion: float) -> None:
    given = example(sizes, motion)
    assert_equal(run(concat_model(given), given), expected(given))


@pytest.mark.parametrize("opset", [18, 19])
def test_both_opsets_and_fixed_sizes(opset: int) -> None:
    given = example(Sizes())
    assert_equal(run(concat_model(given, opset=opset, static=True), given), expected(given))


@pytest.mark.parametrize(("order", "first"), [("<feature_first = 1>", True), ("<feature_first = 0>", False)])
def test_order(order: str, first: bool) -> None:
    given = example(Sizes())
    seen, flow = run(concat_model(given, order), given)
    assert_equal((seen, flow), expected(given, feature_first=first))
    place = 0 if first else 2 * given.feature0.shape[1]
    np.testing.assert_array_equal(seen[:, place : place + given.feature.shape[1]], given.feature)
    np.testing.assert_array_equal(seen[:, -4:], flow)


def test_one_graph_serves_every_even_size() -> None:
    session = session_of(concat_model(example(Sizes())))
    for sizes in (Sizes(), Sizes(1, 4, 9, 40, 12), Sizes(3, 12, 5, 2, 8)):
        given = example(sizes)
        seen, flow = session.run(["seen", "flow"], given._asdict())
        assert_equal((seen, flow), expected(given))


def test_without_a_coarser_flow_the_step_is_the_flow() -> None:
    given = example(Sizes())
    given = given._replace(coarse=np.zeros_like(given.coarse))
    seen, flow = run(concat_model(given), given)
    np.testing.assert_array_equal(flow, given.step)
    assert_equal((seen, flow), expected(given))


def test_coarse_counts_double_with_pixel_centres_kept() -> None:
    """A ramp of the coarser level goes on as the same ramp in twice as many pixels; the border repeats."""
    given = example(Sizes(1, 2, 2, 8, 8))
    coarse = np.broadcast_to(np.arange(4, dtype=np.float32), (1, 4, 4, 4)).copy()
    _, flow = run(concat_model(given), given._replace(step=np.zeros_like(given.step), coarse=coarse))
    np.testing.assert_allclose(flow[0, 0, 0], [0.0, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.0], rtol=0, atol=1e-6)


def test_each_frame_has_its_own_flow() -> None:
    """Whole pixels to the right in the earlier frame, and down in the later one."""
    given = example(Sizes(1, 4, 2, 8, 10))
    step = np.zeros_like(given.step)
    step[:, 0], step[:, 3] = 1, 2
    seen, _ = run(concat_model(given), given._replace(step=step, coarse=np.zeros_like(given.coarse)))
    np.testing.assert_allclose(seen[:, 2:6, :, :-1], given.feature0[..., 1:], rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(seen[:, 6:10, :-2], given.feature1[:, :, 2:], rtol=0, atol=ROUNDING)


def test_flows_far_outside_see_the_border() -> None:
    given = example(Sizes())
    step = np.full_like(given.step, 1e4)
    step[:, 2:] = -1e4
    seen, _ = run(concat_model(given), given._replace(step=step))
    c, f = given.feature0.shape[1], given.feature.shape[1]
    corners = given.feature0[:, :, -1:, -1:], given.feature1[:, :, :1, :1]
    for k, corner in enumerate(corners):
        warped = seen[:, f + k * c : f + (k + 1) * c]
        np.testing.assert_allclose(warped, np.broadcast_to(corner, warped.shape), rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("flows", [np.float32, np.float16])
def test_half_precision_features_keep_their_type(flows: type[np.floating[Any]]) -> None:
    given = as_types(example(Sizes()), np.float16, flows)
    got = run(concat_model(given), given)
    assert (got[0].dtype, got[1].dtype) == (np.float16, flows)
    assert_equal(got, expected(given), atol=HALF_STEP, rtol=HALF_STEP)


def test_positions_are_single_precision_whatever_the_features() -> None:
    """From 1024 on, FP16 knows whole pixels only."""
    given = as_types(example(Sizes(1, 1, 1, 2, 4096)), np.float16, np.float32)
    given = given._replace(step=np.full_like(given.step, 1500.5), coarse=np.zeros_like(given.coarse))
    assert_equal(run(concat_model(given), given), expected(given), atol=HALF_STEP, rtol=HALF_STEP)


def test_the_warps_inside_are_cut_for_the_features_outside() -> None:
    """A body of the largest node, whose flow is computed inside and so has no shape that the model declares."""
    model = concat_model(example(Sizes(1, 2, 2, 300, 900)), static=True)
    bodies = {f.name: f for f in model.functions}
    assert set(bodies) == {"WarpConcat", "BackwardWarp"}
    samples = sum(n.op_type == "GridSample" for n in bodies["BackwardWarp"].node)
    assert samples == function.strips_for((1, 2, 300, 900)) + 1 == 4


def test_a_model_holds_one_of_the_two_orders() -> None:
    model = concat_model(example(Sizes()))
    other = helper.make_node(
        "WarpConcat", list(model.graph.node[0].input), ["seen2", "flow2"], domain="tweenrt", feature_first=0
    )
    model.graph.node.append(other)
    del model.functions[:]
    with pytest.raises(ValueError, match="one body of WarpConcat"):
        attach_bodies(model)
    model.graph.node[1].attribute[0].i = 1  # what the first node does without saying so
    assert {f.name for f in attach_bodies(model).functions} == {"WarpConcat", "BackwardWarp"}
