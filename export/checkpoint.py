"""Load the authors' checkpoint files into our networks, or say exactly why one does not fit."""

from __future__ import annotations

import hashlib
import warnings
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from tweenrt.errors import CheckpointError
from tweenrt.export import registry
from tweenrt.export.network import Network
from tweenrt.export.spec import ModelSpec

_WRAPPERS = ("state_dict", "model_state_dict", "model", "gNet", "params_ema", "params")
_NAMED_AT_MOST = 6


@dataclass(frozen=True)
class Loaded:
    """A network with weights.

    Attributes:
        spec: what it is.
        network: in eval mode, FP32, on the CPU.
        sha256: of the checkpoint file, or ``random:<seed>``; with companions, of each file, joined by ``+``.
    """

    spec: ModelSpec
    network: Network
    sha256: str


def load_checkpoint(spec: ModelSpec, path: Path, *companions: Path) -> Loaded:
    """Build the network of `spec` and fill it from the authors' file at `path`.

    Args:
        spec: which network.
        path: its checkpoint.
        companions: the checkpoints of the networks inside it that have a file of their own, in the order of
            `ModelSpec.companions`.

    Raises:
        CheckpointError: a file is missing or cannot be read, or its entries do not match the network.
    """
    _expect_companions(spec, path, companions)
    network = spec.network()
    _fill(spec, network, _state_for(spec, path), path)
    for companion, file in zip(spec.companions, companions, strict=True):
        inner = registry.get(companion.model)
        _fill(inner, network.get_submodule(companion.module), _state_for(inner, file), file)
    digests = (hashlib.sha256(file.read_bytes()).hexdigest() for file in (path, *companions))
    return _ready(spec, network, "+".join(digests))


def load_random(spec: ModelSpec, seed: int) -> Loaded:
    """Build the network of `spec` with weights drawn from `seed`, the same on every machine."""
    network = spec.network()
    network.load_state_dict(random_state(network.state_dict(), seed, spec.random_gains))
    return _ready(spec, network, f"random:{seed}")


