"""The element tweenrtinterpolate frame by frame: what a stream's events, marks and gaps do to it."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.graphs import HEAD, blend, blend_halves, save
from support.gstreamer import commanded, skip_where_missing, started
from support.native_graphs import fixed, four_frames

pytestmark = skip_where_missing()

MS = 1_000_000
STEP = 40 * MS
CAPS = "video/x-raw,format=RGB,width=16,height=16,framerate=25/1"


def push(number: int, value: int, mark: str = "") -> str:
    return f"push {number * STEP} {STEP} {value} {mark}"


def shown(lines: list[str]) -> list[tuple[float, int]]:
    """Time in milliseconds and grey value of every frame that came out."""
    words = [line.split() for line in lines if line.startswith("frame ")]
    return [(int(pts) / MS, int(value)) for _, pts, _, value, *_ in words]


def of_kind(lines: list[str], *kinds: str) -> list[str]:
    return [line for line in lines if line.split()[0] in kinds]


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    return blend(tmp_path / "blend.onnx")


def test_a_frame_comes_out_when_the_next_is_there(graph: Path) -> None:
    lines = commanded(*started(graph, CAPS), push(0, 0), push(1, 100))
    assert of_kind(lines, "flow", "frame") == [
        "flow ok",
        f"frame 0 {STEP // 2} 0",
        f"frame {STEP // 2} {STEP // 2} 50",
        "flow ok",
    ]


def test_the_end_of_the_stream_brings_the_last_frame(graph: Path) -> None:
    lines = commanded(*started(graph, CAPS), push(0, 0), push(1, 100), "eos")
    assert shown(lines) == [(0, 0), (20, 50), (40, 100), (60, 100)]
    assert lines[-1] == "event eos"


@pytest.mark.parametrize("command", ["segment 1 0", "stream-start", f"gap {STEP} {STEP}", "drain", "eos"])
def test_what_ends_a_run_of_frames_comes_after_them(graph: Path, command: str) -> None:
    """The last one is held, and nothing is drawn between it and what follows."""
    lines = commanded(*started(graph, CAPS), push(0, 0), command)
    after = lines[lines.index("flow ok") + 1 :]
    event = [] if command == "drain" else [f"event {command.split()[0]}"]
    assert [line.rsplit(" ", 2)[0] for line in after[:2]] == ["frame 0", f"frame {STEP // 2}"]
    assert after[2:] == event


def test_a_gap_is_not_drawn_across(graph: Path) -> None:
    lines = commanded(*started(graph, CAPS), push(0, 0), f"gap {STEP} {STEP}", push(2, 100), push(3, 50))
    assert shown(lines) == [(0, 0), (20, 0), (80, 100), (100, 75)]


def test_a_discontinuity_is_not_drawn_across(graph: Path) -> None:
    """The frame that is marked stays so; no other is."""
    frames = [push(0, 0, "discont"), push(1, 100), push(2, 50, "discont"), push(3, 70)]
    lines = commanded(*started(graph, CAPS), *frames)
    assert shown(lines) == [(0, 0), (20, 50), (40, 100), (60, 100), (80, 50), (100, 60)]
    marked = [line.split()[1] for line in lines if line.endswith("discont")]
    assert marked == ["0", str(2 * STEP)]


def test_a_frame_held_twice_is_marked_once(graph: Path) -> None:
    lines = commanded(*started(graph, CAPS), push(0, 5, "discont"), "eos")
    assert [line.endswith("discont") for line in of_kind(lines, "frame")] == [True, False]


def test_a_frame_before_a_discontinuity_is_held_no_longer_than_up_to_it(graph: Path) -> None:
    early = f"push {STEP // 4} {STEP} 9 discont"
    lines = commanded(*started(graph, CAPS), push(0, 0), early)
    assert of_kind(lines, "frame") == [f"frame 0 {STEP // 8} 0", f"frame {STEP // 8} {STEP // 8} 0"]


@pytest.mark.parametrize(("missing", "drawn"), [(1, 50), (2, 0)])
def test_one_missing_frame_is_drawn_across_and_two_are_not(graph: Path, missing: int, drawn: int) -> None:
    lines = commanded(*started(graph, CAPS), push(0, 0), push(1 + missing, 100))
    assert shown(lines) == [(0, 0), ((1 + missing) * 20 if missing == 1 else 20, drawn)]


def test_times_that_go_back_start_anew(graph: Path) -> None:
    lines = commanded(*started(graph, CAPS), push(5, 0), push(1, 100), push(2, 50))
    assert shown(lines) == [(200, 0), (220, 0), (40, 100), (60, 75)]


def test_a_flush_forgets_what_was_held_back(graph: Path) -> None:
    lines = commanded(*started(graph, CAPS), push(0, 0), "flush", "segment 1 0", push(1, 100), push(2, 50), "eos")
    assert shown(lines) == [(40, 100), (60, 75), (80, 50), (100, 50)]


def test_frames_that_come_backwards_are_handed_on(graph: Path) -> None:
    lines = commanded(*started(graph, CAPS), "segment -1 0", push(3, 100), push(2, 50))
    assert of_kind(lines, "frame") == [f"frame {3 * STEP} {STEP} 100", f"frame {2 * STEP} {STEP} 50"]


def test_new_caps_come_after_the_old_frames(graph: Path) -> None:
    faster = CAPS.replace("25/1", "50/1").replace("16", "32")
    lines = commanded(*started(graph, CAPS), push(0, 0), f"caps {faster}", push(1, 100), push(2, 50))
    kinds = [line.split()[0] + (" caps" if line == "event caps" else "") for line in of_kind(lines, "frame", "event")]
    assert kinds[-6:] == ["frame", "frame", "event caps", "event", "frame", "frame"]
    assert of_kind(lines, "rate") == ["rate 50/1", "rate 100/1"]
    assert shown(lines)[2:] == [(40, 100), (60, 75)]


def test_what_is_taken_follows_from_what_is_wanted(graph: Path) -> None:
    wanted = CAPS.replace("25/1", "{ (fraction)30/1, (fraction)25/2 }")
    opened = started(graph, CAPS, factor=5)[:-1]
    (takes,) = of_kind(commanded(*opened, f"wants {wanted}", "takes"), "takes")
    assert "framerate=(fraction){ 6/1, 5/2 }" in takes
    (takes,) = of_kind(commanded(*opened, f"wants {CAPS.replace('25/1', '[ 5/1, 2147483647/1 ]')}", "takes"), "takes")
    assert "framerate=(fraction)[ 1/1, 2147483647/5 ]" in takes


def test_only_what_is_wanted_at_the_rate_is_taken(graph: Path) -> None:
    wanted = f"{CAPS}; {CAPS.replace('RGB', 'BGR').replace('25/1', '[ 40/1, 60/1 ]')}"
    opened = started(graph, CAPS, rate="50/1")[:-1]
    (takes,) = of_kind(commanded(*opened, f"wants {wanted}", "takes"), "takes")
    assert "BGR" in takes
    assert "RGB" not in takes
    assert "framerate=(fraction)[ 0/1, 2147483647/1 ]" in takes


def test_a_rate_goes_on_from_the_first_frame(graph: Path) -> None:
    """60 of 25: whole sixtieths of a second, drawn where no source frame is; the last one is cut at the end."""
    lines = commanded(*started(graph, CAPS, rate="60/1"), *(push(k, 100 * (k % 2)) for k in range(3)), "eos")
    assert of_kind(lines, "rate") == ["rate 60/1"]
    values = [0, 42, 83, 75, 33, 0, 0, 0]
    times = [round(k * 1000 / 60 * MS) for k in range(8)]
    ends = [*times[1:], 3 * STEP]
    expected = [f"frame {a} {b - a} {v}" for a, b, v in zip(times, ends, values, strict=True)]
    assert of_kind(lines, "frame") == expected


def test_variable_rates_are_split_as_they_come(graph: Path) -> None:
    """Without durations the last frame is held as long as the one before it."""
    caps = CAPS.replace("25/1", "0/1")
    lines = commanded(
        *started(graph, caps), *(f"push {ms * MS} -1 {v}" for ms, v in ((0, 0), (10, 80), (90, 0))), "eos"
    )
    assert of_kind(lines, "rate") == ["rate 0/1"]
    assert shown(lines) == [(0, 0), (5, 40), (10, 80), (50, 40), (90, 0), (130, 0)]


def test_a_single_frame_of_unknown_length_stays_one(graph: Path) -> None:
    lines = commanded(*started(graph, CAPS.replace("25/1", "0/1")), "push 0 -1 7", "eos")
    assert of_kind(lines, "frame") == ["frame 0 -1 7"]


@pytest.mark.parametrize("off", [5000, -5000])
def test_rounding_that_adds_up_does_not_draw_what_is_there(graph: Path, off: int) -> None:
    """Twice the rate of frames that all come 5 µs late or early, as hours of rounded durations make them."""
    step = STEP + off
    frames = [f"push {k * step} {STEP} {100 * (k % 2)}" for k in range(10)]
    lines = commanded(*started(graph, CAPS, rate="50/1"), *frames, "get drawn-frames")
    assert of_kind(lines, "value") == ["value 9"]
    times = [int(line.split()[1]) for line in of_kind(lines, "frame")]
    assert times[::2] == [k * step for k in range(9)]


def test_the_latency_is_one_source_frame_more(graph: Path) -> None:
    lines = commanded(*started(graph, CAPS), push(0, 0), "latency 1 5 -1", "latency 0 5 7")
    assert of_kind(lines, "latency") == [f"latency 1 {STEP + 5} -1", f"latency 0 {STEP + 5} {STEP + 7}"]
    assert of_kind(lines, "message") == ["message latency"]


def test_the_latency_of_four_frames_is_two_source_frames(tmp_path: Path) -> None:
    lines = commanded(*started(four_frames(tmp_path / "four.onnx"), CAPS), push(0, 0), "latency 1 0 -1")
    assert of_kind(lines, "latency") == [f"latency 1 {2 * STEP} -1"]


def test_the_properties_count(tmp_path: Path) -> None:
    counts = ["prepared-frames", "drawn-frames", "encoder-runs", "drawing-runs"]
    read = [f"get {name}" for name in counts]
    frames = [push(k, 10 * k) for k in range(4)]
    lines = commanded(*started(blend_halves(tmp_path / "halves"), CAPS, factor=3), *frames, *read)
    assert of_kind(lines, "value") == ["value 4", "value 6", "value 4", "value 6"]


@pytest.mark.parametrize("most", [3, 9])
def test_elements_after_it_with_few_buffers_are_not_waited_for(graph: Path, most: int) -> None:
    lines = commanded(f"pool {most}", *started(graph, CAPS, factor=12), push(0, 0), push(1, 120))
    assert [value for _, value in shown(lines)] == list(range(0, 120, 10))


def test_more_buffers_are_asked_for_than_are_held_back(graph: Path) -> None:
    assert of_kind(commanded(*started(graph, CAPS), "buffers"), "buffers") == ["buffers 2"]


def test_frames_without_times_are_refused(graph: Path) -> None:
    lines = commanded(*started(graph, CAPS), f"push -1 {STEP} 7")
    assert of_kind(lines, "flow") == ["flow error"]
    assert lines[-1].startswith("error gst-stream-error-quark")
    assert "expected frames with timestamps" in lines[-1]


@pytest.mark.parametrize(
    ("caps", "said"),
    [
        (f"{CAPS},interlace-mode=interleaved", "expected progressive video"),
        (f"{CAPS.replace('RGB', 'NV12')},colorimetry=2:5:7:1", "BT.601, BT.709 or BT.2020"),
    ],
)
def test_caps_that_are_refused(graph: Path, caps: str, said: str) -> None:
    lines = commanded(*started(graph, caps), push(0, 0))
    assert of_kind(lines, "flow") == ["flow not-negotiated"]
    assert said in of_kind(lines, "error")[0]


def test_a_moment_that_the_network_cannot_draw(tmp_path: Path) -> None:
    lines = commanded(*started(fixed(tmp_path / "fixed.onnx"), CAPS, factor=3), push(0, 0), push(1, 100))
    assert of_kind(lines, "flow") == ["flow ok", "flow error"]
    assert "midpoints" in of_kind(lines, "error")[0]


def test_frames_of_another_size_than_the_graph_s(tmp_path: Path) -> None:
    picture = "float[1,3,96,96]"
    body = "middle = Add (frame0, frame1) half = Constant <value_floats = [0.5]> () frame_t = Mul (middle, half)"
    text = f"{HEAD} sized ({picture} frame0, {picture} frame1, float[1,1,1,1] t) => ({picture} frame_t) {{ {body} }}"
    lines = commanded(*started(save(tmp_path / "sized.onnx", text), CAPS))
    assert "96x96" in of_kind(lines, "error")[0]
