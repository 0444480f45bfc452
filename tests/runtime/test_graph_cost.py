"""What layers cost, against counts worked out by hand. Sizes are 8x16 pixels; bytes are of FP16."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from tweenrt.contract import OP_DOMAIN, OP_VERSION, FrameIO, GraphInfo, Kind, Padding, TimeInput
from tweenrt.errors import GraphError, UsageError
from tweenrt.export.passes.attach_bodies import attach_bodies
from tweenrt.plugins.ops import OPS
from tweenrt.runtime.estimate.devices import Precision
from tweenrt.runtime.estimate.graph_cost import _RULES, Cost, Workload, cost, layers_of, open_graphs
from tweenrt.runtime.onnx_file import OnnxFile

SIZE = (8, 16)
PIXELS = 8 * 16
Axes = tuple[int | str, ...]


def info(kind: Kind = Kind.PAIR, divisor: int = 1) -> GraphInfo:
    zeros, midpoint = Padding.ZEROS, TimeInput.FIXED
    return GraphInfo("toy", kind, divisor, zeros, midpoint, 2, FrameIO.FLOAT, "fp32", "random:1", "0")


def save(
    folder: Path,
    nodes: list[onnx.NodeProto],
    inputs: dict[str, Axes],
    weights: dict[str, tuple[int, ...]],
    divisor: int = 1,
    kind: Kind = Kind.PAIR,
) -> OnnxFile:
    """A graph whose outputs are the outputs of the last node."""
    shape = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, axes) for name, axes in inputs.items()}
    held = [helper.make_tensor(n, TensorProto.FLOAT, s, bytes(4 * _count(s)), raw=True) for n, s in weights.items()]
    out = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in nodes[-1].output]
    graph = helper.make_graph(nodes, "toy", list(shape.values()), out, held)
    imports = [helper.make_opsetid("", 19), helper.make_opsetid(OP_DOMAIN, OP_VERSION)]
    model = attach_bodies(helper.make_model(graph, opset_imports=imports, ir_version=10))
    helper.set_model_props(model, info(kind, divisor).to_metadata())
    path = folder / f"{kind.value}.onnx"
    onnx.save(model, path)
    return OnnxFile.load(path)


def _count(shape: tuple[int, ...]) -> int:
    total = 1
    for side in shape:
        total *= side
    return total


def one(
    folder: Path,
    op: str,
    inputs: dict[str, Axes],
    weights: dict[str, tuple[int, ...]],
    outputs: int = 1,
    work: Workload | None = None,
    **attributes: Any,
) -> Cost:
    """The cost of a graph of one node."""
    names = [f"y{k}" for k in range(outputs)]
    domain = OP_DOMAIN if op in OPS else ""
    node = helper.make_node(op, [*inputs, *weights], names, name=f"part/{op}", domain=domain, **attributes)
    return cost(save(folder, [node], inputs, weights), work or Workload(SIZE))


MAP = {"x": (1, 4, "H", "W")}
FLOWS: dict[str, Axes] = {"flow0": (1, 2, "H", "W"), "flow1": (1, 2, "H", "W")}
HALF = PIXELS // 4

CASES: list[
    tuple[str, dict[str, Axes], dict[str, tuple[int, ...]], dict[str, Any], tuple[float, float, float, bool]]
] = [
    # op, inputs, weights, attributes, (multiplications, numbers read and written, weights, on tensor cores)
    ("Conv", MAP, {"w": (6, 4, 3, 3), "b": (6,)}, {"pads": [1] * 4}, (PIXELS * 6 * 4 * 9, PIXELS * 10, 222, True)),
    (
        "Conv",
        MAP,
        {"w": (6, 2, 3, 3)},
        {"pads": [1] * 4, "strides": [2, 2], "group": 2},
        (HALF * 6 * 2 * 9, PIXELS * 4 + HALF * 6, 108, True),
    ),
    (
        "ConvTranspose",
        MAP,
        {"w": (4, 6, 4, 4)},
        {"pads": [1] * 4, "strides": [2, 2]},
        (PIXELS * 4 * 6 * 16, PIXELS * (4 + 4 * 6), 384, True),
    ),
    ("MatMul", {"x": (1, "H", "W")}, {"w": (16, 5)}, {}, (8 * 16 * 5, 8 * 21, 80, True)),
    ("Gemm", {"x": ("W", "H")}, {"w": (16, 5)}, {"transA": 1}, (8 * 16 * 5, 8 * 21, 80, True)),
    ("GridSample", {**MAP, "grid": (1, "H", "W", 2)}, {}, {}, (4 * PIXELS * 4, PIXELS * 10, 0, False)),
    ("BackwardWarp", {**MAP, "flow": (1, 2, "H", "W")}, {}, {}, (4 * PIXELS * 4, PIXELS * 10, 0, False)),
    (
        "WarpResize",
        {**MAP, "flow": (1, 2, "H", "W")},
        {},
        {"shrink": 4},
        (PIXELS // 16 * 4 * 16, PIXELS // 16 * (16 + 8 + 4), 0, False),
    ),
    ("ForwardSplat", {**MAP, "flow": (1, 2, "H", "W")}, {}, {}, (4 * PIXELS * 4, PIXELS * 10, 0, False)),
    (
        "WarpBlend",
        {
            "image0": (1, 3, "H", "W"),
            "image1": (1, 3, "H", "W"),
            **FLOWS,
            "mask": (1, 1, "H", "W"),
            "residual": (1, 3, "H", "W"),
        },
        {},
        {},
        (PIXELS * 3 * 10, PIXELS * (6 + 4 + 1 + 3 + 3), 0, False),
    ),
    (
        "DeformConv2d",
        {**MAP, "offset": (1, 18, "H", "W"), "mask": (1, 9, "H", "W")},
        {"w": (6, 4, 3, 3), "b": (6,)},
        {"offset_group": 1},
        (PIXELS * 6 * 4 * 9, PIXELS * (4 + 27 + 6), 222, True),
    ),
    (
        "WindowAttention",
        {"q": (2, "H", "W", 6), "k": (2, "H", "W", 6), "v": (2, "H", "W", 4)},
        {"k_fill": (6,), "v_fill": (4,)},
        {"heads": 2, "window": 4, "shift": 2},
        (2 * PIXELS * 16 * (6 + 4), 2 * PIXELS * (6 + 6 + 4 + 4), 10, True),
    ),
]


@pytest.mark.parametrize(("op", "inputs", "weights", "attributes", "expected"), CASES)
def test_the_cost_of_an_op(
    op: str,
    inputs: dict[str, Axes],
    weights: dict[str, tuple[int, ...]],
    attributes: dict[str, Any],
    expected: tuple[float, float, float, bool],
    tmp_path: Path,
) -> None:
    (layer,) = one(tmp_path, op, inputs, weights, **attributes).layers
    macs, moved, held, matrix = expected
    assert (layer.macs, layer.activation_bytes, layer.weight_bytes) == (macs, 2 * moved, 2 * held)
    assert layer.precision is (Precision.FP16 if matrix else None)
    assert (layer.name, layer.module) == (f"part/{op}", "part")


def test_a_decoder_level_writes_what_the_next_convolution_sees(tmp_path: Path) -> None:
    """The count of the kernel's design: 12 C + 26 bytes a pixel where the feature of the new frame has C channels."""
    inputs: dict[str, Axes] = dict.fromkeys(("feature0", "feature1", "feature"), (1, 24, "H", "W"))
    inputs |= {"step": (1, 4, "H", "W"), "coarse": (1, 4, "H/2", "W/2")}
    (layer,) = one(tmp_path, "WarpConcat", inputs, {}, outputs=2).layers
    assert layer.moved_bytes == PIXELS * (12 * 24 + 26)
    assert (layer.macs, layer.precision) == (4 * 2 * 24 * PIXELS, None)


