"""Window attention: the reference against its definition, the portable body against the reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.op_models import Array, op_model, run_op
from torch import Tensor

from tweenrt.plugins.window_attention.reference import window_attention

MAX_ABS = 5e-6  # sums of at most 49 products of numbers near 1, in another order


def tokens(height: int, width: int, maps: int = 2, keys: int = 8, values: int = 12) -> dict[str, Array]:
    """Seeded inputs of the op."""
    rng = np.random.default_rng(height * 100 + width)
    shapes = {"q": keys, "k": keys, "v": values}
    found = {n: rng.standard_normal((maps, height, width, c)).astype(np.float32) for n, c in shapes.items()}
    return found | {f"{n}_fill": rng.standard_normal(shapes[n]).astype(np.float32) for n in ("k", "v")}


def reference(inputs: dict[str, Array], heads: int, window: int, shift: int) -> Tensor:
    ready = [torch.from_numpy(x) for x in inputs.values()]
    return window_attention(*ready, heads=heads, window=window, shift=shift)


def place_of(position: int, size: int, window: int, shift: int) -> tuple[int, int, int]:
    """(place on the grown and rolled axis, window, region there) of a position counted from the map's first token."""
    end = -(-size // window) * window
    before = (end - size) // 2
    place = (position + before - shift) % end
    return place, place // window, 2 * ((place >= before) + (place >= before + size)) + (place >= end - shift)


def by_definition(inputs: dict[str, Array], heads: int, window: int, shift: int) -> Array:
    """Token by token: who is seen, and what comes of it."""
    q, k, v, k_fill, v_fill = inputs.values()
    maps, height, width, _ = q.shape
    spans = [range(-((-s % window) // 2), s + (-s % window) - (-s % window) // 2) for s in (height, width)]
    where = {(y, x): (place_of(y, height, window, shift)[1:], place_of(x, width, window, shift)[1:])
             for y in spans[0] for x in spans[1]}  # fmt: skip
    out = np.zeros_like(v)
    for m in range(maps):
        for y in range(height):
            for x in range(width):
                seen = [p for p, cell in where.items() if cell == where[y, x]]
                on_map = [0 <= a < height and 0 <= b < width for a, b in seen]
                keys = np.stack([k[m][p] if inside else k_fill for p, inside in zip(seen, on_map, strict=True)])
                values = np.stack([v[m][p] if inside else v_fill for p, inside in zip(seen, on_map, strict=True)])
                for part_k, part_v in zip(
                    np.split(np.arange(q.shape[3]), heads), np.split(np.arange(v.shape[3]), heads), strict=True
                ):
                    score = keys[:, part_k] @ q[m, y, x, part_k] / len(part_k) ** 0.5
                    share = np.exp(score - score.max())
                    out[m, y, x, part_v] = share @ values[:, part_v] / share.sum()
    return out


@pytest.mark.parametrize("shift", [0, 1])
@pytest.mark.parametrize(("height", "width"), [(4, 8), (5, 9), (3, 2), (6, 7)])
def test_the_reference_does_what_it_says(height: int, width: int, shift: int) -> None:
    inputs = tokens(height, width)
    got = reference(inputs, heads=2, window=4, shift=shift).numpy()
    np.testing.assert_allclose(got, by_definition(inputs, 2, 4, shift), rtol=0, atol=MAX_ABS)


@pytest.mark.parametrize("shift", [0, 3])
@pytest.mark.parametrize(("height", "width"), [(7, 7), (14, 28), (28, 14), (12, 24), (24, 12), (4, 16), (3, 5)])
def test_the_body_equals_the_reference(height: int, width: int, shift: int) -> None:
    inputs = tokens(height, width)
    expected = reference(inputs, heads=4, window=7, shift=shift).numpy()
    got = run_op("WindowAttention", inputs, {"heads": 4, "window": 7, "shift": shift})
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=0, atol=MAX_ABS)


def test_the_shift_and_the_fill_matter() -> None:
    inputs = tokens(12, 24)
    plain, shifted = (reference(inputs, heads=4, window=7, shift=shift) for shift in (0, 3))
    assert (plain - shifted).abs().max() > 0.1
    refilled = reference(inputs | {"v_fill": inputs["v_fill"] + 1.0}, heads=4, window=7, shift=3)
    assert (refilled - shifted).abs().max() > 0.1, "in a shifted window, tokens at the edge see the padding"


def test_the_body_holds_nothing_that_an_engine_cannot_take() -> None:
    (function,) = op_model("WindowAttention", tokens(4, 4), {"heads": 4, "window": 7, "shift": 3}).functions
    used = {node.op_type for node in function.node}
    assert not used & {"Loop", "If", "Scan", "ScatterND", "ScatterElements", "NonZero", "Pad", "Einsum"}
    casts = {a.i for node in function.node if node.op_type == "Cast" for a in node.attribute}
    assert casts == {1, 7}, "only FP32 and whole numbers, no float64"
