"""OpenVINO as a backend: the numbers of ONNX Runtime, or a clear refusal and ONNX Runtime in its place."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from support import graphs
from support.cli import run
from support.clips import moving
from support.op_models import op_model

from tweenrt.errors import BackendError, GraphError, MissingExtraError
from tweenrt.runtime import Backend, Interpolator, doctor, open_session
from tweenrt.runtime.onnxruntime_session import OnnxRuntimeSession
from tweenrt.runtime.openvino_session import OpenVinoSession, is_installed

# Not pytest.importorskip: that would import OpenVINO with its telemetry.
pytestmark = pytest.mark.skipif(not is_installed(), reason="needs OpenVINO: pip install 'tweenrt[openvino]'")

Array = NDArray[np.float32]
MAX_ABS = 1e-5  # FP32 sums of values of order 1, in another order; bfloat16 is off by 1e-2


def frames(count: int = 1, height: int = 6, width: int = 10) -> dict[str, Array]:
    rng = np.random.default_rng(3)
    pair = {name: rng.random((count, 3, height, width), np.float32) for name in ("frame0", "frame1")}
    return pair | {"t": np.full((count, 1, 1, 1), 0.3, np.float32)}


def both(path: Path) -> tuple[OnnxRuntimeSession, OpenVinoSession]:
    return OnnxRuntimeSession(path, 1), OpenVinoSession(path, 1)


def test_functions_open_sizes_and_batches(tmp_path: Path) -> None:
    theirs, ours = both(graphs.blend(tmp_path / "blend.onnx"))
    assert ours.info == theirs.info
    assert (ours.inputs, ours.outputs, ours.settings) == (theirs.inputs, theirs.outputs, theirs.settings)
    for feeds in (frames(), frames(2, 9, 7), frames(1, 6, 10)):
        expected, got = theirs.run(feeds), ours.run(feeds)
        assert list(got) == list(expected) == ["frame_t", "brightness"]
        for name, value in expected.items():
            assert got[name].dtype == value.dtype
            np.testing.assert_allclose(got[name], value, rtol=0, atol=MAX_ABS)


def test_settings_have_defaults_and_can_be_given(tmp_path: Path) -> None:
    session = OpenVinoSession(graphs.blend(tmp_path / "blend.onnx", gain=2.0), 1)
    feeds = frames()
    step = 0.3 * (feeds["frame1"] - feeds["frame0"])
    for given, gain in (({}, 2.0), ({"gain": np.array([0.5], np.float32)}, 0.5), ({}, 2.0)):
        drawn = session.run(feeds | given)["frame_t"]
        np.testing.assert_allclose(drawn, feeds["frame0"] + gain * step, rtol=0, atol=MAX_ABS)


def test_it_computes_in_fp32_with_the_threads_asked_for(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    weight = onnx.numpy_helper.from_array(rng.standard_normal((3, 3, 3, 3)).astype(np.float32) / 5, "weight")
    model = onnx.parser.parse_model(f"""{graphs.HEAD}
        convolve (float[N,3,H,W] frame0, float[N,3,H,W] frame1, float[N,1,1,1] t) => (float[N,3,H,W] frame_t)
        {{ frame_t = Conv <pads = [1, 1, 1, 1]> (frame0, weight) }}""")
    model.graph.initializer.append(weight)
    theirs, ours = both(graphs.save_model(tmp_path / "convolve.onnx", model))
    feeds = frames(1, 64, 64)
    np.testing.assert_allclose(ours.run(feeds)["frame_t"], theirs.run(feeds)["frame_t"], rtol=0, atol=MAX_ABS)
    chosen = ours._request.get_compiled_model()
    assert str(chosen.get_property("INFERENCE_PRECISION_HINT")) == "<Type: 'float32'>"
    assert chosen.get_property("INFERENCE_NUM_THREADS") == 1


@pytest.mark.parametrize("padding", ["border", "zeros"])
def test_the_warp_s_portable_body(tmp_path: Path, padding: str) -> None:
    rng = np.random.default_rng(2)
    inputs = {
        "x": rng.random((1, 5, 12, 20), np.float32),
        "flow": (8 * rng.standard_normal((1, 2, 12, 20))).astype(np.float32),
    }
    path = graphs.save_model(tmp_path / "warp.onnx", op_model("BackwardWarp", inputs, {"padding": padding}))
    theirs, ours = both(path)
    np.testing.assert_allclose(ours.run(inputs)["y"], theirs.run(inputs)["y"], rtol=0, atol=MAX_ABS)


def test_bytes_and_an_input_that_no_node_reads(tmp_path: Path) -> None:
    path = graphs.blend_bytes(tmp_path / "bytes.onnx")
    first, second = moving(2, 7, 11)
    with (
        Interpolator.open(path, Backend.ONNXRUNTIME) as theirs,
        Interpolator.open(path, Backend.OPENVINO, threads=1) as ours,
    ):
        assert np.array_equal(*(network.between(first, second, [0.5])[0] for network in (theirs, ours)))


def test_halves_of_a_network_and_odd_sizes(tmp_path: Path) -> None:
    folder = graphs.blend_halves(tmp_path / "halves")
    first, second = moving(2, 35, 53)
    with Interpolator.open(folder, Backend.OPENVINO, threads=1, max_batch=2) as network:
        drawn = network.between(first, second, [0.25, 0.5])
    for t, picture in zip((0.25, 0.5), drawn, strict=True):
        exact = first + t * (second.astype(float) - first)
        assert np.abs(picture - exact).max() <= 0.51


def test_inputs_have_to_be_complete(tmp_path: Path) -> None:
    session = OpenVinoSession(graphs.blend(tmp_path / "blend.onnx"), 1)
    session.run(frames())
    feeds = frames()
    del feeds["frame1"]
    with pytest.raises(BackendError, match="expected the inputs frame0, frame1, t, got frame0, t"):
        session.run(feeds)
    with pytest.raises(BackendError, match="got frame0, frame1, t, more"):
        session.run(frames() | {"more": np.zeros(1, np.float32)})
    with pytest.raises(BackendError, match=r"OpenVINO failed: .*shape"):
        session.run(frames() | {"frame0": np.zeros((1, 4, 6, 10), np.float32)})


def test_results_outlive_the_next_run_and_the_session(tmp_path: Path) -> None:
    session = OpenVinoSession(graphs.blend(tmp_path / "blend.onnx"), 1)
    drawn = session.run(frames())["frame_t"]
    kept = drawn.copy()
    session.run({name: value + 1 for name, value in frames().items()})
    session.close()
    assert np.array_equal(drawn, kept)
    with pytest.raises(BackendError, match="closed"):
        session.run(frames())


REFUSED = pytest.mark.parametrize(
    ("make", "why"),
    [
        (graphs.with_a_branch, r"chooses between branches \(If\)"),
        (graphs.with_an_unknown_op, "No conversion rule found for operations: DeformConv-19"),
    ],
    ids=["branch", "unknown-op"],
)


@REFUSED
def test_what_it_cannot_run_is_refused_with_the_reason(make: Callable[[Path], Path], why: str, tmp_path: Path) -> None:
    path = make(tmp_path / "graph.onnx")
    with pytest.raises(BackendError, match=f"OpenVINO cannot run this graph: .*{why}.*use the backend onnxruntime"):
        open_session(path, Backend.OPENVINO)


@REFUSED
def test_auto_takes_onnx_runtime_for_that(make: Callable[[Path], Path], why: str, tmp_path: Path) -> None:
    path = make(tmp_path / "graph.onnx")
    session = open_session(path)
    assert isinstance(session, OnnxRuntimeSession)
    feeds = frames(1, 8, 8)
    assert session.run(feeds)["frame_t"].shape == feeds["frame0"].shape


def test_auto_takes_openvino_where_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = graphs.blend(tmp_path / "blend.onnx")
    assert isinstance(open_session(path), OpenVinoSession)
    assert isinstance(open_session(path, Backend.ONNXRUNTIME), OnnxRuntimeSession)
    for package in ("openvino", "onnx"):
        with monkeypatch.context() as context:
            context.setattr(importlib.util, "find_spec", lambda name, hidden=package: None if name == hidden else 1)
            assert isinstance(open_session(path), OnnxRuntimeSession)


@pytest.mark.parametrize("package", ["openvino", "onnx"])
def test_asked_for_and_not_installed(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = graphs.blend(tmp_path / "blend.onnx")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"'{package}': pip install 'tweenrt\[openvino\]'"):
        open_session(path, Backend.OPENVINO)


@pytest.mark.parametrize("backend", list(Backend))
def test_files_that_are_no_graphs(backend: Backend, tmp_path: Path) -> None:
    path = tmp_path / "graph.onnx"
    with pytest.raises(GraphError, match="no such graph"):
        open_session(path, backend)
    path.write_bytes(b"not a graph")
    with pytest.raises(GraphError, match="expected an ONNX file"):
        open_session(path, backend)
    model = op_model("BackwardWarp", {n: np.zeros((1, 2, 4, 4), np.float32) for n in ("x", "flow")})
    onnx.save(model, path)
    with pytest.raises(GraphError, match="none of its metadata"):
        open_session(path, backend)


def test_the_command_line_takes_it(tmp_path: Path) -> None:
    path = graphs.with_a_branch(tmp_path / "graph.onnx")
    source = tmp_path / "in"
    source.mkdir()
    for name in "ab":
        _write(source / f"{name}.png")
    arguments = ["interpolate", source, tmp_path / "out", "--model", path, "--input-rate", "25"]
    refused = run(*arguments, "--backend", "openvino")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "OpenVINO cannot run this graph" in refused.stderr
    assert run(*arguments).exit_code == 0


def test_nothing_is_reported_to_anyone(tmp_path: Path) -> None:
    path = graphs.blend(tmp_path / "blend.onnx")
    code = f"""
