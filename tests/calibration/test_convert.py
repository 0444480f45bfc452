"""A graph file becomes another in two precisions, or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from support import graphs
from support.clips import moving
from support.mixed import casts, graph, psnr, save, types

from tweenrt import Interpolator
from tweenrt.calibration.convert import convert, graph_files
from tweenrt.calibration.policy import Precision, Reason
from tweenrt.calibration.rounded import rounded
from tweenrt.calibration.windows import Window, windows_of
from tweenrt.contract import FrameIO, GraphInfo
from tweenrt.errors import BackendError, GateError, GraphError, UsageError
from tweenrt.runtime import Backend
from tweenrt.runtime.progress import Progress

FRAMES = moving(4, 32, 64)
WINDOWS = windows_of(FRAMES)
BLEND = """
    g (float[N,3,H,W] frame0, float[N,3,H,W] frame1, float[N,1,1,1] t) => (float[N,3,H,W] frame_t) {
        both = Concat <axis = 1> (frame0, frame1)
        hidden = Conv <pads = [1, 1, 1, 1]> (both, w)
        active = Relu (hidden)
        scaled = Mul (active, gain)
        small = Mul (scaled, loss)
        residual = Conv <pads = [1, 1, 1, 1]> (small, v)
        step = Sub (frame1, frame0)
        part = Mul (step, t)
        mean = Add (frame0, part)
        drawn = Add (mean, residual)
        frame_t = Clip (drawn, low, high) }"""


def weights(gain: float = 1.0, loudness: float = 1.0) -> dict[str, object]:
    rng = np.random.default_rng(5)
    return {
        "w": (rng.choice([-0.2, -0.1, 0.1, 0.3], (8, 6, 3, 3)) * loudness).astype("f4"),
        "v": (rng.choice([-0.01, 0.02], (3, 8, 3, 3)) / loudness).astype("f4"),
        "gain": gain,
        "loss": 1 / gain,
        "low": 0.0,
        "high": 1.0,
    }


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return save(tmp_path / "blend.onnx", graph(BLEND, **weights()))


def left(folder: Path) -> Iterator[str]:
    """What lies in a folder, hidden files too."""
    return (p.name for p in sorted(folder.iterdir()))


def test_what_is_written_draws_the_same_frames(source: Path, tmp_path: Path) -> None:
    out, events = tmp_path / "new" / "fp16.onnx", list[Progress]()
    report = convert(source, out, WINDOWS, threads=1, progress=events.append)
    (converted,) = report.graphs
    assert list(left(out.parent)) == ["fp16.onnx"]
    assert converted.path == out
    assert [e.done for e in events] == list(range(1, 7))
    assert {e.total for e in events} == {6}
    assert 60 < report.worst.psnr_db < 120
    assert converted.casts == len(casts(onnx.load(out))) == 2
    assert sum(count for _, _, count in converted.counts()) == len(converted.decisions) == 11
    assert converted.counts()[0][:2] == (
        Precision.FP16,
        "features: convolutions, matrix products and what lies between them",
    )
    with Interpolator.open(source, Backend.ONNXRUNTIME) as fp32, Interpolator.open(out, Backend.ONNXRUNTIME) as fp16:
        assert fp16.info.precision == "fp16"
        pair = [f.astype(np.float32) / 255 for f in FRAMES[:2]]
        assert psnr(fp32.between(*pair, [0.5])[0], fp16.between(*pair, [0.5])[0]) > 60


def test_a_value_too_large_is_found_and_kept_in_fp32(tmp_path: Path) -> None:
    source = save(tmp_path / "large.onnx", graph(BLEND, **weights(gain=1e5)))
    report = convert(source, tmp_path / "fp16.onnx", WINDOWS, threads=1)
    assert {d.node.output[0] for d in report.graphs[0].out_of_range} == {"scaled", "small"}
    assert {d.reason for d in report.graphs[0].out_of_range} == {Reason.RANGE, Reason.WEIGHT}
    assert np.isfinite(report.worst.psnr_db)
    assert report.worst.psnr_db > 60


def test_the_gate_sees_what_onnx_runtime_hides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An overflow that was let through, here because every range is allowed."""
    source = save(tmp_path / "large.onnx", graph(BLEND, **weights(gain=6e4, loudness=10)))
    monkeypatch.setattr("tweenrt.calibration.policy.MOST", np.inf)
    with pytest.raises(GateError, match=r"pair \d with -inf dB against FP32, at least 50 dB"):
        convert(source, tmp_path / "fp16.onnx", WINDOWS, threads=1)
    assert not (tmp_path / "fp16.onnx").exists()


def test_a_gate_that_is_not_met_leaves_nothing(source: Path, tmp_path: Path) -> None:
    with pytest.raises(GateError, match="Nothing was written"):
        convert(source, tmp_path / "new" / "fp16.onnx", WINDOWS, min_psnr_db=200, threads=1)
    assert list(left(tmp_path / "new")) == []


def test_an_interrupt_leaves_nothing(source: Path, tmp_path: Path) -> None:
    def stop(event: Progress) -> None:
        if event.done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(source, tmp_path / "fp16.onnx", WINDOWS, threads=1, progress=stop)
    assert list(left(tmp_path)) == ["blend.onnx"]


