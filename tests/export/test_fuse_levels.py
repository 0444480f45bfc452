"""The pass that fuses the warps of a decoder level: every spelling it takes, and what it leaves alone."""

from __future__ import annotations

from collections import Counter

import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper
from support.fusing import assert_not_fused, assert_same, fused, graph, noise, only, ops, run

RESIZE = 'Resize <mode = "linear", coordinate_transformation_mode = "half_pixel"> (coarse, , scales)'
HALVES = "flow0, flow1 = Split <axis = 1, num_outputs = 2> (flow)"
LEVEL = f"""
    scales = Constant <value = float[4] {{1.0, 1.0, 2.0, 2.0}}> ()
    two = Constant <value_float = 2.0> ()
    finer = {RESIZE}
    doubled = Mul (finer, two)
    flow = Add (step, doubled)
    {HALVES}
    w0 = tweenrt.BackwardWarp <padding = "border"> (f0, flow0)
    w1 = tweenrt.BackwardWarp <padding = "border"> (f1, flow1)
    y = Concat <axis = 1> (feature, w0, w1, flow)
"""
SLICES = """
    zero = Constant <value_ints = [0]> ()
    one = Constant <value_ints = [1]> ()
    half = Constant <value_ints = [2]> ()
    end = Constant <value_ints = [9223372036854775807]> ()
    flow0 = Slice (flow, zero, half, one, one)
    flow1 = Slice (flow, half, end, one)
"""
ZEROS = Counter(("Shape", "Constant", "Div", "ConstantOfShape"))


def check_level(model: ModelProto, inputs: str, beside: Counter[str], *, feature_first: bool = True) -> NodeProto:
    """The pass makes one WarpConcat with these inputs, leaves `beside`, and changes no number."""
    result = fused(model)
    node = only(result, "WarpConcat")
    assert list(node.input)[: len(inputs.split())] == inputs.split()
    assert ops(result) - Counter(["WarpConcat"]) == beside
    assert helper.get_node_attr_value(node, "feature_first") == int(feature_first)
    assert [o.name for o in result.graph.output] == [o.name for o in model.graph.output]
    assert_same(model, result)
    return node


LEVEL_SPELLINGS = {
    "as IFRNet does": (),
    "sum turned round": (("Add (step, doubled)", "Add (doubled, step)"),),
    "product turned round": (("Mul (finer, two)", "Mul (two, finer)"),),
    "slices": ((HALVES, SLICES),),
    "split by sizes": (
        (HALVES, "parts = Constant <value_ints = [2, 2]> () flow0, flow1 = Split <axis = 1> (flow, parts)"),
    ),
    "padding not said": ((' <padding = "border"> (f0', " (f0"),),
    "PyTorch's name for pixel centres": (('"half_pixel"', '"pytorch_half_pixel"'),),
    "factor in a list": (("two = Constant <value_float = 2.0>", "two = Constant <value_floats = [2.0]>"),),
}


@pytest.mark.parametrize("spelling", LEVEL_SPELLINGS)
def test_a_level_becomes_one_node(spelling: str) -> None:
    model = graph(LEVEL, *LEVEL_SPELLINGS[spelling])
    check_level(model, "f0 f1 feature step coarse", Counter())


def test_the_other_order() -> None:
    model = graph(LEVEL, ("(feature, w0, w1, flow)", "(w0, w1, feature, flow)"))
    check_level(model, "f0 f1 feature step coarse", Counter(), feature_first=False)


def test_sizes_may_be_open() -> None:
    image = (1, 6, "H", "W")
    sizes = {"f0": image, "f1": image, "feature": image, "step": (1, 4, "H", "W"), "coarse": (1, 4, "h", "w")}
    model = graph(LEVEL, **sizes)
    check_level(model, "f0 f1 feature step coarse", Counter())
    model = graph(LEVEL, NO_SUM, **sizes)
    check_level(model, "f0 f1 feature flow", ZEROS + Counter(["Identity"]))


