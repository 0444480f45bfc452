"""Outputs of the authors' own code for seeded weights and frames: small files that pin a network exactly.

A golden file holds ``output`` (the image [1,3,H,W], every 4th pixel of every 4th row, float32) and ``t``.
Weights come from `tweenrt.export.checkpoint.random_state` and frames from
`tweenrt.export.frames.moving_frames`, so whoever has the authors' code can make the file again.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tweenrt.export.frames import moving_frames

GOLDEN = Path(__file__).parent.parent / "golden"
STRIDE = 4
HEIGHT, WIDTH, SEED = 128, 192, 7


def example(count: int = 2, height: int = HEIGHT, width: int = WIDTH) -> tuple[Tensor, ...]:
    """The frames of a golden run, each [1,3,H,W], RGB 0..1."""
    return tuple(torch.from_numpy(f[None].copy()) for f in moving_frames(height, width, count, seed=SEED))


def sample(image: Tensor | NDArray[np.float32]) -> NDArray[np.float32]:
    """The pixels of an image [1,3,H,W] that a golden file keeps."""
    return np.ascontiguousarray(np.asarray(image, np.float32)[..., ::STRIDE, ::STRIDE])


def save(name: str, image: Tensor, t: float) -> None:
    """Write the golden file `name` from the authors' output."""
    GOLDEN.mkdir(exist_ok=True)
    np.savez_compressed(GOLDEN / f"{name}.npz", output=sample(image), t=t)


def load(name: str) -> tuple[NDArray[np.float32], float]:
    """(kept pixels, t) of the golden file `name`."""
    with np.load(GOLDEN / f"{name}.npz") as content:
        return content["output"], float(content["t"])
