"""What may go wrong between PyTorch and ONNX without a word."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from onnx import parser
from onnxscript.rewriter.rules.common import slice_split_rule
from torch import Tensor

from tweenrt.contract import Padding, TimeInput
from tweenrt.export.checkpoint import Loaded
from tweenrt.export.exporter import export
from tweenrt.export.network import Network
from tweenrt.export.options import ExportOptions
from tweenrt.export.passes.name_axes import name_axes
from tweenrt.export.passes.slice_split import without_slice_split
from tweenrt.export.spec import ModelSpec, Weights


class Chunking(Network):
    """Needs its batch as a number, so the exporter fixes it."""

    takes_t = False

    def forward(self, frame0: Tensor, frame1: Tensor) -> Tensor:
        first, second = torch.cat((frame0, frame1)).chunk(2)
        return 0.5 * (first + second)


def test_an_axis_that_was_fixed_is_noticed() -> None:
    model = parser.parse_model(
        '<ir_version: 10, opset_import: ["": 18]> g (float[3,4] x) => (float[N,4] y) { y = Identity (x) }'
    )
    with pytest.raises(AssertionError, match=r"axis 0 \(N\) of x was traced as the number 3"):
        name_axes(model, {"x": {0: "N"}})


def test_a_network_with_a_fixed_batch_is_not_exported_as_dynamic(tmp_path: Path) -> None:
    spec = ModelSpec(
        "chunking", "", Chunking, 0, (0.0, 0.0), TimeInput.FIXED, 8, Padding.ZEROS, "", Weights("", "", "")
    )
    with pytest.raises(AssertionError, match="traced as the number"):
        export(Loaded(spec, Chunking().eval(), "random:0"), ExportOptions(), tmp_path / "g.onnx")


def test_the_slow_rule_is_off_only_during_an_export() -> None:
    before = slice_split_rule.try_rewrite
    with without_slice_split():
        assert slice_split_rule.try_rewrite(None, None, None) is None
    assert slice_split_rule.try_rewrite == before
