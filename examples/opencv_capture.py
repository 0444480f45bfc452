"""An OpenCV capture loop with more frames: read, interpolate, write.

python examples/opencv_capture.py clip.mp4 rife.onnx smooth.mp4 --factor 2

Needs opencv-python or opencv-python-headless.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tweenrt import Interpolator, TweenrtError
from tweenrt.runtime import Backend, SceneJudge

Picture = NDArray[np.uint8]


def main(arguments: list[str] | None = None) -> int:
    """Write `target`; returns how many frames it has."""
    options = parse(arguments)
    capture = cv2.VideoCapture(options.source)
    if not capture.isOpened():
        sys.exit(f"error: {options.source}: OpenCV cannot open it")
    rate = capture.get(cv2.CAP_PROP_FPS) * options.factor
    size = (int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)))
    writer = cv2.VideoWriter(options.target, cv2.VideoWriter.fourcc(*"mp4v"), rate, size)
    count = 0
    with Interpolator.open(options.graph, Backend(options.backend)) as interpolator:
        for frame in interpolator.stream(pictures(capture), options.factor, judge=SceneJudge()):
            writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
            count += 1
    writer.release()
    capture.release()
    return count


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="a file or URL that OpenCV can open")
    parser.add_argument("graph", type=Path, help="an ONNX file, a folder of two, or an engine")
    parser.add_argument("target", help="the .mp4 file to write")
    parser.add_argument("--factor", type=int, default=2)
    parser.add_argument("--backend", choices=[b.value for b in Backend], default=Backend.AUTO.value)
    return parser.parse_args(arguments)


def pictures(capture: cv2.VideoCapture) -> Iterator[Picture]:
    """Everything that comes, as [H,W,3] RGB; OpenCV has BGR, and `cvtColor` gives each picture memory of its own."""
    while True:
        found, picture = capture.read()
        if not found:
            return
        yield cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


if __name__ == "__main__":
    try:
        print(f"{main()} frames written")
    except TweenrtError as error:
        sys.exit(f"error: {error}")
