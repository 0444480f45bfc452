"""Everything that a worker on another machine needs to draw: the graphs themselves, and how they are run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import tweenrt
from tweenrt import cache
from tweenrt.errors import GraphError, UsageError
from tweenrt.runtime.cuda import Lane
from tweenrt.runtime.distance import Region
from tweenrt.runtime.interpolator import Interpolator
from tweenrt.runtime.session import ENGINE_ENDING, Backend


@dataclass(frozen=True)
class Recipe:
    """A network as it is sent to workers.

    Attributes:
        name: of the graph or engine file, or of the folder of a split export.
        files: name → content of that file, or of those in the folder.
        backend: what executes it.
        threads: CPU threads for one run; None leaves the choice to the backend.
        iterations: runs for each frame, for [D,R] networks.
        settings: name → value of the graph's settings that are changed.
        regions: parts of the picture that are drawn at moments of their own.
        version: of tweenrt, which workers must have too.
    """

    name: str
    files: Mapping[str, bytes] = field(repr=False)
    backend: Backend = Backend.AUTO
    threads: int | None = None
    iterations: int = 2
    settings: Mapping[str, float] = field(default_factory=dict)
    regions: tuple[Region, ...] = ()
    version: str = tweenrt.__version__

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the files."""
        found = hashlib.sha256(self.name.encode())
        for name, content in sorted(self.files.items()):
            found.update(f"{name} {hashlib.sha256(content).hexdigest()}".encode())
        return found.hexdigest()

    @cached_property
    def drawn_by(self) -> str:
        """Names what decides the frames; `threads` does not."""
        found = hashlib.sha256(f"{self.digest} {self.backend.value} {self.iterations}".encode())
        found.update(repr(sorted(self.settings.items())).encode())
        for region in self.regions:
            found.update(f"{region.mask.shape} {region.t}".encode() + region.mask.tobytes())
        return found.hexdigest()

    def open(self, gpu: int = 0) -> Interpolator:
        """The network, ready to draw. Its files are put into the cache of this machine.

        Raises:
            UsageError: this machine has another version of tweenrt.
            TweenrtError: see `Interpolator.open`, `use_regions` and `set`.
        """
        if self.version != tweenrt.__version__:
            raise UsageError(
                f"expected workers with tweenrt {self.version} as here, got one with {tweenrt.__version__}; install "
                "the same version everywhere"
            )
        folder = cache.make_once(cache.root() / "received" / self.digest, self._write)
        interpolator = Interpolator.open(
            folder / self.name,
            self.backend,
            threads=self.threads,
            iterations=self.iterations,
            lane=Lane(gpu),
        )
        try:
            interpolator.use_regions(self.regions)
            for name, value in self.settings.items():
                interpolator.set(name, value)
        except BaseException:
            interpolator.close()
            raise
        return interpolator

    def _write(self, folder: Path) -> None:
        inner = folder if self.name in self.files else folder / self.name
        inner.mkdir(parents=True)
        for name, content in self.files.items():
            (inner / name).write_bytes(content)


def files_of(graph: Path) -> dict[str, bytes]:
    """Name → content of the graph or engine at `graph`, or of those in that folder.

    Raises:
        GraphError: there is none.
    """
    ours = {".onnx", ENGINE_ENDING}
    paths = sorted(p for p in graph.iterdir() if p.suffix in ours) if graph.is_dir() else [graph]
    if not paths or not all(path.is_file() for path in paths):
        raise GraphError(f"{graph}: no such graph; make one with `tweenrt export MODEL -o {graph}`")
    return {path.name: path.read_bytes() for path in paths}
