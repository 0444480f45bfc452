"""When frames stay on the GPU, what is said when they do not, and what is asked of PyAV for it."""

from __future__ import annotations

import ctypes
import ctypes.util
import gc
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX has packages for x86-64 only")

from support import fake_nvidia, graphs
from support.cli import run
from support.clips import Clip, moving, seen
from support.fake_nvidia import VideoMachine

from tweenrt.contract import FrameIO
from tweenrt.errors import BackendError, OutputError, TweenrtError, UsageError, VideoError
from tweenrt.runtime import Lane
from tweenrt.runtime.timeline import ByFactor, Moment
from tweenrt.runtime.video import ClipInfo, Damaged, EncodingOptions, nvidia, surface
from tweenrt.runtime.video.color import ColorTags
from tweenrt.runtime.video.gpu_reader import GpuVideoReader
from tweenrt.runtime.video.gpu_writer import GpuVideoWriter, plan_on_gpu
from tweenrt.runtime.video.placing import check_gpu_video
from tweenrt.runtime.video.surface import Surface

PLAIN = EncodingOptions()
BYTES = replace(graphs.INFO, io=FrameIO.UINT8, divisor=1)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[VideoMachine]:
    machine = fake_nvidia.install(monkeypatch, tmp_path / "cache")
    yield machine
    machine.codecs.free_surfaces()
    gc.collect()


def clip(folder: Path, **options: Any) -> Path:
    return Clip(moving(3), **options).write(folder / "in.mp4")


# Which jobs fit


