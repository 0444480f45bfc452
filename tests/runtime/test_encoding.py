"""Encoder options: they reach the encoder, and those that cannot work are refused before anything is written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import pytest
from support.clips import Blend, Clip, moving, planes, seen

from tweenrt.errors import UsageError
from tweenrt.runtime.pipeline import PipelineOptions, Summary, interpolate_video
from tweenrt.runtime.timeline import ByFactor
from tweenrt.runtime.video import EncodingOptions

FAST = EncodingOptions(preset="ultrafast", crf=10)
LOSSLESS = EncodingOptions(lossless=True)


def run(source: Path, target: Path, encoding: EncodingOptions = FAST) -> Summary:
    return interpolate_video(PipelineOptions(source, target, ByFactor(2), encoding=encoding), Blend())


def test_encoder_options_reach_the_encoder(tmp_path: Path) -> None:
    source = Clip(moving(4)).write(tmp_path / "in.mp4")
    extra = EncodingOptions(codec="libx265", crf=30, preset="ultrafast", extra={"x265-params": "keyint=2"})
    run(source, tmp_path / "out.mp4", encoding=extra)
    with av.open(str(tmp_path / "out.mp4")) as out:
        stream = out.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.codec_tag) == ("hevc", "hvc1")
        keys = {p.pts: p.is_keyframe for p in out.demux(stream) if p.size}
        assert [keys[pts] for pts in sorted(keys)] == [True, False] * 4
    run(source, tmp_path / "small.mp4", encoding=EncodingOptions(crf=45))
    run(source, tmp_path / "large.mp4", encoding=EncodingOptions(crf=1))
    assert (tmp_path / "small.mp4").stat().st_size < (tmp_path / "large.mp4").stat().st_size


@pytest.mark.parametrize(
    ("encoding", "name", "message"),
    [
        (EncodingOptions(extra={"colour": "red"}), "out.mp4", "libx264 has no option colour"),
        (EncodingOptions(preset="warp"), "out.mp4", "libx264 refuses its options"),
        (EncodingOptions(codec="libx999"), "out.mp4", "libx999"),
        (EncodingOptions(codec="libx264"), "out.webm", "cannot hold libx264"),
        (EncodingOptions(codec="prores_ks", lossless=True), "out.mov", "expected a lossless encoder"),
        (EncodingOptions(), "out.avi", "ends in .mp4"),
        (FAST, "out", "encoder options are for videos"),
    ],
)
def test_options_that_do_not_work_are_named(tmp_path: Path, encoding: EncodingOptions, name: str, message: str) -> None:
    source = Clip(moving(3)).write(tmp_path / "in.mp4")
    with pytest.raises(UsageError, match=message):
        run(source, tmp_path / name, encoding=encoding)
    assert [p.name for p in tmp_path.iterdir()] == ["in.mp4"]


def test_lossless_that_cannot_be_is_refused(tmp_path: Path) -> None:
    clip = Clip(moving(3, 35, 53), codec="ffv1", options={})
    source = clip.write(tmp_path / "in.mkv")
    with pytest.raises(UsageError, match=r"53x35 yuv420p\) cannot be stored losslessly.*\.mkv"):
        run(source, tmp_path / "out.mp4", encoding=LOSSLESS)
    run(source, tmp_path / "out.mkv", encoding=LOSSLESS)
    assert planes(seen(tmp_path / "out.mkv").pictures[0]) == planes(seen(source).pictures[0])
    source = replace(clip, images=moving(3), pix_fmt="yuv420p16le").write(tmp_path / "deep.mkv")
    summary = run(source, tmp_path / "rounded.mp4")
    assert any("at most 10 bits" in w for w in summary.warnings)
