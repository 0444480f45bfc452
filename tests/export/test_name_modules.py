"""Nodes are named after modules, and nothing of the exporting machine stays in the file."""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from onnx import helper
from torch import Tensor, nn

from tweenrt.export.passes.name_modules import name_modules


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(3, 4, 3), nn.PReLU(4))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) * self.conv(x.neg())


class Wrapped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.network = Block()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.network(x)
        return out


def exported() -> onnx.ModelProto:
    program = torch.onnx.export(Wrapped().eval(), (torch.rand(1, 3, 8, 8),), dynamo=True, verbose=False)
    assert program is not None
    return program.model_proto


def test_nodes_are_named_by_module_and_operation() -> None:
    names = [node.name for node in name_modules(exported()).graph.node]
    assert names == ["conv.0/conv2d", "conv.1/prelu", "neg", "conv.0/conv2d_1", "conv.1/prelu_1", "mul"]


def test_paths_of_the_exporting_machine_do_not_stay() -> None:
    model = exported()
    here = str(Path(__file__).parent).encode()
    assert here in model.SerializeToString()
    assert here not in name_modules(model).SerializeToString()
    onnx.checker.check_model(model, full_check=True)


def test_equal_names_are_told_apart_and_given_ones_kept() -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"], name="same"), helper.make_node("Relu", ["y"], ["z"], name="same")]
    nodes.append(helper.make_node("Neg", ["z"], ["v"]))
    nodes.append(helper.make_node("WarpBlend", ["v"], ["w"], name="symbolic_7", domain="tweenrt"))
    declared = [helper.make_tensor_value_info(n, 1, [1]) for n in "xw"]
    model = helper.make_model(helper.make_graph(nodes, "g", declared[:1], declared[1:]))
    assert [node.name for node in name_modules(model).graph.node] == ["same", "same.2", "Neg", "WarpBlend"]
