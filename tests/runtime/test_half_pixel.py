"""The half-pixel self-test, on a GPU that is none (support.fake_tensorrt) and in the real builder of TensorRT-RTX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX has packages for x86-64 only")

from support import fake_tensorrt
from support.engines import use_plugin_library, write_graph
from support.gpu_machine import Machine

from tweenrt.errors import BackendError, GraphError, MissingExtraError
from tweenrt.plugins.ops import OPS
from tweenrt.runtime import Lane
from tweenrt.runtime.engines import builder, half_pixel
from tweenrt.runtime.engines.builder import BuildOptions
from tweenrt.runtime.engines.half_pixel import prove
from tweenrt.runtime.engines.probes import _MAKERS, feeds_of, output_of, probe_model, probes
from tweenrt.runtime.engines.tensorrt import Flavour
from tweenrt.runtime.gpu import Gpus
from tweenrt.runtime.onnx_file import OnnxFile

OPTIONS = BuildOptions(Flavour.TENSORRT)
PICTURE, FLOW = "float[1,8,32,32]", "float[1,2,32,32]"
WARPS = {
    "BackwardWarp": f"w ({PICTURE} x, {FLOW} f) => ({PICTURE} y) {{ y = tweenrt.BackwardWarp (x, f) }}",
    "WarpBlend": f"""w ({PICTURE} x, {FLOW} f, float[1,1,32,32] m) => ({PICTURE} y)
        {{ y = tweenrt.WarpBlend (x, x, f, f, m, x) }}""",
    "WarpConcat": f"""w ({PICTURE} x, float[1,4,32,32] s, float[1,4,16,16] c) => ({PICTURE} y, {PICTURE} z)
        {{ y, z = tweenrt.WarpConcat (x, x, x, s, c) }}""",
    "WarpConcat, another order": f"""w ({PICTURE} x, float[1,4,32,32] s, float[1,4,16,16] c)
        => ({PICTURE} y, {PICTURE} z)
        {{ y, z = tweenrt.WarpConcat <feature_first = 0> (x, x, x, s, c) }}""",
    "WarpResize": f"w ({PICTURE} x, {FLOW} f) => ({PICTURE} y) {{ y = tweenrt.WarpResize <shrink = 4> (x, f) }}",
    "CorrelationLookup": f"""w (float[64,1,32,32] x, float[1,2,8,8] f) => ({PICTURE} y)
        {{ y = tweenrt.CorrelationLookup <radius = 3> (x, f) }}""",
    "GridSample": f"""w ({PICTURE} x, float[1,32,32,2] f) => ({PICTURE} y)
        {{ y = GridSample <mode = "bilinear", align_corners = 1> (x, f) }}""",
    "DeformConv2d": f"""w ({PICTURE} x, float[1,36,32,32] o, float[1,18,32,32] m, float[8,8,3,3] k, float[8] b)
        => ({PICTURE} y) {{ y = tweenrt.DeformConv2d <offset_group = 2> (x, o, m, k, b) }}""",
}
AT_OPSET_19 = "DeformConv2d"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    return Machine(*fake_tensorrt.install(monkeypatch, tmp_path / "cache", gpus=2))


def graph(folder: Path, name: str) -> OnnxFile:
    """A graph with one of those ops, and its body."""
    path = write_graph(folder, WARPS[name])
    model = onnx.load(path)
    if name == AT_OPSET_19:
        model.opset_import[0].version = 19
    wanted = [node for node in model.graph.node if node.domain == "tweenrt"]
    if wanted and wanted[0].op_type in {"WarpBlend", "WarpConcat"}:
        wanted.append(onnx.helper.make_node("BackwardWarp", ["x", "f"], ["y"], domain="tweenrt", padding="border"))
    for node in wanted:
        model.functions.append(OPS[node.op_type].body(model.opset_import[0].version, node, {}))
    onnx.save(model, path)
    return OnnxFile.load(path)


def nearest(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same with every sampling operator as some parsers read it."""
    for nodes in (model.graph.node, *(function.node for function in model.functions)):
        for node in nodes:
            for attribute in node.attribute:
                if node.op_type == "GridSample" and attribute.name == "mode":
                    attribute.s = b"nearest"
    return model


def build_nearest(path: Path, options: BuildOptions) -> Any:
    onnx.save(nearest(onnx.load(path)), path)
    return fake_tensorrt.build_quickly(path, options)


@pytest.mark.parametrize("name", [name for name in WARPS if name != AT_OPSET_19])
def test_what_samples_between_pixels_passes_and_what_does_not_is_refused(
    machine: Machine, tmp_path: Path, name: str
) -> None:
    file = graph(tmp_path, name)
    assert prove(file, OPTIONS, fake_tensorrt.build_quickly)
    op = name.split(",")[0]
    with pytest.raises(
        GraphError, match=rf"{op} does not sample between pixels on this GPU: expected .*, got .*nearest"
    ):
        prove(file, OPTIONS, build_nearest)
    assert machine.cuda.live == {}


