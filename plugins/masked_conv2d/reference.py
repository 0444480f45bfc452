"""Mask-guided convolution in PyTorch: the oracle of the op, and the call that networks make."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812  (the field's usual name)
from torch import Tensor

from tweenrt.plugins.emit import emit, exporting


def masked_conv2d(x: Tensor, mask: Tensor, weight: Tensor, bias: Tensor, slope: Tensor, tiles: Tensor) -> Tensor:
    """Convolve, add the bias, apply a leaky slope per channel; zero wherever the mask is not set.

    Args:
        x: features, [N,C,H,W], any floating dtype.
        mask: 1 where the result is wanted, 0 elsewhere, [N,1,H,W], the dtype of `x`.
        weight: [D,C,3,3]; the border is padded with one row and column of zeros.
        bias: [D].
        slope: what negative values are multiplied with, [D] (a PReLU; 1 keeps them).
        tiles: `mask_tiles(mask)`, made once for all layers with this mask; only the CUDA kernel reads it.

    Returns:
        [N,D,H,W], exactly zero at every pixel that the mask leaves out.

    Source: the guided blocks of UGSP (Cheng et al., ACM MM 2023), where each layer of a block shares one mask.
    """
    if exporting():
        shape = (x.shape[0], weight.shape[0], *x.shape[2:])
        return emit("MaskedConv2d", (x, mask, weight, bias, slope, tiles), like=x, shape=shape)
    return F.prelu(F.conv2d(x, weight, bias, padding=1), slope) * mask
