"""DeformConv2d: reference against plain convolution and a loop, body against reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from support.op_models import run_op

from tweenrt.plugins.deform_conv2d.function import body
from tweenrt.plugins.deform_conv2d.reference import deform_conv2d

Array = NDArray[np.float32]
MAX_ABS = 2e-5  # sums of 9·12 bilinear samples; the reference normalises coordinates, the operator does not


def case(groups: int, reach: float) -> dict[str, Array]:
    rng = np.random.default_rng(6)
    return {
        "x": rng.standard_normal((2, 12, 11, 15)).astype(np.float32),
        "offset": (reach * rng.standard_normal((2, groups * 18, 11, 15))).astype(np.float32),
        "mask": rng.random((2, groups * 9, 11, 15)).astype(np.float32),
        "weight": (rng.standard_normal((20, 12, 3, 3)) / 10).astype(np.float32),
        "bias": rng.standard_normal(20).astype(np.float32),
    }


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("reach", [0.5, 4.0, 40.0], ids=["near", "far", "outside"])
def test_the_body_matches_the_reference(groups: int, reach: float) -> None:
    inputs = case(groups, reach)
    expected = deform_conv2d(*(torch.from_numpy(v) for v in inputs.values())).numpy()
    got = run_op("DeformConv2d", inputs, {"offset_group": groups}, opset=19)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=0, atol=MAX_ABS)


def test_without_offsets_it_is_a_convolution() -> None:
    x, offset, mask, weight, bias = (torch.from_numpy(v) for v in case(2, 0.0).values())
    plain = F.conv2d(x, weight, bias, padding=1)
    torch.testing.assert_close(
        deform_conv2d(x, offset, torch.ones_like(mask), weight, bias), plain, rtol=0, atol=MAX_ABS
    )


@pytest.mark.parametrize("size", [(1, 9), (9, 1), (1, 1)], ids=str)
def test_outside_of_a_side_of_one_pixel_lies_zero_too(size: tuple[int, int]) -> None:
    inputs = case(2, 1.0)
    for name in ("x", "offset", "mask"):
        inputs[name] = np.ascontiguousarray(inputs[name][..., : size[0], : size[1]])
    expected = deform_conv2d(*(torch.from_numpy(v) for v in inputs.values())).numpy()
    got = run_op("DeformConv2d", inputs, {"offset_group": 2}, opset=19)
    np.testing.assert_allclose(got, expected, rtol=0, atol=MAX_ABS)


def test_offsets_are_y_then_x_of_every_tap_of_every_group() -> None:
    """One tap of the second group moved by (2, -1) reads two rows down and one column left."""
    x = torch.arange(2 * 5 * 6, dtype=torch.float32).reshape(1, 2, 5, 6)
    offset, mask, weight = torch.zeros(1, 36, 5, 6), torch.zeros(1, 18, 5, 6), torch.ones(1, 2, 3, 3)
    centre = 9 + 4  # of the second group
    mask[:, centre] = 1.0
    offset[:, 2 * centre], offset[:, 2 * centre + 1] = 2.0, -1.0
    out = deform_conv2d(x, offset, mask, weight, torch.zeros(1))
    assert out[0, 0, 1, 3].item() == pytest.approx(x[0, 1, 3, 2].item(), abs=1e-4)
    assert out[0, 0, 4, 3].item() == pytest.approx(0.0, abs=1e-4), "outside of the features lies zero"


def test_it_says_which_opset_it_needs() -> None:
    with pytest.raises(ValueError, match="opset 19, got 18"):
        body(18, None, {})
