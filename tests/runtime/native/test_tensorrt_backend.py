"""The TensorRT backends of libtweenrt on a CUDA and a TensorRT without a GPU.

The order of what they queue, CUDA graphs, and what they refuse. tests/native/tensorrt_fake says what those two do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.native_tensorrt import build
from support.tensorrt_driver import Driver, Engine, Fakes, Header, Refused, Tensor

BLEND = b"""fake plan
in frame0 float 1 3 -1 -1 from 1 3 4 4 to 1 3 64 64
in frame1 float 1 3 -1 -1 from 1 3 4 4 to 1 3 64 64
in t float 1 1 1 1
out frame_t float 1 3 -1 -1
blend"""
SHAPE = (1, 3, 8, 12)
SHAPES = (SHAPE, SHAPE, (1, 1, 1, 1))
VERSION = b"10.14.1"  # of the pinned headers


@pytest.fixture(scope="module")
def fakes() -> Fakes:
    return Fakes(build())


@pytest.fixture(autouse=True)
def _all_is_freed(fakes: Fakes) -> Iterator[None]:
    fakes.reset()
    yield
    assert fakes.fault == ""
    assert fakes.cuda("live") == 0
    assert [fakes.tensorrt(kind) for kind in ("contexts", "engines", "runtimes")] == [0, 0, 0]


def header(**values: Any) -> Header:
    given = {"flavour": b"tensorrt", "tensorrt": VERSION, "device": b"Test GPU (sm86)", "targets": b"", **values}
    given = {"plugins": b"", "plugins_sha256": b"", "file_sha256": b"ab" * 32, **given}
    return Header(**given)


class Blending:
    """An engine that blends two frames of one value each."""

    def __init__(self, driver: Driver, plan: bytes = BLEND) -> None:
        self.driver, self.engine = driver, driver.load(plan, header())
        self.engine.set_shapes(*SHAPES)
        self.t = driver.tensor("float", 1, 1, 1, 1)
        driver.fill(self.t, 0.25)

    def frame(self, value: float) -> Tensor:
        return self.driver.tensor("float", *SHAPE).set(np.float32(value))

    def run(self, first: Tensor, second: Tensor, out: Tensor) -> None:
        self.engine.run([first, second, self.t], [out])


def test_one_run(fakes: Fakes) -> None:
    with Driver(build()) as driver:
        blending = Blending(driver)
        engine = blending.engine
        assert engine.names(inputs=True) == ["frame0", "frame1", "t"]
        assert engine.names(inputs=False) == ["frame_t"]
        assert engine.output_shape() == SHAPE
        out = blending.frame(-1)
        blending.run(blending.frame(4), blending.frame(8), out)
        assert (out.now() == -1).all(), "it ran before anybody waited"
        driver.synchronize()
        assert (out.now() == 5).all()
        assert driver.version == VERSION.decode()


def test_what_is_queued_happens_in_order(fakes: Fakes) -> None:
    with Driver(build()) as driver:
        blending = Blending(driver)
        first, second, out = (blending.frame(v) for v in (0, 100, -1))
        results = []
        for t in (0.25, 0.5, 0.75):
            driver.fill(blending.t, t)
            results.append(blending.frame(-1))
            blending.run(first, second, results[-1])
        blending.run(results[0], results[2], out)
        driver.synchronize()
        assert [float(r.now().max()) for r in results] == [25, 50, 75]
        assert (out.now() == 25 + 0.75 * 50).all()


def test_the_second_run_with_the_same_addresses_is_captured_and_later_ones_launched(fakes: Fakes) -> None:
    with Driver(build()) as driver:
        blending = Blending(driver)
        first, second, out = (blending.frame(v) for v in (0, 4, -1))
        counted = []
        for _ in range(4):
            out.set(np.float32(-1))
            blending.run(first, second, out)
            driver.synchronize()
            assert (out.now() == 1).all()
            counted.append((fakes.tensorrt("enqueues"), fakes.cuda("captures"), fakes.cuda("launches")))
        assert counted == [(1, 0, 0), (2, 1, 1), (2, 1, 2), (2, 1, 3)]


def test_frames_that_take_turns_have_a_graph_each(fakes: Fakes) -> None:
    """As with features that stay on the GPU: what was the second frame is the first one next time."""
    with Driver(build()) as driver:
        blending = Blending(driver)
        frames, outs = [blending.frame(v) for v in (0, 100)], [blending.frame(-1) for _ in range(2)]
        for k in range(6):
            frames[(k + 1) % 2].set(np.float32(100 * (k + 1)))
            blending.run(frames[k % 2], frames[(k + 1) % 2], outs[k % 2])
            driver.synchronize()
            assert (outs[k % 2].now() == 100 * k + 25).all()
        assert (fakes.cuda("captures"), fakes.cuda("launches")) == (2, 4)
        assert fakes.tensorrt("enqueues") == 4


def test_the_least_recently_used_graph_is_forgotten(fakes: Fakes) -> None:
    with Driver(build()) as driver:
        blending = Blending(driver)
        first, second = blending.frame(0), blending.frame(4)
        outs = [blending.frame(-1) for _ in range(17)]
        for out in [outs[0]] * 2 + outs[1:] + [outs[0]]:
            blending.run(first, second, out)
        assert fakes.cuda("launches") == 1, "the graph of the first was still there after 16 others"
        for out in outs[-15:]:
            blending.run(first, second, out)
        assert fakes.cuda("launches") == 16, "a graph of the last 15 was not there"
        driver.synchronize()
        assert all((out.now() == 1).all() for out in outs)


def test_new_shapes_take_new_graphs(fakes: Fakes) -> None:
    with Driver(build()) as driver:
        blending = Blending(driver)
        first, second, out = (blending.frame(v) for v in (0, 4, -1))
        for _ in range(3):
            blending.run(first, second, out)
        smaller = (1, 3, 4, 4)
        blending.engine.set_shapes(smaller, smaller, (1, 1, 1, 1))
        assert blending.engine.output_shape() == smaller
        driver.synchronize()
        out.set(np.float32(-1))
        blending.run(first, second, out)
        driver.synchronize()
        assert (out.now().flat[:48] == 1).all()
        assert (out.now().flat[48:] == -1).all(), "it ran with the sizes of before"


def test_an_engine_that_cannot_be_captured_goes_on_one_by_one(fakes: Fakes) -> None:
    fakes.set_cuda("refuse_capture", 1)
    with Driver(build()) as driver:
        blending = Blending(driver)
        first, second, out = (blending.frame(v) for v in (0, 4, -1))
        for _ in range(4):
            out.set(np.float32(-1))
            blending.run(first, second, out)
            driver.synchronize()
            assert (out.now() == 1).all()
        assert fakes.cuda("launches") == 0
        said = [line for line in driver.log if line.startswith("1 ")]
        assert len(said) == 1
        assert "not captured as CUDA graphs: cudaStreamEndCapture failed: operation not permitted" in said[0]


def test_a_run_that_fails_says_what_tensorrt_said(fakes: Fakes) -> None:
    with Driver(build()) as driver:
        blending = Blending(driver, BLEND + b"\nfails 1")
        first, second, out = (blending.frame(v) for v in (0, 4, -1))
        blending.run(first, second, out)
        with pytest.raises(Refused, match=r"^x.engine: tensorrt 10.14.1 failed: a layer gave up$") as refused:
            blending.run(first, second, blending.frame(-1))
        assert refused.value.status == "BACKEND_FAILED"
        with pytest.raises(Refused, match="a layer gave up"):
            blending.run(first, second, out)  # while it is captured, and again without
        assert "0 a layer gave up" in driver.log
        driver.synchronize()
        assert (out.now() == 1).all()


def test_an_engine_waits_for_its_runs_before_it_goes(fakes: Fakes) -> None:
    with Driver(build()) as driver:
        blending = Blending(driver)
        out = blending.frame(-1)
        blending.run(blending.frame(0), blending.frame(4), out)
        driver.unload()
        assert (out.now() == 1).all()


def test_memory_waits_for_what_is_queued_before_it_goes(fakes: Fakes) -> None:
    with Driver(build()) as driver:
        driver.fill(driver.tensor("float", 1, 1, 1, 1), 0.5)
        assert fakes.cuda("pending") == 1


def test_the_stream_of_the_caller(fakes: Fakes) -> None:
    stream = fakes.stream()
    with Driver(build(), stream=stream) as driver:
        blending = Blending(driver)
        out = blending.frame(-1)
        blending.run(blending.frame(0), blending.frame(4), out)
        fakes.wait(stream)
        assert (out.now() == 1).all()
    fakes.destroy(stream)


def test_another_gpu_is_the_current_one_only_during_calls(fakes: Fakes) -> None:
    fakes.set_cuda("gpus", 2)
    with Driver(build(), gpu=1) as driver:
        assert fakes.cuda("device") == 0
        with pytest.raises(Refused, match=r"built for Test GPU \(sm86\), this GPU is Other GPU \(sm89\)"):
            driver.load(BLEND, header())
        engine = driver.load(BLEND, header(device=b"Other GPU (sm89)"))
        engine.set_shapes(*SHAPES)
        tensors = [driver.tensor("float", *shape).set(np.float32(1)) for shape in (*SHAPES, SHAPE)]
        engine.run(tensors[:3], tensors[3:])
        assert fakes.cuda("device") == 0
        driver.synchronize()
        assert fakes.cuda("device") == 0
    assert fakes.cuda("device") == 0


def test_several_handles_at_once(fakes: Fakes) -> None:
    with Driver(build()) as one, Driver(build()) as other:
        both = [Blending(one), Blending(other)]
        assert fakes.tensorrt("contexts") == 2
        outs = [blending.frame(-1) for blending in both]
        for k, blending in enumerate(both):
            blending.run(blending.frame(0), blending.frame(4 * (k + 1)), outs[k])
        one.synchronize()
        assert (outs[0].now() == 1).all()
        assert (outs[1].now() == -1).all(), "they share a stream"
        other.synchronize()
        assert (outs[1].now() == 2).all()


def test_no_memory_is_left(fakes: Fakes) -> None:
    with Driver(build()) as driver:
        fakes.set_cuda("capacity", 1 << 20)
        with pytest.raises(Refused, match=r"GPU 0 is out of memory \(4 MiB more are needed\); close") as refused:
            driver.tensor("float", 1, 3, 1024, 384)
        assert refused.value.status == "OUT_OF_MEMORY"
        driver.tensors.clear()


@pytest.mark.parametrize(
    ("settings", "gpu", "text"),
    [
        ({"gpus": 0}, 0, "no CUDA device: no CUDA-capable device is detected; without a GPU, run the ONNX graph"),
        ({"gpus": 1}, 1, "GPU 1 was asked for: this machine has 1, numbered from 0"),
        ({"gpus": 1}, -1, "GPU -1 was asked for: this machine has 1, numbered from 0"),
    ],
)
def test_no_such_gpu(fakes: Fakes, settings: dict[str, int], gpu: int, text: str) -> None:
    for name, value in settings.items():
        fakes.set_cuda(name, value)
    with pytest.raises(Refused) as refused:
        Driver(build(), gpu=gpu)
    assert refused.value.status == "NO_DEVICE"
    assert str(refused.value).startswith(text)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"flavour": b"tensorrt-rtx"}, "built with tensorrt-rtx, this is the backend tensorrt"),
        ({"tensorrt": b"10.14.2"}, "built with tensorrt 10.14.2, 10.14.1 is installed"),
        ({"device": b"Orin (sm87)"}, "built for Orin (sm87), this GPU is Test GPU (sm86)"),
        ({"device": b"", "targets": b"sm80,SM89"}, "built for sm80,SM89, this GPU is Test GPU (sm86)"),
        ({"device": b"", "targets": b"sm8,sm861"}, "built for sm8,sm861, this GPU is Test GPU (sm86)"),
    ],
)
def test_engines_for_something_else(fakes: Fakes, values: dict[str, bytes], text: str) -> None:
    with Driver(build()) as driver, pytest.raises(Refused) as refused:
        driver.load(BLEND, header(**values))
    assert refused.value.status == "MISMATCH"
    assert str(refused.value) == f"x.engine: {text}; build it again with `tweenrt build` on this machine"


@pytest.mark.parametrize(
    "values", [{"device": b"", "targets": b"sm75,SM86"}, {"device": b"Orin (sm87)", "portable": True}]
)
def test_engines_for_several_gpus(fakes: Fakes, values: dict[str, Any]) -> None:
    with Driver(build()) as driver:
        assert isinstance(driver.load(BLEND, header(**values)), Engine)


def test_what_tensorrt_does_not_load(fakes: Fakes) -> None:
    with Driver(build()) as driver:
        with pytest.raises(Refused, match=r"tensorrt 10.14.1 cannot load it: the plan is not for this GPU$") as refused:
            driver.load(b"another plan", header())
        assert refused.value.status == "BACKEND_FAILED"
        with pytest.raises(
            Refused, match=r"net\.onnx: expected an engine, got an ONNX file; build one with"
        ) as refused:
            driver.load(b"", None, "net.onnx")
        assert refused.value.status == "UNSUPPORTED"
        with pytest.raises(Refused, match="expected floats, halves or bytes in frame0, it has TensorRT's type 8"):
            driver.load(BLEND.replace(b"frame0 float", b"frame0 int64"), header())
        driver.unload()


def test_shapes_that_it_was_not_built_for(fakes: Fakes) -> None:
    with Driver(build()) as driver:
        engine = driver.load(BLEND, header())
        wide = (1, 3, 8, 65)
        with pytest.raises(Refused, match="not built for frame0 of 1x3x8x65, only for 1x3x4x4 to 1x3x64x64") as refused:
            engine.set_shapes(wide, wide, (1, 1, 1, 1))
        assert refused.value.status == "UNSUPPORTED"
        with pytest.raises(Refused, match="not built for t of 1x1x2x2, only for 1x1x1x1; build"):
            engine.set_shapes(SHAPE, SHAPE, (1, 1, 2, 2))
        open_ended = driver.load(
            BLEND.replace(b"out frame_t float 1 3 -1 -1", b"out frame_t float 1 3 8 8 -1"), header()
        )
        with pytest.raises(Refused, match="the size of frame_t, 1x3x8x8x-1, does not follow"):
            open_ended.set_shapes(*SHAPES)


def plugins_header(file: Path, digest: str = "") -> Header:
    found = digest or hashlib.sha256(file.read_bytes()).hexdigest()
    return header(plugins=b"BackwardWarp", plugins_sha256=found.encode())


def test_our_plugins_are_given_to_tensorrt_once(fakes: Fakes) -> None:
    file = build().plugins
    for _ in range(2):
        with Driver(build(), plugins=str(file)) as driver:
            for _ in range(2):
                driver.load(BLEND, plugins_header(file))
            driver.load(BLEND, header())
    assert fakes.tensorrt("libraries") == 1


def test_plugin_libraries_that_do_not_do(fakes: Fakes, tmp_path: Path) -> None:
    file = build().plugins
    with Driver(build(), plugins=str(file)) as driver:
        with pytest.raises(Refused, match="built with another version of our plugin library than") as refused:
            driver.load(BLEND, plugins_header(file, "0" * 64))
        assert refused.value.status == "MISMATCH"
        fakes.set_tensorrt("refuse_plugins", 1)
        with pytest.raises(Refused, match=r"tensorrt 10\.14\.1 did not accept .*libtweenrt_plugins.so") as refused:
            driver.load(BLEND, plugins_header(file))
        assert refused.value.status == "BACKEND_FAILED"
    for plugins in (str(tmp_path / "none.so"), None):  # None: beside the module, where it is not
        with Driver(build(), plugins=plugins) as driver, pytest.raises(Refused, match="cannot be read") as refused:
            driver.load(BLEND, plugins_header(file))
        assert refused.value.status == "MISSING_LIBRARY"


def test_libraries_that_do_not_do(fakes: Fakes, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"tensorrt is not installed: .*none.so: cannot open.*backend_library") as refused:
        Driver(build(), library=str(tmp_path / "none.so"))
    assert refused.value.status == "MISSING_LIBRARY"
    with pytest.raises(Refused, match="expected a library of tensorrt, it has no getInferLibVersion") as refused:
        Driver(build(), library=str(build().plugins))
    assert refused.value.status == "MISSING_LIBRARY"


@pytest.mark.parametrize(
    ("version", "text"),
    [
        (100206, "expected tensorrt 10.3 or later, found 10.2.6"),
        (80602, "expected tensorrt 10.3 or later, found 8.6.2"),
        (110100, "is tensorrt 11.1.0, and this backend was compiled with the headers of version 10.14; compile"),
    ],
)
def test_other_versions(fakes: Fakes, version: int, text: str) -> None:
    fakes.set_tensorrt("version", version)
    with pytest.raises(Refused) as refused:
        Driver(build())
    assert refused.value.status == "MISMATCH"
    assert text in str(refused.value)


def test_later_and_earlier_ones_of_the_same_major_version(fakes: Fakes) -> None:
    for version, text in ((101602, "10.16.2"), (100300, "10.3.0")):
        fakes.set_tensorrt("version", version)
        with Driver(build()) as driver:
            assert driver.version == text


def test_tensorrt_does_not_start(fakes: Fakes) -> None:
    fakes.set_tensorrt("no_runtime", 1)
    with pytest.raises(Refused, match=r"tensorrt 10\.14\.1 cannot be started: it gave no reason") as refused:
        Driver(build())
    assert refused.value.status == "BACKEND_FAILED"
