"""Every network in INT8: which layers, close to FP32, and built by TensorRT-RTX as it was meant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from support.engines import use_plugin_library
from support.networks import CASES
from support.quantized import DEVICE, int8_layers, samples

from tweenrt.calibration.int8.candidates import Place
from tweenrt.calibration.int8.quantize import QuantizeOptions, quantize
from tweenrt.calibration.int8.report import QuantizeReport, psnr_db
from tweenrt.calibration.int8.samples import Chosen
from tweenrt.export import registry
from tweenrt.export.checkpoint import load_random
from tweenrt.export.exporter import export
from tweenrt.export.frames import moving_frames, through_a_lens
from tweenrt.export.options import ExportOptions
from tweenrt.runtime.engines.builder import BuildOptions, build_plan
from tweenrt.runtime.engines.tensorrt import Flavour

QUICK = ("ifrnet-s", "rife-4.25")
LEFT_OUT = ("dbvi-2x", "dbvi-8x", "raft")
"""RAFT draws no frame, and DBVI runs it four times: its export alone takes minutes."""

NAMES = [n for n, c in CASES.items() if not c.twin and n not in LEFT_OUT]
SIZE = (128, 192)
NEEDS_PLUGINS = {"DeformConv2d", "ForwardSplat"}
"""Ops whose bodies TensorRT-RTX cannot build in any precision (docs/tensorrt.md)."""

LEAST_PSNR_DB = 30.0
"""Against the frames in FP32. Random weights make features that no training has kept apart, and yet."""

MOST_ALONE = 0.25
"""Kernels that do nothing but quantise, for each INT8 layer. Those quantise what a kernel of ours or a mean makes;
CAIN has most of them, one for the channel attention of each block."""


def networks() -> list[object]:
    return [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in NAMES]


@pytest.fixture(scope="module", params=networks())
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> QuantizeReport:
    """A network with random weights, quantised by policy on made-up frames."""
    spec, folder = registry.get(request.param), tmp_path_factory.mktemp("int8")
    height, width = (-(-side // spec.divisor) * spec.divisor for side in SIZE)
    options = ExportOptions(size=(height, width), batch=1)
    export(load_random(spec, 0), options, folder / "fp32.onnx")
    frames = np.moveaxis(through_a_lens(moving_frames(height, width, 4)), 1, 3)
    first, second = samples([np.rint(frame * 255).astype(np.uint8) for frame in frames])
    chosen = Chosen((first,), (second,), "made up")
    return quantize(folder / "fp32.onnx", folder / "int8.onnx", chosen, QuantizeOptions(DEVICE, threads=1))


def graph_of(report: QuantizeReport) -> Path:
    return report.graphs[0].path


def test_layers_from_features_to_features_are_int8(made: QuantizeReport) -> None:
    (graph,) = made.graphs
    assert len(int8_layers(onnx.load(graph.path))) == len(graph.int8) > 0
    assert {c.place for c in graph.int8} == {Place.BODY}
    assert Place.ENTRY in {c.place for c in graph.kept}
    assert psnr_db(made.written.point.judged.mse) > LEAST_PSNR_DB


def test_most_layers_of_common_networks_are(made: QuantizeReport) -> None:
    """But for UGSP: most of its multiplications are in mask-guided convolutions, which stay in FP16."""
    (graph,) = made.graphs
    if not {"MaskedConv2d"} & {n.op_type for n in onnx.load(graph.path).graph.node}:
        assert len(graph.int8) > 0.75 * (len(graph.int8) + len(graph.kept))
        assert made.written.share > 0.5
        assert graph.bytes_after < 0.6 * graph.bytes_before


@pytest.mark.parametrize("plugins", [False, True], ids=["bodies", "plugins"])
def test_tensorrt_computes_them_in_int8(made: QuantizeReport, plugins: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    use_plugin_library(monkeypatch)
    model = onnx.load(graph_of(made))
    if not plugins and NEEDS_PLUGINS & {n.op_type for n in model.graph.node}:
        pytest.skip("TensorRT-RTX cannot build the body of an op in any precision")
    built = build_plan(graph_of(made), BuildOptions(Flavour.RTX, targets=("sm86",), plugins=plugins))
    wanted = {c.node.name for c in made.graphs[0].int8}
    found = {name for line in built.layers if reads_int8(line) for name in onnx_names(line)}
    assert len(wanted & found) >= 0.9 * len(wanted), f"not INT8: {sorted(wanted - found)}"
    kernels = list(quantising(built.layers))
    assert kernels, "the lines of TensorRT name Q/DQ nodes"
    alone = [names for names in kernels if all(is_qdq(name) for name in names)]
    assert not [names for names in alone if any(name.endswith("/dequantize") for name in names)]
    assert len(alone) <= MOST_ALONE * len(wanted), alone


def reads_int8(line: str) -> bool:
    """Whether a convolution or matrix product reads INT8, and INT8 weights."""
    if kind(line) not in ("correlation", "deconv", "gemm", "runtime_fusion"):
        return False
    inputs, rest = line.split("Inputs: [", 1)[1].split("Constants: [", 1)
    return all("Datatype: Int8" in part for part in (inputs, rest.split("Outputs: [", 1)[0]))


def quantising(lines: tuple[str, ...]) -> Iterator[list[str]]:
    """The nodes of every kernel that is no layer itself and has Q/DQ nodes among them."""
    for line in lines:
        names = onnx_names(line)
        if kind(line) == "kgen" and any(is_qdq(name) for name in names):
            yield names


def kind(line: str) -> str:
    return re.search(r"LayerType: (\w+)", line)[1]  # type: ignore[index]


def onnx_names(line: str) -> list[str]:
    return re.findall(r"ONNX Layer: ([^\]]+)\]", line)


def is_qdq(name: str) -> bool:
    return name.endswith(("/quantize", "/dequantize"))


def test_every_network_is_under_test() -> None:
    assert sorted([*NAMES, *LEFT_OUT]) == sorted(n for n in registry.names() if not CASES[n].twin)
