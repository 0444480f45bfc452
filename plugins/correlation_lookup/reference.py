"""Correlation lookup in PyTorch: the oracle of the op, and the call that networks make."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  (the field's usual name)
from torch import Tensor

from tweenrt.plugins.emit import emit, exporting


def correlation_lookup(corr: Tensor, coords: Tensor, radius: int) -> Tensor:
    """Sample one level of a correlation volume bilinearly in a square window around every pixel's match.

    Args:
        corr: one correlation map for each of the B·H·W query pixels, row by row, [B·H·W,1,h,w]; any floating
            dtype and range. Outside of a map lies zero.
        coords: where in its map each query pixel looks, [B,2,H,W], x then y, in pixels of this level. Positions
            are computed in FP32.
        radius: half the window's side in pixels of this level.

    Returns:
        [B,(2·radius+1)²,H,W] in the dtype of `corr`. Channel ``i·(2·radius+1) + j`` is the sample at
        ``(x + i - radius, y + j - radius)``: x runs slowest, as the published weights expect.

    Source: RAFT, section 3.2 (Teed and Deng, ECCV 2020); AMT uses the same window.
    """
    side = 2 * radius + 1
    batch, _, rows, columns = coords.shape
    if exporting():
        shape = (batch, side * side, rows, columns)
        return emit("CorrelationLookup", (corr, coords), like=corr, shape=shape, attributes={"radius": radius})
    height, width = corr.shape[2:]
    steps = torch.arange(-radius, radius + 1, device=coords.device, dtype=torch.float32)
    x, y = coords.float().reshape(batch, 2, -1).unbind(1)
    xs = (x.reshape(-1, 1, 1) + steps[:, None]).expand(-1, side, side)
    ys = (y.reshape(-1, 1, 1) + steps).expand(-1, side, side)
    # Pixel edges, not centres, lie at -1 and 1 here: unlike the other convention it can address a 1-pixel map.
    grid = torch.stack(((2.0 * xs + 1.0) / width - 1.0, (2.0 * ys + 1.0) / height - 1.0), dim=-1)
    window = F.grid_sample(corr.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return window.reshape(batch, rows, columns, side * side).permute(0, 3, 1, 2).to(corr.dtype)
