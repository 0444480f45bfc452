"""MaskedConv2d: both bodies against the reference, and the reference against plain convolution."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from onnx import FunctionProto
from support.op_models import op_model

from tweenrt.plugins.mask_tiles.reference import mask_tiles
from tweenrt.plugins.masked_conv2d.function import dense, sparse
from tweenrt.plugins.masked_conv2d.reference import masked_conv2d

Array = NDArray[Any]
MAX_ABS = 1e-5  # sums of 9·12 products of order 1 in another order


def case(density: float) -> dict[str, Array]:
    rng = np.random.default_rng(5)
    inputs = {
        "x": rng.standard_normal((2, 12, 13, 17)).astype(np.float32),
        "mask": (rng.random((2, 1, 13, 17)) < density).astype(np.float32),
        "weight": (rng.standard_normal((20, 12, 3, 3)) / 10).astype(np.float32),
        "bias": rng.standard_normal(20).astype(np.float32),
        "slope": rng.random(20).astype(np.float32),
    }
    return {**inputs, "tiles": mask_tiles(torch.from_numpy(inputs["mask"])).numpy()}


def run(body: FunctionProto, inputs: dict[str, Array]) -> Array:
    model = op_model("MaskedConv2d", inputs)
    del model.functions[:]
    model.functions.append(body)
    onnx.checker.check_model(model, full_check=True)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    (result,) = ort.InferenceSession(model.SerializeToString(), options).run(None, inputs)
    return result


@pytest.mark.parametrize("density", [0.0, 0.01, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("body", [dense(18), sparse(18), sparse(18, break_even=2.0)], ids=["dense", "sparse", "gather"])
def test_bodies_match_the_reference(body: FunctionProto, density: float) -> None:
    inputs = case(density)
    expected = masked_conv2d(*(torch.from_numpy(v) for v in inputs.values())).numpy()
    got = run(body, inputs)
    assert got.shape == expected.shape
    assert got.dtype == expected.dtype
    np.testing.assert_allclose(got, expected, rtol=0, atol=MAX_ABS)
    unset = np.broadcast_to(inputs["mask"] == 0, got.shape)
    assert not got[unset].any(), "pixels outside of the mask are exactly zero"


def test_the_reference_is_a_convolution_under_a_mask() -> None:
    x, mask, weight, bias, slope, tiles = (torch.from_numpy(v) for v in case(0.5).values())
    plain = F.conv2d(x, weight, bias, padding=1)
    plain = torch.where(plain < 0, plain * slope[:, None, None], plain)
    assert torch.equal(masked_conv2d(x, mask, weight, bias, slope, tiles), torch.where(mask > 0, plain, 0.0))


def test_the_sparse_body_gathers_only_below_the_break_even() -> None:
    body = sparse(18)
    assert [n.op_type for n in body.node][-1] == "If"
    then, other = (
        next(a.g for a in body.node[-1].attribute if a.name == name) for name in ("then_branch", "else_branch")
    )
    assert "NonZero" in {n.op_type for n in then.node}
    assert {"Conv", "PRelu"} <= {n.op_type for n in other.node}
    assert not {"NonZero", "If"} & {n.op_type for n in dense(18).node}, "the portable body builds everywhere"
