"""Parts of networks that TensorRT-RTX once refused (docs/tensorrt.md), built as they are exported; no GPU needed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tweenrt.export.models.raft import correlation_pyramid, stacked
from tweenrt.runtime.engines.tensorrt import Flavour, open_tensorrt

pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX has packages for x86-64 only")


class Pyramid(nn.Module):
    """RAFT's pyramid, from the features of both frames in one batch."""

    def forward(self, both: Tensor) -> tuple[Tensor, ...]:
        features0, features1 = stacked(both, 2)
        return tuple(correlation_pyramid(features0, features1))


@pytest.mark.parametrize("pairs", [1, 4])
def test_the_correlation_pyramid_builds(pairs: int, tmp_path: Path) -> None:
    path = tmp_path / "pyramid.onnx"
    program = torch.onnx.export(
        Pyramid().eval(), (torch.zeros(2 * pairs, 256, 16, 24),), dynamo=True, opset_version=18, verbose=False
    )
    assert program
    program.save(path)
    trt = open_tensorrt(Flavour.RTX)
    with trt.listening() as (logger, log):
        builder = trt.module.Builder(logger)
        network = trt.network(builder)
        assert trt.parser(network, logger, prefer_plugins=False).parse_from_file(str(path))
        assert builder.build_serialized_network(network, builder.create_builder_config()) is not None, log.errors
