"""The roofline and the table of devices, against numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tweenrt.errors import UsageError
from tweenrt.runtime.estimate.devices import Device, Precision, device, devices
from tweenrt.runtime.estimate.roofline import Bound, Estimate, Layer, Verdict, estimate

DEVICE = Device("toy", "Toy", 1.0, 100.0, 1.0, 2.0, 4.0, 8.0, 16.0, "made up")


def layer(name: str, macs: float, activations: float, weights: float = 0.0, matrix: bool = True) -> Layer:
    return Layer(name, "Conv", macs, Precision.FP16 if matrix else None, activations, weights)


HEAVY = layer("a/conv", 4e9, 1e7)  # 8e9 operations at 8e12 a second: 1 ms; 1e7 bytes at 1e11 a second: 0.1 ms
WIDE = layer("b/conv", 4e8, 9e7, 1e7)  # 0.1 ms and 1 ms
WARP = layer("b/BackwardWarp", 2e8, 1e7, matrix=False)  # 4e8 operations at 1e12 a second: 0.4 ms; 0.1 ms


def bound() -> Estimate:
    return estimate((WARP, WIDE, HEAVY), DEVICE)


def test_a_layer_takes_its_arithmetic_or_its_traffic_whichever_is_longer() -> None:
    warp, wide, heavy = bound().layers
    assert (wide.arithmetic_ms, wide.memory_ms, wide.ms) == pytest.approx((0.1, 1.0, 1.0))
    assert (heavy.arithmetic_ms, heavy.memory_ms, heavy.ms) == pytest.approx((1.0, 0.1, 1.0))
    assert (warp.arithmetic_ms, warp.memory_ms, warp.ms) == pytest.approx((0.4, 0.1, 0.4))
    assert [part.bound for part in (wide, heavy, warp)] == [Bound.MEMORY, Bound.COMPUTE, Bound.COMPUTE]


def test_the_three_figures_of_a_network() -> None:
    assert bound().ms == pytest.approx(2.4)
    assert bound().arithmetic_ms == pytest.approx(1.5)
    assert bound().memory_ms == pytest.approx(1.2)
    assert bound().overlapped_ms == pytest.approx(1.5)


def test_layers_of_a_module_are_taken_together_and_the_longest_module_comes_first() -> None:
    first, second = bound().modules()
    assert (first.name, second.name) == ("b", "a")
    assert (first.ms, first.arithmetic_ms, first.memory_ms) == pytest.approx((1.4, 0.5, 1.1))
    assert [part.name for part in first.layers] == ["b/conv", "b/BackwardWarp"]
    assert first.bound is Bound.MEMORY
    assert (first.macs, first.moved_bytes) == (6e8, 1.1e8)
    assert bound().share(first) == pytest.approx(1.4 / 2.4)


def test_operations_of_one_kind_that_have_no_module_are_taken_together() -> None:
    names = ("WarpBlend", "BackwardWarp", "BackwardWarp.2", "block0.conv.1/conv2d.3")
    modules = [layer(name, 1, 1).module for name in names]
    assert modules == ["WarpBlend", "BackwardWarp", "BackwardWarp", "block0.conv.1"]


@pytest.mark.parametrize(
    ("budget", "verdict"),
    [(1.4, Verdict.IMPOSSIBLE), (1.6, Verdict.CACHED_ONLY), (2.3, Verdict.CACHED_ONLY), (2.5, Verdict.POSSIBLE)],
)
def test_a_bound_rules_out_or_does_not(budget: float, verdict: Verdict) -> None:
    assert bound().verdict(budget) is verdict


def test_nothing_to_do_takes_no_time() -> None:
    empty = estimate((), DEVICE)
    assert (empty.ms, empty.modules()) == (0, [])


def test_the_fastest_arithmetic_that_an_engine_may_choose_is_taken() -> None:
    assert [DEVICE.matrix_rate(p) for p in Precision] == [2e12, 8e12, 16e12]
    slow_tensor_cores = replace(DEVICE, tf32_tflops=0.5, fp16_sums_fp16_tflops=0.5)
    assert [slow_tensor_cores.matrix_rate(p) for p in Precision] == [1e12, 4e12, 16e12]


@pytest.mark.parametrize("found", devices().values(), ids=lambda d: d.name)
def test_every_device_is_dense_plausible_and_says_where_its_figures_are_from(found: Device) -> None:
    assert found.memory_gb > 0
    assert found.bandwidth_gbs > 0
    assert 0 < found.fp32_tflops <= found.tf32_tflops < found.fp16_tflops <= found.fp16_sums_fp16_tflops
    assert found.int8_tops == pytest.approx(2 * found.fp16_sums_fp16_tflops, rel=0.01)
    assert len(found.source) > 40


def test_geforce_cards_sum_in_fp32_at_half_the_rate_and_others_at_the_full_one() -> None:
    for found in devices().values():
        factor = 2 if found.name.startswith("rtx") else 1
        assert found.fp16_sums_fp16_tflops == pytest.approx(factor * found.fp16_tflops, rel=0.01), found.name


def test_devices_the_documentation_names() -> None:
    named = ("orin-nano", "orin-nx", "orin-agx", "thor", "rtx3060", "rtx3090", "rtx4090", "rtx5090", "h100", "h200")
    assert [device(name).bandwidth_gbs for name in named] == [68, 102.4, 204.8, 273, 360, 936, 1008, 1792, 3350, 4800]


def test_an_unknown_device_is_answered_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"did you mean orin-agx.*orin-nano, .*, h200"):
        device("Orin_AGX")
