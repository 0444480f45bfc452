"""AMT beyond the checks of every network: with no authors' code to run, its structure has to prove itself."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import torch
from torch import Tensor, nn

from tweenrt.contract import Kind
from tweenrt.export import registry
from tweenrt.export.blocks.amt_correlation import CORRELATION, RADIUS, BidirectionalLookup
from tweenrt.export.checkpoint import load_random
from tweenrt.export.exporter import export
from tweenrt.export.frames import moving_frames
from tweenrt.export.models.amt import SIZE_S, Amt, DistanceAmt, ReferenceAmt, _corrected
from tweenrt.export.network import Network
from tweenrt.export.options import ExportOptions

SIDE = 2 * RADIUS + 1
CENTRE = SIDE * RADIUS + RADIUS


def _frames(height: int = 128, width: int = 160) -> tuple[Tensor, ...]:
    return tuple(torch.from_numpy(f[None].copy()) for f in moving_frames(height, width, 2, seed=3))


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("name", ["amt-s", "amt-s-d", "amt-s-dr"])
def test_flat_frames_stay_finite(name: str, value: float) -> None:
    """Without texture every normalised feature is 0/eps and every correlation ties."""
    network = load_random(registry.get(name), 1).network
    frame = torch.full((1, 3, 64, 96), value)
    for t in (0.001, 0.5, 0.999):
        (image,) = network.part(Kind.PAIR, (frame, frame), torch.full((1, 1, 1, 1), t)).run()
        assert image.isfinite().all()


@pytest.mark.parametrize("build", [DistanceAmt, ReferenceAmt])
def test_distances_may_reach_both_ends(build: type[Network]) -> None:
    network = build().eval()
    part = network.part(Kind.PAIR, _frames(64, 96), torch.zeros(1, 1, 1, 1))
    ends = torch.zeros(1, 1, 64, 96)
    ends[..., 48:] = 1.0
    with torch.no_grad():
        assert network(*(part.example | {"t": ends}).values()).isfinite().all()


def _lookup(stretch0: float = 1.0, stretch1: float = 1.0, *, swapped: bool = False) -> BidirectionalLookup:
    torch.manual_seed(0)
    pair = [torch.randn(2, 6, 8, 16) for _ in range(2)]
    stretches = [torch.full((2, 1, 1, 1), s) for s in (stretch0, stretch1)]
    return BidirectionalLookup(*reversed(pair), *stretches) if swapped else BidirectionalLookup(*pair, *stretches)


def test_the_lookup_is_the_scaled_product_of_features() -> None:
    torch.manual_seed(0)
    features0, features1 = torch.randn(2, 6, 8, 16), torch.randn(2, 6, 8, 16)
    flow = torch.tensor([-2.0, 0.0, 1.0, 3.0]).reshape(1, 4, 1, 1).expand(2, 4, 8, 16)
    found = _lookup()(flow)
    assert found.shape == (2, CORRELATION, 8, 16)
    into1 = (features0[..., :5, :15] * features1[..., 3:, 1:]).sum(1) / 6**0.5
    torch.testing.assert_close(found[:, CENTRE, :5, :15], into1)
    into0 = (features1[..., 2:] * features0[..., :-2]).sum(1) / 6**0.5
    torch.testing.assert_close(found[:, CORRELATION // 2 + CENTRE, :, 2:], into0)
    one_right = (features0[..., :5, :14] * features1[..., 3:, 2:]).sum(1) / 6**0.5
    torch.testing.assert_close(found[:, CENTRE + SIDE, :5, :14], one_right)


def test_each_flow_is_stretched_by_its_own_factor() -> None:
    torch.manual_seed(1)
    flow = torch.randn(2, 4, 8, 16)
    longer = flow * torch.tensor([4.0, 4.0, 0.5, 0.5]).reshape(1, 4, 1, 1)
    torch.testing.assert_close(_lookup(stretch0=4.0, stretch1=0.5)(flow), _lookup()(longer))


def test_exchanging_the_frames_exchanges_the_directions() -> None:
    torch.manual_seed(1)
    flow = torch.randn(2, 4, 8, 16)
    forward = _lookup(1.5, 3.0)(flow).chunk(2, dim=1)
    backward = _lookup(3.0, 1.5, swapped=True)(flow.roll(2, dims=1)).chunk(2, dim=1)
    torch.testing.assert_close(forward[0], backward[1])
    torch.testing.assert_close(forward[1], backward[0])


class _Constant(nn.Module):
    """An update that wants flow and feature changed by the same amounts everywhere, and notes what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[Tensor, ...]] = []

    def forward(self, *given: Tensor) -> tuple[Tensor, Tensor]:
        self.seen.append(given)
        return torch.full_like(given[0], 0.5), torch.full_like(given[1], 0.25)


