"""Videos in, videos out: counts, exact times, streams, colours and pixels, as a player would find them."""

from __future__ import annotations

import weakref
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from support.clips import NTSC, Blend, Clip, moving, packets, planes, seen, texture

from tweenrt.errors import UsageError
from tweenrt.runtime.pipeline import PipelineOptions, Summary, expected_frames, interpolate_video
from tweenrt.runtime.progress import Progress
from tweenrt.runtime.scene import Duplicates
from tweenrt.runtime.timeline import ByFactor, Retiming, ToRate
from tweenrt.runtime.video import EncodingOptions, SourceFrame, Streams, open_source

FAST = EncodingOptions(preset="ultrafast", crf=10)
LOSSLESS = EncodingOptions(lossless=True)
DOUBLE = ByFactor(2)
SUBTITLES = ((0.02, 0.1, "one"), (0.15, 0.3, "two"))


def run(source: Path, target: Path, retiming: Retiming = DOUBLE, **options: object) -> Summary:
    chosen = {"encoding": FAST, **options}
    return interpolate_video(PipelineOptions(source, target, retiming, **chosen), Blend())


# Count and time


@pytest.mark.parametrize("ending", [".mp4", ".mov"])
def test_ntsc_film_is_doubled_exactly(tmp_path: Path, ending: str) -> None:
    source = Clip(moving(8)).write(tmp_path / "in.mp4")
    target = tmp_path / f"out{ending}"
    summary = run(source, target)
    out = seen(target)
    assert (summary.source_frames, summary.output_frames, summary.drawn_frames) == (8, 16, 7)
    assert out.times == [k * Fraction(1001, 48000) for k in range(16)]
    assert out.end == seen(source).end == 8 / NTSC


def test_ntsc_film_becomes_60_fps_exactly(tmp_path: Path) -> None:
    source = Clip(moving(8)).write(tmp_path / "in.mp4")
    run(source, tmp_path / "out.mp4", ToRate(Fraction(60)))
    out = seen(tmp_path / "out.mp4")
    assert out.times == [Fraction(k, 60) for k in range(21)]
    assert out.end == 8 / NTSC


def test_a_lower_rate_keeps_the_duration(tmp_path: Path) -> None:
    source = Clip(moving(9), time_base=Fraction(1, 60)).write(tmp_path / "in.mp4")
    run(source, tmp_path / "out.mp4", ToRate(Fraction(25)))
    out = seen(tmp_path / "out.mp4")
    assert out.times == [Fraction(k, 25) for k in range(4)]
    assert out.end == Fraction(9, 60)


def test_a_variable_rate_stays_variable(tmp_path: Path) -> None:
    ticks = [0, 3003, 9009, 10010, 19019]
    source = Clip(moving(5), ticks, Fraction(1, 90000), last=1500).write(tmp_path / "in.mp4")
    run(source, tmp_path / "out.mp4", ByFactor(3))
    out = seen(tmp_path / "out.mp4")
    ends = [*ticks[1:], 20519]
    assert out.times == [
        Fraction(a, 90000) + Fraction(i * (b - a), 270000) for a, b in zip(ticks, ends, strict=True) for i in range(3)
    ]
    assert out.end == seen(source).end == Fraction(20519, 90000)


def test_a_late_first_frame_stays_late(tmp_path: Path) -> None:
    """By a time that is no whole number of milliseconds, which is what an MP4's own clock usually counts."""
    ticks = [37 + i for i in range(5)]
    source = Clip(moving(5), ticks, container={"movie_timescale": "24000"}).write(tmp_path / "in.mp4")
    run(source, tmp_path / "out.mp4")
    assert seen(source).times[0] == 37 / NTSC
    assert seen(tmp_path / "out.mp4").times == [(74 + k) / (2 * NTSC) for k in range(10)]


def test_matroska_times_are_the_nearest_millisecond(tmp_path: Path) -> None:
    source = Clip(moving(6)).write(tmp_path / "in.mp4")
    summary = run(source, tmp_path / "out.mkv")
    exact = [k * Fraction(1001, 48000) for k in range(12)]
    assert seen(tmp_path / "out.mkv").times == [Fraction(round(t * 1000), 1000) for t in exact]
    assert any("milliseconds" in w for w in summary.warnings)


def test_a_transport_stream_starts_at_zero(tmp_path: Path) -> None:
    ticks = [900_000 + 3600 * i for i in range(6)]
    source = Clip(moving(6), ticks, Fraction(1, 90000), last=3600).write(tmp_path / "in.ts")
    assert seen(source).times[0] > 1
    run(source, tmp_path / "out.mp4")
    assert seen(tmp_path / "out.mp4").times == [Fraction(k, 50) for k in range(12)]