import sys, threading
from pathlib import Path
from tweenrt.runtime import Backend, doctor, open_session
assert doctor._openvino().usable
open_session(Path({str(path)!r}), Backend.OPENVINO)
assert threading.active_count() == 1, threading.enumerate()
assert not [name for name in sys.modules if name.startswith("openvino_telemetry")]
"""
    home = tmp_path / "home"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "CI"} | {"HOME": str(home)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, cwd=tmp_path)
    assert not list(home.iterdir())


def test_ctrl_c_is_heard_after_a_session_went_on_another_thread(tmp_path: Path) -> None:
    path = graphs.blend(tmp_path / "blend.onnx")
    code = f"""
import gc, signal, threading
from pathlib import Path
from tweenrt.runtime import Backend, open_session
held = [open_session(Path({str(path)!r}), Backend.OPENVINO)]
thread = threading.Thread(target=lambda: (held.pop().close(), gc.collect()))
thread.start()
thread.join()
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("heard")
"""
    command = [
        sys.executable,
        "-X",
        "faulthandler",
        "-c",
        code,
    ]  # it gives the thread a stack for signals, as pytest does
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr


def test_doctor_runs_a_model_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    status = doctor._openvino()
    assert (status.name, status.installed, status.usable) == ("openvino", True, True)
    monkeypatch.setattr(doctor, "_TINY_MODEL", b"")
    broken = doctor._openvino()
    assert (broken.installed, broken.usable) == (True, False)
    assert "RuntimeError" in broken.detail
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None if name == "onnx" else object())
    absent = doctor._openvino()
    assert (absent.installed, absent.usable) == (False, False)
    assert "tweenrt[openvino]" in absent.detail


def _write(path: Path) -> None:
    from PIL import Image

    Image.fromarray(moving(1, 32, 32)[0]).save(path)
