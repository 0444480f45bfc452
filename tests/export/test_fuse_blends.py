"""The pass that fuses the last warps of a network: every spelling it takes, and what it leaves alone."""

from __future__ import annotations

from collections import Counter

import pytest
from onnx import ModelProto, NodeProto
from support.fusing import assert_not_fused, assert_same, fused, graph, only, ops

BLEND = """
    flow0, flow1 = Split <axis = 1, num_outputs = 2> (step)
    w0 = tweenrt.BackwardWarp <padding = "border"> (frame0, flow0)
    w1 = tweenrt.BackwardWarp <padding = "border"> (frame1, flow1)
    one = Constant <value_float = 1.0> ()
    rest = Sub (one, mask)
    a = Mul (mask, w0)
    b = Mul (rest, w1)
    merged = Add (a, b)
    y = Add (merged, residual)
"""

ZEROS_OUTSIDE = ('w1 = tweenrt.BackwardWarp <padding = "border">', 'w1 = tweenrt.BackwardWarp <padding = "zeros">')
BLEND_INPUTS = "frame0 frame1 flow0 flow1 mask residual"


def check_blend(model: ModelProto, inputs: str, beside: Counter[str]) -> NodeProto:
    """The pass makes one WarpBlend with these inputs, leaves `beside`, and changes no number."""
    result = fused(model)
    node = only(result, "WarpBlend")
    assert list(node.input)[: len(inputs.split())] == inputs.split()
    assert ops(result) - Counter(["WarpBlend"]) == beside
    assert_same(model, result)
    return node


BLEND_SPELLINGS = {
    "as RIFE does": (),
    "as EMA-VFI does": (("Mul (mask, w0)", "Mul (w0, mask)"), ("Mul (rest, w1)", "Mul (w1, rest)")),
    "sum turned round": (("Add (a, b)", "Add (b, a)"),),
    "residual first": (("Add (merged, residual)", "Add (residual, merged)"),),
    "one in a list": (("one = Constant <value_float = 1.0>", "one = Constant <value_floats = [1.0]>"),),
}


@pytest.mark.parametrize("spelling", BLEND_SPELLINGS)
def test_a_blend_becomes_one_node(spelling: str) -> None:
    check_blend(graph(BLEND, *BLEND_SPELLINGS[spelling]), BLEND_INPUTS, Counter(["Split"]))


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 3, 1, 1), (1, 1, 8, 12)], ids=str)
def test_the_residual_may_be_smaller(shape: tuple[int, ...]) -> None:
    check_blend(graph(BLEND, residual=shape), BLEND_INPUTS, Counter(["Split"]))


def test_the_mask_may_weigh_the_later_frame() -> None:
    """Then that frame stands first, so that the mask stays the mask."""
    model = graph(BLEND, ("Mul (mask, w0)", "Mul (rest, w0)"), ("Mul (rest, w1)", "Mul (mask, w1)"))
    check_blend(model, "frame1 frame0 flow1 flow0 mask residual", Counter(["Split"]))


def test_open_sizes_of_a_blend() -> None:
    image, sizes = ("N", 3, "H", "W"), {"step": ("N", 4, "H", "W"), "mask": ("N", 1, "H", "W")}
    check_blend(graph(BLEND, frame0=image, frame1=image, residual=image, **sizes), BLEND_INPUTS, Counter(["Split"]))


NO_RESIDUAL = {
    "nothing added": (("Add (merged, residual)", "Neg (merged)"),),
    "a number added": (("Add (merged, residual)", "Add (merged, one)"),),
    "blend read twice": (
        ("Add (merged, residual)", "Mul (added, merged)"),
        ("y =", "added = Add (merged, residual) y ="),
    ),
    "added to itself": (("Add (merged, residual)", "Add (merged, merged)"),),
}


@pytest.mark.parametrize("case", NO_RESIDUAL)
def test_without_a_residual_zero_is_added(case: str) -> None:
    model = graph(BLEND, *NO_RESIDUAL[case])
    gone = Counter({"BackwardWarp": 2, "Sub": 1, "Mul": 2, "Add": 1, "Constant": 0 if case == "a number added" else 1})
    node = check_blend(model, "frame0 frame1 flow0 flow1 mask", ops(model) - gone + Counter(["Constant"]))
    assert node.output[0] == "merged"


def test_a_residual_of_more_samples_is_added_outside() -> None:
    model = graph(BLEND, residual=(2, 3, 8, 12))
    check_blend(model, "frame0 frame1 flow0 flow1 mask", Counter(["Split", "Constant", "Add"]))


def test_a_blend_that_is_the_output() -> None:
    model = graph(BLEND, ("merged =", "y ="), ("y = Add (merged, residual)", ""))
    check_blend(model, "frame0 frame1 flow0 flow1 mask", Counter(["Split", "Constant"]))


NO_BLEND = {
    "a warp read twice": (("y =", "z = Neg (w1) y ="),),
    "a product read twice": (("y =", "z = Neg (a) y ="),),
    "zeros outside": (ZEROS_OUTSIDE,),
    "weights that sum to two": (("value_float = 1.0", "value_float = 2.0"),),
    "mask less one": (("Sub (one, mask)", "Sub (mask, one)"),),
    "another mask": (("Sub (one, mask)", "Sub (one, other)"), ("one =", "other = Sigmoid (mask) one =")),
    "difference": (("Add (a, b)", "Sub (a, b)"),),
}


@pytest.mark.parametrize("case", NO_BLEND)
def test_what_is_no_blend(case: str) -> None:
    assert_not_fused(graph(BLEND, *NO_BLEND[case], outputs="y z" if "twice" in case else "y"))


@pytest.mark.parametrize(
    "sizes",
    [{"mask": (1, 1, 1, 1)}, {"mask": (1, 3, 8, 12)}, {"frame0": (1, 1, 8, 12)}, {"frame1": (1, 1, 8, 12)}],
    ids=["one number", "a mask for each channel", "the earlier frame grey", "the later frame grey"],
)
def test_blends_of_other_shapes_stay(sizes: dict[str, tuple[int | str, ...]]) -> None:
    assert_not_fused(graph(BLEND, **sizes))