def test_one_frame_is_held(tmp_path: Path) -> None:
    source = Clip(moving(1)).write(tmp_path / "in.mp4")
    summary = run(source, tmp_path / "out.mp4", ByFactor(4))
    assert (summary.output_frames, summary.drawn_frames) == (4, 0)
    assert len(seen(tmp_path / "out.mp4").times) == 4


# Other streams


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv"])
def test_audio_packets_are_the_same(tmp_path: Path, ending: str) -> None:
    source = Clip(moving(8), audio=0.33).write(tmp_path / f"in{ending}")
    run(source, tmp_path / f"out{ending}")
    before, after = packets(source, "audio"), packets(tmp_path / f"out{ending}", "audio")
    assert len(before) > 10
    assert after == before
    with av.open(str(source)) as known, av.open(str(tmp_path / f"out{ending}")) as out:
        assert out.streams.audio[0].language == known.streams.audio[0].language
        assert out.streams.audio[0].disposition == known.streams.audio[0].disposition


def test_mp4_subtitles_are_copied(tmp_path: Path) -> None:
    source = Clip(moving(8), subtitles=SUBTITLES).write(tmp_path / "in.mp4")
    run(source, tmp_path / "out.mp4")
    before, after = packets(source, "subtitle"), packets(tmp_path / "out.mp4", "subtitle")
    assert [p[2][2:] for p in before if p[1] and p[2][2:]] == [b"one", b"two"]
    assert [p for p in after if p[1]] == [p for p in before if p[1]]


def test_attachments_are_copied(tmp_path: Path) -> None:
    source = Clip(moving(4), attachment=b"a font").write(tmp_path / "in.mkv")
    run(source, tmp_path / "out.mkv")
    with av.open(str(tmp_path / "out.mkv")) as out:
        assert [(s.name, s.data) for s in out.streams.attachments] == [("font.ttf", b"a font")]
    with pytest.raises(UsageError, match=r"stream 1 \(attachment, font.ttf\) cannot be stored in mp4"):
        run(source, tmp_path / "out.mp4")


def test_subtitles_tags_and_chapters_are_copied(tmp_path: Path) -> None:
    chapters = ((0, 150, "first"), (150, 333, "second"))
    source = Clip(moving(8), audio=0.3, subtitles=SUBTITLES, chapters=chapters).write(tmp_path / "in.mkv")
    run(source, tmp_path / "out.mkv")
    assert packets(tmp_path / "out.mkv", "subtitle") == packets(source, "subtitle")
    assert [p[2] for p in packets(source, "subtitle")] == [b"one", b"two"]
    with av.open(str(tmp_path / "out.mkv")) as out:
        assert out.metadata["title"] == "a test"
        assert [c["metadata"]["title"] for c in out.chapters()] == ["first", "second"]
        assert out.streams.subtitles[0].language == "eng"


def test_a_stream_that_does_not_fit_is_named_before_the_work_starts(tmp_path: Path) -> None:
    source = Clip(moving(6), subtitles=SUBTITLES).write(tmp_path / "in.mkv")
    network = Blend()
    with pytest.raises(
        UsageError, match=r"stream 1 \(subtitle, subrip, eng\) cannot be stored in mp4.*--streams fitting"
    ):
        interpolate_video(PipelineOptions(source, tmp_path / "out.mp4", DOUBLE), network)
    assert network.prepared == 0
    assert [p.name for p in tmp_path.iterdir()] == ["in.mkv"]


def test_a_stream_that_does_not_fit_can_be_left_out(tmp_path: Path) -> None:
    source = Clip(moving(6), audio=0.2, subtitles=SUBTITLES).write(tmp_path / "in.mkv")
    summary = run(source, tmp_path / "out.mp4", streams=Streams.FITTING)
    assert any("subrip" in w and "left out" in w for w in summary.warnings)
    run(source, tmp_path / "silent.mp4", streams=Streams.NONE)
    kinds = []
    for name in ("out.mp4", "silent.mp4"):
        with av.open(str(tmp_path / name)) as out:
            kinds.append([s.type for s in out.streams])
    assert kinds == [["video", "audio"], ["video"]]


# Colours and pixels


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
@pytest.mark.parametrize("tags", [(1, 1, 1, 1), (9, 1, 9, 14), (6, 2, 6, 6), (5, 1, 5, 4)])
def test_colour_tags_stay(tmp_path: Path, tags: tuple[int, int, int, int], ending: str) -> None:
    source = Clip(moving(4), tags=tags, aspect=Fraction(4, 3)).write(tmp_path / f"in{ending}")
    run(source, tmp_path / f"out{ending}")
    before, after = seen(source).stream, seen(tmp_path / f"out{ending}").stream
    assert (after["colorspace"], after["color_range"], after["color_primaries"], after["color_trc"]) == tags
    assert after == before


