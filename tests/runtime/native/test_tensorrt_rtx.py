"""The TensorRT-RTX backend of libtweenrt: what it does beside the TensorRT one, on fakes.

Its own headers are not public apart from the library; TensorRT's with what a caller needs beside stand for them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.graphs import INFO
from support.native_abi import Native, Refused
from support.native_tensorrt import build, module, sanitizing, tensorrt_headers
from support.tensorrt_driver import Fakes

from tweenrt import cache
from tweenrt.contract import TimeInput
from tweenrt.runtime.engines.engine_cache import read_timings
from tweenrt.runtime.engines.engine_file import EngineInfo, pack
from tweenrt.runtime.engines.engine_loader import _kernels_path

OPEN = "1 3 -1 -1 from 1 3 1 1 to 1 3 512 512"
MEAN = f"fake plan\nin frame0 float {OPEN}\nin frame1 float {OPEN}\nout frame_t float 1 3 -1 -1\nmean"


@pytest.fixture(scope="module")
def fakes() -> Fakes:
    return Fakes(build(rtx=True))


@pytest.fixture(autouse=True)
def _own_cache(fakes: Fakes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    fakes.reset()
    fakes.set_tensorrt("version", 10701)
    yield
    assert fakes.fault == ""
    assert fakes.cuda("live") == 0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    info = EngineInfo(
        replace(INFO, t=TimeInput.FIXED).to_metadata(), "0" * 64, "tensorrt-rtx", "1.7.1", targets=("sm80", "sm86")
    )
    (tmp_path / "it.engine").write_bytes(pack(info, MEAN.encode()))
    return tmp_path / "it.engine"


def opened(path: Path, other: Path | None = None) -> Native:
    made = build(rtx=True)
    folder = (other or made.module).parent
    return Native(path, backend_library=str(made.library).encode(), module_folder=str(folder).encode())


def draw(path: Path) -> int:
    """Value of a new frame between one of 10 and one of 20."""
    with opened(path) as native:
        assert (native.info().backend, native.info().backend_version) == (b"tensorrt-rtx", b"1.7.1")
        native.set_format(20, 10)
        for slot, value in enumerate((10, 20)):
            native.prepare(slot, np.full((10, 20, 3), value, np.uint8))
        out = np.zeros((10, 20, 3), np.uint8)
        native.draw((0, 1), [0.5], [[out]])
    assert out.min() == out.max()
    return int(out[0, 0, 0])


def kernels_path(path: Path) -> Path:
    """Where Python keeps the kernels of the same engine."""
    return _kernels_path(hashlib.sha256(path.read_bytes()).hexdigest())


def test_compiled_kernels_are_kept_where_python_keeps_them(path: Path, fakes: Fakes) -> None:
    assert draw(path) == 15
    kept = kernels_path(path)
    assert read_timings(kept) == b"compiled kernels"
    assert [p.name for p in kept.parent.iterdir()] == [kept.name]
    assert fakes.tensorrt("kernels") == 0
    written = kept.stat().st_mtime_ns
    assert draw(path) == 15
    assert fakes.tensorrt("kernels") == 1, "what was compiled was not handed over"
    assert kept.stat().st_mtime_ns == written, "what has not changed was written again"


@pytest.mark.parametrize("harm", ["short", "changed", "other"])
def test_damaged_kernels_are_compiled_again(path: Path, fakes: Fakes, harm: str) -> None:
    draw(path)
    kept = kernels_path(path)
    whole = kept.read_bytes()
    kept.write_bytes({"short": whole[:30], "changed": whole[:-1] + b"x", "other": b"X" + whole[1:]}[harm])
    assert draw(path) == 15
    assert fakes.tensorrt("kernels") == 0, "they were handed over"
    assert kept.read_bytes() == whole


def test_kernels_that_cannot_be_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(path / "under a file"))
    assert draw(path) == 15


@pytest.mark.parametrize("named", [True, False])
def test_the_usual_cache_folder(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool) -> None:
    monkeypatch.delenv(cache.VARIABLE)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if named:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    draw(path)
    assert read_timings(kernels_path(path)) == b"compiled kernels"


@pytest.mark.skipif(sanitizing(), reason="compiles once more and runs nothing of it")
def test_headers_of_another_library(path: Path) -> None:
    """Compiled with TensorRT's headers it can only say that it cannot run."""
    stock = module(tensorrt_headers(), rtx=True)
    with pytest.raises(Refused) as refused:
        opened(path, stock)
    assert refused.value.status == "MISMATCH"
    assert "is tensorrt-rtx 1.7.1, and this backend was compiled with the headers of version 10.14" in str(
        refused.value
    )
    assert str(refused.value).endswith("compile libtweenrt with those of tensorrt-rtx 1.7.1 (TENSORRT_RTX_ROOT)")


def test_older_ones(path: Path, fakes: Fakes) -> None:
    fakes.set_tensorrt("version", 10601)
    with pytest.raises(Refused, match=r"expected tensorrt-rtx 1.7 or later, found 1.6.1"):
        opened(path)
