"""Whatever goes wrong, the message says what and what to do, and nothing is left under the final name."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from support.clips import Blend, Clip, moving, seen

from tweenrt.errors import BackendError, OutputError, TweenrtError, UsageError, VideoError
from tweenrt.runtime.pipeline import PipelineOptions, Summary, interpolate_video
from tweenrt.runtime.timeline import ByFactor
from tweenrt.runtime.video import Damaged, EncodingOptions
from tweenrt.runtime.video.intact import missing_bytes

DOUBLE = ByFactor(2)


def run(source: Path, target: Path, network: Blend | None = None, **options: object) -> Summary:
    return interpolate_video(PipelineOptions(source, target, DOUBLE, **options), network or Blend())


def noise(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in range(count)]


def resized(folder: Path) -> Path:
    """A clip whose frames change size after the fourth."""
    parts = [Clip(moving(4)).write(folder / "a.h264"), Clip(moving(4, 64, 96)).write(folder / "b.h264")]
    (folder / "in.h264").write_bytes(b"".join(part.read_bytes() for part in parts))
    for part in parts:
        part.unlink()
    return folder / "in.h264"


def running() -> list[str]:
    """The pipeline's threads that are still alive."""
    return [t.name for t in threading.enumerate() if t.name in {"decode", "encode"}]


def left(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def refuses(source: Path, message: str, kind: type[TweenrtError] = VideoError, **options: object) -> None:
    """The run fails with that message, exits with 2, and leaves the folder as it was."""
    before = left(source.parent)
    with pytest.raises(kind, match=message) as caught:
        run(source, source.parent / "out.mp4", **options)
    assert caught.value.exit_code == 2
    assert left(source.parent) == before
    assert not running()


# Sources


def test_no_such_file(tmp_path: Path) -> None:
    refuses(tmp_path / "in.mp4", "no such file")


def test_zero_length(tmp_path: Path) -> None:
    (tmp_path / "in.mp4").touch()
    refuses(tmp_path / "in.mp4", "got an empty file")


def test_not_a_video(tmp_path: Path) -> None:
    (tmp_path / "in.mp4").write_text("this is no video\n" * 100)
    refuses(tmp_path / "in.mp4", "FFmpeg cannot open it")


def test_audio_only(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "in.m4a"), "w", format="mp4") as output:
        stream = output.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 48000
        output.mux([*stream.encode(frame), *stream.encode(None)])
    refuses(tmp_path / "in.m4a", "expected a file with a video stream, found audio only")


