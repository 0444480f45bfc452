"""The element tweenrtinterpolate in pipelines of gst-launch-1.0: frames, times and errors."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from support.clips import NTSC
from support.graphs import HEAD, blend, blend_bytes, blend_halves, save
from support.gstreamer import NANOSECOND, Frame, Ran, element, expected, launch, skip_where_missing
from support.native_abi import Native, clip, constants
from support.native_graphs import fixed, four_frames
from support.toolkit import ROOT

from tweenrt.runtime.timeline import ByFactor, Retiming, ToRate

pytestmark = skip_where_missing()

HEIGHT, WIDTH = 46, 60
CLIP = ROOT / "examples" / "bigbuckbunny.mp4"


def source_times(count: int) -> list[tuple[int, int]]:
    """Time and duration of frames at 24000/1001 a second, as rawvideoparse adds rounded durations up."""
    step = int(1 / NTSC / NANOSECOND)
    return [(k * step, step) for k in range(count)]


def filtered(folder: Path, data: bytes, form: str, middle: str) -> tuple[bytes, Ran]:
    """What comes out for the frames in `data`, which are of the form `form` and come at 24000/1001 a second."""
    source, target = folder / "in.raw", folder / "out.raw"
    source.write_bytes(data)
    parsed = f"filesrc location={source} ! rawvideoparse {form} framerate={NTSC}"
    ran = launch(f"{parsed} ! {middle} ! identity silent=false ! filesink location={target}")
    return target.read_bytes() if target.exists() else b"", ran


def sized(name: str, height: int = HEIGHT, width: int = WIDTH) -> str:
    return f"format={name} width={width} height={height}"


def through(folder: Path, graph: Path, frames: list[Frame], **properties: object) -> tuple[list[Frame], Ran]:
    """RGB frames through the element."""
    form = sized("rgb", *frames[0].shape[:2])
    data, ran = filtered(folder, b"".join(map(bytes, frames)), form, element(graph, **properties))
    return list(np.frombuffer(data, np.uint8).reshape(-1, *frames[0].shape)), ran


def same_as_in_python(folder: Path, graph: Path, frames: list[Frame], retiming: Retiming, **properties: object) -> Ran:
    """Holds pixels and times against the Python interpolator and timeline."""
    drawn, ran = through(folder, graph, frames, **properties)
    assert not ran.errors
    want = expected(graph, frames, source_times(len(frames)), retiming)
    assert len(drawn) == len(ran.times) == len(want)
    for got, (_, frame) in zip(drawn, want, strict=True):
        np.testing.assert_array_equal(got, frame)
    for (pts, _), (moment, _) in zip(ran.times, want, strict=True):
        assert abs(pts * NANOSECOND - moment.pts) <= NANOSECOND / 2
    for (pts, duration), (after, _) in zip(ran.times, ran.times[1:], strict=False):
        assert pts + duration == after
    return ran


@pytest.mark.parametrize("factor", [1, 2, 3, 12])
def test_every_interval_is_split(tmp_path: Path, factor: int) -> None:
    """12 are more frames than one call of the network draws."""
    graph, frames = blend(tmp_path / "blend.onnx"), clip(4, HEIGHT, WIDTH)
    ran = same_as_in_python(tmp_path, graph, frames, ByFactor(factor), factor=factor)
    assert ran.counted == (4, 3 * (factor - 1), 0, 3 * (factor - 1))
    source = source_times(4)
    assert [pts for pts, _ in ran.times[::factor]] == [pts for pts, _ in source]
    assert sum(ran.times[-1]) == sum(source[-1])


def test_a_frame_is_encoded_once(tmp_path: Path) -> None:
    graph, frames = blend_halves(tmp_path / "halves"), clip(5, HEIGHT, WIDTH)
    ran = same_as_in_python(tmp_path, graph, frames, ByFactor(3), factor=3)
    assert ran.counted == (5, 8, 5, 8)


def test_a_network_of_bytes(tmp_path: Path) -> None:
    same_as_in_python(tmp_path, blend_bytes(tmp_path / "bytes.onnx"), clip(3, HEIGHT, WIDTH), ByFactor(2), factor=2)


def test_midpoints_of_midpoints(tmp_path: Path) -> None:
    ran = same_as_in_python(tmp_path, fixed(tmp_path / "fixed.onnx"), clip(3, HEIGHT, WIDTH), ByFactor(4), factor=4)
    assert ran.counted[3] == 6


def test_finer_midpoints_than_the_library_halves_by_itself(tmp_path: Path) -> None:
    drawn, ran = through(tmp_path, fixed(tmp_path / "fixed.onnx"), clip(2, HEIGHT, WIDTH), factor=16)
    assert not ran.errors
    assert len(drawn) == 32


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_a_network_that_looks_at_four_frames(tmp_path: Path, count: int) -> None:
    same_as_in_python(tmp_path, four_frames(tmp_path / "four.onnx"), clip(count, HEIGHT, WIDTH), ByFactor(2), factor=2)


@pytest.mark.parametrize("rate", [Fraction(60), Fraction(15), Fraction(1000, 3)])
def test_a_frame_at_every_period_of_a_rate(tmp_path: Path, rate: Fraction) -> None:
    graph, frames = blend(tmp_path / "blend.onnx"), clip(6, HEIGHT, WIDTH)
    same_as_in_python(tmp_path, graph, frames, ToRate(rate), rate=rate)


@pytest.mark.parametrize("graph", [blend, fixed])
def test_a_rate_that_meets_rounded_source_times(tmp_path: Path, graph: Any) -> None:
    """Twice 24000/1001: every other frame is a source frame, though its time is rounded; midpoints are midpoints."""
    frames = clip(7, HEIGHT, WIDTH)
    drawn, ran = through(tmp_path, graph(tmp_path / "graph.onnx"), frames, rate=NTSC * 2)
    assert not ran.errors
    assert ran.counted[1] == 6
    assert [pts for pts, _ in ran.times[::2]] == [pts for pts, _ in source_times(7)]
    for got, frame in zip(drawn[::2], frames, strict=True):
        np.testing.assert_array_equal(got, frame)


def test_rows_with_gaps(tmp_path: Path) -> None:
    """GStreamer's rows are multiples of four bytes."""
    graph, frames, wide = blend(tmp_path / "blend.onnx"), clip(3, HEIGHT, 57), 172
    rows = b"".join(np.pad(frame.reshape(HEIGHT, -1), ((0, 0), (0, 1))).tobytes() for frame in frames)
    data, _ = filtered(tmp_path, rows, sized("rgb", width=57), element(graph))
    drawn = np.frombuffer(data, np.uint8).reshape(-1, HEIGHT, wide)[:, :, :171].reshape(-1, HEIGHT, 57, 3)
    want = expected(graph, frames, source_times(3), ByFactor(2))
    np.testing.assert_array_equal(drawn, [frame for _, frame in want])


