"""EMA-VFI: what its family has of its own: window masks, checkpoints with leftovers, distances per pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from support import golden
from torch import Tensor

from tweenrt.contract import Kind
from tweenrt.errors import CheckpointError
from tweenrt.export import registry
from tweenrt.export.blocks.ema_backbone import Config
from tweenrt.export.checkpoint import Loaded, load_checkpoint, random_state
from tweenrt.export.exporter import export
from tweenrt.export.models.ema_vfi import EmaAnytime, EmaDistance, EmaMidpoint, EmaReference
from tweenrt.export.network import Network
from tweenrt.export.options import ExportOptions

TINY = Config(width=4, depths=(2, 2))
TAKEN = {
    "Add", "BackwardWarp", "Cast", "Clip", "Concat", "Conv", "ConvTranspose", "DepthToSpace", "Div", "Erf", "Expand",
    "Gemm", "LayerNormalization", "MatMul", "Mul", "PRelu", "Range", "Reshape", "Resize", "Shape", "Sigmoid", "Slice",
    "Split", "Squeeze", "Sub", "Transpose", "Unsqueeze", "WarpResize", "WindowAttention",
}  # fmt: skip
"""Every operator that a graph of this family may hold; TensorRT imports the standard ones."""


def with_weights(network: Network, seed: int = 3) -> Network:
    network.load_state_dict(random_state(network.state_dict(), seed))
    return network.eval().requires_grad_(False)


def loaded(name: str, network: Network) -> Loaded:
    """`network` in place of the full-size one that `name` stands for."""
    return Loaded(registry.get(name), with_weights(network), "random:3")


def frames(height: int, width: int) -> tuple[Tensor, Tensor]:
    first, second = golden.example(2, height, width)
    return first, second


@pytest.fixture(scope="module")
def dynamic_graph(tmp_path_factory: pytest.TempPathFactory) -> tuple[Network, Path]:
    """A narrow network for any moment, and its graph for any size."""
    source = loaded("ema-vfi-small-t", EmaAnytime(TINY))
    path = tmp_path_factory.mktemp("ema") / "pair.onnx"
    export(source, ExportOptions(), path)
    return source.network, path


def test_one_graph_serves_transposed_sizes(dynamic_graph: tuple[Network, Path]) -> None:
    """Windows of 14×28 tokens, then 28×14: the authors' code takes the mask of the first for the second."""
    network, path = dynamic_graph
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    for height, width in ((96, 192), (192, 96), (96, 192), (32, 64)):
        first, second = frames(height, width)
        t = torch.full((1, 1, 1, 1), 0.3)
        (got,) = session.run(None, {"frame0": first.numpy(), "frame1": second.numpy(), "t": t.numpy()})
        np.testing.assert_allclose(got, network(first, second, t).numpy(), rtol=0, atol=2e-5)


@pytest.mark.parametrize("size", [(96, 192), None], ids=["static", "dynamic"])
def test_graphs_hold_only_what_engines_take(
    size: tuple[int, int] | None, dynamic_graph: tuple[Network, Path], tmp_path: Path
) -> None:
    path = dynamic_graph[1] if size is None else tmp_path / "static.onnx"
    if size:
        export(loaded("ema-vfi-small-t", EmaAnytime(TINY)), ExportOptions(size=size, batch=1), path)
    model = onnx.shape_inference.infer_shapes(onnx.load(path), check_type=True, strict_mode=True, data_prop=True)
    assert {node.op_type for node in model.graph.node} <= TAKEN
    types = {v.type.tensor_type.elem_type for v in model.graph.value_info} | {
        i.data_type for i in model.graph.initializer
    }
    assert onnx.TensorProto.DOUBLE not in types
    if size:
        assert not {node.op_type for node in model.graph.node} & {"Shape", "Range"}, "a fixed size leaves no sizes"


def test_leftovers_of_training_are_dropped(tmp_path: Path) -> None:
    spec = registry.get("ema-vfi-small")
    state = {f"module.{k}": v for k, v in random_state(spec.build().state_dict(), 5).items()}
    leftovers = {
        "module.feature_bone.block4.1.attn_mask": torch.zeros(25, 49, 49),
        "module.feature_bone.block4.1.HW": torch.tensor([1225.0]),
    }
    torch.save(state | leftovers, tmp_path / "ours_small.pkl")
    network = load_checkpoint(spec, tmp_path / "ours_small.pkl").network
    wanted = state["module.feature_bone.block4.1.attn.q.weight"]
    assert torch.equal(network.state_dict()["feature_bone.block4.1.attn.q.weight"], wanted)
    torch.save(state | {"module.feature_bone.block4.1.surprise": torch.zeros(1)}, tmp_path / "odd.pkl")
    with pytest.raises(CheckpointError, match="surprise"):
        load_checkpoint(spec, tmp_path / "odd.pkl")


def test_one_computation_under_three_times() -> None:
    """A level map equals a number, and a half equals the midpoint network."""
    first, second = frames(64, 96)
    anytime, distance, midpoint = (with_weights(c(TINY)) for c in (EmaAnytime, EmaDistance, EmaMidpoint))
    half = anytime(first, second, torch.full((1, 1, 1, 1), 0.5))
    assert torch.equal(midpoint(first, second), half)
    torch.testing.assert_close(distance(first, second, torch.full((1, 1, 64, 96), 0.5)), half, rtol=0, atol=1e-6)
    assert (anytime(first, second, torch.full((1, 1, 1, 1), 0.2)) - half).abs().max() > 1e-4


def test_the_map_counts_pixel_by_pixel() -> None:
    first, second = frames(64, 96)
    network = with_weights(EmaDistance(TINY))
    rising = torch.linspace(0.1, 0.9, 96).expand(1, 1, 64, 96)
    assert (network(first, second, rising) - network(first, second, rising.flip(3))).abs().max() > 1e-4


def test_the_reference_and_its_distances_count() -> None:
    first, second = frames(64, 96)
    network = with_weights(EmaReference(Config(width=4, depths=(2, 2), inputs=7)))
    distance = torch.full((1, 1, 64, 96), 0.5)
    start = network(first, second, distance, first, torch.zeros_like(distance))
    for reference, reached in ((second, 0.0), (first, 0.4)):
        moved = network(first, second, distance, reference, torch.full_like(distance, reached))
        assert (moved - start).abs().max() > 1e-4


@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        ("ema-vfi", ["frame0", "frame1"]),
        ("ema-vfi-t", ["frame0", "frame1", "t"]),
        ("ema-vfi-d", ["frame0", "frame1", "t"]),
        ("ema-vfi-dr", ["frame0", "frame1", "t", "frame_ref", "t_ref"]),
    ],
)
def test_inputs_have_the_names_of_the_contract(name: str, inputs: list[str]) -> None:
    spec = registry.get(name)
    with torch.device("meta"):
        network = spec.build()
    pictures = (torch.zeros(1, 3, 64, 96), torch.zeros(1, 3, 64, 96))
    part = network.part(Kind.PAIR, pictures, torch.full((1, 1, 1, 1), 0.5))
    assert list(part.example) == inputs
    if spec.t.value == "map":
        assert part.example["t"].shape == (1, 1, 64, 96)