@pytest.mark.parametrize("name", ["in.mp4", "fast.mp4", "in.mov", "in.mkv", "in.webm", "in.avi"])
def test_truncated_files_are_found_before_the_work_starts(tmp_path: Path, name: str) -> None:
    codec = "libvpx-vp9" if name.endswith("webm") else "mpeg4" if name.endswith("avi") else "libx264"
    whole = Clip(noise(8), codec=codec, options={}, time_base=Fraction(1, 25)).write(tmp_path / name)
    assert missing_bytes(whole) == 0
    if name == "fast.mp4":
        with (
            av.open(str(whole)) as source,
            av.open(str(tmp_path / "moved.mp4"), "w", container_options={"movflags": "faststart"}) as output,
        ):
            stream = output.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    output.mux(packet)
        (tmp_path / "moved.mp4").replace(whole)
        assert missing_bytes(whole) == 0
    size = whole.stat().st_size
    whole.write_bytes(whole.read_bytes()[: size * 6 // 10])
    assert missing_bytes(whole) > 0
    network = Blend()
    refuses(whole, r"cut short: \d+ bytes are missing at its end; .*--damaged skip", network=network)
    assert network.prepared == 0


def test_what_is_there_of_a_truncated_file_can_be_used(tmp_path: Path) -> None:
    clip = Clip(noise(8), options={"g": "1", "bf": "0"}, time_base=Fraction(1, 25))
    whole = clip.write(tmp_path / "in.mkv")
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    summary = run(whole, tmp_path / "out.mp4", damaged=Damaged.SKIP)
    assert any("cut short" in w for w in summary.warnings)
    assert 2 <= summary.source_frames < 8
    assert len(seen(tmp_path / "out.mp4").times) == 2 * summary.source_frames


def test_damage_inside_is_found(tmp_path: Path) -> None:
    source = Clip(moving(8, 128, 160), options={"crf": "1"}).write(tmp_path / "in.mkv")
    data = bytearray(source.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = bytes(b ^ 0x5A for b in data[middle : middle + 400])
    source.write_bytes(data)
    refuses(source, r"decodes with errors|cannot be decoded|is damaged")
    summary = run(source, tmp_path / "out.mp4", damaged=Damaged.SKIP)
    assert summary.warnings


def test_frames_of_changing_size(tmp_path: Path) -> None:
    refuses(resized(tmp_path), "frames change from 64x48 yuv420p to 96x64 yuv420p at frame 4; cut the video there")
    assert Clip(moving(1)).write(tmp_path / "out.mp4").exists()
    refuses(tmp_path / "in.h264", "frames change from", overwrite=True)


def test_times_that_do_not_ascend(tmp_path: Path) -> None:
    source = Clip(moving(4), [0, 1, 1, 2], Fraction(1, 25), codec="rawvideo", options={}).write(tmp_path / "in.mkv")
    refuses(source, "frame 2 is stamped 0.04.* not after 0.04.* before it")
    assert run(source, tmp_path / "out.mp4", damaged=Damaged.SKIP).source_frames == 3


def test_a_stream_without_times_runs_at_its_rate(tmp_path: Path) -> None:
    options = {"preset": "ultrafast", "x264-params": "force-cfr=1"}
    source = Clip(moving(4), time_base=Fraction(1, 25), options=options).write(tmp_path / "in.h264")
    run(source, tmp_path / "out.mp4")
    assert seen(tmp_path / "out.mp4").times == [Fraction(k, 50) for k in range(8)]


def test_an_input_rate_is_for_folders(tmp_path: Path) -> None:
    Clip(moving(3)).write(tmp_path / "in.mp4")
    refuses(tmp_path / "in.mp4", "an input rate is for folders", UsageError, input_rate=Fraction(24))


# Targets


@pytest.fixture
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Clip(noise(16), codec="ffv1", options={}).write(tmp_path_factory.mktemp("source") / "in.mkv")


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Any]:
    """A function that mounts a tmpfs with options on a new folder."""
    done: list[Path] = []

    def mount(options: str) -> Path:
        folder = tmp_path / f"mount{len(done)}"
        folder.mkdir()
        result = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, check=False
        )
        if result.returncode:
            pytest.skip(f"mounting a tmpfs is not permitted here: {result.stderr.decode().strip()}")
        done.append(folder)
        return folder

    yield mount
    for folder in done:
        subprocess.run(["umount", str(folder)], check=True)


def fails_to_write(source: Path, target: Path, message: str, **options: object) -> None:
    with pytest.raises(OutputError, match=message) as caught:
        run(source, target, **options)
    assert caught.value.exit_code == 1
    assert not running()


@pytest.mark.parametrize(
    ("name", "encoding"), [("out.mp4", EncodingOptions(lossless=True)), ("out", EncodingOptions())]
)
def test_full_disk(source: Path, mounted: Any, name: str, encoding: EncodingOptions) -> None:
    folder = mounted("size=64k")
    fails_to_write(source, folder / name, "No space left on device", encoding=encoding)
    assert left(folder) == []


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_a_disk_that_fills_up_at_the_very_end(source: Path, mounted: Any, tmp_path: Path, name: str) -> None:
    """Room for all but the last bytes, which only closing the file writes."""
    run(source, tmp_path / name)
    size = (tmp_path / name).stat().st_size
    folder = mounted(f"size={size // 4096 * 4096}")
    fails_to_write(source, folder / name, "No space left on device")
    assert left(folder) == []


def test_unwritable_targets(source: Path, mounted: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    fails_to_write(source, tmp_path / "file" / "out.mp4", "Not a directory.*choose a folder")
    fails_to_write(source, tmp_path / "nowhere" / "out.mp4", "No such file or directory.*choose a folder")
    folder = mounted("size=1m,ro")
    for name in ("out.mp4", "out"):
        fails_to_write(source, folder / name, "Read-only file system")


def test_nothing_is_overwritten_unless_told(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    target.write_text("precious")
    with pytest.raises(UsageError, match="exists already; choose another name or pass --overwrite"):
        run(source, target)
    assert target.read_text() == "precious"
    run(source, target, overwrite=True)
    assert len(seen(target).times) == 32
    with pytest.raises(UsageError, match="encoder options are for videos"):
        run(source, tmp_path, encoding=EncodingOptions(crf=3))
    with pytest.raises(UsageError, match="another name for the output"):
        run(source, source, overwrite=True)


def test_an_old_output_survives_a_failure(tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    target.write_text("precious")
    with pytest.raises(VideoError):
        run(resized(tmp_path), target, overwrite=True)
    assert target.read_text() == "precious"
    assert left(tmp_path) == ["in.h264", "out.mp4"]


# The network and the user


class Failing(Blend):
    """Fails on the third pair."""

    def __init__(self, how: Any) -> None:
        super().__init__()
        self._how = how

    def between(self, frame0: Any, frame1: Any, times: Sequence[Fraction], **around: Any) -> list[Any]:
        if len(self.asked) >= 2:
            self._how()
        return super().between(frame0, frame1, times, **around)


def network_fails() -> None:
    raise BackendError("the network failed")


def user_interrupts() -> None:
    raise KeyboardInterrupt  # what Python makes of the signal; test_interpolate.py sends the signal itself


@pytest.mark.parametrize(("how", "kind"), [(network_fails, BackendError), (user_interrupts, KeyboardInterrupt)])
@pytest.mark.parametrize("name", ["out.mp4", "out"])
def test_a_failing_network_and_ctrl_c_leave_nothing(
    source: Path, tmp_path: Path, how: Any, kind: type[BaseException], name: str
) -> None:
    with pytest.raises(kind):
        run(source, tmp_path / name, Failing(how))
    assert left(tmp_path) == []
    assert not running()


def test_a_failing_progress_callback_leaves_nothing(source: Path, tmp_path: Path) -> None:
    def report(_: object) -> None:
        raise RuntimeError("the terminal is gone")

    with pytest.raises(RuntimeError, match="terminal"):
        interpolate_video(PipelineOptions(source, tmp_path / "out.mp4", DOUBLE), Blend(), report)
    assert left(tmp_path) == []
    assert not running()
