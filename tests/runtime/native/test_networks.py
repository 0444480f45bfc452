"""Networks that cannot be opened: each has a status and a text, and leaves the process as it was."""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.graphs import HEAD, INFO, blend, blend_halves, save
from support.native_abi import LOG, Native, constants, library, refused

from tweenrt.runtime.engines.engine_file import EngineInfo, pack


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return blend(tmp_path_factory.mktemp("graphs") / "blend.onnx")


def engine(path: Path, flavour: str = "tensorrt", plan: bytes = b"plan", **values: Any) -> Path:
    path.write_bytes(pack(EngineInfo(INFO.to_metadata(), "0" * 64, flavour, "10.3.0", **values), plan))
    return path


def test_graphs_that_are_not_what_they_should_be(tmp_path: Path) -> None:
    folder, other = blend_halves(tmp_path / "halves"), blend_halves(tmp_path / "other", gain=2.5)
    refused("NOT_FOUND", "gone.onnx: cannot read the network", lambda: Native(tmp_path / "gone.onnx"))
    refused("NOT_FOUND", "expected a folder with", lambda: Native(tmp_path))
    refused("WRONG_KIND", "found 'encoder'", lambda: Native(folder / "encoder.onnx"))
    (other / "encoder.onnx").write_bytes((folder / "synthesis.onnx").read_bytes())
    refused("WRONG_KIND", "found 'synthesis' and 'synthesis'", lambda: Native(other))
    (other / "encoder.onnx").unlink()
    refused("NOT_FOUND", "encoder.onnx", lambda: Native(other))
    whole = blend(tmp_path / "whole.onnx").read_bytes()
    (tmp_path / "cut.onnx").write_bytes(whole[: len(whole) // 2])
    refused("DAMAGED", "it said:", lambda: Native(tmp_path / "cut.onnx"))
    (tmp_path / "empty.onnx").write_bytes(b"")
    refused("NOT_FOUND", "it is empty", lambda: Native(tmp_path / "empty.onnx"))
    foreign = blend(tmp_path / "foreign.onnx")
    foreign.write_bytes(
        foreign.read_bytes().replace(b"tweenrt.model", b"another.model").replace(b"tweenrt.kind", b"another.kind")
    )
    refused("NOT_OURS", "none of its metadata", lambda: Native(foreign))


def test_halves_of_different_exports(tmp_path: Path) -> None:
    folder = blend_halves(tmp_path / "halves")
    encoder = folder / "encoder.onnx"
    pair = b"\x0a\x0ftweenrt.pair_id\x12\x01"
    assert encoder.read_bytes().count(pair + b"1") == 1
    encoder.write_bytes(encoder.read_bytes().replace(pair + b"1", pair + b"2"))
    refused("WRONG_KIND", "come from different exports", lambda: Native(folder))


@pytest.mark.parametrize(("field", "value"), [("divisor", 0), ("divisor", 10**6), ("frames", 9)])
def test_metadata_that_is_nonsense(tmp_path: Path, field: str, value: int) -> None:
    text = f"{HEAD} g (float[N,3,H,W] frame0) => (float[N,3,H,W] frame_t) {{ frame_t = Identity (frame0) }}"
    graph = save(tmp_path / "graph.onnx", text, replace(INFO, **{field: value}))  # type: ignore[arg-type]
    refused("DAMAGED", f"{field} is '{value}'", lambda: Native(graph))


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        ("(float[N,3,H,W] frame0, float[N,3,H,W] style) => (float[N,3,H,W] frame_t)", "UNSUPPORTED", "input style"),
        ("(float[N,3,H,W] frame0) => (float[N,3,H,W] frame_x)", "WRONG_KIND", "frame_t"),
        ("(float[N,3,H,W] frame1) => (float[N,3,H,W] frame_t)", "WRONG_KIND", "frame0"),
        ("(float[2,3,H,W] frame0) => (float[2,3,H,W] frame_t)", "UNSUPPORTED", "batch of 1"),
        ("(double[N,3,H,W] frame0) => (double[N,3,H,W] frame_t)", "UNSUPPORTED", "float16 or float32"),
        ("(uint8[N,H,W,3] frame0) => (uint8[N,H,W,3] frame_t)", "DAMAGED", "disagree"),
    ],
)
def test_graphs_that_are_not_supported(tmp_path: Path, text: str, status: str, said: str) -> None:
    result = text.split("] ")[-1].rstrip(")")
    source = text.split("] ")[1].split(",")[0].split(")")[0]
    graph = save(tmp_path / "graph.onnx", f"{HEAD} g {text} {{ {result} = Identity ({source}) }}")
    refused(status, said, lambda: Native(graph))


def test_libraries_that_are_missing(graph: Path, tmp_path: Path) -> None:
    gone, text = str(tmp_path / "gone").encode(), tmp_path / "libonnxruntime.so"
    text.write_text("no library")
    refused("MISSING_LIBRARY", "module_folder", lambda: Native(graph, module_folder=gone))
    refused("MISSING_LIBRARY", "backend_library", lambda: Native(graph, backend_library=gone))
    refused("MISSING_LIBRARY", "libonnxruntime.so", lambda: Native(graph, backend_library=str(text).encode()))
    other = str(Path(library()._name)).encode()
    refused("MISSING_LIBRARY", "no OrtGetApiBase", lambda: Native(graph, backend_library=other))


