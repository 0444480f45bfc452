"""Which node a kernel belongs to, for the names that ONNX Runtime, OpenVINO and TensorRT give, and on both for real."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
import pytest
from support import graphs
from support.layered import NAMES, layered

from tweenrt.errors import MissingExtraError
from tweenrt.runtime.node_names import Kernel, NodeNames
from tweenrt.runtime.onnxruntime_events import kernel_times
from tweenrt.runtime.onnxruntime_session import OnnxRuntimeSession
from tweenrt.runtime.openvino_session import OpenVinoSession, is_installed
from tweenrt.runtime.timing import LayerTime, TimesLayers

CONV, LEAKY, CONV_1, PRELU, BLEND = NAMES


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return layered(tmp_path_factory.mktemp("layered") / "layered.onnx")


@pytest.fixture(scope="module")
def names(path: Path) -> NodeNames:
    return NodeNames(onnx.load(path))


def test_bodies_stand_in_the_place_of_their_node_under_its_name(names: NodeNames) -> None:
    found = [node.name for node in names.model.graph.node]
    assert found[:4] == [CONV, LEAKY, CONV_1, PRELU]
    assert len(found) == len(set(found)) > 5
    assert {names.source(name) for name in found[4:]} == {BLEND}
    assert not names.model.functions


def test_a_graph_with_neighbouring_calls_tells_them_apart(tmp_path: Path) -> None:
    text = f"""{graphs.HEAD}
        twice (float[1,3,4,4] a, float[1,3,4,4] b, float[1,1,1,1] t, float[1] gain) => (float[1,3,4,4] y)
        {{
            middle = tweenrt.Blend (a, b, t, gain)
            y = tweenrt.Blend (middle, b, t, gain)
        }} {graphs._BLEND}"""
    names = NodeNames(onnx.load(graphs.save(tmp_path / "twice.onnx", text)))
    sources = [names.source(node.name) for node in names.model.graph.node]
    assert sources == ["Blend.0"] * 4 + ["Blend.1"] * 4


@pytest.mark.parametrize(
    ("kernel", "op", "node"),
    [
        (CONV, "Conv", CONV),
        ("leaky_relu_nchwc", "Conv", CONV),  # ONNX Runtime: the tensor written; LeakyRelu was fused into Conv
        ("conv2d_1_nchwc", "Conv", CONV_1),
        (f"{PRELU}/SomeFusion", "PRelu", PRELU),
        ("ReorderInput_token_40", "ReorderInput", ""),
        (f"{CONV_1}/WithoutBiases", "Convolution", CONV_1),  # OpenVINO
        (f"ConvolutionBackpropData_7,{CONV_1},{PRELU}", "Deconvolution", CONV_1),
        (f"{LEAKY}_abcd_acdb_{CONV_1}/WithoutBiases", "Reorder", LEAKY),
        (f"{CONV_1} + {PRELU}", "", CONV_1),  # TensorRT
        (f"Reformatting CopyNode for Input Tensor 0 to {CONV_1}", "", CONV_1),
        ("conv2d_12_nchwc", "Conv", ""),  # not conv2d_1, and not conv2d
        (f"x{CONV}", "Conv", ""),
    ],
)
def test_names_of_kernels(names: NodeNames, kernel: str, op: str, node: str) -> None:
    assert names.source(kernel, op) == node


def test_kernels_of_a_node_are_added_and_layout_changes_stay_apart(names: NodeNames) -> None:
    inside = [node.name for node in names.model.graph.node][4:6]
    kernels = [
        Kernel("leaky_relu_nchwc", "Conv", 2.0),
        Kernel(inside[0], "Sub", 0.5),
        Kernel(inside[1], "Mul", 0.25),
        Kernel("ReorderOutput", "ReorderOutput", 0.125),
        Kernel(f"{LEAKY}_abcd_acdb_x", "Reorder", 1.0),
        Kernel("ReorderOutput_2", "ReorderOutput", 0.125),
    ]
    assert names.gather(kernels) == [
        LayerTime(CONV, "Conv", 2.0),
        LayerTime(BLEND, "Blend", 0.75),
        LayerTime("", "ReorderOutput", 0.25),
        LayerTime(LEAKY, "Reorder", 1.0),
    ]


def event(name: str, start: int, length: int, op: str = "") -> dict[str, object]:
    category = "Node" if op else "Session"
    return {"cat": category, "name": name, "ts": start, "dur": length, "args": {"op_name": op} if op else {}}


def events() -> Iterable[dict[str, object]]:
    """Three runs; the times of the first are not typical. Microseconds."""
    yield event("session_initialization", 0, 90)
    for start, slow in ((100, 7), (1100, 1), (2100, 3)):
        yield event("a_kernel_time", start + 1, 100 * slow, "Conv")
        yield event("a_fence_before", start + 1, 5, "Conv")
        yield event("inner_kernel_time", start + 720, 30, "Mul")
        yield event("branch_kernel_time", start + 710, 50, "If")
        yield event("b_kernel_time", start + 770, 10, "Mul")
        yield event("model_run", start, 800)


def test_the_first_run_and_what_is_inside_a_branch_do_not_count() -> None:
    found = kernel_times(list(events()), skipped=1)
    assert found == [Kernel("a", "Conv", 0.2), Kernel("branch", "If", 0.05), Kernel("b", "Mul", 0.01)]
    assert sum(kernel.milliseconds for kernel in found) < 0.8


def feeds() -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    rng = np.random.default_rng(3)
    pair = {name: rng.random((1, 3, 64, 96), np.float32) for name in ("frame0", "frame1")}
    return pair | {"t": np.full((1, 1, 1, 1), 0.3, np.float32)}


def check(session: TimesLayers) -> None:
    found = session.layer_times(feeds(), 2)
    assert {time.name for time in found} >= {CONV, CONV_1, BLEND}
    assert {time.op for time in found if time.name == BLEND} >= {"Blend"}
    assert all(time.milliseconds > 0 for time in found)
    assert len({(time.name, time.op) for time in found}) == len(found)


def test_onnx_runtime_for_real(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    seen: list[float] = []

    def noted(found: list[dict[str, object]], skipped: int) -> list[Kernel]:
        runs = [int(str(e["dur"])) for e in found if e["name"] == "model_run"]
        assert len(runs) == 1 + 2
        kernels = kernel_times(found, skipped)
        seen.extend((sum(k.milliseconds for k in kernels), sum(runs[1:]) / 2 / 1000))
        return kernels

    monkeypatch.setattr("tweenrt.runtime.onnxruntime_session.kernel_times", noted)
    session = OnnxRuntimeSession(path, 1)
    check(session)
    layers, run = seen
    assert 0 < layers <= run
    assert not list(scratch.iterdir())
    assert session.run(feeds()), "the session is there again"


def test_two_sessions_of_onnx_runtime_never_hold_memory_together(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = OnnxRuntimeSession(path, 1)
    first, load = weakref.ref(session._session), session._load

    def loaded(*arguments: object) -> object:
        assert first() is None
        return load(*arguments)

    monkeypatch.setattr(session, "_load", loaded)
    assert session.layer_times(feeds(), 1)


@pytest.mark.skipif(not is_installed(), reason="needs OpenVINO: pip install 'tweenrt[openvino]'")
def test_openvino_for_real(path: Path, tmp_path: Path) -> None:
    session = OpenVinoSession(path, 1)
    check(session)
    before = session.run(feeds())["frame_t"]
    session.layer_times(feeds(), 1)
    assert np.array_equal(session.run(feeds())["frame_t"], before)
    with_settings = OpenVinoSession(graphs.blend(tmp_path / "blend.onnx", gain=2.0), 1)
    assert with_settings.layer_times(feeds(), 1)


def test_onnx_runtime_needs_the_package_onnx_for_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = OnnxRuntimeSession(path, 1)
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(
        MissingExtraError, match=r"Timing layers needs the package 'onnx': pip install 'tweenrt\[report\]'"
    ):
        session.layer_times(feeds(), 1)
