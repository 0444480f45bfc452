"""Every network in FP32 and in two precisions: well typed, and built by TensorRT-RTX for every GPU as it was meant."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from support.engines import use_plugin_library
from support.mixed import casts, round_trips, run
from support.networks import CASES

from tweenrt.calibration.bodies import inlined
from tweenrt.calibration.convert import MIN_PSNR_DB, convert
from tweenrt.calibration.policy import Precision
from tweenrt.calibration.report import Converted
from tweenrt.calibration.roles import Role
from tweenrt.calibration.view import FLOAT, FLOAT16, GraphView
from tweenrt.calibration.windows import Window
from tweenrt.contract import OP_DOMAIN, Kind
from tweenrt.errors import BackendError, GraphError
from tweenrt.export import registry
from tweenrt.export.checkpoint import load_random
from tweenrt.export.exporter import export
from tweenrt.export.frames import moving_frames, through_a_lens
from tweenrt.export.options import ExportOptions
from tweenrt.runtime.engines import engine_cache
from tweenrt.runtime.engines.builder import BuildOptions, Built, build_plan
from tweenrt.runtime.engines.engine_file import unpack
from tweenrt.runtime.engines.tensorrt import Flavour
from tweenrt.runtime.onnx_file import OnnxFile

QUICK = ("ifrnet-s", "rife-4.25")
NAMES = [n for n, c in CASES.items() if not c.twin]
SIZE = (128, 192)
TARGETS = ("sm75", "sm86", "sm89", "sm120")
PLAN_MAGIC = b"vtrt"
NEEDS_PLUGINS = {"DeformConv2d", "ForwardSplat"}
"""Ops whose bodies TensorRT-RTX cannot build in any precision (docs/tensorrt.md)."""

WITHOUT_KERNEL = {"WindowAttention"}
"""Ops that the plugin library leaves to their bodies."""

MOST_CASTS = 0.25
"""Casts for each node, at most; the networks that normalise after every layer have most of them."""


def networks() -> list[object]:
    return [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in NAMES]


@pytest.fixture(scope="module", params=networks())
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Converted]:
    """The FP32 graph of a network with random weights, and what became of it."""
    spec, folder = registry.get(request.param), tmp_path_factory.mktemp("fp16")
    height, width = (-(-side // spec.divisor) * spec.divisor for side in SIZE)
    kind = Kind.PAIR if Kind.PAIR in spec.kinds else spec.kinds[0]
    options = ExportOptions(kinds=(kind,), size=(height, width), batch=1)
    export(load_random(spec, 0), options, folder / "fp32.onnx")
    frames = np.moveaxis(through_a_lens(moving_frames(height, width, 4)), 1, 3)
    report = convert(folder / "fp32.onnx", folder / "fp16.onnx", [Window(frames[1], frames[2], frames[0], frames[3])])
    assert report.worst.psnr_db > MIN_PSNR_DB
    return folder / "fp32.onnx", report.graphs[0]


def test_it_is_well_typed(made: tuple[Path, Converted]) -> None:
    _, converted = made
    model = onnx.load(converted.path)
    onnx.checker.check_model(model, full_check=True)
    view = GraphView(model)
    for node in model.graph.node:
        if node.op_type in ("Conv", "ConvTranspose", "MatMul", "MaskedConv2d"):
            kinds = {view.types[name] for place, name in enumerate(node.input) if name and place < 5}
            assert kinds == {FLOAT16}, f"{node.name} reads {kinds}"
    assert {view.types[o] for o in view.outputs} == {FLOAT}
    assert not converted.out_of_range


def test_it_has_no_cast_too_many(made: tuple[Path, Converted]) -> None:
    _, converted = made
    model = onnx.load(converted.path)
    assert round_trips(model) == []
    found = casts(model)
    assert len(found) == len(set(found)) == converted.casts
    assert converted.casts <= MOST_CASTS * len(model.graph.node)


def test_flow_and_blend_are_fp32(made: tuple[Path, Converted]) -> None:
    _, converted = made
    types = GraphView(onnx.load(converted.path)).types
    for decision in converted.decisions:
        if decision.role in (Role.FLOW, Role.BLEND) and decision.node.op_type in ("Add", "Mul", "Resize", "WarpBlend"):
            assert decision.precision is Precision.FP32
            assert types[decision.node.output[0]] == FLOAT
    places = {"WarpConcat": (3, 4), "WarpBlend": range(6)}
    places |= dict.fromkeys(("BackwardWarp", "WarpResize", "CorrelationLookup"), (1,))
    for node in onnx.load(converted.path).graph.node:
        for place in places.get(node.op_type, ()):
            assert types[node.input[place]] == FLOAT, f"{node.name}: {node.input[place]}"


def test_it_runs_on_onnx_runtime(made: tuple[Path, Converted]) -> None:
    source, converted = made
    model = onnx.load(source)
    held = {i.name for i in model.graph.initializer}
    rng = np.random.default_rng(0)
    feeds = {
        i.name: rng.random([d.dim_value for d in i.type.tensor_type.shape.dim], np.float32)
        for i in model.graph.input
        if i.name not in held
    }
    expected, got = run(model, feeds), run(onnx.load(converted.path), feeds)
    assert [(a.shape, a.dtype) for a in got] == [(a.shape, a.dtype) for a in expected]
    assert all(np.isfinite(a).all() for a in got)


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.FP16], ids=["fp32", "fp16"])
@pytest.mark.parametrize("plugins", [False, True], ids=["bodies", "plugins"])
def test_tensorrt_builds_it_for_every_gpu(
    made: tuple[Path, Converted], precision: Precision, plugins: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_plugin_library(monkeypatch)
    monkeypatch.setenv("TWEENRT_CACHE", str(tmp_path))
    source, converted = made
    path = converted.path if precision is Precision.FP16 else source
    options = BuildOptions(Flavour.RTX, targets=TARGETS, plugins=plugins)
    graph = OnnxFile.load(path)
    if not plugins and NEEDS_PLUGINS & set(graph.custom_ops):
        with pytest.raises(GraphError):
            build_plan(path, options)
        return
    if precision is Precision.FP32 and multiplies_matrices(graph.model):
        with pytest.raises(BackendError, match="leave sm75 out"):
            build_plan(path, options)
        options = replace(options, targets=TARGETS[1:])
    kept: list[Built] = []
    monkeypatch.setattr(engine_cache, "build_plan", lambda *a, **k: kept.append(build_plan(*a, **k)) or kept[0])
    check_header(engine_cache.engine_for(path, options), graph, kept[0], options)
    if precision is Precision.FP16:
        check_convolutions(graph.model, kept[0])
    else:
        check_fp32(graph.model, kept[0])
    if plugins and precision is Precision.FP16:
        check_our_layers(graph.model, kept[0])


def multiplies_matrices(model: onnx.ModelProto) -> bool:
    """Whether a graph has what TensorRT-RTX computes in FP32 from Ampere on only (docs/tensorrt.md)."""
    return any(n.op_type in ("Einsum", "Gemm", "MatMul") for n in inlined(model).graph.node)


def check_header(engine: Path, graph: OnnxFile, built: Built, options: BuildOptions) -> None:
    """The file says what it was made of and for whom, and holds the plan that TensorRT built for these GPUs."""
    info, plan = unpack(engine.read_bytes(), "engine")
    assert plan == built.plan
    assert plan.startswith(PLAN_MAGIC)
    assert f"accelerators={{{' '.join(options.targets)} }}".encode() in plan
    assert info.targets == options.targets
    assert (info.flavour, info.graph_sha256) == ("tensorrt-rtx", graph.sha256)
    assert info.graph_info("engine") == graph.info
    with_kernel = {op: count for op, count in graph.custom_ops.items() if op not in WITHOUT_KERNEL}
    assert info.plugins == (with_kernel if options.plugins else {})
    assert bool(info.plugins_sha256) == bool(info.plugins)
    assert set(info.inputs) == set(graph.inputs)


def check_fp32(model: onnx.ModelProto, built: Built) -> None:
    """Every convolution is in the plan, reads FP32 weights and makes FP32; nothing was rounded to FP16 on the way."""
    names = {n.name for n in model.graph.node if n.op_type in ("Conv", "ConvTranspose")}
    lines = [line for line in built.layers if re.search("LayerType: (\\w+)", line)[1] in CONVOLUTIONS]  # type: ignore[index]
    found = {name for line in lines for name in re.findall(r"ONNX Layer: ([^\]]+)\]", line)}
    assert names <= found
    assert not [line for line in built.layers if "Datatype: Half" in line]


CONVOLUTIONS = ("correlation", "deconv", "runtime_fusion")


def check_convolutions(model: onnx.ModelProto, built: Built) -> None:
    """At least 95 of 100 convolutions read FP16 weights."""
    names = [n.name for n in model.graph.node if n.op_type in ("Conv", "ConvTranspose")]
    lines = [line for line in built.layers if re.search("LayerType: (\\w+)", line)[1] in CONVOLUTIONS]  # type: ignore[index]
    half = {
        name
        for line in lines
        if "Half" in part(line, "Constants")
        for name in re.findall(r"ONNX Layer: ([^\]]+)\]", line)
    }
    found = [name for name in names if name in half]
    assert len(found) >= 0.95 * len(names), f"not FP16: {sorted(set(names) - half)}"
    assert not [line for line in lines if "Datatype: Float" in part(line, "Outputs") and "Half" not in line]


def check_our_layers(model: onnx.ModelProto, built: Built) -> None:
    """Our layers see FP32 where flow and coordinates enter, and FP16 features."""
    ours = {n.name: n for n in model.graph.node if n.domain == OP_DOMAIN and n.op_type not in WITHOUT_KERNEL}
    lines = [line for line in built.layers if "LayerType: custom_layer" in line]
    assert len(lines) == len(ours)
    for line in lines:
        (name,) = (name for name in re.findall(r"ONNX Layer: ([^\]]+)\]", line) if name in ours)
        read = part(line, "Inputs") + part(line, "Constants")
        if ours[name].op_type not in ("WarpBlend", "MaskTiles", "MaskedConv2d"):
            assert "Datatype: Float" in read, line
        if ours[name].op_type in ("WarpConcat", "MaskedConv2d", "CorrelationLookup", "DeformConv2d"):
            assert "Datatype: Half" in read, line


def part(line: str, name: str) -> str:
    """What a layer's line says of its inputs, constants or outputs."""
    following = {"Inputs": "Constants", "Constants": "Outputs", "Outputs": "TacticName"}[name]
    return line.split(f"{name}: [", 1)[1].split(f"{following}:", 1)[0]


def test_every_network_is_under_test() -> None:
    assert sorted(NAMES) == sorted(n for n in registry.names() if not CASES[n].twin)
