"""INT8 graphs as other tools make them from the same graph and the same frames."""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto

from tweenrt.calibration.bodies import inlined
from tweenrt.calibration.int8.samples import Chosen
from tweenrt.runtime.evaluate.sample import Sample
from tweenrt.runtime.frames import FrameFormat, pad
from tweenrt.runtime.onnx_file import OnnxFile

LAYERS = ["Conv", "MatMul"]
Feeds = dict[str, NDArray[np.float32]]


def ort_quantized(source: Path, chosen: Chosen) -> dict[str, Callable[[], ModelProto]]:
    """Contender → makes its graph of `source`, a pair graph; those that are not installed are left out."""
    found: dict[str, Callable[[], ModelProto]] = {
        "ONNX Runtime quantize_static": lambda: _onnxruntime(source, chosen),
    }
    with contextlib.suppress(ImportError):
        import modelopt.onnx.quantization  # noqa: F401

        found["ModelOpt"] = lambda: _modelopt(source, chosen)
    return found


class _Reader:
    """Hands frames to ONNX Runtime's calibration."""

    def __init__(self, feeds: Iterator[Feeds]) -> None:
        self._feeds = feeds

    def get_next(self) -> Feeds | None:
        return next(self._feeds, None)


def _onnxruntime(source: Path, chosen: Chosen) -> ModelProto:
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    logging.getLogger().setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        plain, out = Path(folder) / "plain.onnx", Path(folder) / "int8.onnx"
        onnx.save(inlined(onnx.load(source)), plain)
        quantize_static(
            str(plain),
            str(out),
            _Reader(_feeds(source, s) for s in chosen.calibration),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=LAYERS,
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={"ActivationSymmetric": True, "WeightSymmetric": True},
        )
        return _described(onnx.load(out), source)


def _modelopt(source: Path, chosen: Chosen) -> ModelProto:
    from modelopt.onnx.quantization import quantize

    size = chosen.calibration[0].frame0.rgb.shape
    feeds = [_feeds(source, s) for s in chosen.calibration if s.frame0.rgb.shape == size]  # it wants one array
    with tempfile.TemporaryDirectory() as folder:
        plain, out = Path(folder) / "plain.onnx", Path(folder) / "int8.onnx"
        onnx.save(inlined(onnx.load(source)), plain)
        quantize(
            str(plain),
            quantize_mode="int8",
            calibration_data={name: np.concatenate([f[name] for f in feeds]) for name in feeds[0]},
            calibration_method="max",
            calibration_eps=["cpu"],
            op_types_to_quantize=LAYERS,
            high_precision_dtype="fp32",
            output_path=str(out),
        )
        return _described(onnx.load(out), source)


def _feeds(source: Path, sample: Sample) -> Feeds:
    info = OnnxFile.load(source).info
    frames = (FrameFormat.of(f.rgb).to_planar(f.rgb) for f in (sample.frame0, sample.frame1))
    first, second = (pad(frame, info.padding, info.divisor) for frame in frames)
    return {"frame0": first, "frame1": second, "t": np.full((1, 1, 1, 1), float(sample.t), np.float32)}


def _described(model: ModelProto, source: Path) -> ModelProto:
    """With the metadata of `source`, which the tools drop."""
    properties = {p.key: p.value for p in onnx.load(source).metadata_props}
    onnx.helper.set_model_props(model, properties)
    return model