def by_channel(path: Path) -> Path:
    """A network to which red, green and blue are not alike."""
    picture = "float[N,3,H,W]"
    text = f"""{HEAD}
        weigh ({picture} frame0, {picture} frame1, float[N,1,1,1] t) => ({picture} frame_t)
        {{
            part = Constant <value = float[1,3,1,1] {{0.9, 0.5, 0.2}}> ()
            sum = Add (frame0, frame1)
            frame_t = Mul (sum, part)
        }}"""
    return save(path, text)


@pytest.mark.parametrize("name", ["BGR", "RGBx", "BGRx", "RGBA", "BGRA"])
def test_other_orders_of_channels(tmp_path: Path, name: str) -> None:
    """A fourth channel is 255 in drawn frames and stays as it is in source frames."""
    graph, frames = by_channel(tmp_path / "weigh.onnx"), clip(2, HEIGHT, WIDTH)
    order = [name.index(c) for c in "RGB"]
    packed = np.full((2, HEIGHT, WIDTH, len(name)), 9, np.uint8)
    packed[..., order] = frames
    data, _ = filtered(tmp_path, packed.tobytes(), sized(name.lower()), element(graph))
    out = np.frombuffer(data, np.uint8).reshape(4, HEIGHT, WIDTH, len(name))
    want = expected(graph, frames, source_times(2), ByFactor(2))
    np.testing.assert_array_equal(out[..., order], [frame for _, frame in want])
    if len(name) == 4:
        assert [set(frame[..., 3].ravel().tolist()) for frame in out] == [{9}, {255}, {9}, {9}]