def test_a_file_that_was_there_stays_until_the_new_one_is_complete(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "fp16.onnx"
    out.write_bytes(b"before")
    with pytest.raises(GateError):
        convert(source, out, WINDOWS, min_psnr_db=200, threads=1)
    assert out.read_bytes() == b"before"
    convert(source, out, WINDOWS, threads=1)
    assert types(onnx.load(out))["hidden"] == onnx.TensorProto.FLOAT16


def test_a_folder_is_converted_as_a_whole(tmp_path: Path) -> None:
    source, out = graphs.blend_halves(tmp_path / "halves"), tmp_path / "fp16"
    graphs.blend(source / "pair.onnx")
    report = convert(source, out, WINDOWS, threads=1)
    assert [c.path for c in report.graphs] == [out / "encoder.onnx", out / "synthesis.onnx"]
    assert list(left(out)) == ["encoder.onnx", "synthesis.onnx"], "and not what else lay there"
    infos = [
        GraphInfo.from_metadata({p.key: p.value for p in onnx.load(c.path).metadata_props}, "") for c in report.graphs
    ]
    assert {(i.precision, i.pair_id) for i in infos} == {("fp16", "1")}
    assert report.worst.psnr_db > 60
    with Interpolator.open(out, Backend.ONNXRUNTIME) as interpolator:
        assert interpolator.between(*FRAMES[:2], [0.5])[0].shape == (32, 64, 3)


def test_bytes_stay_bytes(tmp_path: Path) -> None:
    info = replace(graphs.INFO, io=FrameIO.UINT8, divisor=1)
    text = """
        g (uint8[N,H,W,3] frame0, uint8[N,H,W,3] frame1, float[N,1,1,1] t) => (uint8[N,H,W,3] frame_t) {
            planes = Transpose <perm = [0, 3, 1, 2]> (frame0)
            floats = Cast <to = 1> (planes)
            unit = Mul (floats, scale)
            residual = Conv <pads = [1, 1, 1, 1]> (unit, w)
            drawn = Add (unit, residual)
            large = Mul (drawn, peak)
            whole = Round (large)
            bytes = Cast <to = 2> (whole)
            frame_t = Transpose <perm = [0, 2, 3, 1]> (bytes) }"""
    model = graph(text, scale=1 / 255, peak=200.0, w=np.full((3, 3, 3, 3), 1e-3, "f4"))
    path = graphs.save_model(tmp_path / "bytes.onnx", model, info)
    report = convert(path, tmp_path / "fp16.onnx", WINDOWS, threads=1)
    kinds = types(onnx.load(tmp_path / "fp16.onnx"))
    assert kinds["frame0"] == kinds["frame_t"] == onnx.TensorProto.UINT8
    assert {d.node.output[0] for d in report.graphs[0].decisions if d.precision is Precision.FP16} == {"residual"}
    assert report.worst.psnr_db > 55


def test_weights_that_fp16_flattens_are_counted(tmp_path: Path) -> None:
    values = weights()
    w = values["w"]
    assert isinstance(w, np.ndarray)
    w[0, 0] = 2e-5
    w[0, 1] = 1e-9
    w[0, 2] = 0
    report = convert(save(tmp_path / "g.onnx", graph(BLEND, **values)), tmp_path / "fp16.onnx", WINDOWS, threads=1)
    found = report.graphs[0].weights
    assert (found.small, found.lost) == (18, 9)
    assert found.count == w.size + 3 * 8 * 9 + 2


def test_frames_that_do_not_move_give_an_exact_gate(source: Path, tmp_path: Path) -> None:
    still = np.zeros((32, 64, 3), np.uint8)
    report = convert(source, tmp_path / "fp16.onnx", [Window(still, still)], threads=1)
    assert report.worst.psnr_db == np.inf


@pytest.mark.parametrize("moving_first", [False, True])
def test_the_worst_window_counts(moving_first: bool, source: Path, tmp_path: Path) -> None:
    still = Window(*[np.zeros((32, 64, 3), np.uint8)] * 2)
    windows = [WINDOWS[0], still] if moving_first else [still, WINDOWS[0]]
    report = convert(source, tmp_path / "fp16.onnx", windows, threads=1)
    assert report.worst.psnr_db < np.inf
    assert report.worst.pair == (0 if moving_first else 1)


def test_what_cannot_be_converted_is_said(source: Path, tmp_path: Path) -> None:
    convert(source, tmp_path / "fp16.onnx", WINDOWS[:1], threads=1)
    with pytest.raises(UsageError, match="expected an fp32 graph, got fp16"):
        convert(tmp_path / "fp16.onnx", tmp_path / "twice.onnx", WINDOWS, threads=1)
    with pytest.raises(GraphError, match="no such graph"):
        convert(tmp_path / "absent.onnx", tmp_path / "x.onnx", WINDOWS)
    with pytest.raises(GraphError, match="without branches and loops"):
        convert(graphs.with_a_branch(tmp_path / "if.onnx"), tmp_path / "x.onnx", WINDOWS, threads=1)
    no_t = save(
        tmp_path / "no_t.onnx",
        graph(BLEND.replace("float[N,1,1,1] t", "float[N,1,1,1] u").replace("(step, t)", "(step, u)"), **weights()),
    )
    with pytest.raises(BackendError, match=r"no_t\.onnx: ONNX Runtime failed"):
        convert(no_t, tmp_path / "x.onnx", WINDOWS, threads=1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(GraphError, match=r"expected encoder\.onnx and synthesis\.onnx, or flow"):
        graph_files(tmp_path / "empty")


def test_the_twin_that_is_compared_is_the_file_that_is_written(source: Path, tmp_path: Path) -> None:
    convert(source, tmp_path / "fp16.onnx", WINDOWS, threads=1)
    twin = rounded(onnx.load(tmp_path / "fp16.onnx"))
    assert {n.op_type for n in twin.graph.node} >= {"Conv", "Cast"}
    assert onnx.TensorProto.FLOAT16 not in {i.data_type for i in twin.graph.initializer}
