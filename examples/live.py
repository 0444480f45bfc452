"""A camera, a network stream or a file, interpolated while it plays, on the screen or in a file.

python examples/live.py rtsp://camera.local/stream rife.onnx                 # a window on the screen; q ends it
python examples/live.py 0 rife.onnx --factor 2 --policy repeat               # camera number 0
python examples/live.py clip.mp4 rife.onnx smooth.mp4 --policy wait          # a file, at its own speed

Streams and files are read with PyAV (tweenrt[video]); cameras and the screen need opencv-python.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import chain
from pathlib import Path
from threading import Thread
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from tweenrt import Interpolator, TweenrtError
from tweenrt.runtime import Backend, ByFactor, SceneJudge
from tweenrt.runtime.channel import ChannelClosed
from tweenrt.runtime.live import Deadline, Live, LiveReport

SCREEN = "screen"
TICK = Fraction(1, 90_000)

Picture = NDArray[np.uint8]
"""[H,W,3] RGB, 0..255."""

Show = Callable[[Picture, Fraction], bool]
"""Shows a picture at a time in seconds; False if no more are wanted."""


def main(arguments: list[str] | None = None) -> LiveReport:
    """Run as the command line says, until the source ends, the window is closed or Ctrl-C."""
    options = parse(arguments)
    with Interpolator.open(options.graph, Backend(options.backend)) as interpolator:
        pictures = camera(int(options.source)) if options.source.isdigit() else played(options.source)
        first = next(pictures)
        interpolator.between(first, first, [0.5])  # builds what has to be built before frames begin to come
        live = Live(
            interpolator,
            ByFactor(options.factor),
            policy=Deadline(options.policy),
            delay=options.delay,
            paced=options.target == SCREEN,
            judge=SceneJudge(),
        )
        with live, opened(options.target, first) as show:
            Thread(target=feed, args=(live, chain([first], pictures)), daemon=True).start()
            present(live, show)
        return live.report()


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="a file, a URL, or the number of a camera")
    parser.add_argument("graph", type=Path, help="an ONNX file, a folder of two, or an engine")
    parser.add_argument("target", nargs="?", default=SCREEN, help="a file to write; the screen without it")
    parser.add_argument("--factor", type=int, default=2)
    parser.add_argument("--delay", type=float, default=0.1, help="seconds from the camera to the screen")
    parser.add_argument("--policy", choices=[d.value for d in Deadline], default=Deadline.SKIP.value)
    parser.add_argument("--backend", choices=[b.value for b in Backend], default=Backend.AUTO.value)
    return parser.parse_args(arguments)


def feed(live: Live, pictures: Iterator[Picture]) -> None:
    """Push every picture as it comes, and say how it ended."""
    try:
        for picture in pictures:
            live.push(picture)
        live.finish()
    except ChannelClosed:
        pass  # nobody watches any more
    except Exception as error:  # noqa: BLE001  (whatever the source fails with, the other thread is to know)
        live.finish(error)


def present(live: Live, show: Show) -> None:
    """Show what comes, at times that begin with 0."""
    start: Fraction | None = None
    try:
        for shown in live:
            start = shown.pts if start is None else start
            if not show(shown.frame, shown.pts - start):
                return
    except KeyboardInterrupt:
        return


def played(source: str) -> Iterator[Picture]:
    """The pictures of a stream as they come, or of a file at its own speed, as if it were a stream."""
    with av.open(source) as container:
        is_file, start = Path(source).is_file(), time.monotonic()
        for frame in container.decode(video=0):
            if is_file and frame.time is not None:
                time.sleep(max(0.0, start + frame.time - time.monotonic()))
            yield frame.to_ndarray(format="rgb24")


def camera(number: int) -> Iterator[Picture]:
    """The pictures of a camera."""
    import cv2

    capture = cv2.VideoCapture(number)
    try:
        while True:
            found, picture = capture.read()
            if not found:
                return
            yield cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)  # new memory each time, so it may be pushed
    finally:
        capture.release()


def opened(target: str, first: Picture) -> Any:
    """Where pictures of the size of `first` are shown."""
    return screen() if target == SCREEN else file(target, first)


@contextmanager
def screen() -> Iterator[Show]:
    """A window; the key q closes it."""
    import cv2

    def show(picture: Picture, _: Fraction) -> bool:
        cv2.imshow("tweenrt", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        return cv2.waitKey(1) != ord("q")

    yield show
    cv2.destroyAllWindows()


@contextmanager
def file(target: str, first: Picture) -> Iterator[Show]:
    """A video file with the times that frames have."""
    height, width = first.shape[:2]
    with av.open(target, "w") as container:
        stream = container.add_stream("libx264", options={"preset": "veryfast", "tune": "zerolatency"})
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv444p" if height % 2 or width % 2 else "yuv420p"
        stream.codec_context.time_base = TICK

        def show(picture: Picture, pts: Fraction) -> bool:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round(pts / TICK), TICK
            container.mux(stream.encode(frame))
            return True

        yield show
        container.mux(stream.encode(None))


if __name__ == "__main__":
    try:
        found = main()
    except TweenrtError as error:
        sys.exit(f"error: {error}")
    print(
        f"{found.source + found.drawn + found.repeated} frames shown, {found.drawn} of them drawn; "
        f"{found.skipped} skipped, {found.repeated} repeated, {found.dropped} source frames dropped"
    )
    if found.latency:
        print(
            "milliseconds from source to target: "
            f"p50 {found.latency.p50:.0f}, p90 {found.latency.p90:.0f}, p99 {found.latency.p99:.0f}"
        )
