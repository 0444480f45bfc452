"""What layers save in INT8, by the roofline of a device."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.quantized import DEVICE, halves, network

from tweenrt.calibration.int8.gains import Costs, Name
from tweenrt.errors import UsageError
from tweenrt.runtime.onnx_file import OnnxFile

PIXELS = 128 * 256
LAYERS = [("g.onnx", f"{name}/Conv") for name in ("entered", "first", "second", "residual")]
MACS = [PIXELS * 9 * channels for channels in (6 * 8, 8 * 8, 8 * 8, 8 * 3)]


@pytest.fixture
def costs(tmp_path: Path) -> Costs:
    return Costs([OnnxFile.load(network(tmp_path / "g.onnx"))], (128, 256), DEVICE)


def test_shares_are_of_the_multiplications(costs: Costs) -> None:
    shares = [costs.share([name]) for name in LAYERS]
    assert shares == pytest.approx([macs / sum(MACS) for macs in MACS])
    assert sum(shares) == pytest.approx(costs.share(LAYERS)) == pytest.approx(1.0)
    assert costs.share([]) == 0


def test_gains_add_up(costs: Costs) -> None:
    alone = [costs.gain([name]) for name in LAYERS]
    together = costs.gain(LAYERS)
    assert [gain.macs for gain in alone] == MACS
    assert together.macs == sum(MACS)
    assert together.ms == pytest.approx(sum(gain.ms for gain in alone))
    assert all(gain.ms > 0 for gain in alone)


def test_the_more_layers_are_int8_the_shorter_a_frame(costs: Costs) -> None:
    times = [costs.ms(LAYERS[:count]) for count in range(len(LAYERS) + 1)]
    assert times == sorted(times, reverse=True)
    assert len(set(times)) == len(times)
    assert costs.ms() - costs.ms(LAYERS) == pytest.approx(costs.gain(LAYERS).ms)
    assert times[-1] >= times[0] / 2, "INT8 moves half as much and multiplies twice as fast"


def test_layers_of_two_files_are_told_apart(tmp_path: Path) -> None:
    folder = halves(tmp_path / "halves")
    graphs = [OnnxFile.load(folder / name) for name in ("encoder.onnx", "synthesis.onnx")]
    costs = Costs(graphs, (128, 256), DEVICE)
    names: list[Name] = [
        ("encoder.onnx", "entered/Conv"),
        ("encoder.onnx", "feature_0/Conv"),
        ("synthesis.onnx", "second/Conv"),
        ("synthesis.onnx", "residual/Conv"),
    ]
    assert costs.share(names) == pytest.approx(1.0)
    with pytest.raises(KeyError):
        costs.gain([("encoder.onnx", "second/Conv")])


def test_frames_of_another_size_are_refused(tmp_path: Path) -> None:
    import onnx

    path = network(tmp_path / "g.onnx")
    model = onnx.load(path)
    for value in (*model.graph.input, *model.graph.output):
        for dim, side in zip(value.type.tensor_type.shape.dim[2:], (64, 64), strict=True):
            if dim.dim_param:
                dim.dim_value = side
    onnx.save(model, path)
    with pytest.raises(UsageError):
        Costs([OnnxFile.load(path)], (128, 256), DEVICE)