def test_a_plain_job_stays_on_the_gpu(machine: VideoMachine, tmp_path: Path) -> None:
    encoding = EncodingOptions(codec="hevc_nvenc")
    check_gpu_video(clip(tmp_path), tmp_path / "out.mkv", encoding, Damaged.REFUSE, BYTES, Lane())
    check_gpu_video(clip(tmp_path), tmp_path / "out.mp4", PLAIN, Damaged.REFUSE, BYTES, Lane())
    assert machine.codecs.tried == ["hevc_nvenc", "h264_nvenc"]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ({"codec": "libx265", "pix_fmt": "yuv420p10le", "options": {"x265-params": "log-level=error"}}, "yuv420p10le"),
        ({"pix_fmt": "yuv444p"}, r"expected 8-bit 4:2:0 \(yuv420p\), got yuv444p"),
        ({"tags": (8, 1, 1, 1)}, r"the colour matrix 8 \(H.273\) is unknown"),
    ],
    ids=["10-bit", "4:4:4", "matrix"],
)
def test_sources_that_need_the_cpu(machine: VideoMachine, tmp_path: Path, source: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        check_gpu_video(clip(tmp_path, **source), tmp_path / "out.mp4", PLAIN, Damaged.REFUSE, BYTES, Lane())


def test_odd_sides_need_the_cpu(machine: VideoMachine, tmp_path: Path) -> None:
    source = Clip(moving(2, 47, 63), codec="ffv1", options={}).write(tmp_path / "in.mkv")
    with pytest.raises(UsageError, match="expected even sides, got 63x47"):
        check_gpu_video(source, tmp_path / "out.mp4", PLAIN, Damaged.REFUSE, BYTES, Lane())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"lane": None}, "the network does not run on a GPU"),
        ({"graph": graphs.INFO}, "the graph takes floats; export it with --io uint8"),
        ({"target": "pictures"}, "images are read and written on the CPU"),
        ({"source": "."}, "images are read and written on the CPU"),
        ({"damaged": Damaged.SKIP}, "--damaged skip needs the CPU's decoder"),
        ({"target": "out.webm"}, ".webm files do not take what NVENC encodes"),
        ({"encoding": EncodingOptions(lossless=True)}, "--lossless keeps every bit"),
        ({"encoding": EncodingOptions(codec="libx265")}, "got --codec libx265"),
        ({"encoding": EncodingOptions(preset="slow")}, "for the CPU's encoder unless --codec names h264_nvenc"),
        ({"encoding": EncodingOptions(extra={"tune": "film"})}, "for the CPU's encoder unless"),
    ],
    ids=str,
)
def test_jobs_that_need_the_cpu(machine: VideoMachine, tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    clip(tmp_path)
    job = {"source": "in.mp4", "target": "out.mp4", "encoding": PLAIN, "damaged": Damaged.REFUSE, "graph": BYTES}
    job |= {"lane": Lane()} | changes
    job |= {name: tmp_path / job[name] for name in ("source", "target")}
    with pytest.raises(UsageError, match=says):
        check_gpu_video(**job)


def test_a_gpu_without_an_encoder(machine: VideoMachine, tmp_path: Path) -> None:
    machine.codecs.encodes = False
    with pytest.raises(BackendError, match="cannot be used on GPU 0"):
        check_gpu_video(clip(tmp_path), tmp_path / "out.mp4", PLAIN, Damaged.REFUSE, BYTES, Lane())


def test_a_decoder_that_sees_another_video(
    machine: VideoMachine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Clip(moving(2, 64, 64)).write(tmp_path / "other.mp4")
    decoding = machine.codecs.decoding
    monkeypatch.setattr(nvidia, "decoding", lambda _, gpu: decoding(other, gpu))
    with pytest.raises(UsageError, match="NVDEC sees another video than the CPU's decoder"):
        check_gpu_video(clip(tmp_path), tmp_path / "out.mp4", PLAIN, Damaged.REFUSE, BYTES, Lane())


# What NVENC is told


def described(path: Path) -> ClipInfo:
    return ClipInfo(path, 64, 48, "nv12", ColorTags(1, 1, 1, 1, 48), Fraction(25), Fraction(1, 25))


@pytest.mark.parametrize(
    ("options", "codec", "expected"),
    [
        (PLAIN, "h264_nvenc", {"rc": "vbr", "cq": "18", "b": "0"}),
        (EncodingOptions(crf=30), "h264_nvenc", {"rc": "vbr", "cq": "30", "b": "0"}),
        (
            EncodingOptions("av1_nvenc", None, "p7", extra={"cq": "25"}),
            "av1_nvenc",
            {"rc": "vbr", "cq": "25", "b": "0", "preset": "p7"},
        ),
    ],
)
def test_quality_is_constant(tmp_path: Path, options: EncodingOptions, codec: str, expected: dict[str, str]) -> None:
    plan = plan_on_gpu(tmp_path / "out.mp4", described(tmp_path), options)
    assert (plan.container, plan.codec, plan.pix_fmt, plan.options) == ("mp4", codec, "cuda", expected)
    assert plan.color == described(tmp_path).color


# What is asked of PyAV


def test_pictures_share_the_memory_of_surfaces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through PyAV's own import, with memory of the CPU in the place of a GPU's."""
    from cuda.core.utils import StridedMemoryView

    class Memory:
        """What keeps the memory."""

        rows = np.random.default_rng(0).integers(0, 256, (6, 256), np.uint8)

    class Views:
        @staticmethod
        def from_cuda_array_interface(plane: Any, stream_ptr: int) -> Any:
            assert stream_ptr == -1
            facts = plane.__cuda_array_interface__
            raw = (ctypes.c_uint8 * 2048).from_address(facts["data"][0])
            array = np.ndarray(facts["shape"], np.uint8, raw, strides=facts["strides"])
            holder = array.view(Holder)
            holder.plane = plane
            return StridedMemoryView.from_any_interface(holder, stream_ptr=-1)

    class Holder(np.ndarray):  # type: ignore[type-arg]
        plane: Any

    monkeypatch.setattr(nvidia, "require", lambda *_, **__: type("utils", (), {"StridedMemoryView": Views}))
    memory = Memory()
    at = memory.rows.ctypes.data
    given = Surface(at, at + 4 * 256, 256, 4, 6, memory)
    picture = nvidia.Pictures(0).of(given)
    assert (picture.format.name, picture.width, picture.height) == ("nv12", 6, 4)
    assert [plane.buffer_ptr for plane in picture.planes] == [given.luma, given.chroma]
    assert [plane.line_size for plane in picture.planes] == [256, 256]
    np.testing.assert_array_equal(picture.to_ndarray(), Memory.rows[:, :6])
    kept = weakref.ref(given)
    del given
    gc.collect()
    assert kept() is not None
    del picture
    gc.collect()
    assert kept() is None


def test_pictures_of_the_cpu_are_no_surfaces() -> None:
    with pytest.raises(VideoError, match="expected pictures in GPU memory as nv12, got yuv420p"):
        nvidia.surface_of(av.VideoFrame(16, 16, "yuv420p"))


def test_nvenc_is_given_frames_in_gpu_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyAV's own NVENC, which is opened with the first frame; a frame that is elsewhere is refused."""
    source = Clip(moving(2)).write(tmp_path / "in.mp4")
    writer = GpuVideoWriter(tmp_path / "out.mp4", described(source), ByFactor(2), PLAIN, 0)
    context = writer._stream.codec_context
    assert (context.name, context.pix_fmt, context.width, context.height) == ("h264_nvenc", "cuda", 64, 48)
    assert (context.time_base, context.colorspace) == (Fraction(1, 50), 1)
    assert not context.is_open
    frame = av.VideoFrame(64, 48, "nv12")
    monkeypatch.setattr(writer, "_pictures", type("OnCpu", (), {"of": lambda *_: frame})())
    monkeypatch.setattr(writer, "_lane", type("NoLane", (), {"activate": lambda _: None, "close": lambda _: None})())
    with pytest.raises(OutputError, match="cannot be written"):
        writer.show(Surface(0, 0, 64, 48, 64, None), Moment(Fraction(0), Fraction(1, 50)))
    del context
    writer.discard()
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"qp": "20"}, ""),
        ({"speed": "7"}, "libx264 has no option speed"),
        ({"preset": "x"}, "does not encode 64x48 with"),
    ],
    ids=["known", "unknown", "refused"],
)
def test_options_are_tried_with_the_encoder(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, str], says: str
) -> None:
    """On an encoder of the CPU, which is opened and asked in the same way."""
    create = av.CodecContext.create
    on_cpu = type("OnCpu", (), {"create": staticmethod(lambda codec, mode, **_: create(codec, mode))})
    monkeypatch.setattr(nvidia.av, "CodecContext", on_cpu)
    if not says:
        nvidia.try_encoder("libx264", options, 0, 48, 64)
        return
    with pytest.raises(TweenrtError, match=says):
        nvidia.try_encoder("libx264", options, 0, 48, 64)


