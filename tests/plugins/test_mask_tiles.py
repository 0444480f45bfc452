"""MaskTiles: the reference against a loop over tiles, and the type and shape of what the body makes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from numpy.typing import NDArray

from tweenrt.export.passes.attach_bodies import attach_bodies
from tweenrt.plugins.mask_tiles.reference import mask_tiles

Array = NDArray[Any]
SIDE = 8
SIZES = [(2, 13, 17), (1, 8, 16), (3, 1, 1), (2, 9, 8)]


def mask_of(size: tuple[int, int, int]) -> Array:
    """Mostly empty: some tiles have set pixels, others none."""
    n, h, w = size
    return (np.random.default_rng(h).random((n, 1, h, w)) < 0.02).astype(np.float32)


def by_loop(mask: Array) -> Array:
    n, _, h, w = mask.shape
    down, across = -(-h // SIDE), -(-w // SIDE)
    words = np.zeros((2, n, down, across), np.uint32)
    for image, row, column in zip(*np.nonzero(mask[:, 0]), strict=True):
        half, bit = row % SIDE // 4, row % 4 * SIDE + column % SIDE
        words[half, image, row // SIDE, column // SIDE] |= np.uint32(1 << bit)
    some = (words != 0).any(axis=0).ravel()
    order = np.concatenate((np.flatnonzero(some), np.flatnonzero(~some)[::-1])).astype(np.int32)
    return np.concatenate((words.view(np.int32), order.reshape(1, n, down, across)))


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("size", SIZES)
def test_reference_is_a_loop_over_the_set_pixels(size: tuple[int, int, int], dtype: type) -> None:
    mask = mask_of(size)
    got = mask_tiles(torch.from_numpy(mask.astype(dtype)))
    assert got.dtype == torch.int32
    np.testing.assert_array_equal(got.numpy(), by_loop(mask))


def test_a_full_tile_has_every_bit() -> None:
    listed = mask_tiles(torch.ones(1, 1, 8, 8))
    assert listed.flatten().tolist() == [-1, -1, 0]


@pytest.mark.parametrize("opset", [18, 20])
@pytest.mark.parametrize("size", SIZES)
def test_body_has_the_type_and_shape_of_the_list(size: tuple[int, int, int], opset: int) -> None:
    n, h, w = size
    model = onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["" : {opset}, "tweenrt" : 1]>\n'
        f"g (float[{n},1,{h},{w}] mask) => (int32[P,N,DOWN,ACROSS] y) "
        "{ tiles = tweenrt.MaskTiles (mask)\n y = Identity (tiles) }"
    )
    model = attach_bodies(model)
    onnx.checker.check_model(model, full_check=True)
    expected = by_loop(mask_of(size))
    (tiles,) = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph.value_info
    assert tuple(d.dim_value for d in tiles.type.tensor_type.shape.dim) == expected.shape
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (got,) = session.run(None, {"mask": mask_of(size)})
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
