"""A machine with one GPU that is none, and the same drawn on it and on the CPU."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from support.fake_cuda import FakeCuda
from support.fake_tensorrt import FakeTensorRt
from tweenrt.runtime import Backend, Interpolator, Lane

TIMES = [Fraction(1, 4), Fraction(1, 2), Fraction(3, 4)]
Array = np.ndarray[Any, Any]


class Machine:
    """A machine with one GPU."""

    def __init__(self, cuda: FakeCuda, trt: FakeTensorRt, built: list[Path]) -> None:
        self.cuda, self.trt, self.built = cuda, trt, built


def frames(count: int, height: int = 40, width: int = 70) -> list[Array]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (height, width, 3), np.uint8) for _ in range(count)]


def drawn(path: Path, backend: Backend, pictures: list[Array], **options: Any) -> list[Array]:
    """Every moment between every two neighbours."""
    with Interpolator.open(path, backend, **options) as interpolator:
        ready = [interpolator.prepare(picture) for picture in pictures]
        return [frame for a, b in itertools.pairwise(ready) for frame in interpolator.between(a, b, TIMES)]


@contextmanager
def both(graph: Path, **options: Any) -> Iterator[tuple[Interpolator, Lane, Interpolator]]:
    """`graph` on the GPU, its lane, and on the CPU."""
    lane = Lane()
    with (
        Interpolator.open(graph, Backend.TENSORRT, lane=lane, **options) as gpu,
        Interpolator.open(graph, Backend.ONNXRUNTIME) as cpu,
    ):
        yield gpu, lane, cpu


def same(found: list[Array], wanted: list[Array]) -> None:
    assert len(found) == len(wanted) > 0
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)