def without_a_gpu() -> bool:
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return True
    return False


@pytest.mark.skipif(not without_a_gpu(), reason="there is an NVIDIA driver; these are the errors without one")
@pytest.mark.parametrize(
    ("ask", "kind"),
    [
        (lambda path: nvidia.decoding(path, 0), VideoError),
        (lambda _: nvidia.try_encoder("h264_nvenc", {}, 0, 256, 256), TweenrtError),
        (lambda _: nvidia.try_encoder("no_such_nvenc", {}, 0, 256, 256), UsageError),
    ],
    ids=["decoder", "encoder", "unknown"],
)
def test_without_a_gpu_pyav_says_no(tmp_path: Path, ask: Callable[[Path], object], kind: type[Exception]) -> None:
    with pytest.raises(kind, match=r"in\.mp4|nvenc"):
        ask(clip(tmp_path))


def test_ffmpeg_is_given_the_context_that_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And no software decoder takes over, whose pictures would be elsewhere."""
    asked: list[av.codec.hwaccel.HWAccel] = []
    monkeypatch.setattr(nvidia.av, "open", lambda _, hwaccel: asked.append(hwaccel))
    nvidia.decoding(tmp_path, 3)
    (device,) = asked
    assert device.options == {"primary_ctx": "0", "current_ctx": "1"}
    assert (device.device_id, device.is_hw_owned, device.allow_software_fallback) == (3, True, False)


# The plugin library


def test_a_library_without_conversions_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    libc = Path(ctypes.util.find_library("c") or "libc.so.6")
    monkeypatch.setattr(surface, "library_path", lambda: libc)
    with pytest.raises(BackendError, match=r"has no conversions for video; build it again with 'make plugins'"):
        surface.conversions()


def test_memory_is_given_back_when_a_file_cannot_be_read(machine: VideoMachine, tmp_path: Path) -> None:
    (tmp_path / "in.mp4").write_bytes(b"no video")
    with pytest.raises(VideoError):
        GpuVideoReader(tmp_path / "in.mp4", 0)
    assert machine.cuda.live == {}


# The command


def interpolate(folder: Path, *more: str) -> Any:
    graph = graphs.blend_bytes(folder / "bytes.onnx")
    arguments = (clip(folder), folder / "out.mp4", "--model", graph, "--backend", "tensorrt", *more)
    return run("interpolate", *arguments)


def test_auto_keeps_frames_on_the_gpu(machine: VideoMachine, tmp_path: Path) -> None:
    result = interpolate(tmp_path)
    assert result.exit_code == 0, result.stderr
    assert "frames stay on the GPU from the decoder to the encoder" in result.stderr
    assert machine.codecs.shown == len(seen(tmp_path / "out.mp4").times) == 6


def test_auto_says_why_the_cpu_does_it(machine: VideoMachine, tmp_path: Path) -> None:
    machine.codecs.encodes = False
    result = interpolate(tmp_path)
    assert result.exit_code == 0, result.stderr
    assert "video is decoded and encoded on the CPU: " in result.stderr
    assert "cannot be used on GPU 0 (no such device)" in " ".join(result.stderr.split())
    assert machine.codecs.shown == 0
    assert len(seen(tmp_path / "out.mp4").times) == 6


def test_the_cpu_can_be_asked_for(machine: VideoMachine, tmp_path: Path) -> None:
    result = interpolate(tmp_path, "--video", "cpu")
    assert result.exit_code == 0, result.stderr
    assert "GPU" not in result.stderr
    assert (machine.codecs.shown, machine.codecs.tried) == (0, [])


def test_the_gpu_can_be_demanded(machine: VideoMachine, tmp_path: Path) -> None:
    result = interpolate(tmp_path, "--video", "gpu", "--lossless")
    assert result.exit_code == 2
    assert "--video gpu: --lossless keeps every bit" in " ".join(result.stderr.split())
    assert not (tmp_path / "out.mp4").exists()


def test_an_unknown_place_is_refused(machine: VideoMachine, tmp_path: Path) -> None:
    result = interpolate(tmp_path, "--video", "cloud")
    assert result.exit_code == 2
    assert "--video: expected auto or gpu or cpu, got 'cloud'" in " ".join(result.stderr.split())
