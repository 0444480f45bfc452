"""Normalisation: what PyTorch's layers compute, and more exactly where a map is nearly constant."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (the field's usual name)
from torch import Tensor

from tweenrt.export.blocks.norm import GroupNorm, group_norm, instance_norm, map_mean

NEAR = {"rtol": 0, "atol": 2e-6}


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_group_norm_is_that_of_torch(groups: int) -> None:
    x, weight, bias = 3 * noise(2, 8, 7, 9) + 5, noise(8), noise(8)
    torch.testing.assert_close(group_norm(x, groups, weight, bias), F.group_norm(x, groups, weight, bias), **NEAR)


def test_instance_norm_is_that_of_torch() -> None:
    x = 3 * noise(2, 8, 7, 9) + 5
    torch.testing.assert_close(instance_norm(x), F.instance_norm(x), **NEAR)


def test_the_layer_has_the_keys_of_torch() -> None:
    layer = GroupNorm(4, 8)
    assert list(layer.state_dict()) == ["weight", "bias"]
    x = noise(1, 8, 7, 9)
    torch.testing.assert_close(layer(x), F.group_norm(x, 4), **NEAR)


@pytest.mark.parametrize("spread", [1e-3, 1e-1])
def test_a_nearly_constant_map_keeps_its_digits(spread: float) -> None:
    """A mean that is off by 1e-6 is multiplied by up to 316 here."""
    x = 10 + spread * noise(1, 2, 256, 448)
    exact = F.instance_norm(x.double())
    torch.testing.assert_close(instance_norm(x).double(), exact, rtol=0, atol=2e-6)


def test_a_constant_map_becomes_zero() -> None:
    for value in (0.1, 1 / 3, 123.456):
        assert not instance_norm(torch.full((1, 2, 255, 449), value)).any()


def test_half_precision_is_normalised_at_full_precision() -> None:
    x = (100 + noise(1, 4, 64, 64)).half()
    expected = F.instance_norm(x.float()).half()
    assert instance_norm(x).dtype == torch.float16
    torch.testing.assert_close(instance_norm(x), expected, rtol=0, atol=2e-3)


def test_mean_of_a_map() -> None:
    x = noise(2, 3, 5, 7)
    torch.testing.assert_close(map_mean(x), x.mean(dim=(2, 3), keepdim=True))