def test_a_flow_keeps_its_unit_across_resolutions() -> None:
    """Pixels of a level 4 times finer than the correlation become a quarter there, and back."""
    coarse, fine = _Constant(), _Constant()
    flow, feature = torch.full((2, 4, 32, 64), 8.0), torch.ones(2, 5, 32, 64)
    new_flow, new_feature = _corrected(flow, feature, _lookup(), (coarse, fine), 4)
    torch.testing.assert_close(new_flow, torch.full_like(flow, 8.0 + 4 * 0.5 + 0.5))
    torch.testing.assert_close(new_feature, torch.full_like(feature, 1.5))
    torch.testing.assert_close(coarse.seen[0][0], torch.full((2, 4, 8, 16), 2.0))
    torch.testing.assert_close(fine.seen[0][0], torch.full_like(flow, 10.0))
    assert [tuple(c.seen[0][2].shape) for c in (coarse, fine)] == [(2, 392, 8, 16), (2, 392, 32, 64)]


def test_a_network_of_zeros_averages_the_frames() -> None:
    network = Amt(SIZE_S).eval()
    network.load_state_dict({k: torch.zeros_like(v) for k, v in network.state_dict().items()})
    frame0, frame1 = _frames()
    with torch.no_grad():
        image = network(frame0, frame1, torch.full((1, 1, 1, 1), 0.3))
    torch.testing.assert_close(image, (frame0 + frame1) / 2)


def test_a_uniform_map_is_a_moment_on_the_other_channel_order() -> None:
    base = load_random(registry.get("amt-s"), 2).network
    mapped = DistanceAmt().eval()
    mapped.load_state_dict(base.state_dict())
    frames, t = _frames(), torch.full((1, 1, 1, 1), 0.3)
    (image,) = mapped.part(Kind.PAIR, frames, t).run()
    with torch.no_grad():
        expected = base(frames[0].flip(1), frames[1].flip(1), t).flip(1)
    torch.testing.assert_close(image, expected, rtol=0, atol=1e-4)


def test_without_its_weights_the_reference_changes_nothing() -> None:
    """Only the first convolution of the coarsest level sees it: after the frames' features, each map at the end."""
    base = load_random(registry.get("amt-s-d"), 2).network
    state = dict(base.state_dict())
    entry = "decoder4.convblock.0.0.weight"
    weight = state[entry]
    frames, t_map = weight[:, :112], weight[:, 112:]
    state[entry] = torch.cat((frames, torch.zeros(112, 56, 3, 3), t_map, torch.zeros(112, 1, 3, 3)), dim=1)
    with_reference = ReferenceAmt().eval()
    with_reference.load_state_dict(state)
    pair, t = _frames(), torch.full((1, 1, 1, 1), 0.3)
    (expected,) = base.part(Kind.PAIR, pair, t).run()
    (image,) = with_reference.part(Kind.PAIR, pair, t).run()
    torch.testing.assert_close(image, expected, rtol=0, atol=1e-4)


def test_the_reference_and_its_distances_are_seen() -> None:
    network = load_random(registry.get("amt-s-dr"), 2).network
    part = network.part(Kind.PAIR, _frames(), torch.full((1, 1, 1, 1), 0.5))
    (first,) = part.run()
    with torch.no_grad():
        for name, other in (("frame_ref", part.example["frame1"]), ("t_ref", part.example["t"])):
            changed = network(*(part.example | {name: other}).values())
            assert (changed - first).abs().max() > 1e-4, name


def test_the_graph_keeps_to_what_every_backend_takes(tmp_path: Path) -> None:
    """No writes in place, no loops, no FP64, and nothing of more than four axes."""
    options = ExportOptions(size=(64, 96), batch=1)
    export(load_random(registry.get("amt-s"), 1), options, tmp_path / "g.onnx")
    model = onnx.load(tmp_path / "g.onnx")
    ops = {n.op_type for n in (*model.graph.node, *(n for f in model.functions for n in f.node))}
    assert not ops & {"ScatterND", "ScatterElements", "Loop", "If", "Scan", "NonZero"}
    assert {"BackwardWarp", "CorrelationLookup", "WarpBlend"} <= ops
    types = [v.type.tensor_type for v in (*model.graph.value_info, *model.graph.input, *model.graph.output)]
    assert all(t.elem_type != onnx.TensorProto.DOUBLE for t in types)
    assert max(len(t.shape.dim) for t in types) == 4
