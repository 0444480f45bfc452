"""pycuda arrays in, a pycuda array out: nothing is copied between them and the network.

python examples/pycuda_interop.py rife-uint8.onnx      # exported with --io uint8

Needs an NVIDIA GPU, tweenrt[tensorrt] or tweenrt[tensorrt-rtx], and tweenrt[pycuda].
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tweenrt import Interpolator, TweenrtError
from tweenrt.runtime import Backend


def main(arguments: list[str] | None = None) -> Any:
    """Draw the frame in the middle of two made-up ones; returns it as a ``GPUArray``."""
    import pycuda.autoprimaryctx  # noqa: F401  (the context that the CUDA runtime, and so TensorRT, uses)
    from pycuda import gpuarray

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("graph", type=Path, help="an ONNX file with uint8 frames, or an engine of one")
    parser.add_argument("--backend", choices=[b.value for b in Backend], default=Backend.AUTO.value)
    parser.add_argument("--size", type=int, nargs=2, default=(720, 1280), metavar=("HEIGHT", "WIDTH"))
    options = parser.parse_args(arguments)
    first, second = (gpuarray.to_gpu(picture) for picture in moving_square(*options.size))
    with Interpolator.open(options.graph, Backend(options.backend)) as interpolator:
        (middle,) = interpolator.between(first, second, [0.5])  # type: ignore[arg-type]
        # `base` keeps the frame's memory for as long as pycuda uses it.
        return gpuarray.GPUArray(middle.shape, middle.dtype, base=middle, gpudata=middle.address)  # type: ignore[attr-defined]


def moving_square(height: int, width: int) -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    """Two pictures [H,W,3], RGB: a white square that moves by an eighth of the width."""
    pictures = []
    for left in (width // 4, width // 4 + width // 8):
        picture = np.zeros((height, width, 3), np.uint8)
        picture[height // 4 : height // 2, left : left + width // 4] = 255
        pictures.append(picture)
    return pictures


if __name__ == "__main__":
    try:
        drawn = main()
    except TweenrtError as error:
        sys.exit(f"error: {error}")
    print(f"drawn at {int(drawn.gpudata):#x} in GPU memory, {drawn.shape}; mean level {drawn.get().mean():.1f}")