@pytest.mark.parametrize(
    ("colorimetry", "matrix", "range_"),
    [
        ("bt601", "BT601", "LIMITED"),
        ("bt709", "BT709", "LIMITED"),
        ("bt2020", "BT2020", "LIMITED"),
        ("1:3:5:1", "BT709", "FULL"),
    ],
)
def test_nv12_with_the_matrix_of_the_caps(tmp_path: Path, colorimetry: str, matrix: str, range_: str) -> None:
    graph = blend(tmp_path / "blend.onnx", gain=0.7)
    rng = np.random.default_rng(3)
    frames = [rng.integers(20, 230, (HEIGHT * 3 // 2, WIDTH), np.uint8) for _ in range(2)]
    form = f"{sized('nv12')} colorimetry={colorimetry}"
    data, ran = filtered(tmp_path, b"".join(map(bytes, frames)), form, element(graph))
    assert not ran.errors
    out = np.frombuffer(data, np.uint8).reshape(4, *frames[0].shape)
    np.testing.assert_array_equal(out[[0, 2, 3]], [frames[0], frames[1], frames[1]])
    np.testing.assert_array_equal(out[1], drawn_as_nv12(graph, frames, matrix, range_))


def drawn_as_nv12(graph: Path, frames: list[NDArray[np.uint8]], matrix: str, range_: str) -> NDArray[np.uint8]:
    """The middle frame as the library draws it."""
    drawn = np.zeros_like(frames[0])

    def planes(frame: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        return frame[:HEIGHT], frame[HEIGHT:]

    with Native(graph) as native:
        native.set_format(WIDTH, HEIGHT, "NV12", constants()[f"MATRIX_{matrix}"], constants()[f"RANGE_{range_}"])
        for slot, frame in enumerate(frames):
            native.prepare(slot, *planes(frame))
        native.draw((0, 1), [0.5], [planes(drawn)])
    return drawn


def test_the_shipped_clip(tmp_path: Path) -> None:
    with av.open(str(CLIP)) as container:
        frames: list[Any] = [
            frame.to_ndarray(format="rgb24") for frame, _ in zip(container.decode(video=0), range(4), strict=False)
        ]
    same_as_in_python(tmp_path, blend_halves(tmp_path / "halves"), frames, ByFactor(2), factor=2)


RGB = f"video/x-raw,format=RGB,width={WIDTH},height={HEIGHT}"


def refusal(pipeline: str) -> str:
    """The first error of a pipeline that does not even start; gst-launch-1.0 1.22 may hang where one fails later."""
    ran = launch(f"videotestsrc num-buffers=3 ! {pipeline} ! fakesink")
    assert ran.errors, "the pipeline ran"
    return ran.errors[0]


def test_no_graph() -> None:
    assert refusal("tweenrtinterpolate") == (
        "expected the property graph to name an ONNX file, an engine or a folder, got nothing"
    )


def test_a_graph_that_is_not_there(tmp_path: Path) -> None:
    assert "none.onnx" in refusal(f"{RGB} ! {element(tmp_path / 'none.onnx')}")


def test_a_graph_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("nothing of the sort")
    assert "text.onnx" in refusal(f"{RGB} ! {element(tmp_path / 'text.onnx')}")


def test_a_library_that_is_not_there(tmp_path: Path) -> None:
    graph = blend(tmp_path / "blend.onnx")
    assert "none.so" in refusal(f"{RGB} ! {element(graph, backend_library='/none.so')}")


def test_a_backend_that_does_not_take_graphs(tmp_path: Path) -> None:
    said = refusal(f"{RGB} ! {element(blend(tmp_path / 'blend.onnx'), backend='tensorrt')}")
    assert "tensorrt" in said.lower()


def test_video_that_the_element_does_not_take(tmp_path: Path) -> None:
    graph = blend(tmp_path / "blend.onnx")
    assert "could not link" in refusal(f"video/x-raw,format=I420 ! {element(graph)}")


@pytest.mark.parametrize("properties", [{"factor": 2}, {"rate": "50/1"}])
def test_an_output_rate_that_the_element_does_not_give(tmp_path: Path, properties: dict[str, object]) -> None:
    draws = element(blend(tmp_path / "blend.onnx"), **properties)
    assert "could not link" in refusal(f"{RGB},framerate=25/1 ! {draws} ! video/x-raw,framerate=60/1")


def test_the_rate_that_an_element_after_it_wants(tmp_path: Path) -> None:
    """The element before it is asked for the rate that becomes the wanted one."""
    graph = blend(tmp_path / "blend.onnx")
    wanted = f"{RGB} ! {element(graph, factor=3)} ! video/x-raw,framerate=60/1 ! identity silent=false ! fakesink"
    ran = launch(f"videotestsrc num-buffers=2 ! {wanted}")
    assert [duration for _, duration in ran.times] == [16666667, 16666666, 16666667] * 2
