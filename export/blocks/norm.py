"""Instance and group normalisation that stay accurate in FP32 on every backend.

Two things cost accuracy in the ready-made layers. One sum over a whole map adds 10⁵ and more numbers in FP32, and
some backends do it in a single chain. And a map that is nearly constant has a variance near `eps`, so what its mean
is off by is multiplied by up to 1/√eps = 316. So means are taken over the columns first, then over the rows, and
what is left after subtracting the mean is centred once more.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

EPSILON = 1e-5


def instance_norm(x: Tensor, eps: float = EPSILON) -> Tensor:
    """Zero mean and unit variance for every channel of every sample.

    Args:
        x: [N,C,H,W], any floating dtype and range; computed in FP32.
        eps: added to the variance.

    Returns:
        [N,C,H,W] in the dtype of `x`.

    Source: instance normalisation (Ulyanov et al., 2016), without affine parameters.
    """
    centred = x.float()
    for _ in range(2):
        centred = centred - map_mean(centred)
    return (centred * _inverse_deviation(map_mean(centred * centred), eps)).to(x.dtype)


def group_norm(x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float = EPSILON) -> Tensor:
    """Zero mean and unit variance for every group of channels, then a scale and a shift for every channel.

    Args:
        x: [N,C,H,W], any floating dtype and range; computed in FP32.
        groups: how many equal groups the channels form, in order.
        weight: scale, [C].
        bias: shift, [C].
        eps: added to the variance.

    Returns:
        [N,C,H,W] in the dtype of `x`.

    Source: group normalisation (Wu and He, 2018).
    """
    grouped = x.reshape(x.shape[0], groups, -1, x.shape[3])
    normalised = instance_norm(grouped, eps).reshape(x.shape)
    return normalised * weight[:, None, None] + bias[:, None, None]


class GroupNorm(nn.GroupNorm):
    """`torch.nn.GroupNorm` (same parameters, same keys) on [N,C,H,W], computed by `group_norm`."""

    def forward(self, x: Tensor) -> Tensor:
        """See `group_norm`."""
        return group_norm(x, self.num_groups, self.weight, self.bias, self.eps)


class InstanceNorm(nn.Module):
    """`torch.nn.InstanceNorm2d` without affine parameters, computed by `instance_norm`."""

    def forward(self, x: Tensor) -> Tensor:
        """See `instance_norm`."""
        return instance_norm(x)


def _inverse_deviation(variance: Tensor, eps: float) -> Tensor:
    return torch.rsqrt(variance + eps)


def map_mean(x: Tensor) -> Tensor:
    """The mean of every channel, [N,C,H,W] → [N,C,1,1], first along the rows and then along the columns."""
    return x.mean(dim=3, keepdim=True).mean(dim=2, keepdim=True)