def test_a_lookup_reads_its_windows_and_not_the_whole_volume(tmp_path: Path) -> None:
    inputs: dict[str, Axes] = {"corr": (PIXELS, 1, 20, 20), "coords": (1, 2, "H", "W")}
    (layer,) = one(tmp_path, "CorrelationLookup", inputs, {}, radius=3).layers
    assert layer.activation_bytes == 2 * PIXELS * (8 * 8 + 2 + 7 * 7)
    inputs["corr"] = (PIXELS, 1, 5, 5)
    (layer,) = one(tmp_path, "CorrelationLookup", inputs, {}, radius=3).layers
    assert layer.activation_bytes == 2 * PIXELS * (5 * 5 + 2 + 7 * 7)


def test_a_mask_saves_multiplications_and_reading_but_no_writing(tmp_path: Path) -> None:
    inputs: dict[str, Axes] = {**MAP, "mask": (1, 1, "H", "W")}
    weights = {"w": (6, 4, 3, 3), "b": (6,), "slope": (6,)}
    tiles = helper.make_node("MaskTiles", ["mask"], ["tiles"], name="tiles", domain=OP_DOMAIN)
    node = helper.make_node("MaskedConv2d", [*inputs, *weights, "tiles"], ["y"], name="layer", domain=OP_DOMAIN)
    graph = save(tmp_path, [tiles, node], inputs, weights)
    listing, dense = cost(graph, Workload(SIZE)).layers
    _, quarter = cost(graph, Workload(SIZE, density=0.25)).layers
    listed = 3 * PIXELS // 64
    assert (listing.macs, listing.precision, listing.activation_bytes) == (0, None, 2 * (PIXELS + listed))
    assert (dense.macs, dense.activation_bytes) == (PIXELS * 6 * 4 * 9, 2 * (PIXELS * (4 + 6) + listed))
    assert (quarter.macs, quarter.activation_bytes) == (PIXELS * 6 * 9, 2 * (PIXELS * (1 + 6) + listed))
    assert dense.weight_bytes == quarter.weight_bytes == 2 * (6 * 4 * 9 + 12)


