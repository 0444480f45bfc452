"""The emulator of tests/native itself: known results, and that misuse of the GPU does not go unnoticed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.kernel_build import BuildError, library
from support.kernels import (
    PLACES,
    ROUND_ROBIN,
    SHUFFLED,
    WARP_GREEDY_REVERSED,
    KernelError,
    Kernels,
    Output,
    Scratch,
    loaded,
    max_error,
    pack_hwc8,
    unpack_hwc8,
)

Array = NDArray[Any]

LANE = np.arange(32)
FOUR_WORDS = np.arange(4, dtype=np.int32)


def self_test(function: str, device: str = "emulator") -> Kernels:
    return Kernels("self_test", function=f"launch_{function}", device=device)


def halves(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float16)


@pytest.mark.parametrize("transposed", [False, True])
def test_matrices_reach_the_lanes_that_the_ptx_manual_names(device: str, transposed: bool) -> None:
    matrices = halves(4, 8, 8)
    (out,) = self_test("load_fragments", device).run(transposed, matrices, Output((32, 4, 2), np.float16))
    for m, matrix in enumerate(matrices):
        seen = matrix.T if transposed else matrix
        expected = np.stack([seen[LANE // 4, LANE % 4 * 2], seen[LANE // 4, LANE % 4 * 2 + 1]], axis=1)
        np.testing.assert_array_equal(out[:, m], expected)


def test_a_product_of_fragments_as_the_ptx_manual_lays_them_out(device: str) -> None:
    a, b, c = halves(16, 16), halves(16, 8), halves(16, 9)[:, :8].astype(np.float32)
    group, pair = LANE[:, None] // 4, LANE[:, None] % 4 * 2
    i = np.arange(8)
    rows_a = group + np.where((i < 2) | ((i >= 4) & (i < 6)), 0, 8)
    columns_a = pair + (i & 1) + np.where(i >= 4, 8, 0)
    rows_b = pair + (i[:4] & 1) + np.where(i[:4] >= 2, 8, 0)
    rows_c, columns_c = group + np.where(i[:4] < 2, 0, 8), pair + (i[:4] & 1)
    start = c[rows_c, columns_c]
    a_given, b_given = a[rows_a, columns_a], b[rows_b, group]
    (out,) = self_test("multiply_fragments", device).run(a_given, b_given, Output((32, 4), np.float32, start))
    exact = a.astype(np.float64) @ b.astype(np.float64) + c
    assert max_error(out, exact[rows_c, columns_c]) < 1e-5


def test_a_product_through_shared_memory(device: str) -> None:
    a, b = halves(16, 16), halves(16, 8)
    (c,) = self_test("multiply", device).run(a, b, Output((16, 8)))
    assert max_error(c, a.astype(np.float64) @ b.astype(np.float64)) < 1e-5


def test_copies_happen_when_waited_for_and_poison_until_then() -> None:
    data = np.arange(8, dtype=np.int32).reshape(2, 4)
    (out,) = self_test("copy_late").run(data, Output((10, 4), np.int32))
    poison, zeros = np.full(4, -1), np.zeros(4)
    np.testing.assert_array_equal(out[0], poison)
    np.testing.assert_array_equal(out[1:4], [poison] * 3)
    np.testing.assert_array_equal(out[4:7], [data[0], poison, poison])
    np.testing.assert_array_equal(out[7:], [data[0], data[1], zeros])


@pytest.mark.parametrize("barrier_first", [False, True])
@pytest.mark.parametrize(("threads", "live"), [(64, 64), (64, 56), (40, 40)])
def test_what_lanes_tell_each_other(device: str, barrier_first: bool, threads: int, live: int) -> None:
    value = np.random.default_rng(threads).integers(-50, 50, threads).astype(np.int32)
    (out,) = self_test("talk", device).run(barrier_first, threads, live, value, Output((threads, 10), np.int32))
    assert np.all(out[live:] == 0x5A5A5A5A)
    for first in range(0, live, 32):
        v = value[first : min(first + 32, live)]
        t = np.arange(len(v))
        group = t // 8 * 8
        ballot = int(np.sum((v > 0).astype(np.uint64) << t.astype(np.uint64)))
        low_bit = [int(x & -x).bit_length() for x in v]
        ones = [int(x & 0xFFFFFFFF).bit_count() for x in v.astype(np.int64)]
        expected = [
            np.full_like(v, np.uint32(ballot).view(np.int32)),
            np.full_like(v, np.any(v > 40)),
            np.full_like(v, np.all(v > -40)),
            np.full_like(v, v[5]),
            v[group + (t + 3) % 8],
            v[np.where(t - 2 < group, t, t - 2)],
            v[np.where(t + 2 >= group + 8, t, t + 2)],
            v[t ^ 3],
            ones,
            low_bit,
        ]
        np.testing.assert_array_equal(out[first : first + len(v)], np.stack(expected, axis=1))


def test_threads_know_where_they_are(device: str) -> None:
    (out,) = self_test("where_am_i", device).run(Output((12, 2, 3, 5), np.int32))
    block, z, y, x = np.indices(out.shape)
    np.testing.assert_array_equal(out, ((z * 100 + y) * 100 + x) * 100 + block)


def test_atomic_additions(device: str) -> None:
    counters = [Output((1,), dtype, 10) for dtype in (np.int32, np.uint32, np.float32)]
    whole, natural, real = self_test("count", device).run(100, *counters)
    assert (whole[0], natural[0], real[0]) == (10 - 600, 10 + 900, 10 + 150)


def test_sums_may_depend_on_the_order_by_roundings_only() -> None:
    kernels, total = self_test("add_up"), Output((1,), np.float32, 0)
    numbers = np.random.default_rng(0).random(96, np.float32)
    with pytest.raises(AssertionError, match="depends on the order"):
        kernels.run(96, numbers, total)
    (rounded,) = kernels.run(96, numbers, total, exact=False)
    assert abs(rounded[0] - numbers.sum(dtype=np.float64)) < 1e-5
    cancelling = (numbers - numbers.mean()) * np.float32(1e6)
    with pytest.raises(AssertionError, match="depends on the order"):
        kernels.run(96, cancelling, total, exact=False)


def test_a_missing_barrier_shows_when_a_warp_runs_ahead() -> None:
    threads, passed = 96, np.arange(32, 95)
    expected = np.stack([passed, 100 + passed])
    kernels, output = self_test("pass_down"), Output((2, threads), np.int32)
    (with_barrier,) = kernels.run(1, threads, output)
    np.testing.assert_array_equal(with_barrier[:, : len(passed)], expected)
    (in_turn,) = kernels.run_once(ROUND_ROBIN, 0, threads, output)
    np.testing.assert_array_equal(in_turn[:, : len(passed)], expected)
    (ahead,) = kernels.run_once(WARP_GREEDY_REVERSED, 0, threads, output)
    assert np.any(ahead[0] != with_barrier[0])
    with pytest.raises(AssertionError, match="depends on the order of threads"):
        kernels.run(0, threads, output)


def test_a_missing_warp_barrier_shows_when_threads_are_shuffled() -> None:
    kernels, output = self_test("take_early"), Output((32,), np.int32)
    (in_turn,) = kernels.run_once(ROUND_ROBIN, output)
    np.testing.assert_array_equal(in_turn, LANE)
    (shuffled,) = kernels.run_once(SHUFFLED, output)
    assert np.any(shuffled == -1)


MISDEEDS = {
    "other collective": r"self_test.cpp:\d+: divergent warp: a lane comes to __any_sync while others wait in __ballot",
    "other line": r"divergent warp: a lane comes to __syncwarp while others wait in __syncwarp at self_test.cpp:\d+",
    "other mask": "__syncwarp: a lane has the mask 0fffffff, others ffffffff",
    "partial mask": "__syncwarp: the mask 0fffffff leaves out lanes that run: f0000000",
    "other barrier": r"thread \(7, 0, 0\) of block \(0, 0, 0\): .*divergent __syncthreads: other threads wait at",
    "deadlock": r"deadlock: thread 0 waits in __syncthreads at .*; thread 7 waits in __syncwarp at .*; 0 of 32",
    "shuffle from a thread that has ended": "lane 0 takes a value from lane 7, which is not there",
    "multiply with a thread that has ended": "multiply_add: needs 32 lanes, only ffffff7f are there",
    "unaligned row": "load_matrices: byte 8 of shared memory is not 16-byte aligned",
    "row outside of shared memory": "load_matrices: byte 32 is outside of the 32 bytes of shared memory",
    "unaligned source of a copy": "copy_16_bytes: the source .* is not 16-byte aligned",
    "unaligned target of a copy": "copy_16_bytes: byte 4 of shared memory is not 16-byte aligned",
    "copy outside of shared memory": "copy_16_bytes: byte 32 is outside of the 32 bytes of shared memory",
    "copy not waited for": "ends with copies that it never waited for",
    "copy not committed": "ends with copies that it never waited for",
    "shared memory overrun": "byte 32 of 32 bytes of shared memory was written",
    "division by zero": "divided an integer by zero",
    "endless loop": "did not end within 100 ms",
    "endless barriers": "did not end within 100 ms",
}


@pytest.fixture
def short_limit() -> Iterator[None]:
    lib = loaded(library("self_test"))
    lib.simt_set_time_limit(100)
    yield
    lib.simt_set_time_limit(60_000)


@pytest.mark.usefixtures("short_limit")
@pytest.mark.parametrize("schedule", PLACES)
@pytest.mark.parametrize("misdeed", MISDEEDS)
def test_misuse_ends_the_launch_with_a_reason(misdeed: str, schedule: int) -> None:
    kernels, output = self_test("misbehave"), Output((32,), np.int32)
    # Which thread comes late depends on the schedule; that it is noticed does not.
    message = MISDEEDS[misdeed] if schedule == ROUND_ROBIN else None
    with pytest.raises(KernelError, match=message):
        kernels.run_once(schedule, list(MISDEEDS).index(misdeed), FOUR_WORDS, output)
    (after,) = kernels.run_once(schedule, -1, FOUR_WORDS, output)
    np.testing.assert_array_equal(after, LANE)


def test_signals_are_given_back() -> None:
    """In a process of its own: one whose signals are lost would end without a word."""
    code = (
        "import signal\n"
        "from support.kernels import Kernels\n"
        "received = []\n"
        "signal.signal(signal.SIGVTALRM, lambda number, _: received.append(number))\n"
        "assert Kernels('self_test', function='launch_nothing').run(1, 1, 1, 0) == []\n"
        "signal.raise_signal(signal.SIGVTALRM)\n"
        "print('received' if received == [signal.SIGVTALRM] else received)"
    )
    path = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=path,
        env=os.environ | {"PYTHONPATH": path},
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "received"), done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((65536, 1, 1, 0), "a grid has"),
        ((1, 65536, 1, 0), "a grid has"),
        ((0, 1, 1, 0), "a grid has"),
        ((1, 1, 1025, 0), "a block has 1 to 1024 threads"),
        ((1, 1, 0, 0), "a block has 1 to 1024 threads"),
        ((1, 1, 1, 65537), "at most 65536 bytes of shared memory"),
    ],
)
def test_launches_that_a_gpu_refuses(arguments: tuple[int, ...], message: str) -> None:
    with pytest.raises(KernelError, match=message):
        self_test("nothing").run(*arguments)
    assert self_test("nothing").run(1, 1, 1024, 65536) == []


def test_arguments_cannot_be_left_on_either_side() -> None:
    block = np.zeros(32, np.uint8)
    for function, last in (("read_at", (block, Output((1,), np.int32))), ("write_at", (Output((32,), np.uint8),))):
        self_test(function).run(31, *last)
        for at in (32, -1, 100_000):
            with pytest.raises(KernelError, match=f"access to byte {at} of an array of 32 bytes"):
                self_test(function).run(at, *last)
    with pytest.raises(KernelError, match="access to byte 32 of"):
        self_test("copy_from").run(2, block, Output((1,), np.int32))


def test_inputs_must_stay_as_they_are() -> None:
    with pytest.raises(AssertionError, match="argument 1 is an input, but was written"):
        self_test("write_at").run(3, np.zeros(8, np.uint8))


def test_scratch_is_not_returned_and_outputs_start_as_told() -> None:
    kernels = self_test("write_at")
    assert kernels.run(3, Scratch((8,), np.uint8)) == []
    (filled,) = kernels.run(3, Output((5,), np.uint8, 7))
    assert filled.tolist() == [7, 7, 7, 1, 7]
    (unfilled,) = kernels.run(3, Output((5,), np.uint8))
    assert unfilled.tolist() == [0x5A, 0x5A, 0x5A, 1, 0x5A]
    assert np.isnan(Output((2,), np.float16).made()).all()


def test_patches_replace_one_place_or_are_refused() -> None:
    patched = Kernels("self_test", patch=("out[at] = 1;", "out[at] = 2;"), function="launch_write_at")
    assert patched.run(0, Output((1,), np.uint8))[0] == 2
    for old, new, message in (
        ("no such text", "", "does not occur"),
        ("__syncthreads();", "", "must occur once"),
        ("out[at] = 1;", "nonsense;", "nonsense"),
    ):
        with pytest.raises(BuildError, match=message):
            Kernels("self_test", patch=(old, new)).run()


def test_packing_eight_channels() -> None:
    x = halves(2, 11, 3, 4)
    packed = pack_hwc8(x)
    assert packed.shape == (2, 3, 4, 16)
    assert np.isnan(packed[..., 11:]).all()
    packed[..., 11:] = 0
    np.testing.assert_array_equal(unpack_hwc8(packed, 11), x)
    packed[1, 2, 3, 15] = 1
    with pytest.raises(AssertionError, match="padding"):
        unpack_hwc8(packed, 11)


def test_errors_keep_nan() -> None:
    assert max_error(np.array([1.0, 5.0]), np.array([2.0, 3.0])) == 2
    assert np.isnan(max_error(np.array([np.nan, 5.0]), np.array([2.0, 3.0])))
