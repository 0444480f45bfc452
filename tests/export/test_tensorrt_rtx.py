"""What TensorRT-RTX once refused (docs/tensorrt.md), built as it is exported; no GPU needed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tweenrt.contract import FrameIO, Kind
from tweenrt.export import registry
from tweenrt.export.checkpoint import load_random
from tweenrt.export.exporter import SPLIT, export
from tweenrt.export.models.raft import correlation_pyramid, stacked
from tweenrt.export.options import ExportOptions
from tweenrt.runtime.engines.builder import BuildOptions, SizeRange, build_plan
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


@pytest.mark.parametrize("size", [(120, 200), None], ids=["fixed", "open"])
def test_graphs_of_bytes_build(size: tuple[int, int] | None, tmp_path: Path) -> None:
    """Frames as a decoder hands them, of sides that are no multiples of the network's divisor."""
    loaded, kinds = load_random(registry.get("rife-4.25"), 0), [Kind.PAIR]
    export(loaded, ExportOptions((Kind.PAIR,), size, io=FrameIO.UINT8), tmp_path / "pair.onnx")
    if size:  # halves of an open size share no padding
        export(loaded, ExportOptions(SPLIT, size, io=FrameIO.UINT8), tmp_path)
        kinds += SPLIT
    sizes = SizeRange.fixed(size) if size else SizeRange((64, 64), (120, 200), (128, 256))
    options = BuildOptions(Flavour.RTX, targets=("sm86",), sizes=(sizes,), plugins=False)
    for kind in kinds:
        assert build_plan(tmp_path / f"{kind.value}.onnx", options).plan, kind
