"""Distance maps: what a [D] graph is fed, regions, and the steps of a [D,R] graph."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tweenrt.contract import FrameIO, GraphInfo, Kind, Padding, TimeInput
from tweenrt.errors import UsageError
from tweenrt.runtime.distance import Region, distance_map
from tweenrt.runtime.drawing import PairDrawer
from tweenrt.runtime.interpolator import Interpolator
from tweenrt.runtime.session import OnCpu

Array = NDArray[np.float32]
HEIGHT, WIDTH = 6, 10


class Recorder(OnCpu):
    """A session that notes what it is fed; it draws the earlier frame plus the distances."""

    def __init__(self, *, reference: bool) -> None:
        io, padding = FrameIO.FLOAT, Padding.REPLICATE
        self.info = GraphInfo("d", Kind.PAIR, 4, padding, TimeInput.MAP, 2, io, "fp32", "random:0", "0")
        names = ("frame0", "frame1", "t", *(("frame_ref", "t_ref") if reference else ()))
        self.inputs = dict.fromkeys(names, ("N", 3, "H", "W"))
        self.outputs = {"frame_t": ("N", 3, "H", "W")}
        self.settings: dict[str, tuple[int | str, ...]] = {}
        self.fed: list[dict[str, Array]] = []

    def run(self, feeds: Mapping[str, Any], *, keep: bool = False) -> dict[str, Any]:
        assert not keep or "frame_ref" in feeds
        self.fed.append({k: v.copy() for k, v in feeds.items()})
        return {"frame_t": feeds["frame0"] * 0 + feeds["t"]}

    def close(self) -> None:
        pass


def opened(*, reference: bool = False, iterations: int = 2) -> tuple[Interpolator, Recorder]:
    session = Recorder(reference=reference)
    return Interpolator(PairDrawer(session, 1, iterations)), session


def frame() -> Array:
    return np.zeros((HEIGHT, WIDTH, 3), np.float32)


def test_without_regions_every_pixel_has_the_frame_s_moment() -> None:
    interpolator, session = opened()
    (drawn,) = interpolator.between(frame(), frame(), [Fraction(1, 4)])
    assert session.fed[0]["t"].shape == (1, 1, 8, 12), "padded like the frame"
    assert np.unique(session.fed[0]["t"]).tolist() == [0.25]
    assert drawn.shape == (HEIGHT, WIDTH, 3)


def test_a_region_is_drawn_at_its_own_moment() -> None:
    interpolator, session = opened()
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[:, 7:] = True
    interpolator.use_regions([Region(mask, 0.75)])
    (drawn,) = interpolator.between(frame(), frame(), [0.5])
    np.testing.assert_array_equal(drawn[..., 0], np.where(mask, np.float32(0.75), np.float32(0.5)))
    assert session.fed[0]["t"][0, 0, 0, -1] == pytest.approx(0.75), "the border repeats what is inside"


def test_distances_can_be_given() -> None:
    interpolator, _ = opened()
    ramp = np.linspace(0, 1, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
    (drawn,) = interpolator.between(frame(), frame(), [0.5], distances=[ramp])
    np.testing.assert_array_equal(drawn[..., 1], ramp)


@pytest.mark.parametrize("iterations", [1, 2, 3])
def test_a_reference_walks_from_the_earlier_frame_in_equal_steps(iterations: int) -> None:
    interpolator, session = opened(reference=True, iterations=iterations)
    start = np.full((HEIGHT, WIDTH, 3), 0.125, np.float32)
    interpolator.between(start, start, [0.6])
    assert [float(f["t"][0, 0, 0, 0]) for f in session.fed] == pytest.approx(
        [0.6 * (k + 1) / iterations for k in range(iterations)]
    )
    assert [float(f["t_ref"][0, 0, 0, 0]) for f in session.fed] == pytest.approx(
        [0.6 * k / iterations for k in range(iterations)]
    )
    seen = [float(f["frame_ref"][0, 0, 0, 0]) for f in session.fed]
    assert seen == pytest.approx([0.125, *[0.6 * k / iterations for k in range(1, iterations)]])


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    interpolator, session = opened()
    with pytest.raises(UsageError, match="6x10 pixels, got 3x3"):
        distance_map(0.5, HEIGHT, WIDTH, [Region(np.ones((3, 3), bool), 0.5)])
    with pytest.raises(UsageError, match="expected 2 distance maps of 6x10"):
        interpolator.between(frame(), frame(), [0.25, 0.5], distances=[np.zeros((HEIGHT, WIDTH), np.float32)])
    with pytest.raises(UsageError, match="expected a mask image"):
        Region.read(tmp_path / "missing.png", 0.5)
    with pytest.raises(UsageError, match=r"in 0\.\.1, got 2"):
        Region.read(tmp_path / "missing.png", 2)
    session.info = GraphInfo(
        "plain", Kind.PAIR, 4, Padding.ZEROS, TimeInput.INPUT, 2, FrameIO.FLOAT, "fp32", "random:0", "0"
    )
    plain = Interpolator(PairDrawer(session, 1, 2))
    with pytest.raises(UsageError, match="plain takes one moment"):
        plain.use_regions([Region(np.ones((HEIGHT, WIDTH), bool), 0.5)])


def test_a_mask_image_is_read(tmp_path: Path) -> None:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[2:4] = 255
    with av.open(str(tmp_path / "mask.png"), "w", format="image2") as out:
        stream = out.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "gray"
        out.mux(stream.encode(av.VideoFrame.from_ndarray(mask, format="gray")))
        out.mux(stream.encode(None))
    np.testing.assert_array_equal(Region.read(tmp_path / "mask.png", 0.5).mask, mask > 0)