def test_a_module_that_does_not_belong(graph: Path, tmp_path: Path) -> None:
    (tmp_path / "libtweenrt_onnxruntime.so").symlink_to(library()._name)
    folder = str(tmp_path).encode()
    refused("MISSING_LIBRARY", "has no tweenrt_module_interface", lambda: Native(graph, module_folder=folder))


def test_engines(tmp_path: Path) -> None:
    whole = engine(tmp_path / "whole.engine").read_bytes()
    faults: dict[str, tuple[bytes, str, str]] = {
        "foreign.engine": (b"ptrt" + bytes(100), "NOT_OURS", "a plan of another tool"),
        "short.engine": (whole[:20], "DAMAGED", "cut off in its header"),
        "cut.engine": (whole[:-1], "DAMAGED", "should hold"),
        "longer.engine": (whole + b"x", "DAMAGED", "should hold"),
        "header.engine": (whole[:8] + b"\xff\xff\xff\xff" + whole[12:], "DAMAGED", "should hold"),
        "plan.engine": (whole[:12] + b"\xff" * 8 + whole[20:], "DAMAGED", "should hold"),
        "changed.engine": (whole[:-1] + b"x", "DAMAGED", "checksum"),
        "renamed.onnx": (whole[:-1] + b"x", "DAMAGED", "checksum"),
    }
    for name, (content, status, text) in faults.items():
        (tmp_path / name).write_bytes(content)
        refused(status, text, lambda name=name: Native(tmp_path / name))
    engine(tmp_path / "whole.engine")
    wanted = {"backend": constants()["BACKEND_ONNXRUNTIME"]}
    refused("MISMATCH", "an engine for tensorrt", lambda: Native(tmp_path / "whole.engine", **wanted))
    rtx = engine(tmp_path / "rtx.engine", "tensorrt-rtx")
    refused("MISMATCH", "an engine for tensorrt-rtx", lambda: Native(rtx, backend=constants()["BACKEND_TENSORRT"]))


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"{",
        b'{"a"',
        b'{"a": "\\u12',
        b'{"a": "\\ud800\\u0041"}',
        b'{"a": "\\ud800x"}',
        b"[" * 500,
        b'{"a": tru',
        b'{"a": 1} 2',
        b"\x00",
        b"{,}",
    ],
)
def test_headers_of_engines_that_cannot_be_read(tmp_path: Path, header: bytes) -> None:
    prefix = struct.pack("<8sIQ32s", b"TWEENRTE", len(header), 4, hashlib.sha256(header + b"plan").digest())
    (tmp_path / "it.engine").write_bytes(prefix + header + b"plan")
    refused("DAMAGED", "header cannot be read", lambda: Native(tmp_path / "it.engine"))


def test_an_engine_says_which_backend_it_needs(tmp_path: Path) -> None:
    """Read from a header with everything that JSON has; without that backend's module it ends there."""
    odd = {"üñ": [1.5, -2e3, None, True, {"😀": '\\ "\n'}], "empty": [{}, []]}
    path, alone = engine(tmp_path / "it.engine", "tensorrt-rtx", options=odd), str(tmp_path).encode()
    assert "\\ud83d" in json.dumps(odd)
    refused("MISSING_LIBRARY", "the backend tensorrt-rtx is not installed", lambda: Native(path, module_folder=alone))
    refused(
        "MISMATCH",
        "got a graph; build one",
        lambda: Native(blend(tmp_path / "graph.onnx"), backend=constants()["BACKEND_TENSORRT"]),
    )


def test_a_failure_of_the_backend(tmp_path: Path) -> None:
    """A node that fails for bright frames; what the handle holds is of use afterwards."""
    text = f"""{HEAD} g (float[N,3,H,W] frame0, float[N,3,H,W] frame1) => (float[N,3,H,W] frame_t)
        {{
            parts = Constant <value_floats = [0.5, 1.0]> ()
            light = ReduceMax <keepdims = 0> (frame0)
            place = Constant <value_float = 9.0> ()
            scaled = Mul (light, place)
            index = Cast <to = 7> (scaled)
            part = Gather (parts, index)
            frame_t = Mul (frame1, part)
        }}"""
    logged: list[tuple[int, bytes]] = []
    callback = LOG(lambda _, level, said: logged.append((level, said)))
    bright, dark = np.full((8, 16, 3), 255, np.uint8), np.full((8, 16, 3), 3, np.uint8)
    with Native(save(tmp_path / "graph.onnx", text, replace(INFO, divisor=1)), log=callback) as native:
        native.set_format(16, 8)
        native.prepare(0, bright)
        native.prepare(1, bright)
        refused("BACKEND_FAILED", "ONNX Runtime failed", lambda: native.draw((0, 1), [0.5], [[bright]]))
        native.prepare(0, dark)
        native.draw((0, 1), [0.5], [[bright]])
    assert (bright == 128).all()
    assert any(level == constants()["LOG_ERROR"] and b"ONNX Runtime: " in said for level, said in logged)
    assert any(level == constants()["LOG_INFO"] and b"blend on onnxruntime 1." in said for level, said in logged)


def test_a_graph_whose_result_has_another_size(tmp_path: Path) -> None:
    text = f"""{HEAD} g (float[N,3,H,W] frame0, float[N,3,H,W] frame1) => (float[N,3,H,W] frame_t)
        {{
            shape = Constant <value_ints = [1, 3, 32, 32]> ()
            frame_t = Reshape (frame0, shape)
        }}"""
    with Native(save(tmp_path / "graph.onnx", text, replace(INFO, divisor=1))) as native:
        refused("UNSUPPORTED", "frame_t", lambda: native.set_format(64, 64))
        native.set_format(32, 32)
