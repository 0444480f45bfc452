"""For which sizes engines are built: as the user knows them, as frames are padded, as the graph leaves them open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from support.engines import INFO, write_graph

from tweenrt.contract import FrameIO, GraphInfo
from tweenrt.errors import UsageError
from tweenrt.runtime.engines.builder import BuildOptions, build_plan
from tweenrt.runtime.engines.sizes import SizeRange, expect_taken, fit
from tweenrt.runtime.engines.tensorrt import Flavour
from tweenrt.runtime.onnx_file import OnnxFile

BY_16 = replace(INFO, divisor=16)
BYTES = replace(INFO, io=FrameIO.UINT8)
OPEN = "g (float[N,3,H,W] frame0) => (float[N,3,H,W] y) { y = Relu (frame0) }"
OPEN_BYTES = "g (uint8[N,H,W,3] frame0) => (float[N,H,W,3] y) { y = Cast <to = 1> (frame0) }"
BATCH = "g (float[N,3,32,48] frame0) => (float[N,3,32,48] y) { y = Relu (frame0) }"
BATCH_BYTES = "g (uint8[N,32,48,3] frame0) => (float[N,32,48,3] y) { y = Cast <to = 1> (frame0) }"
FIXED = BATCH.replace("N,", "1,")
FEATURES = "g (float[N,8,2,3] feature) => (float[N,8,2,3] y) { y = Relu (feature) }"
RTX = BuildOptions(Flavour.RTX, targets=("sm86",))


def opened(folder: Path, text: str, info: GraphInfo = BY_16) -> OnnxFile:
    path = write_graph(folder, text)
    model = onnx.load(path)
    onnx.helper.set_model_props(model, info.to_metadata())
    onnx.save(model, path)
    return OnnxFile.load(path)


def test_open_sizes_are_rounded_up_as_frames_are_padded(tmp_path: Path) -> None:
    graph = opened(tmp_path, OPEN)
    asked = SizeRange((100, 100), (1080, 1920), (2160, 3840), (1, 2, 3))
    assert fit(graph, [asked]) == (SizeRange((112, 112), (1088, 1920), (2160, 3840), (1, 2, 3)),)
    assert fit(graph, [SizeRange.fixed((1080, 1920)), SizeRange.fixed((1088, 1920))]) == (
        SizeRange.fixed((1088, 1920)),
    ), "one profile, not two alike"
    assert fit(graph, fit(graph, [asked])) == fit(graph, [asked])


def test_byte_graphs_take_every_size(tmp_path: Path) -> None:
    asked = (SizeRange.fixed((251, 449)),)
    assert fit(opened(tmp_path, OPEN_BYTES, BYTES), asked) == asked


@pytest.mark.parametrize("asked", [(), (SizeRange.fixed((30, 40)),), (SizeRange.fixed((32, 48)),)])
def test_a_graph_that_leaves_the_batch_open_needs_no_size(asked: Sequence[SizeRange], tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX has packages for x86-64 only")
    graph = opened(tmp_path, BATCH)
    assert fit(graph, asked) == fit(graph, [SizeRange.of({"N": 1})]), "one engine, however it is asked for"
    assert [sizes.batch for sizes in fit(graph, (), batch=4)] == [(1, 4, 4)]
    assert build_plan(graph.path, replace(RTX, sizes=tuple(asked))).inputs["frame0"] == [[(1, 3, 32, 48)] * 3]


def test_a_fixed_graph_has_no_ranges(tmp_path: Path) -> None:
    assert fit(opened(tmp_path, FIXED), [SizeRange.fixed((32, 48))]) == ()


def test_open_sizes_must_be_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"leaves H, N, W open; say the sizes"):
        fit(opened(tmp_path, OPEN), ())


@pytest.mark.parametrize(("text", "info"), [(FIXED, BY_16), (BATCH, BY_16), (BATCH_BYTES, BYTES)])
def test_another_size_than_that_of_the_graph_is_refused(text: str, info: GraphInfo, tmp_path: Path) -> None:
    graph = opened(tmp_path, text, info)
    assert graph.frame_size == (32, 48)
    expect_taken(graph, [SizeRange.fixed((32, 48))])
    with pytest.raises(UsageError, match=r"for frames of 32x48 only, asked for 64x96; leave the size out, or export"):
        expect_taken(graph, [SizeRange.fixed((32, 48)), SizeRange.fixed((64, 96))])
    with pytest.raises(UsageError, match=r"only, asked for 16x48"):
        expect_taken(graph, [SizeRange((16, 48), (32, 48), (32, 48))])


def test_frames_that_are_padded_to_the_size_of_the_graph_are_taken(tmp_path: Path) -> None:
    expect_taken(opened(tmp_path, BATCH), [SizeRange.fixed((25, 40))])
    with pytest.raises(UsageError, match="asked for 25x40"):
        expect_taken(opened(tmp_path, BATCH_BYTES, BYTES), [SizeRange.fixed((25, 40))])


def test_graphs_without_frames_or_of_any_size_refuse_none(tmp_path: Path) -> None:
    for text in (FEATURES, OPEN):
        graph = opened(tmp_path, text)
        assert graph.frame_size is None
        expect_taken(graph, [SizeRange.fixed((64, 96))])
