"""The optimisation profiles of an engine: which one is for frames of a size, and how many frames it takes at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tweenrt.runtime.device_memory import Extent


def profile_for(engine: Any, shapes: Mapping[str, Extent]) -> int | None:
    """The profile of `engine` that takes inputs of these shapes; of several the one that is tuned for the nearest size.

    A profile that is tuned for the very size is quicker than one that merely takes it. None where none takes them.
    """
    open_ones = {name: shape for name, shape in shapes.items() if _is_open(engine, name)}
    fits = [k for k in profiles(engine) if all(_takes(engine, k, name, shape) for name, shape in open_ones.items())]
    return min(fits, key=lambda k: sum(_distance(engine, k, *each) for each in open_ones.items()), default=None)


def profiles(engine: Any) -> range:
    """The numbers of all profiles; an engine whose shapes are all fixed has one that says nothing."""
    return range(max(1, engine.num_optimization_profiles))


def most_at_once(engine: Any, name: str, shape: Extent) -> int:
    """The largest first axis that an input may have whose other axes are those of `shape`; 1 if it takes none such."""
    if not _is_open(engine, name):
        return int(engine.get_tensor_shape(name)[0])
    spans = [engine.get_tensor_profile_shape(name, k) for k in profiles(engine)]
    return max((int(most[0]) for least, _, most in spans if _within(least[1:], shape[1:], most[1:])), default=1)


def refused_by_all(engine: Any, shapes: Mapping[str, Extent]) -> str:
    """The input that no profile takes as it is, or the first one where they only do not fit together."""
    names = [name for name in shapes if _is_open(engine, name)]
    alone = (name for name in names if not any(_takes(engine, k, name, shapes[name]) for k in profiles(engine)))
    return next(alone, next(iter(names or shapes)))


def _is_open(engine: Any, name: str) -> bool:
    return any(size < 0 for size in engine.get_tensor_shape(name))


def _takes(engine: Any, profile: int, name: str, shape: Extent) -> bool:
    least, _, most = engine.get_tensor_profile_shape(name, profile)
    return _within(least, shape, most)


def _within(least: Sequence[int], shape: Extent, most: Sequence[int]) -> bool:
    spans = list(zip(least, most, strict=True))
    return len(spans) == len(shape) and all(a <= size <= b for (a, b), size in zip(spans, shape, strict=True))


def _distance(engine: Any, profile: int, name: str, shape: Extent) -> int:
    """How many elements lie between a shape and the one that a profile is tuned for."""
    _, best, _ = engine.get_tensor_profile_shape(name, profile)
    return abs(math.prod(map(int, best)) - math.prod(shape))


__all__ = ["most_at_once", "profile_for", "profiles", "refused_by_all"]