def test_a_layer_says_its_kernel_channels_and_size(tmp_path: Path) -> None:
    inputs: dict[str, Axes] = {**MAP, "offset": (1, 18, "H", "W"), "mask": (1, 9, "H", "W")}
    (layer,) = one(tmp_path, "DeformConv2d", inputs, {"w": (6, 4, 3, 3), "b": (6,)}, offset_group=1).layers
    assert layer.what == "DeformConv2d 3x3, 4 to 6, 8x16"
    (layer,) = one(tmp_path, "MatMul", {"x": (1, "H", "W")}, {"w": (16, 5)}).layers
    assert layer.what == "MatMul, 1x8x5"


def test_every_op_of_ours_has_a_rule() -> None:
    assert {op for domain, op in _RULES if domain == OP_DOMAIN} == set(OPS)


def test_what_is_fused_or_only_moved_counts_nothing(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], name="block/conv", pads=[1] * 4),
        helper.make_node("PRelu", ["a", "slope"], ["b"]),
        helper.make_node("Concat", ["b", "x"], ["c"], axis=1),
        helper.make_node("Conv", ["c", "v"], ["y"], name="block/conv_1"),
    ]
    weights = {"w": (6, 4, 3, 3), "slope": (6, 1, 1), "v": (2, 10, 1, 1)}
    found = cost(save(tmp_path, nodes, MAP, weights), Workload(SIZE))
    assert [layer.name for layer in found.layers] == ["block/conv", "block/conv_1"]
    assert [layer.activation_bytes for layer in found.layers] == [2 * PIXELS * 10, 2 * PIXELS * 12]
    assert found.uncounted == {"PRelu": 1, "Concat": 1}
    assert found.layers[0].what == "Conv 3x3, 4 to 6, 8x16"


def test_precision_sets_the_bytes_and_ours_stay_above_int8(tmp_path: Path) -> None:
    sizes = {}
    for op, second in (("Conv", {}), ("BackwardWarp", {"flow": (1, 2, "H", "W")})):
        weights = {"w": (6, 4, 1, 1)} if op == "Conv" else {}
        works = [Workload(SIZE, precision) for precision in Precision]
        layers = [one(tmp_path, op, {**MAP, **second}, weights, work=work).layers[0] for work in works]
        sizes[op] = [layer.activation_bytes / PIXELS for layer in layers]
    assert sizes == {"Conv": [40, 20, 10], "BackwardWarp": [40, 20, 20]}


