"""Checkpoints that do not fit say why; hostile and damaged ones are refused."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from support import toy
from torch import Tensor

from tweenrt.errors import CheckpointError
from tweenrt.export.checkpoint import load_checkpoint, load_random, read_state

State = dict[str, Tensor]


@pytest.fixture
def state() -> State:
    return toy.Toy().state_dict()


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {"state_dict": s, "epoch": 7},
        lambda s: {"model": {f"module.{k}": v for k, v in s.items()}},
        lambda s: {k: v.half() for k, v in s.items()},
    ],
    ids=["bare", "wrapped", "wrapped-and-prefixed", "half"],
)
def test_what_training_leaves_behind_loads(wrap: Callable[[State], object], state: State, tmp_path: Path) -> None:
    torch.save(wrap(state), tmp_path / "w.pth")
    loaded = load_checkpoint(toy.SPEC, tmp_path / "w.pth")
    weight = loaded.network.state_dict()["residual.weight"]
    assert weight.dtype == torch.float32
    torch.testing.assert_close(weight, state["residual.weight"], rtol=1e-3, atol=1e-3)
    assert loaded.sha256 == toy.sha256(tmp_path / "w.pth")


def test_a_wrong_file_names_every_kind_of_misfit(state: State, tmp_path: Path) -> None:
    del state["features.bias"]
    state["residual.weight"] = torch.zeros(3, 8, 5, 5)
    state["teacher.weight"] = torch.zeros(1)
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(toy.SPEC, tmp_path / "w.pth")
    message = str(caught.value)
    assert "not a checkpoint of toy-blend" in message
    assert "missing (1): features.bias" in message
    assert "misshapen (1): residual.weight: expected (3, 8, 3, 3), got (3, 8, 5, 5)" in message
    assert "unexpected (1): teacher.weight" in message
    assert "tweenrt weights toy-blend" in message


def test_entries_that_only_training_needs_are_left_out(state: State, tmp_path: Path) -> None:
    torch.save(state | {"teacher.weight": torch.zeros(1)}, tmp_path / "w.pth")
    load_checkpoint(replace(toy.SPEC, optional_keys=("teacher.",)), tmp_path / "w.pth")


def test_the_checkpoint_of_another_model_is_recognised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = replace(toy.SPEC, name="toy-wide", build=partial(toy.Toy, 6))
    toy.register(monkeypatch, toy.SPEC, wide)
    with pytest.raises(CheckpointError, match="it looks like toy-wide: name that model instead"):
        load_checkpoint(toy.SPEC, toy.checkpoint(tmp_path / "w.pth", channels=6))


def test_a_truncated_file(tmp_path: Path) -> None:
    path = toy.checkpoint(tmp_path / "w.pth")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CheckpointError, match="could not read it as one"):
        load_checkpoint(toy.SPEC, path)


@pytest.mark.parametrize("content", [b"", b"<html>Not found</html>", b"\x00" * 64], ids=["empty", "page", "zeros"])
def test_a_file_that_is_no_checkpoint(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match="expected a PyTorch checkpoint"):
        read_state(tmp_path / "w.pth")


@pytest.mark.parametrize("content", [3, [1, 2], {"epoch": 3}], ids=["number", "list", "no-tensors"])
def test_a_checkpoint_without_weights(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="expected a state dict"):
        read_state(tmp_path / "w.pth")


class _Hostile:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("save", [torch.save, lambda o, p: p.write_bytes(pickle.dumps(o))], ids=["torch", "pickle"])
def test_code_in_a_pickle_is_refused_and_not_run(save: Callable[[object, Path], object], tmp_path: Path) -> None:
    save({"state_dict": _Hostile(tmp_path / "ran")}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError):
        load_checkpoint(toy.SPEC, tmp_path / "w.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("make", [Path.exists, Path.mkdir], ids=["absent", "folder"])
def test_not_a_file(make: Callable[[Path], object], tmp_path: Path) -> None:
    make(tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="no such checkpoint file"):
        load_checkpoint(toy.SPEC, tmp_path / "w.pth")


def test_random_weights_are_the_seed_s() -> None:
    first, again, other = (load_random(toy.SPEC, seed).network.state_dict() for seed in (1, 1, 2))
    key = "features.weight"
    assert torch.equal(first[key], again[key])
    assert not torch.equal(first[key], other[key])