def test_rotation_stays(tmp_path: Path) -> None:
    source = Clip(moving(4), rotation=90).write(tmp_path / "in.mp4")
    run(source, tmp_path / "out.mp4")
    assert seen(source).pictures[0].rotation == seen(tmp_path / "out.mp4").pictures[0].rotation == 90


@pytest.mark.parametrize("pix_fmt", ["yuv420p10le", "yuv444p10le", "yuv422p", "yuv444p"])
def test_depth_and_chroma_stay(tmp_path: Path, pix_fmt: str) -> None:
    source = Clip(moving(4), pix_fmt=pix_fmt).write(tmp_path / "in.mp4")
    run(source, tmp_path / "out.mp4")
    assert seen(tmp_path / "out.mp4").stream["pix_fmt"] == pix_fmt


def test_twelve_bits_take_an_encoder_that_has_them(tmp_path: Path) -> None:
    source = Clip(moving(3), codec="ffv1", pix_fmt="yuv420p12le", options={}).write(tmp_path / "in.mkv")
    run(source, tmp_path / "out.mp4")
    assert seen(tmp_path / "out.mp4").stream["pix_fmt"] == "yuv420p12le"


@pytest.mark.parametrize(
    ("pix_fmt", "ending", "expected"), [("yuv444p", ".mp4", "yuv444p"), ("yuv420p", ".mp4", "yuv444p")]
)
def test_odd_sizes(tmp_path: Path, pix_fmt: str, ending: str, expected: str) -> None:
    source = Clip(moving(4, 35, 53), codec="ffv1", pix_fmt=pix_fmt, options={}).write(tmp_path / "in.mkv")
    run(source, tmp_path / f"out{ending}")
    out = seen(tmp_path / f"out{ending}")
    assert (out.pictures[0].width, out.pictures[0].height, out.stream["pix_fmt"]) == (53, 35, expected)


EXACT = [
    ("yuv420p", "libx264", ".mp4"),
    ("yuv420p", "libx264", ".mkv"),
    ("yuv420p10le", "libx264", ".mp4"),
    ("yuv444p", "libx264", ".mov"),
    ("yuvj420p", "mjpeg", ".mp4"),
    ("yuv422p12le", "ffv1", ".mkv"),
    ("gbrp10le", "ffv1", ".mkv"),
    ("bgr0", "ffv1", ".mp4"),
    ("yuv420p", "libx264", ".webm"),
]


@pytest.mark.parametrize(("pix_fmt", "codec", "ending"), EXACT)
def test_lossless_output_holds_the_source_frames_bit_for_bit(
    tmp_path: Path, pix_fmt: str, codec: str, ending: str
) -> None:
    options = {"preset": "ultrafast"} if codec == "libx264" else {}
    clip = Clip(moving(4), time_base=Fraction(1, 25), codec=codec, pix_fmt=pix_fmt, options=options)
    source = clip.write(tmp_path / "in.mkv")
    run(source, tmp_path / f"out{ending}", encoding=LOSSLESS)
    before, after = seen(source), seen(tmp_path / f"out{ending}")
    kept = dict(zip(after.times, after.pictures, strict=True))
    assert len(kept) == 8
    for time, picture in zip(before.times, before.pictures, strict=True):
        if pix_fmt == "bgr0":
            assert np.array_equal(kept[time].to_ndarray(format="rgb24"), picture.to_ndarray(format="rgb24"))
        else:
            assert planes(kept[time]) == planes(picture)


def test_drawn_frames_are_between_their_neighbours(tmp_path: Path) -> None:
    """A network that returns the mean gives the mean of what a player shows, whatever the matrix and range."""
    for tags in ((1, 1, 1, 1), (6, 2, 6, 6)):
        images = [np.clip(texture().astype(int) + shift, 0, 255).astype(np.uint8) for shift in (0, 24)]
        source = Clip(images, tags=tags, pix_fmt="yuv444p", options={"qp": "0"}).write(tmp_path / "in.mp4")
        run(source, tmp_path / "out.mp4", encoding=LOSSLESS, overwrite=True)
        first, middle, second, _ = (planes(p) for p in seen(tmp_path / "out.mp4").pictures)
        for a, m, b in zip(first, middle, second, strict=True):
            x, y, z = (np.frombuffer(p, np.uint8).astype(int) for p in (a, m, b))
            assert np.abs(2 * y - x - z).max() <= 4


def test_the_encoder_chooses_its_own_frame_types(tmp_path: Path) -> None:
    """A source of key frames only does not make every other output frame one."""
    clip = Clip(moving(6), options={"g": "1", "preset": "ultrafast"})
    run(clip.write(tmp_path / "in.mp4"), tmp_path / "out.mp4")
    intra = av.video.frame.PictureType.I
    assert [p.pict_type == intra for p in seen(tmp_path / "in.mp4").pictures] == [True] * 6
    assert [p.pict_type == intra for p in seen(tmp_path / "out.mp4").pictures] == [True] + [False] * 11


