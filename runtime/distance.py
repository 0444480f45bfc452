"""Distance maps: for networks that take a moment for every pixel, and for objects that should be drawn at their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tweenrt.errors import UsageError

DistanceMap = NDArray[np.float32]


@dataclass(frozen=True)
class Region:
    """Part of the picture that is drawn at a moment of its own, whatever the moment of the output frame.

    Attributes:
        mask: [H,W], true inside.
        t: the moment, 0 (the earlier frame) to 1 (the later one).
    """

    mask: NDArray[np.bool_]
    t: float

    @classmethod
    def read(cls, path: Path, t: float) -> Region:
        """A region from a mask image: every pixel brighter than half belongs to it.

        Raises:
            UsageError: the image cannot be read, or `t` is not in 0..1.
        """
        from tweenrt.runtime.video.backend import av

        if not 0 <= t <= 1:
            raise UsageError(f"expected the moment of a region in 0..1, got {t}")
        try:
            with av.open(str(path)) as image:
                grey = next(image.decode(video=0)).to_ndarray(format="gray")
        except (av.FFmpegError, OSError, StopIteration, IndexError) as error:
            raise UsageError(f"{path}: expected a mask image such as a PNG, could not read it ({error})") from error
        return cls(grey > 127, t)


def distance_map(t: float, height: int, width: int, regions: Sequence[Region] = ()) -> DistanceMap:
    """The moment of every pixel, [H,W]: `t`, and inside of a region the region's; later regions win.

    Raises:
        UsageError: a mask has another size than the frame.
    """
    found = np.full((height, width), t, np.float32)
    for region in regions:
        if region.mask.shape != found.shape:
            got = "x".join(str(side) for side in region.mask.shape)
            raise UsageError(f"expected a mask of the frame's size, {height}x{width} pixels, got {got}")
        found[region.mask] = region.t
    return found