def test_every_op_that_samples_is_probed() -> None:
    """Of the bodies of our ops, those that use GridSample or DeformConv, themselves or through another."""
    sources = {
        name: (Path(builder.__file__).parents[2] / "plugins" / op.folder / "function.py").read_text()
        for name, op in OPS.items()
    }
    sampling = {
        name
        for name, text in sources.items()
        if any(word in text for word in ("GridSample", "DeformConv ", "BackwardWarp", "sampling("))
    }
    assert sampling | {"GridSample"} == _MAKERS.keys()


def test_the_probe_of_a_deformable_convolution(tmp_path: Path) -> None:
    """ONNX Runtime samples it rightly; there is no nearest to compare it with."""
    file = graph(tmp_path, AT_OPSET_19)
    found = probes(file)
    session = onnxruntime.InferenceSession(
        probe_model(file, found).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (result,) = session.run([output_of(0)], feeds_of(found))
    np.testing.assert_allclose(result[found[0].seen], found[0].expected, atol=1e-4)


def test_every_way_is_tried_once(tmp_path: Path) -> None:
    text = f"""w ({PICTURE} x, {FLOW} f, float[1,32,32,2] g) => ({PICTURE} y) {{
        a = tweenrt.BackwardWarp (x, f)
        b = tweenrt.BackwardWarp (a, f)
        c = tweenrt.BackwardWarp <padding = "zeros"> (b, f)
        d = GridSample <mode = "bicubic"> (c, g)
        y = GridSample <mode = "bilinear"> (d, g)
    }}"""
    found = probes(OnnxFile.load(write_graph(tmp_path, text)))
    assert [probe.op for probe in found] == ["BackwardWarp", "BackwardWarp", "GridSample"]


def test_the_gpu_is_the_one_that_is_asked_for(machine: Machine, tmp_path: Path) -> None:
    built: list[BuildOptions] = []

    def build(path: Path, options: BuildOptions) -> Any:
        built.append(options)
        return fake_tensorrt.build_quickly(path, options)

    options = BuildOptions(Flavour.RTX, (builder.SizeRange.fixed((64, 96)),), plugins=False, level=3)
    assert prove(graph(tmp_path, "BackwardWarp"), options, build, gpu=1)
    assert machine.trt.loaded == [1]
    (used,) = built
    assert (used.flavour, used.plugins, used.level) == (Flavour.RTX, False, 3)


def test_without_a_gpu_that_runs_it_nothing_is_proved(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = graph(tmp_path, "BackwardWarp")
    assert not prove(file, OPTIONS, fake_tensorrt.build_quickly, gpu=2)
    assert not prove(file, BuildOptions(Flavour.RTX, targets=("sm120",)), fake_tensorrt.build_quickly)
    assert prove(file, BuildOptions(Flavour.RTX, targets=("sm120", "SM86")), fake_tensorrt.build_quickly)
    machine.trt.full_at = "engine"
    assert not prove(file, OPTIONS, fake_tensorrt.build_quickly), "the GPU does not take such engines"
    machine.trt.full_at = "run"
    with pytest.raises(BackendError, match="out of memory"):
        prove(file, OPTIONS, fake_tensorrt.build_quickly)
    machine.trt.full_at = ""
    with monkeypatch.context() as patch:
        patch.setattr(half_pixel, "find_gpus", lambda: Gpus((), "none"))
        assert not prove(file, OPTIONS, fake_tensorrt.build_quickly)

    def missing(_: Lane) -> Any:
        raise MissingExtraError("cuda.bindings.runtime", "tensorrt", "Running on a GPU")

    monkeypatch.setattr(Lane, "_runtime", property(missing))
    assert not prove(file, OPTIONS, fake_tensorrt.build_quickly)


def test_a_graph_that_samples_nothing_is_not_probed(machine: Machine, tmp_path: Path) -> None:
    path = write_graph(tmp_path, f"w ({PICTURE} x) => ({PICTURE} y) {{ y = Relu (x) }}")
    assert not prove(OnnxFile.load(path), OPTIONS, fake_tensorrt.build_quickly)
    assert machine.trt.loaded == []


@pytest.mark.parametrize("plugins", [True, False])
@pytest.mark.parametrize("name", WARPS)
def test_the_probes_are_built_by_tensorrt(
    tmp_path: Path, name: str, plugins: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For real, but for the run, which needs a GPU."""
    if name == AT_OPSET_19 and not plugins:
        pytest.skip("TensorRT has no deformable convolution of its own")
    use_plugin_library(monkeypatch)
    file = graph(tmp_path, name)
    path = tmp_path / "probe.onnx"
    onnx.save(probe_model(file, probes(file)), path)
    built = builder.build_plan(path, BuildOptions(Flavour.RTX, targets=("sm86",), plugins=plugins))
    assert sum(built.plugin_nodes.values()) == (plugins and name != "GridSample")
