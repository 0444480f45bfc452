"""From a model's name to a graph that can be run: fetch its weights, export them, keep the result."""

from __future__ import annotations

import functools
import hashlib
import importlib
from collections.abc import Callable
from pathlib import Path

import tweenrt
from tweenrt import cache
from tweenrt.contract import Kind
from tweenrt.export import registry, weights
from tweenrt.export.checkpoint import Loaded, load_checkpoint, load_random
from tweenrt.export.exporter import SPLIT, export
from tweenrt.export.options import ExportOptions, MaskedConv
from tweenrt.export.spec import ModelSpec

_SEED = 1


def _silent(_: str) -> None:
    pass


def prepare_graph(name: str, progress: Callable[[str], None] = _silent) -> Path:
    """A graph of the model `name` for frames of any size, from the cache or else exported into it.

    Models that can be split are, because then a frame is encoded once although it is part of two pairs.

    Args:
        name: a name of the registry.
        progress: told each step, one sentence.

    Returns:
        An ONNX file of kind ``pair``, or a folder with ``encoder.onnx`` and ``synthesis.onnx``; what
        `tweenrt.runtime.Interpolator.open` takes.

    Raises:
        UsageError: no such model, or its weights have to be fetched by hand; the message says from where.
        DownloadError: the weights could not be fetched.
        GateError: the export computes something else than the network.
    """
    spec = registry.get(name)
    checkpoint = weights.fetch(spec, progress)
    weights_key = checkpoint.parent.name  # the start of its sha256
    return _cached(spec, weights_key, lambda: load_checkpoint(spec, checkpoint), MaskedConv.GATHER, progress)


def prepare_random_graph(name: str, progress: Callable[[str], None] = _silent) -> Path:
    """As `prepare_graph`, with random weights: for what depends on the shapes only. Nothing is fetched.

    Mask-guided convolutions carry the body that TensorRT can build.

    Raises:
        UsageError: no such model.
        GateError: the export computes something else than the network.
    """
    spec = registry.get(name)
    return _cached(spec, "random", lambda: load_random(spec, _SEED), MaskedConv.DENSE, progress)


def _cached(
    spec: ModelSpec, weights_key: str, load: Callable[[], Loaded], body: MaskedConv, progress: Callable[[str], None]
) -> Path:
    kinds = SPLIT if set(SPLIT) <= set(spec.kinds) else (Kind.PAIR,)

    def make(path: Path) -> None:
        export(load(), ExportOptions(kinds=kinds, masked_conv=body), path, progress)

    ending = ".onnx" if kinds == (Kind.PAIR,) else ""
    place = cache.root() / "graphs" / f"{spec.name}-{weights_key}-{_exporter_key()}{ending}"
    return cache.make_once(place, make)


@functools.cache
def _exporter_key() -> str:
    """Changes with every source file that takes part in an export, so a cached graph is never an old one."""
    digest = hashlib.sha256(tweenrt.__version__.encode())
    for package in ("tweenrt.export", "tweenrt.plugins"):
        for folder in importlib.import_module(package).__path__:
            for source in sorted(Path(folder).rglob("*.py")):
                digest.update(source.read_bytes())
    return digest.hexdigest()[:12]
