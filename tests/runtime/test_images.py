"""Folders of images in and out."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from support.clips import Blend, Clip, moving, seen

from tweenrt.errors import UsageError, VideoError
from tweenrt.runtime.pipeline import PipelineOptions, Summary, interpolate_video
from tweenrt.runtime.timeline import ByFactor
from tweenrt.runtime.video import EncodingOptions, open_source

RATE = Fraction(24)


def folder_of(path: Path, count: int = 4, ending: str = ".png") -> Path:
    path.mkdir()
    for i, image in enumerate(moving(count)):
        Image.fromarray(image).save(path / f"shot_{i * 5}{ending}")
    return path


def deep_png(path: Path, frame: np.ndarray) -> None:
    context = av.CodecContext.create("png", "w")
    context.height, context.width = frame.shape[:2]
    context.pix_fmt, context.time_base = "rgb48be", Fraction(1)
    picture = av.VideoFrame.from_ndarray(frame, format="rgb48le").reformat(format="rgb48be")
    path.write_bytes(b"".join(bytes(p) for p in context.encode(picture)))


def run(source: Path, target: Path, rate: Fraction | None = RATE, **options: object) -> Summary:
    return interpolate_video(PipelineOptions(source, target, ByFactor(2), input_rate=rate, **options), Blend())


def pictures(folder: Path) -> list[np.ndarray]:
    return [np.asarray(Image.open(p)) for p in sorted(folder.iterdir())]


def test_images_become_images(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in")
    (source / "notes.txt").write_text("not an image")
    summary = run(source, tmp_path / "out")
    assert (summary.source_frames, summary.output_frames, summary.drawn_frames) == (4, 8, 3)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [f"{i:08d}.png" for i in range(1, 9)]
    out = pictures(tmp_path / "out")
    for i, image in enumerate(moving(4)):
        assert np.array_equal(out[2 * i], image)
    a, b = moving(2)
    assert np.abs(out[1].astype(int) * 2 - a - b.astype(int)).max() <= 1


def test_images_are_taken_in_natural_order(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in", 4)  # shot_0, shot_5, shot_10, shot_15
    opened = open_source(source, rate=RATE)
    for frame, image in zip(opened.frames(), moving(4), strict=True):
        assert np.array_equal(frame.rgb, image)


def test_sixteen_bits_stay(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    frames = [image.astype(np.uint16) * 257 + 3 for image in moving(3)]
    for i, frame in enumerate(frames):
        deep_png(tmp_path / "in" / f"{i}.png", frame)
    run(tmp_path / "in", tmp_path / "out")
    again = list(open_source(tmp_path / "out", rate=RATE).frames())
    assert again[0].rgb.dtype == np.uint16
    for i, frame in enumerate(frames):
        assert np.array_equal(again[2 * i].rgb, frame)


@pytest.mark.parametrize("ending", [".jpg", ".tif", ".bmp", ".webp"])
def test_other_image_formats_are_read(tmp_path: Path, ending: str) -> None:
    source = folder_of(tmp_path / "in", 2, ending)
    for frame, image in zip(open_source(source, rate=RATE).frames(), moving(2), strict=True):
        assert np.abs(frame.rgb.astype(int) - image).mean() < 5  # their own compression


def test_images_become_a_video_and_back(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in")
    run(source, tmp_path / "out.mp4")
    out = seen(tmp_path / "out.mp4")
    assert out.times == [Fraction(k, 48) for k in range(8)]
    assert (out.stream["pix_fmt"], out.stream["colorspace"], out.stream["color_range"]) == ("yuv420p", 6, 1)
    run(source, tmp_path / "exact.mp4", encoding=EncodingOptions(lossless=True))
    run(tmp_path / "exact.mp4", tmp_path / "frames", rate=None)
    for i, image in enumerate(moving(4)):
        assert np.array_equal(pictures(tmp_path / "frames")[4 * i], image)


def test_a_deep_video_becomes_deep_images(tmp_path: Path) -> None:
    source = Clip(moving(3), pix_fmt="yuv444p10le").write(tmp_path / "in.mp4")
    run(source, tmp_path / "out", rate=None)
    assert {f.rgb.dtype for f in open_source(tmp_path / "out", rate=RATE).frames()} == {np.dtype(np.uint16)}


def test_bad_folders(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in")
    with pytest.raises(UsageError, match="has no frame rate; give one, such as --input-rate 24"):
        run(source, tmp_path / "out", rate=None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(VideoError, match=r"expected images \(.png.*found none"):
        run(tmp_path / "empty", tmp_path / "out")
    Image.fromarray(moving(1, 32, 32)[0]).save(source / "shot_99.png")
    with pytest.raises(VideoError, match=r"shot_99.png: expected an image of 64x48 rgb24 as the first one, got 32x32"):
        run(source, tmp_path / "out")
    data = (source / "shot_5.png").read_bytes()
    (source / "shot_5.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(VideoError, match=r"shot_5.png: this image"):
        run(source, tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "in"]


def test_only_a_folder_of_ours_is_overwritten(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in")
    target = tmp_path / "out"
    target.mkdir()
    run(source, target)
    with pytest.raises(UsageError, match="not empty; choose another one or pass --overwrite"):
        run(source, target)
    (target / "99999999.png").touch()
    run(source, target, overwrite=True)
    assert len(list(target.iterdir())) == 8
    (target / "thesis.tex").touch()
    with pytest.raises(UsageError, match=r"also holds 'thesis.tex'"):
        run(source, target, overwrite=True)
    assert (target / "thesis.tex").exists()
