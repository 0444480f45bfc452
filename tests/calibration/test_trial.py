"""The frames that graphs are tried on, and how each kind of graph gets them."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import graphs
from support.clips import Clip, moving
from support.mixed import graph, save

from tweenrt.calibration.trial import open_trial, to_bytes, to_floats
from tweenrt.calibration.windows import Window, frame_size, read_windows, windows_of
from tweenrt.contract import FrameIO, Kind, TimeInput
from tweenrt.errors import UsageError, VideoError
from tweenrt.runtime.onnx_file import OnnxFile
from tweenrt.runtime.onnxruntime_session import OnnxRuntimeSession

FRAMES = moving(4, 32, 64)


def session(path: Path) -> OnnxRuntimeSession:
    return OnnxRuntimeSession(path, 1)


def test_windows_hold_neighbours_where_there_are_some() -> None:
    found = windows_of(FRAMES)
    assert [[None if f is None else next(k for k in range(4) if FRAMES[k] is f) for f in w] for w in found] == [
        [0, 1, None, 2],
        [1, 2, 0, 3],
        [2, 3, 1, None],
    ]


def test_a_clip_and_a_folder_give_the_same_windows(tmp_path: Path) -> None:
    clip = Clip(FRAMES, time_base=Fraction(1, 25), codec="ffv1", pix_fmt="yuv444p", options={}).write(
        tmp_path / "in.mkv"
    )
    (tmp_path / "images").mkdir()
    for number, image in enumerate(FRAMES):
        Image.fromarray(image).save(tmp_path / "images" / f"{number}.png")
    for path in (clip, tmp_path / "images"):
        found = read_windows(path, 2)
        assert [len([f for f in w if f is not None]) for w in found] == [3, 4]
        np.testing.assert_allclose(found[1].after, FRAMES[3], atol=4)


def test_a_single_frame_is_refused(tmp_path: Path) -> None:
    Image.fromarray(FRAMES[0]).save(tmp_path / "0.png")
    with pytest.raises(VideoError, match="two frames or more"):
        read_windows(tmp_path, 8)


def test_a_pair_graph_draws_at_three_moments(tmp_path: Path) -> None:
    trial = open_trial(graphs.blend(tmp_path / "blend.onnx"), session)
    zero, one = np.zeros((32, 64, 3), np.uint8), np.full((32, 64, 3), 255, np.uint8)
    drawn = [trial.run(Window(zero, one), number)[0] for number in range(4)]
    trial.close()
    assert [float(frame.mean()) for frame in drawn] == pytest.approx([0.5, 0.25, 0.75, 0.5])
    assert (drawn[0].shape, drawn[0].dtype) == ((32, 64, 3), np.float32)


def test_a_midpoint_graph_draws_midpoints_and_a_uint8_graph_bytes(tmp_path: Path) -> None:
    path = graphs.blend_bytes(tmp_path / "bytes.onnx")
    trial = open_trial(path, session)
    (frame,) = trial.run(windows_of([f.astype(np.float32) / 255 for f in FRAMES])[0], 1)
    assert frame.dtype == np.uint8
    assert abs(frame.astype(float) - (FRAMES[0].astype(float) + FRAMES[1]) / 2).max() <= 0.5


def test_a_folder_draws_with_both_its_graphs(tmp_path: Path) -> None:
    opened: list[str] = []

    def noting(path: Path) -> OnnxRuntimeSession:
        opened.append(path.name)
        return session(path)

    trial = open_trial(graphs.blend_halves(tmp_path / "halves"), noting)
    (frame,) = trial.run(windows_of(FRAMES)[0], 0)
    assert opened == ["encoder.onnx", "synthesis.onnx"]
    assert frame.shape == (32, 64, 3)


def test_a_graph_that_reads_frames_alone_runs_by_itself(tmp_path: Path) -> None:
    model = graph("""
        g (float[1,3,H,W] frame_prev, float[1,3,H,W] frame0, float[1,3,H,W] frame1, float[1,3,H,W] frame_next)
            => (float[1,3,H,W] flow_0_1) {
            a = Sub (frame1, frame0) b = Sub (frame_next, frame_prev) flow_0_1 = Sub (a, b) }""")  # fmt: skip
    info = replace(graphs.INFO, kind=Kind.FLOW, t=TimeInput.FIXED, divisor=16)
    trial = open_trial(graphs.save_model(tmp_path / "flow.onnx", model, info), session)
    first, middle, _ = windows_of([f[:30] for f in FRAMES])
    (out,) = trial.run(middle, 0)
    assert out.shape == (1, 3, 32, 64), "padded to the divisor"
    inside = [to_floats(f[:30]) for f in FRAMES]
    expected = inside[2] - inside[1] - (inside[3] - inside[0])
    np.testing.assert_allclose(np.moveaxis(out[0], 0, 2)[:30], expected, atol=1e-6)
    (alone,) = trial.run(Window(first.first, first.second), 0)
    np.testing.assert_allclose(alone, 0, atol=1e-6)
    trial.close()


def test_half_a_network_is_refused(tmp_path: Path) -> None:
    folder = graphs.blend_halves(tmp_path / "halves")
    with pytest.raises(UsageError, match="give the folder that holds both"):
        open_trial(folder / "synthesis.onnx", session)


@pytest.mark.parametrize(
    ("shape", "io", "size"),
    [
        ("float[N,3,H,W]", FrameIO.FLOAT, (256, 448)),
        ("float[1,3,64,96]", FrameIO.FLOAT, (64, 96)),
        ("uint8[1,H,W,3]", FrameIO.UINT8, (256, 448)),
        ("uint8[1,31,45,3]", FrameIO.UINT8, (31, 45)),
    ],
)
def test_made_up_frames_have_the_size_that_the_graph_takes(
    shape: str, io: FrameIO, size: tuple[int, int], tmp_path: Path
) -> None:
    model = graph(f"g ({shape} frame0) => ({shape} frame_t) {{ frame_t = Identity (frame0) }}")
    path = graphs.save_model(tmp_path / "g.onnx", model, replace(graphs.INFO, io=io))
    assert frame_size(OnnxFile.load(path)) == size


def test_frames_change_their_type_and_keep_their_values() -> None:
    wide = FRAMES[0].astype(np.uint16) * 257
    np.testing.assert_allclose(to_floats(wide), to_floats(FRAMES[0]), atol=1e-6)
    np.testing.assert_array_equal(to_bytes(wide), FRAMES[0])
    np.testing.assert_array_equal(to_bytes(to_floats(FRAMES[0])), FRAMES[0])


def test_a_saved_graph_is_one_of_ours(tmp_path: Path) -> None:
    model = graph("g (float[1,3,8,8] frame0) => (float[1,3,8,8] frame_t) { frame_t = Neg (frame0) }")
    assert OnnxFile.load(save(tmp_path / "g.onnx", model)).info == graphs.INFO
