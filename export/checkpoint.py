"""Load the authors' checkpoint files into our networks, or say exactly why one does not fit."""

from __future__ import annotations

import hashlib
import pickle
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

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
        sha256: of the checkpoint file, or ``random:<seed>``.
    """

    spec: ModelSpec
    network: Network
    sha256: str


def load_checkpoint(spec: ModelSpec, path: Path) -> Loaded:
    """Build the network of `spec` and fill it from the authors' file at `path`.

    Raises:
        CheckpointError: the file cannot be read, or its entries do not match the network.
    """
    state = read_state(path)
    if spec.adapt is not None:
        state = _tensors(spec.adapt(state))
    network = spec.build()
    _fill(spec, network, state, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Loaded(spec, network.eval().requires_grad_(False), digest)


def load_random(spec: ModelSpec, seed: int) -> Loaded:
    """Build the network of `spec` with weights drawn from `seed`, the same on every machine."""
    network = spec.build()
    network.load_state_dict(random_state(network.state_dict(), seed))
    return Loaded(spec, network.eval().requires_grad_(False), f"random:{seed}")


def random_state(state: Mapping[str, Tensor], seed: int) -> dict[str, Tensor]:
    """Seeded values for every entry of `state`: they depend on its key, its shape and the seed alone.

    Weights of two or more dimensions are uniform with the variance of 1/fan_in, so that activations neither die
    nor explode; biases are small; slopes, scales and running statistics stay near the constant they start from.
    Integer entries are kept.
    """
    return {key: _random(key, value, seed) for key, value in state.items()}


def _random(key: str, value: Tensor, seed: int) -> Tensor:
    if not value.is_floating_point():
        return value.clone()
    rng = np.random.default_rng([seed, zlib.crc32(key.encode())])
    noise = torch.from_numpy(rng.uniform(-1.0, 1.0, tuple(value.shape)).astype(np.float32))
    if value.dim() >= 2 and min(value.shape[:2]) > 1:
        return noise * (3.0 / value[0].numel()) ** 0.5
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
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, KeyError, ValueError) as error:
        raise CheckpointError(
            f"{path}: expected a PyTorch checkpoint, could not read it as one "
            f"({str(error).splitlines()[0]}); download it again or check that it is the right file"
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
            wanted = spec.build().state_dict()
        adapted = shapes
        if spec.adapt is not None:
            adapted = {k: tuple(v.shape) for k, v in _tensors(spec.adapt(state)).items()}
        if all(adapted.get(k) == tuple(v.shape) for k, v in wanted.items()):
            fits.append(name)
    return fits


def _tensors(content: Mapping[str, object]) -> dict[str, Tensor]:
    return {k: v for k, v in content.items() if isinstance(v, Tensor)}


def _fill(spec: ModelSpec, network: Network, state: Mapping[str, Tensor], path: Path) -> None:
    wanted = network.state_dict()
    missing = [k for k in wanted if k not in state]
    misshapen = [
        f"{k}: expected {tuple(wanted[k].shape)}, got {tuple(state[k].shape)}"
        for k in wanted
        if k in state and state[k].shape != wanted[k].shape
    ]
    unexpected = [k for k in state if k not in wanted and not k.startswith(spec.optional_keys)]
    if missing or misshapen or unexpected:
        raise CheckpointError(_misfit(spec, state, path, missing, misshapen, unexpected))
    network.load_state_dict({k: state[k].float() if state[k].is_floating_point() else state[k] for k in wanted})


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
