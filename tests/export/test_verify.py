"""When a graph counts as computing what its network computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, save
from torch import Tensor, nn

from tweenrt.export.network import GraphPart
from tweenrt.export.verify import Parity, compare_part


def parity(tmp_path: Path, change: np.ndarray, *, decides: bool) -> Parity:
    """What is found where a graph adds `change` to the frame that its network gives back."""
    frame = torch.zeros(1, 3, *change.shape)
    sizes = tuple(frame.shape)
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, sizes) for n in ("frame0", "frame_t")]
    held = helper.make_tensor("change", TensorProto.FLOAT, change.shape, change.flatten().tolist())
    add = helper.make_node("Add", ["frame0", "change"], ["frame_t"])
    graph = helper.make_graph([add], "g", values[:1], values[1:], [held])
    save(helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)]), tmp_path / "g.onnx")
    part = GraphPart(nn.Identity(), {"frame0": frame}, ("frame_t",), decides=decides)
    outputs: tuple[Tensor, ...] = part.run()
    return compare_part(part, outputs, tmp_path / "g.onnx")


def tipped(count: int, by: float) -> np.ndarray:
    change = np.zeros((40, 50), np.float32)
    change.reshape(-1)[:count] = by
    return change


@pytest.mark.parametrize(
    ("count", "by", "decides", "passed"),
    [
        (2000, 0.9e-4, False, True),
        (1, 1.1e-4, False, False),
        (2, 1e-3, True, True),
        (3, 2e-4, True, False),
        (1, 0.5, True, False),
        (1, float("nan"), True, False),
    ],
)
def test_pixels_may_tip_where_a_network_decides(
    count: int, by: float, decides: bool, passed: bool, tmp_path: Path
) -> None:
    """Two pixels of 2000 are one in a thousand; what one of them may be off, the PSNR says."""
    found = parity(tmp_path, tipped(count, by), decides=decides)
    assert found.passed is passed
    assert ("further off" in str(found)) is decides
