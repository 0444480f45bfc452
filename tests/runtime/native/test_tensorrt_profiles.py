"""Engines for several sizes in the TensorRT backends of libtweenrt, on a CUDA and a TensorRT without a GPU."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from support.native_tensorrt import build
from support.tensorrt_driver import Driver, Engine, Fakes, Header, Refused

HEAD, TAIL = b"fake plan", b"in t float 1 1 1 1\nout frame_t float 1 3 -1 -1\nblend"
T = (1, 1, 1, 1)


@pytest.fixture(scope="module", params=[False, True], ids=["tensorrt", "tensorrt-rtx"])
def rtx(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module")
def fakes(rtx: bool) -> Fakes:
    return Fakes(build(rtx=rtx))


@pytest.fixture
def driver(fakes: Fakes, rtx: bool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    fakes.reset()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TWEENRT_CACHE", str(tmp_path_factory.mktemp("cache")))
        with Driver(build(rtx=rtx)) as opened:
            yield opened
    assert fakes.fault == ""


def load(driver: Driver, rtx: bool, span: bytes) -> Engine:
    frames = b"\n".join(b"in " + name + b" float 1 3 -1 -1 " + span for name in (b"frame0", b"frame1"))
    flavour = b"tensorrt-rtx" if rtx else b"tensorrt"
    names = ("flavour", "tensorrt", "device", "targets", "plugins", "plugins_sha256", "file_sha256")
    values = (flavour, driver.version.encode(), b"Test GPU (sm86)", b"", b"", b"", b"ab" * 32)
    return driver.load(b"\n".join((HEAD, frames, TAIL)), Header(**dict(zip(names, values, strict=True))))


def test_the_profile_that_fits_is_chosen(driver: Driver, rtx: bool, fakes: Fakes) -> None:
    large, small, neither = (1, 3, 96, 128), (1, 3, 8, 12), (1, 3, 80, 80)
    engine = load(driver, rtx, b"from 1 3 4 4 to 1 3 64 64 from 1 3 96 96 at 1 3 96 128 to 1 3 128 128")
    t = driver.tensor("float", *T).set(np.float32(0.25))
    for size, changes in ((small, 0), (large, 1), (large, 1), (small, 2)):  # a context starts on the first
        engine.set_shapes(size, size, T)
        assert engine.output_shape() == size
        assert fakes.tensorrt("profiles") == changes
        first, second, out = (driver.tensor("float", *size).set(np.float32(v)) for v in (0, 4, -1))
        for _ in range(3):
            engine.run([first, second, t], [out])
        driver.synchronize()
        assert (out.now() == 1).all()
    with pytest.raises(
        Refused, match="frame0 of 1x3x80x80, only for 1x3x4x4 to 1x3x64x64 or 1x3x96x96 to 1x3x128x128;"
    ):
        engine.set_shapes(neither, neither, T)
    with pytest.raises(Refused, match="not built for frame1 of 1x3x80x80"):
        engine.set_shapes(small, neither, T)


def test_of_profiles_that_overlap_the_one_tuned_nearest_is_taken(driver: Driver, rtx: bool, fakes: Fakes) -> None:
    engine = load(driver, rtx, b"from 1 3 4 4 at 1 3 8 8 to 1 3 64 64 from 1 3 4 4 at 1 3 48 48 to 1 3 64 64")
    for size, changes in ((8, 0), (40, 1), (64, 1), (9, 2)):
        shape = (1, 3, size, size)
        engine.set_shapes(shape, shape, T)
        assert fakes.tensorrt("profiles") == changes, size