def own_entries(spec: ModelSpec, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The entries of a network's state dict that are in its own checkpoint and not in a companion's."""
    foreign = tuple(f"{c.module}." for c in spec.companions)
    return {key: value for key, value in state.items() if not key.startswith(foreign)}


def _ready(spec: ModelSpec, network: Network, sha256: str) -> Loaded:
    network.eval().requires_grad_(False)
    network.fold()
    return Loaded(spec, network, sha256)


def _state_for(spec: ModelSpec, path: Path) -> dict[str, Tensor]:
    state = read_state(path)
    return state if spec.adapt is None else _tensors(spec.adapt(state))


def _expect_companions(spec: ModelSpec, path: Path, given: tuple[Path, ...]) -> None:
    if len(given) == len(spec.companions):
        return
    wanted = [f"that of {c.model} ({registry.get(c.model).weights.filename})" for c in spec.companions]
    files = ", ".join(["its own", *wanted])
    raise CheckpointError(
        f"{spec.name} is filled from {1 + len(wanted)} weights file(s): {files}; got {1 + len(given)}, starting with "
        f"{path}. Give them in this order; `tweenrt weights NAME` says where each is"
    )


def random_state(
    state: Mapping[str, Tensor], seed: int, gains: tuple[tuple[str, float], ...] = ()
) -> dict[str, Tensor]:
    """Seeded values for every entry of `state`: they depend on its key, its shape, the seed and its gain alone.

    Weights of two or more dimensions are uniform with the variance of 1/fan_in, so that activations neither die
    nor explode; biases are small; slopes, scales and running statistics stay near the constant they start from.
    Integer entries are kept.

    Args:
        state: key → tensor.
        seed: which values.
        gains: (part of a key, factor); see `ModelSpec.random_gains`.
    """
    return {key: _gain(key, gains) * _random(key, value, seed) for key, value in state.items()}


def _gain(key: str, gains: tuple[tuple[str, float], ...]) -> float | int:
    return next((factor for part, factor in gains if part in key), 1)


def _random(key: str, value: Tensor, seed: int) -> Tensor:
    if not value.is_floating_point():
        return value.clone()
    rng = np.random.default_rng([seed, zlib.crc32(key.encode())])
    noise = torch.from_numpy(rng.uniform(-1.0, 1.0, tuple(value.shape)).astype(np.float32))
    if value.dim() >= 2 and min(value.shape[:2]) > 1:
        return noise * float(np.sqrt(3.0 / value[0].numel()))
    constant = not key.endswith("bias") and bool((value == value.flatten()[0]).all())
    centre = value.float() if constant else torch.zeros_like(noise)
    return centre + 0.05 * noise


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint file, unwrapped and without the prefix that data-parallel training adds.

    Only tensors are unpickled (``weights_only``), so a hostile file cannot run code.

    Raises:
        CheckpointError: the file is missing, damaged, or holds no tensors.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on pickle protocols and storages: nothing a user can change
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle may raise anything
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CheckpointError(
            f"{path}: expected a PyTorch checkpoint, could not read it as one ({reason}); "
            "download it again or check that it is the right file"
        ) from error
    while isinstance(content, Mapping):
        inner = next((content[k] for k in _WRAPPERS if isinstance(content.get(k), Mapping)), None)
        if inner is None:
            break
        content = inner
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: expected a state dict, found a {type(content).__name__}")
    state = {str(k).removeprefix("module."): v for k, v in _tensors(content).items()}
    if not state:
        raise CheckpointError(f"{path}: expected a state dict, found no tensors in it")
    return state


def looks_like(state: Mapping[str, Tensor]) -> list[str]:
    """Names of the registered models whose every entry is in `state` with the right shape."""
    shapes = {k: tuple(v.shape) for k, v in state.items()}
    fits = []
    for name in registry.names():
        spec = registry.get(name)
        with torch.device("meta"):
            wanted = own_entries(spec, spec.build().state_dict())
        adapted = shapes
        if spec.adapt is not None:
            adapted = {k: tuple(v.shape) for k, v in _tensors(spec.adapt(state)).items()}
        if all(adapted.get(k) == tuple(v.shape) for k, v in wanted.items()):
            fits.append(name)
    return fits


def _tensors(content: Mapping[str, object]) -> dict[str, Tensor]:
    return {k: v for k, v in content.items() if isinstance(v, Tensor)}


def _fill(spec: ModelSpec, network: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    wanted = own_entries(spec, network.state_dict())
    missing = [k for k in wanted if k not in state]
    misshapen = [
        f"{k}: expected {tuple(wanted[k].shape)}, got {tuple(state[k].shape)}"
        for k in wanted
        if k in state and state[k].shape != wanted[k].shape
    ]
    unexpected = [k for k in state if k not in wanted and not k.startswith(spec.optional_keys)]
    if missing or misshapen or unexpected:
        raise CheckpointError(_misfit(spec, state, path, missing, misshapen, unexpected))
    filled = {k: state[k].float() if state[k].is_floating_point() else state[k] for k in wanted}
    network.load_state_dict(network.state_dict() | filled)


def _misfit(
    spec: ModelSpec,
    state: Mapping[str, Tensor],
    path: Path,
    missing: list[str],
    misshapen: list[str],
    unexpected: list[str],
) -> str:
    lines = [f"{path}: not a checkpoint of {spec.name} ({spec.title})"]
    for title, items in (("missing", missing), ("misshapen", misshapen), ("unexpected", unexpected)):
        if items:
            shown = ", ".join(items[:_NAMED_AT_MOST]) + (", …" if len(items) > _NAMED_AT_MOST else "")
            lines.append(f"  {title} ({len(items)}): {shown}")
    fits = looks_like(state)
    lines.append(
        f"  it looks like {' or '.join(fits)}: name that model instead"
        if fits
        else f"  it fits no model of tweenrt; `tweenrt weights {spec.name}` says where the right file is"
    )
    return "\n".join(lines)
