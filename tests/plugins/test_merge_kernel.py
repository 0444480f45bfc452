"""The merge into bytes on the emulated GPU: every format against the reference, padding, and faults put in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support.kernels import Kernels, Output, pack_hwc8

from tweenrt.plugins.merge.reference import draw, merge_frames

Array = NDArray[Any]

FLOAT, HALF, HALF_HWC8 = 0, 1, 2
FORMATS = [FLOAT, HALF, HALF_HWC8]
FILLS = ("replicate", "zeros")
ARGUMENTS = (
    *("format", "fill", "batch", "height", "width", "padded_height", "padded_width", "top", "left"),
    *("pitch0", "pitch1", "pitch_out", "frame0", "frame1", "refined"),
)


@dataclass(frozen=True)
class Case:
    """Sizes of the frames, where they lie in the padded ones, bytes between rows beyond 3 * w, pixels of motion."""

    n: int = 2
    h: int = 11
    w: int = 37
    around: tuple[int, int, int, int] = (2, 3, 5, 6)  # rows above and below, columns left and right
    slack: tuple[int, int, int] = (0, 7, 1)  # of frame0, frame1 and the new frame; 3 * 37 + 1 is a multiple of 4
    motion: float = 4.0

    @property
    def padded(self) -> tuple[int, int]:
        above, below, left, right = self.around
        return self.h + above + below, self.w + left + right

    @property
    def pitches(self) -> list[int]:
        return [3 * self.w + slack for slack in self.slack]


CASES = [
    pytest.param(Case(), id="words"),
    pytest.param(Case(slack=(1, 0, 2)), id="bytes"),
    pytest.param(Case(1, 9, 64, (0, 0, 0, 0), (0, 0, 0)), id="no-padding"),
    pytest.param(Case(1, 1, 1, (3, 4, 7, 0), (0, 0, 0)), id="one-pixel"),
    pytest.param(Case(1, 1, 5, (0, 0, 1, 2), (1, 1, 1)), id="one-row"),
    pytest.param(Case(1, 5, 8, (1, 2, 3, 5), (8, 8, 8), 3000.0), id="far-outside"),
]


@dataclass(frozen=True)
class Tensors:
    """Two frames of bytes, [N,H,W,3], and what the network says of the new one, [N,8,H',W']."""

    frame0: Array
    frame1: Array
    refined: Array


def tensors(case: Case, form: int) -> Tensors:
    rng = np.random.default_rng(11)
    frames = [rng.integers(0, 256, (case.n, case.h, case.w, 3)).astype(np.uint8) for _ in range(2)]
    refined = (
        rng.standard_normal((case.n, 8, *case.padded)) * np.array([case.motion] * 4 + [2] + [0.1] * 3)[:, None, None]
    )
    return Tensors(*frames, refined.astype(np.float32 if form == FLOAT else np.float16))


def with_pitch(frames: Array, pitch: int) -> Array:
    """[N,H,W,3] as bytes with rows `pitch` apart; the last row ends with its last pixel."""
    n, h, w, _ = frames.shape
    rows = np.full((n, h, pitch), 77, np.uint8)
    rows[..., : 3 * w] = frames.reshape(n, h, 3 * w)
    return rows.reshape(-1)[: n * h * pitch - (pitch - 3 * w)]


def arguments(given: Tensors, case: Case, form: int, fill: str = "replicate") -> list[Any]:
    """All but the output, in the order of C."""
    above, _, left, _ = case.around
    unread = given.refined.copy()  # the network's words on what lies beyond the frame
    inside = np.zeros(case.padded, bool)
    inside[above : above + case.h, left : left + case.w] = True
    unread[:, :, ~inside] = np.nan
    frames = [with_pitch(f, p) for f, p in zip((given.frame0, given.frame1), case.pitches, strict=False)]
    refined = pack_hwc8(unread) if form == HALF_HWC8 else unread
    sizes = (case.n, case.h, case.w, *case.padded, above, left)
    return [form, FILLS.index(fill), *sizes, *case.pitches, *frames, refined]


def on_the_gpu(kernels: Kernels, given: Tensors, case: Case, form: int, fill: str = "replicate") -> Array:
    """The new frames, [N,H,W,3]; nothing may be written between their rows."""
    pitch, row = case.pitches[2], 3 * case.w
    room = case.n * case.h * pitch - (pitch - row)
    (flat,) = kernels.run(*arguments(given, case, form, fill), Output((room,), np.uint8))
    rows = np.append(flat, np.full(pitch - row, 0x5A, np.uint8)).reshape(case.n, case.h, pitch)
    assert np.all(rows[..., row:] == 0x5A), "wrote between the rows"
    return rows[..., :row].reshape(case.n, case.h, case.w, 3)


def check(kernels: Kernels, case: Case, form: int, fill: str) -> None:
    given = tensors(case, form)
    frames = (torch.from_numpy(x) for x in (given.frame0, given.frame1, given.refined))
    exact = 255.0 * draw(*frames, top=case.around[0], left=case.around[2], fill=fill).permute(0, 2, 3, 1).numpy()
    # The nearest byte, of a value known to 1e-5 of the range.
    assert np.abs(on_the_gpu(kernels, given, case, form, fill) - exact).max() <= 0.5 + 255e-5


@pytest.fixture
def kernels(device: str) -> Kernels:
    return Kernels("merge", device=device)


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("case", CASES)
def test_kernel_is_the_reference(kernels: Kernels, case: Case, form: int, fill: str) -> None:
    check(kernels, case, form, fill)


def test_reference_rounds_what_it_drew() -> None:
    given = tensors(Case(), FLOAT)
    frames = [torch.from_numpy(x) for x in (given.frame0, given.frame1, given.refined)]
    drawn, merged = draw(*frames, 2, 5), merge_frames(*frames, 2, 5)
    assert merged.dtype == torch.uint8
    assert merged.shape == given.frame0.shape
    assert (merged.permute(0, 3, 1, 2) - 255 * drawn).abs().max() <= 0.5 + 1e-4


@pytest.mark.parametrize("form", FORMATS)
def test_halves_go_to_the_even_byte(kernels: Kernels, form: int) -> None:
    case = Case(1, 1, 8, (0, 0, 0, 0), (0, 0, 0), 0.0)
    given = tensors(case, form)
    given.refined[:] = 0
    given.frame0[:] = np.arange(24).reshape(1, 1, 8, 3)
    given.frame1[:] = given.frame0 + 1
    got = on_the_gpu(kernels, given, case, form)
    assert got.reshape(-1).tolist() == [2 * ((k + 1) // 2) for k in range(24)]


@pytest.mark.parametrize("form", FORMATS)
def test_repeated_padding_is_the_edge_of_the_frame(kernels: Kernels, form: int) -> None:
    case = Case(motion=16.0)
    given = tensors(case, form)
    given.refined[:, :4] = np.round(given.refined[:, :4] * 4) / 4  # so that positions and weights are exact
    above, _, left, _ = case.around
    alone = replace(given, refined=given.refined[:, :, above : above + case.h, left : left + case.w])
    expected = on_the_gpu(kernels, alone, replace(case, around=(0, 0, 0, 0)), form)
    np.testing.assert_array_equal(on_the_gpu(kernels, given, case, form), expected)


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize(("value", "like"), [(np.nan, -6e4), (np.inf, 6e4), (-np.inf, -6e4)])
def test_flows_that_are_no_numbers_point_far_outside(kernels: Kernels, value: float, like: float, fill: str) -> None:
    strange, far = tensors(Case(), HALF_HWC8), tensors(Case(), HALF_HWC8)
    strange.refined[:, :4, ::2, ::3] = value
    far.refined[:, :4, ::2, ::3] = like
    got, expected = (on_the_gpu(kernels, x, Case(), HALF_HWC8, fill) for x in (strange, far))
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("channel", [4, 5])
def test_what_is_no_number_is_black(kernels: Kernels, channel: int) -> None:
    given = tensors(Case(), FLOAT)
    given.refined[:, channel] = np.nan
    got = on_the_gpu(kernels, given, Case(), FLOAT)
    assert not (got if channel == 4 else got[..., 0]).any()


def refused(**changes: int | None) -> str:
    """What the library says of a request with these arguments in it."""
    case = Case()
    values = arguments(tensors(case, HALF_HWC8), case, HALF_HWC8)
    for name, value in changes.items():
        values[ARGUMENTS.index(name)] = value
    kernels = Kernels("merge", function="launch_refused_merge")
    untouched, text = kernels.run(*values, Output((3000,), np.uint8), Output((300,), np.uint8), 300)
    assert np.all(untouched == 0x5A)
    return text.tobytes().decode().strip()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"frame1": None}, "frame0, frame1, refined and out must be pointers, got NULL"),
        ({"refined": None}, "got NULL"),
        ({"batch": 0}, "batch, height and width must be at least 1, got 0, 11, 37"),
        ({"top": -1}, "inside padded_height, padded_width = 16, 48, got 11, 37, -1, 5"),
        ({"padded_width": 41}, "inside padded_height, padded_width = 16, 41, got 11, 37, 2, 5"),
        ({"padded_height": -(2**31)}, "must lie inside"),
        ({"pitch1": 110}, "pitch1 must be 3 * width = 111 to (2^31 - 1) / height = 195225786 bytes, got 110"),
        ({"pitch_out": 195225787}, "pitch_out must be"),
        ({"format": 3}, "refined_format must be TWEENRT_FLOAT (0), TWEENRT_HALF (1) or TWEENRT_HALF_HWC8 (2), got 3"),
        ({"fill": 2}, "fill must be TWEENRT_FILL_REPLICATE (0) or TWEENRT_FILL_ZEROS (1), got 2"),
    ],
    ids=lambda x: "-".join(x) if isinstance(x, dict) else "",
)
def test_requests_that_make_no_sense_are_refused(changes: dict[str, int | None], says: str) -> None:
    assert says in refused(**changes)


# name, what the kernel says, what it says after the fault
MUTATIONS = [
    ("a word without the next pixel", "rgb >> (8 * place) | next << (24 - 8 * place)", "rgb >> (8 * place)"),
    ("words beyond the end of a row", "words && quad + 4 <= width", "words"),
    ("lanes leave before the shuffle", "uint32_t rgb = 0;", "uint32_t rgb = 0;\nif (column >= merge.width) return;"),
    ("black padding repeated", "merge.fill == TWEENRT_FILL_ZEROS", "false"),
    ("the frame begins at the edge of the padding", "padded.second - before", "padded.second"),
    ("cut instead of rounded", "rintf(fminf", "floorf(fminf"),
    ("the weight of the other frame", "expf(-refined", "expf(refined"),
    ("what the network says of another row", "(merge.top + row) *", "(row) *"),
    (
        "every image takes the first one's frame",
        "merge.frame1 + image * merge.height",
        "merge.frame1 + 0 * merge.height",
    ),
    ("rows without slack", "static_cast<int>(pitch)", "3 * merge.width"),
    ("brighter than white", "fminf(fmaxf(value, 0.0f), kPeak)", "fmaxf(value, 0.0f)"),
]


def check_padded(kernels: Kernels) -> None:
    for fill in FILLS:
        check(kernels, Case(2, 9, 37), HALF_HWC8, fill)


@pytest.mark.parametrize(("old", "new"), [pytest.param(old, new, id=name) for name, old, new in MUTATIONS])
def test_mutation_is_noticed(old: str, new: str) -> None:
    with pytest.raises(AssertionError):
        check_padded(Kernels("merge", patch=(old, new)))