def test_frames_are_padded_to_the_divisor(tmp_path: Path) -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"], name="conv")
    graph = save(tmp_path, [node], MAP, {"w": (1, 4, 1, 1)}, divisor=32)
    found = cost(graph, Workload((33, 20)))
    assert found.padded == (64, 32)
    assert found.layers[0].macs == 64 * 32 * 4


def test_a_graph_of_another_size_is_refused(tmp_path: Path) -> None:
    node = helper.make_node("Conv", ["frame0", "w"], ["y"])
    graph = save(tmp_path, [node], {"frame0": (1, 3, 8, 16)}, {"w": (1, 3, 1, 1)})
    assert len(cost(graph, Workload(SIZE)).layers) == 1
    with pytest.raises(UsageError, match=r"frames of 8x16 only, asked for 16x16; .*--size 8x16"):
        cost(graph, Workload((16, 16)))


def test_a_size_that_only_running_the_graph_would_tell_is_refused(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("NonZero", ["x"], ["found"]),
        helper.make_node("Cast", ["found"], ["rows"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["w", "rows"], ["y"], name="gathered"),
    ]
    graph = save(tmp_path, nodes, MAP, {"w": (3, 4)})
    with pytest.raises(GraphError, match=r"the shape of 'rows'|the shape of 'y'"):
        cost(graph, Workload(SIZE))


def test_sizes_that_the_graph_divides_are_worked_out(tmp_path: Path) -> None:
    two = helper.make_tensor("", TensorProto.INT64, [2], [2, 2])
    nodes = [
        helper.make_node("Shape", ["x"], ["size"], start=2),
        helper.make_node("Constant", [], ["two"], value=two),
        helper.make_node("Div", ["size", "two"], ["half"]),
        helper.make_node("Shape", ["x"], ["channels"], start=0, end=2),
        helper.make_node("Concat", ["channels", "half"], ["target"], axis=0),
        helper.make_node("Resize", ["x", "", "", "target"], ["small"]),
        helper.make_node("Shape", ["small"], ["again"], start=2),
        helper.make_node("Div", ["again", "two"], ["quarter"]),
        helper.make_node("Concat", ["channels", "quarter"], ["further"], axis=0),
        helper.make_node("Resize", ["small", "", "", "further"], ["smaller"]),
        helper.make_node("Conv", ["smaller", "w"], ["y"], name="conv"),
    ]
    (layer,) = cost(save(tmp_path, nodes, MAP, {"w": (6, 4, 1, 1)}), Workload(SIZE)).layers
    assert layer.what == "Conv 1x1, 4 to 6, 2x4"


def test_a_further_input_of_unknown_size_counts_nothing(tmp_path: Path) -> None:
    inputs: dict[str, Axes] = dict.fromkeys(("feature0", "feature1", "feature"), (1, 24, "H", "W"))
    inputs |= {"step": (1, 4, "H", "W"), "coarse": (1, 4, "unknown", "unknown")}
    nodes = [
        helper.make_node("NonZero", ["step"], ["found"]),
        helper.make_node("Cast", ["found"], ["rows"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["rows", "axes"], ["coarse"]),
        helper.make_node("WarpConcat", [*inputs], ["seen", "flow"], domain=OP_DOMAIN),
    ]
    del inputs["coarse"]
    model = save(tmp_path, nodes, inputs, {}).model
    model.graph.initializer.append(helper.make_tensor("axes", TensorProto.INT64, [2], [0, 1]))
    onnx.save(model, tmp_path / "pair.onnx")
    (layer,) = cost(OnnxFile.load(tmp_path / "pair.onnx"), Workload(SIZE)).layers
    assert layer.moved_bytes == PIXELS * (12 * 24 + 24)


def test_a_folder_stands_for_both_halves(tmp_path: Path) -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"], name="conv")
    with pytest.raises(GraphError, match=r"expected a folder with encoder.onnx and synthesis.onnx"):
        open_graphs(tmp_path)
    for kind in (Kind.SYNTHESIS, Kind.ENCODER):
        save(tmp_path, [node], MAP, {"w": (1, 4, 1, 1)}, kind=kind)
    graphs = open_graphs(tmp_path)
    assert [graph.info.kind for graph in graphs] == [Kind.ENCODER, Kind.SYNTHESIS]
    assert len(layers_of([cost(graph, Workload(SIZE)) for graph in graphs])) == 2
