"""The two shortcuts in RIFE 4.x give the numbers of the long way: enlarging by the ratio, and unread channels."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from tweenrt.export.blocks.ifr import resize
from tweenrt.export.blocks.rife_v4 import FLOW, MASK, Block, Motion, Prediction, Topology
from tweenrt.export.models.rife_v4 import RELEASES

SIDE = 128


def values(channels: int, gain: int) -> Tensor:
    generator = torch.Generator().manual_seed(gain)
    return torch.randn(2, channels, SIDE // gain, 2 * SIDE // gain, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize(("gain", "scale"), [(32, 16), (16, 8), (16, 4), (8, 4), (4, 2), (4, 1), (2, 1)])
def test_enlarging_and_shrinking_is_enlarging_by_the_ratio(gain: int, scale: int) -> None:
    prediction = Prediction(values(FLOW + MASK + 8, gain), gain)
    long_way = resize(resize(prediction.values[:, FLOW:], float(gain)), 1.0 / scale)
    torch.testing.assert_close(prediction.rest(scale), long_way, rtol=0, atol=1e-13)


def test_an_odd_ratio_would_not_do() -> None:
    prediction = Prediction(values(FLOW + MASK, 4), 4)
    threefold = Prediction(prediction.values, 12)
    long_way = resize(resize(threefold.values[:, FLOW:], 12.0), 0.25)
    assert not torch.allclose(threefold.rest(4), long_way, atol=1e-3)


@pytest.mark.parametrize("release", RELEASES, ids=lambda r: r.versions[0])
def test_every_version_has_even_ratios(release: object) -> None:
    topology: Topology = release.topology  # type: ignore[attr-defined]
    upsampling = 1 if topology.shuffled else 2
    for wide, narrow in zip(topology.scales, topology.scales[1:], strict=False):
        assert (wide * upsampling) % (2 * narrow) == 0


@pytest.mark.parametrize("shuffled", [True, False])
def test_channels_that_nobody_reads_change_none_of_the_others(shuffled: bool) -> None:
    topology = dataclasses.replace(Topology(predicted=13, hidden=8), shuffled=shuffled)
    block = Block(15, 32, topology).double()
    x = torch.randn(1, 15, 32, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole, few = (block.predict(x, 4, channels).values for channels in (13, FLOW + MASK))
        motion: Motion = block(resize(x, 4.0), 4)
    assert whole.shape[1] == 13
    torch.testing.assert_close(few, whole[:, : FLOW + MASK], rtol=0, atol=1e-13)
    assert motion.hidden[0].shape[1] == 8
