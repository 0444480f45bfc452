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
from tweenrt.export.checkpoint import load_checkpoint
from tweenrt.export.exporter import SPLIT, export
from tweenrt.export.options import ExportOptions, MaskedConv


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
    kinds = SPLIT if set(SPLIT) <= set(spec.kinds) else (Kind.PAIR,)
    checkpoint = weights.fetch(spec, progress)

    def make(path: Path) -> None:
        export(
            load_checkpoint(spec, checkpoint), ExportOptions(kinds=kinds, masked_conv=MaskedConv.GATHER), path, progress
        )

    ending = ".onnx" if kinds == (Kind.PAIR,) else ""
    weights_key = checkpoint.parent.name  # the start of its sha256
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