NO_SUM = ("Add (step, doubled)", "Identity (step)")
NO_COARSE = {
    "no sum": (NO_SUM,),
    "another factor": (("value_float = 2.0", "value_float = 4.0"),),
    "another way to enlarge": (('"half_pixel"', '"asymmetric"'),),
    "nearest": (('"linear"', '"nearest"'),),
    "features that the flow made": (("y =", "negative = Neg (flow) y ="), ("(feature, w0", "(negative, w0")),
    "a step of one pixel": (
        ("Add (step, doubled)", "Add (point, doubled)"),
        ("two =", "point = ReduceMean (step) two ="),
    ),
}


@pytest.mark.parametrize("case", NO_COARSE)
def test_any_flow_will_do_with_zeros_for_the_coarser_one(case: str) -> None:
    model = graph(LEVEL, *NO_COARSE[case])
    beside = ops(model) - Counter({"BackwardWarp": 2, "Split": 1, "Concat": 1}) + ZEROS
    if case == "no sum":
        beside -= Counter({"Resize": 1, "Mul": 1, "Constant": 2})
    feature = "negative" if case == "features that the flow made" else "feature"
    node = check_level(model, f"f0 f1 {feature} flow", beside)
    result = fused(model)
    result.graph.output.append(helper.make_tensor_value_info(node.input[4], TensorProto.FLOAT, [1, 4, 4, 6]))
    zeros = run(result, noise(result))[-1]
    assert zeros.shape == (1, 4, 4, 6)
    assert not zeros.any()


def test_a_flow_of_four_times_the_size_is_not_the_coarser_one() -> None:
    model = graph(LEVEL, ("2.0, 2.0}", "4.0, 4.0}"), coarse=(1, 4, 2, 3))
    beside = ops(model) - Counter({"BackwardWarp": 2, "Split": 1, "Concat": 1}) + ZEROS
    check_level(model, "f0 f1 feature flow", beside)


def test_other_readers_of_the_flow_get_the_second_output() -> None:
    """One of them stands before the level in the graph, and the caller reads the flow as well."""
    model = graph(LEVEL, (HALVES, f"z = Neg (flow) {HALVES}"), outputs="y z flow")
    node = check_level(model, "f0 f1 feature step coarse", Counter(["Neg"]))
    assert list(node.output) == ["y", "flow"]


def test_the_node_keeps_the_notes_on_its_module() -> None:
    model = graph(LEVEL)
    concat = next(n for n in model.graph.node if n.op_type == "Concat")
    helper.set_metadata_props(concat, {"scope": "decoder3"})
    (noted,) = only(fused(model), "WarpConcat").metadata_props
    assert (noted.key, noted.value) == ("scope", "decoder3")


def test_levels_hand_on_their_flow() -> None:
    """The second level's coarser flow is the first level's sum."""
    second = """
        finest = Resize <mode = "linear", coordinate_transformation_mode = "half_pixel"> (flow, , scales)
        doubled_again = Mul (finest, two)
        large_flow = Add (doubled_again, large_step)
        large_flow0, large_flow1 = Split <axis = 1, num_outputs = 2> (large_flow)
        v0 = tweenrt.BackwardWarp (g0, large_flow0)
        v1 = tweenrt.BackwardWarp (g1, large_flow1)
        z = Concat <axis = 1> (large_feature, v0, v1, large_flow)
    """
    large = {"g0": (1, 2, 16, 24), "g1": (1, 2, 16, 24), "large_step": (1, 4, 16, 24), "large_feature": (1, 7, 16, 24)}
    model = graph(LEVEL + second, outputs="y z", **large)
    result = fused(model)
    assert ops(result) == Counter({"WarpConcat": 2})
    first, last = result.graph.node
    assert last.input[4] == first.output[1] == "flow"
    assert_same(model, result)


def test_a_model_keeps_to_the_order_of_its_first_level() -> None:
    second = """
        v0 = tweenrt.BackwardWarp (f1, flow0)
        v1 = tweenrt.BackwardWarp (f0, flow1)
        z = Concat <axis = 1> (v0, v1, feature, flow)
    """
    model = graph(LEVEL + second, outputs="y z")
    result = fused(model)
    assert ops(result) == Counter({"WarpConcat": 1, "Split": 1, "BackwardWarp": 2, "Concat": 1})
    assert_same(model, result)


