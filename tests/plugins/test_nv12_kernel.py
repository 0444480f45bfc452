"""NV12 to RGB and back on the emulated GPU: against the reference, against swscale, and with faults put in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support.clips import texture
from support.kernels import Kernels, Output

from tweenrt.plugins.nv12.reference import nv12_to_rgb, rgb_to_nv12, sum_blocks
from tweenrt.runtime.video.color import ColorTags, Converter

Array = NDArray[Any]
Equation = tuple[Array, Array]
HALF = 0.5 + 1e-3  # a byte, of a value that float32 knows to a thousandth


@dataclass(frozen=True)
class Case:
    """Sizes, and bytes between rows of luma, chroma and RGB beyond what the rows need."""

    h: int = 14
    w: int = 70
    slack: tuple[int, int, int] = (0, 0, 0)

    @property
    def pitches(self) -> list[int]:
        return [row + more for row, more in zip((self.w, self.w, 3 * self.w), self.slack, strict=True)]


CASES = [
    pytest.param(Case(), id="tight"),
    pytest.param(Case(10, 66, (3, 6, 5)), id="pitches"),
    pytest.param(Case(2, 2), id="one-sample"),
    pytest.param(Case(2, 34, (1, 2, 3)), id="one-row"),
]
MATRICES = [ColorTags(1, 1, 2, 2, 1080), ColorTags(6, 2, 2, 2, 480), ColorTags(9, 1, 2, 2, 2160)]
"""BT.709 limited, BT.601 full, BT.2020 limited."""


def forward(tags: ColorTags) -> Equation:
    """(Y, Cb, Cr) of (R, G, B), both 0..255."""
    matrix, offset = tags.equation(8)
    return matrix * 257, offset


def backward(tags: ColorTags) -> Equation:
    matrix, offset = forward(tags)
    inverse = np.linalg.inv(matrix)
    return inverse, -inverse @ offset


def packed(equation: Equation) -> Array:
    return np.concatenate([part.ravel() for part in equation]).astype(np.float32)


def tensor(*arrays: Array) -> list[torch.Tensor]:
    return [torch.from_numpy(array) for array in arrays]


def picture(case: Case, seed: int = 5) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    luma = rng.integers(0, 256, (case.h, case.w), np.uint8)
    return luma, rng.integers(0, 256, (case.h // 2, case.w // 2, 2), np.uint8)


def with_pitch(rows: Array, pitch: int) -> Array:
    """[H,...] bytes with rows `pitch` apart; the last row ends with its last value."""
    flat = rows.reshape(len(rows), -1)
    out = np.full((len(rows), pitch), 77, np.uint8)
    out[:, : flat.shape[1]] = flat
    return out.reshape(-1)[: len(rows) * pitch - (pitch - flat.shape[1])]


def room(rows: int, row: int, pitch: int) -> Output:
    return Output((rows * pitch - (pitch - row),), np.uint8)


def rows_of(flat: Array, rows: int, row: int, pitch: int) -> Array:
    """What was written into `room`; nothing may be between its rows."""
    whole = np.append(flat, np.full(pitch - row, 0x5A, np.uint8)).reshape(rows, pitch)
    assert np.all(whole[:, row:] == 0x5A), "wrote between the rows"
    return whole[:, :row]


def to_rgb(patch: Any, case: Case, luma: Array, chroma: Array, equation: Equation, device: str = "emulator") -> Array:
    kernels = Kernels("nv12", patch, device, "launch_to_rgb")
    planes = [with_pitch(plane, pitch) for plane, pitch in zip((luma, chroma), case.pitches, strict=False)]
    pitch, row = case.pitches[2], 3 * case.w
    sizes = (case.h, case.w, *case.pitches)
    (flat,) = kernels.run(*sizes, packed(equation), *planes, room(case.h, row, pitch))
    return rows_of(flat, case.h, row, pitch).reshape(case.h, case.w, 3)


def to_nv12(patch: Any, case: Case, rgb: Array, equation: Equation, device: str = "emulator") -> tuple[Array, Array]:
    kernels = Kernels("nv12", patch, device, "launch_to_nv12")
    rooms = [room(case.h, case.w, case.pitches[0]), room(case.h // 2, case.w, case.pitches[1])]
    sizes = (case.h, case.w, *case.pitches)
    luma, chroma = kernels.run(*sizes, packed(equation), with_pitch(rgb, case.pitches[2]), *rooms)
    flat = rows_of(chroma, case.h // 2, case.w, case.pitches[1])
    return rows_of(luma, case.h, case.w, case.pitches[0]), flat.reshape(case.h // 2, case.w // 2, 2)


def blocks(patch: Any, rgb: Array, step: int, slack: int, device: str = "emulator") -> Array:
    h, w, _ = rgb.shape
    out = Output((h // step, w // step, 3), np.uint32)
    arguments = (h, w, 3 * w + slack, step, with_pitch(rgb, 3 * w + slack), out)
    (sums,) = Kernels("nv12", patch, device, "launch_sum_blocks").run(*arguments)
    return sums


def check(case: Case, tags: ColorTags, patch: Any = None, device: str = "emulator") -> None:
    luma, chroma = picture(case)
    exact = nv12_to_rgb(*tensor(luma, chroma, *backward(tags))).numpy()
    rgb = to_rgb(patch, case, luma, chroma, backward(tags), device)
    assert np.abs(rgb - exact).max() <= HALF
    noise = np.random.default_rng(6).integers(0, 256, (case.h, case.w, 3), np.uint8)
    wanted = rgb_to_nv12(*tensor(noise, *forward(tags)))
    for got, plane in zip(to_nv12(patch, case, noise, forward(tags), device), wanted, strict=True):
        assert np.abs(got - plane.numpy()).max() <= HALF
    for step, slack in ((1, 0), (2, 7)):
        sums = blocks(patch, noise, step, slack, device)
        np.testing.assert_array_equal(sums, sum_blocks(*tensor(noise), step).numpy())


@pytest.mark.parametrize("tags", MATRICES, ids=["bt709", "bt601-full", "bt2020"])
@pytest.mark.parametrize("case", CASES)
def test_kernels_are_the_reference(device: str, case: Case, tags: ColorTags) -> None:
    check(case, tags, device=device)


@pytest.mark.parametrize("tags", MATRICES, ids=["bt709", "bt601-full", "bt2020"])
def test_the_reference_is_what_the_cpu_path_does(tags: ColorTags) -> None:
    """Swscale rounds in between, to a few more bits than a byte; colours that no camera gives it also limits there."""
    rgb, converter = texture(3, 64, 96), Converter(tags)
    frame = converter.from_rgb(rgb, "yuv420p")
    planes = frame.to_ndarray()
    luma, chroma = planes[:64], np.stack(np.split(planes[64:].reshape(-1), 2), -1).reshape(32, 48, 2)
    for got, plane in zip((luma, chroma), rgb_to_nv12(*tensor(rgb, *forward(tags))), strict=True):
        assert np.abs(got - plane.numpy()).max() <= 2
    exact = nv12_to_rgb(*tensor(luma, chroma, *backward(tags))).numpy()
    assert np.abs(converter.to_rgb(frame) - exact).max() <= 2


def test_the_largest_sum_fits() -> None:
    white = np.full((300, 302, 3), 255, np.uint8)
    np.testing.assert_array_equal(blocks(None, white, 300, 0), np.full((1, 1, 3), 300 * 300 * 255))


def refused(changes: dict[str, Any]) -> str:
    """What the library says of a request with these arguments in it."""
    case = Case(8, 12)
    luma, chroma = picture(case)
    values = dict(zip(("blocks", "height", "width"), (0, 8, 12), strict=True))
    values |= dict(zip(("pitch_luma", "pitch_chroma", "pitch_rgb"), case.pitches, strict=True)) | {"step": 2}
    values |= {"luma": luma, "chroma": chroma, "rgb": np.zeros((8, 12, 3), np.uint8)}
    kernels = Kernels("nv12", function="launch_refused")
    (text,) = kernels.run(*(values | changes).values(), Output((200,), np.uint8), 200)
    return text.tobytes().decode().strip()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"chroma": None}, "the request, luma, chroma and rgb must be pointers, got NULL for one of them"),
        ({"width": 11}, "height and width must be even, got 8, 11"),
        ({"height": 0}, "height and width must be even, got 0, 12"),
        ({"pitch_luma": 11}, "pitch_luma must be at least the 12 bytes of a row, got 11"),
        ({"pitch_chroma": 10}, "pitch_chroma must be at least the 12 bytes of a row, got 10"),
        ({"pitch_rgb": 35}, "pitch_rgb must be at least the 36 bytes of a row, got 35"),
        ({"blocks": 1, "rgb": None}, "rgb and sums must be pointers, got NULL for one of them"),
        ({"blocks": 1, "step": 0}, "step must be 1 to 4096 and at most height and width, got 0, 8, 12"),
        ({"blocks": 1, "step": 9}, "step must be 1 to 4096 and at most height and width, got 9, 8, 12"),
        ({"blocks": 1, "pitch_rgb": 35}, "pitch must be at least the 36 bytes of a row, got 35"),
    ],
    ids=lambda x: "-".join(x) if isinstance(x, dict) else "",
)
def test_requests_that_make_no_sense_are_refused(changes: dict[str, Any], says: str) -> None:
    assert says in refused(changes)


# name, what the kernel says, what it says after the fault
MUTATIONS = [
    ("pixels before and behind swapped", "pixel % 2 == 0", "pixel % 2 == 1"),
    ("one chroma sample too far", "{sample - 2, {kFarthest", "{sample - 1, {kFarthest"),
    ("Cr for Cb", "sum.y += weight * line[at + 1]", "sum.y += weight * line[at]"),
    ("chroma wraps instead of repeating", "min(max(place, 0), size - 1)", "(place + size) % size"),
    ("a matrix by columns", "picture.matrix + 3 * row", "picture.matrix + row"),
    ("no offset", " + picture.offset[row]", ""),
    ("cut instead of rounded", "rintf(fminf", "floorf(fminf"),
    ("brighter than white", "fminf(fmaxf(value, 0.0f), kPeak)", "fmaxf(value, 0.0f)"),
    ("chroma of the row below", "2 * row - 3 + j", "2 * row - 2 + j"),
    ("a lopsided filter", "kNear, kNear, kNext", "kNear, kNext, kNear"),
    ("luma of the first of four", "int const y = 2 * row + k / 2, x", "int const y = 2 * row, x"),
    (
        "rows of RGB without slack",
        "picture.pitch_rgb * row + kColours * column",
        "kColours * (picture.width * row + column)",
    ),
    ("a block's first row only", "pitch * (step * row + j)", "pitch * (step * row)"),
    ("blocks without slack", "rgb + pitch *", "rgb + size_t(kColours * across * step) *"),
]


@pytest.mark.parametrize(("old", "new"), [pytest.param(old, new, id=name) for name, old, new in MUTATIONS])
def test_mutation_is_noticed(old: str, new: str) -> None:
    with pytest.raises(AssertionError):
        check(Case(10, 66, (3, 6, 5)), MATRICES[0], (old, new))
