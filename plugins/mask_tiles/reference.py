"""The list of a mask's tiles in PyTorch: the oracle of the op, and the call that networks make."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  (the field's usual name)
from torch import Tensor

from tweenrt.plugins.emit import emit, exporting

SIDE = 8
"""Pixels along each side of a tile."""

_BITS = [1 << bit for bit in range(31)] + [-(1 << 31)]  # of an int32


def mask_tiles(mask: Tensor) -> Tensor:
    """List the 8×8 tiles of a mask, those with a set pixel first, for every layer under the mask to share.

    Args:
        mask: 0 where a pixel is not set, anything else where it is, [N,1,H,W], any floating dtype.

    Returns:
        int32 [3, N, ceil(H/8), ceil(W/8)]. The first two planes hold the pixels of each tile, one bit each: its upper
        four rows, its lower four rows, row by row from the lowest bit; pixels outside of the image are not set. The
        last plane, read as one row, is an order of all tiles, numbered image by image and row by row: first those with
        a set pixel, ascending; then the others, descending.

    Source: the sparse convolution of UGSP (Cheng et al., ACM MM 2023) needs the set pixels; tiles are what suits a GPU.
    """
    batch, _, height, width = mask.shape
    down, across = -(-height // SIDE), -(-width // SIDE)
    if exporting():
        return emit("MaskTiles", (mask,), like=mask, shape=(3, batch, down, across), dtype=torch.int32)
    whole = F.pad((mask != 0).long(), (0, -width % SIDE, 0, -height % SIDE))
    halves = whole.view(batch, down, 2, SIDE // 2, across, SIDE).permute(2, 0, 1, 4, 3, 5).flatten(4)
    pixels = (halves * torch.tensor(_BITS)).sum(dim=4).int()
    wanted, numbers = pixels.any(dim=0).flatten(), torch.arange(batch * down * across, dtype=torch.int32)
    order = torch.where(wanted, numbers, 2 * numbers.numel() - numbers).argsort().int()
    return torch.cat((pixels, order.view(1, batch, down, across)))