CONCAT = "(feature, w0, w1, flow)"
ZEROS_OUTSIDE = ('w1 = tweenrt.BackwardWarp <padding = "border">', 'w1 = tweenrt.BackwardWarp <padding = "zeros">')
MIDDLE = f"p = Constant <value_ints = [1, 2, 1]> () {HALVES} a, middle, b = Split <axis = 1> (flow, p)"
COPIES = f"{HALVES} g0 = Identity (f0) g1 = Identity (f1)"
THREE = ("zero =", "three = Constant <value_ints = [3]> () zero =")
NO_LEVEL = {
    "a warp read twice": (("y = Concat", "z = Neg (w0) y = Concat"),),
    "zeros outside": (ZEROS_OUTSIDE,),
    "flows exchanged": (("(f0, flow0)", "(f0, flow1)"), ("(f1, flow1)", "(f1, flow0)")),
    "one flow for both": (("(f1, flow1)", "(f1, flow0)"),),
    "warps exchanged": ((CONCAT, "(feature, w1, w0, flow)"),),
    "features between the warps": ((CONCAT, "(w0, feature, w1, flow)"),),
    "flow first": ((CONCAT, "(flow, feature, w0, w1)"),),
    "another flow behind": ((CONCAT, "(feature, w0, w1, step)"),),
    "something between": ((CONCAT, "(feature, w0, w1, mask, flow)"),),
    "no features": ((CONCAT, "(w0, w1, flow)"),),
    "other channels": ((HALVES, MIDDLE), ("(f1, flow1)", "(f1, middle)")),
    "other slices": ((HALVES, SLICES), ("(flow, zero, half, one, one)", "(flow, one, three, one, one)"), THREE),
    "every second channel": ((HALVES, SLICES), ("(flow, zero, half, one, one)", "(flow, zero, end, one, half)")),
}


@pytest.mark.parametrize("case", NO_LEVEL)
def test_what_is_no_level(case: str) -> None:
    assert_not_fused(graph(LEVEL, *NO_LEVEL[case], outputs="y z" if case == "a warp read twice" else "y"))


def test_a_level_whose_warp_a_caller_reads_stays() -> None:
    assert_not_fused(graph(LEVEL, outputs="y w1"))


def test_features_of_different_widths_stay() -> None:
    assert_not_fused(graph(LEVEL, f1=(1, 7, 8, 12)))


def test_rows_instead_of_channels_stay() -> None:
    images = dict.fromkeys(("f0", "f1", "feature"), (1, 4, 8, 12))
    assert_not_fused(graph(LEVEL, ("<axis = 1> (feature", "<axis = 2> (feature"), **images))


def test_a_flow_with_something_behind_it_stays() -> None:
    """Five channels, of which the warps read the first four."""
    end = ("end = Constant <value_ints = [9223372036854775807]>", "end = Constant <value_ints = [4]>")
    assert_not_fused(graph(LEVEL, NO_SUM, (HALVES, SLICES), end, step=(1, 5, 8, 12)))


def test_features_of_unknown_shape_stay() -> None:
    model = graph(LEVEL, ("(f0, flow0)", "(g0, flow0)"), ("(f1, flow1)", "(g1, flow1)"), (HALVES, COPIES))
    check_level(model, "g0 g1 feature step coarse", Counter({"Identity": 2}))
    for value in [v for v in model.graph.value_info if v.name in ("g0", "g1")]:
        model.graph.value_info.remove(value)
    assert_not_fused(model)


def test_a_flow_that_cannot_be_halved_stays() -> None:
    sizes = {"f0": (1, 6, 8, 11), "f1": (1, 6, 8, 11), "feature": (1, 5, 8, 11), "step": (1, 4, 8, 11)}
    assert_not_fused(graph(LEVEL, NO_SUM, **sizes))