# Scenes and the network


def test_nothing_is_blended_across_a_cut(tmp_path: Path) -> None:
    images = [*moving(3), *[255 - image for image in moving(3, seed=9)]]
    source = Clip(images, time_base=Fraction(1, 25), codec="ffv1", options={}).write(tmp_path / "in.mkv")
    summary = run(source, tmp_path / "out.mkv", ByFactor(4), encoding=LOSSLESS)
    assert (summary.cuts, summary.drawn_frames) == (1, 4 * 3)
    before, after = seen(source).pictures, seen(tmp_path / "out.mkv").pictures
    kept = [planes(p) for p in after]
    assert kept[9] == planes(before[2])
    assert kept[10] == kept[11] == planes(before[3])


def test_a_repeat_costs_no_network_run(tmp_path: Path) -> None:
    a, b, c = moving(3)
    source = Clip([a, b, b, c], codec="ffv1", options={}).write(tmp_path / "in.mkv")
    network = Blend()
    summary = interpolate_video(PipelineOptions(source, tmp_path / "out.mp4", DOUBLE, encoding=FAST), network)
    assert (summary.duplicates, summary.drawn_frames) == (1, 2)
    for choice, drawn in ((Duplicates.RETIME, 4), (Duplicates.DRAW, 3)):
        options = PipelineOptions(source, tmp_path / f"{drawn}.mp4", DOUBLE, duplicates=choice, encoding=FAST)
        assert interpolate_video(options, Blend()).drawn_frames == drawn
        assert seen(tmp_path / f"{drawn}.mp4").times == seen(tmp_path / "out.mp4").times


def test_every_frame_is_prepared_once(tmp_path: Path) -> None:
    source = Clip(moving(6)).write(tmp_path / "in.mp4")
    network = Blend()
    interpolate_video(PipelineOptions(source, tmp_path / "out.mp4", ByFactor(12), encoding=FAST), network)
    assert network.prepared == 6
    assert len(network.asked) == 5 * 11
    assert sorted(set(network.asked)) == [Fraction(k, 12) for k in range(1, 12)]


def test_networks_of_four_frames_get_the_frames_around_but_not_across_a_cut(tmp_path: Path) -> None:
    class Four(Blend):
        neighbours = True

    images = [*moving(4), *[255 - image for image in moving(3, seed=9)]]
    source = Clip(images, codec="ffv1", pix_fmt="bgr0", options={}).write(tmp_path / "in.mkv")
    network = Four()
    interpolate_video(PipelineOptions(source, tmp_path / "out.mp4", DOUBLE, encoding=FAST), network)
    numbers = {image.tobytes(): i for i, image in enumerate(images)}
    around = [tuple(None if f is None else numbers[f.tobytes()] for f in pair) for pair in network.around]
    assert around == [(None, 2), (0, 3), (1, None), (None, 6), (4, None)]
    assert network.prepared == 7


def test_progress_and_summary(tmp_path: Path) -> None:
    source = Clip(moving(5)).write(tmp_path / "in.mp4")
    events: list[Progress] = []
    options = PipelineOptions(source, tmp_path / "out.mp4", DOUBLE, encoding=FAST)
    summary = interpolate_video(options, Blend(), events.append)
    assert [e.done for e in events] == list(range(1, 11))
    assert {e.total for e in events} == {10}
    assert (events[-1].drawn, events[-1].eta) == (4, 0)
    assert all(e.fps > 0 for e in events)
    assert summary.seconds >= summary.drawing_seconds == pytest.approx(4 * summary.seconds_per_drawn_frame)
    info = open_source(source)
    info.close()
    assert expected_frames(info.info, ToRate(Fraction(60))) == 13


def test_memory_does_not_grow_with_the_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alive: weakref.WeakSet[SourceFrame] = weakref.WeakSet()
    most = []

    class Counting(Blend):
        def between(self, frame0: object, frame1: object, times: object, **around: object) -> object:
            most.append(len(alive))
            return super().between(frame0, frame1, times, **around)

    from tweenrt.runtime.video import reader

    made = reader.SourceFrame

    def counted(*facts: object) -> SourceFrame:
        frame = made(*facts)
        alive.add(frame)
        return frame

    monkeypatch.setattr(reader, "SourceFrame", counted)
    for count in (12, 60):
        source = Clip(moving(count, 32, 32)).write(tmp_path / f"{count}.mp4")
        options = PipelineOptions(source, tmp_path / f"{count}-out.mp4", DOUBLE, encoding=FAST)
        interpolate_video(options, Counting())
    assert max(most) <= 9
