"""Window attention in PyTorch: the oracle of the op, and the call that networks make."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  (the field's usual name)
from torch import Tensor

from tweenrt.plugins.emit import emit, exporting

HIDDEN = -100.0
"""Added to the score between tokens that may not see each other; e^-100 is nothing beside 1."""


def window_attention(
    q: Tensor, k: Tensor, v: Tensor, k_fill: Tensor, v_fill: Tensor, *, heads: int, window: int, shift: int
) -> Tensor:
    """Let every token look at the tokens of its window.

    The map is grown on all sides, as evenly as can be, until windows of `window` × `window` cover it, and rolled up
    and to the left by `shift`. Tokens see each other if they lie in one window and, there, in one region: the edges
    of the map and the seam of the roll bound regions. The edges count where they were before the roll: so the
    networks were trained.

    Args:
        q: queries, [S,h,w,C]; C is a multiple of `heads`, whose parts follow each other.
        k: keys, [S,h,w,C].
        v: values, [S,h,w,D]; D is a multiple of `heads`.
        k_fill: the key of a token outside of the map, [C].
        v_fill: its value, [D].
        heads: of the attention.
        window: side of a window, in tokens.
        shift: 0 or a part of `window`.

    Returns:
        [S,h,w,D] in the dtype of `v`. Scores are divided by the square root of C/heads.

    Source: the shifted windows of Liu et al., "Swin Transformer", ICCV 2021, with the padding of Yuan et al.,
    "HRFormer", NeurIPS 2021, as in Zhang et al., "EMA-VFI", CVPR 2023.
    """
    if exporting():
        attributes = {"heads": heads, "window": window, "shift": shift}
        return emit("WindowAttention", (q, k, v, k_fill, v_fill), like=v, attributes=attributes)
    size = (q.shape[1], q.shape[2])
    fills = (torch.zeros_like(k_fill), k_fill, v_fill)
    query, key, value = (
        _split(x, fill, window, shift).unflatten(3, (heads, -1)).transpose(2, 3)
        for x, fill in zip((q, k, v), fills, strict=True)
    )
    hidden = _hidden(size, window, shift, q)
    scores = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5 + hidden
    found = scores.softmax(dim=-1) @ value
    return _join(found.transpose(2, 3).flatten(3), size, window, shift)


def _pads(size: int, window: int) -> tuple[int, int]:
    """Tokens to add before and after an axis of `size` tokens."""
    total = -size % window
    return total // 2, total - total // 2


def _split(x: Tensor, fill: Tensor, window: int, shift: int) -> Tensor:
    """[S,h,w,C] → its windows, [S,windows,window²,C]."""
    (top, bottom), (left, right) = (_pads(size, window) for size in x.shape[1:3])
    outside = F.pad(torch.zeros_like(x[..., :1]), (0, 0, left, right, top, bottom), value=1.0)
    x = F.pad(x, (0, 0, left, right, top, bottom)) + outside * fill
    x = x.roll((-shift, -shift), dims=(1, 2))
    x = x.unflatten(1, (-1, window)).unflatten(3, (-1, window)).transpose(2, 3)
    return x.flatten(3, 4).flatten(1, 2)


def _join(x: Tensor, size: tuple[int, int], window: int, shift: int) -> Tensor:
    """The inverse of `_split`: [S,windows,window²,D] → [S,h,w,D]."""
    (top, _), (left, _) = (_pads(side, window) for side in size)
    down = -(-size[0] // window)
    x = x.unflatten(1, (down, -1)).unflatten(3, (window, window)).transpose(2, 3)
    x = x.flatten(3, 4).flatten(1, 2).roll((shift, shift), dims=(1, 2))
    return x[:, top : top + size[0], left : left + size[1]]


def _hidden(size: tuple[int, int], window: int, shift: int, like: Tensor) -> Tensor:
    """What to add to the scores, [windows,1,window²,window²]."""
    rows, columns = (_regions(side, window, shift, like) for side in size)
    region = (rows[:, None] * 6 + columns)[None, ..., None]
    region = _split(region, torch.zeros_like(region[0, 0, 0]), window, 0)[0, :, :, 0]
    apart = region[:, None, None, :] != region[:, None, :, None]
    return apart.to(like.dtype) * HIDDEN


def _regions(size: int, window: int, shift: int, like: Tensor) -> Tensor:
    """The region, 0 to 5, of each position along one grown axis."""
    before, after = _pads(size, window)
    edges = [0] * before + [2] * size + [4] * after
    seam = len(edges) - shift
    return torch.tensor([e + (i >= seam) for i, e in enumerate(edges)], device=like.device, dtype=torch.float32)
