"""A slice that takes out what a concatenation put in."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto
from support.mixed import graph, run, types

from tweenrt.calibration.shortcuts import take_shortcuts

TEXT = """
    g (float[N,3,H,W] frame0, float[N,2,H,W] x) => (float[N,C,H,W] y, float[N,7,H,W] z) {
        both = Concat <axis = 1> (frame0, x, x)
        cut = Slice (both, from, to, axis, step)
        y = Neg (cut)
        z = Neg (both) }"""


def cut(start: int, stop: int, axis: int = 1, step: int = 1) -> ModelProto:
    numbers = {"from": start, "to": stop, "axis": axis, "step": step}
    return graph(TEXT, **{name: np.array([value]) for name, value in numbers.items()})


FEEDS = {"frame0": np.random.default_rng(0).random((1, 3, 4, 5), np.float32), "x": np.ones((1, 2, 4, 5), np.float32)}


@pytest.mark.parametrize(("start", "stop", "reads"), [(0, 3, "frame0"), (3, 5, "x"), (5, 7, "x")])
def test_whole_inputs_are_read_directly(start: int, stop: int, reads: str) -> None:
    model = cut(start, stop)
    before = run(model, FEEDS)
    assert take_shortcuts(model) == 1
    assert [n.op_type for n in model.graph.node] == ["Concat", "Neg", "Neg"]
    assert model.graph.node[1].input[0] == reads
    for old, new in zip(before, run(model, FEEDS), strict=True):
        np.testing.assert_array_equal(new, old)


@pytest.mark.parametrize(
    ("start", "stop", "axis", "step"),
    [(0, 2, 1, 1), (1, 3, 1, 1), (0, 5, 1, 1), (0, 3, 2, 1), (0, 3, 1, 2), (3, 7, 1, 1), (-7, -4, 1, 1)],
)
def test_other_slices_stay(start: int, stop: int, axis: int, step: int) -> None:
    model = cut(start, stop, axis, step)
    assert take_shortcuts(model) == 0
    assert len(model.graph.node) == 4


def test_an_input_of_unknown_size_ends_the_search() -> None:
    model = cut(3, 5)
    model.graph.input[0].type.tensor_type.shape.dim[1].ClearField("dim_value")
    assert take_shortcuts(model) == 0


def test_a_slice_that_is_an_output_stays() -> None:
    model = graph(
        TEXT.replace("y = Neg (cut)", "").replace("float[N,C,H,W] y, float[N,7,H,W] z", "float[N,C,H,W] cut")
        .replace("z = Neg (both)", "a = Neg (cut) b = Neg (a)"),
        **{"from": np.array([0]), "to": np.array([3]), "axis": np.array([1]), "step": np.array([1])},
    )  # fmt: skip
    assert take_shortcuts(model) == 0
    assert "cut" in types(model)
