"""Models for a server out of graphs, split exports and engines."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tweenrt.contract import PREFIX, FrameIO, GraphInfo, Kind, Reuse
from tweenrt.errors import EngineError, GraphError, require
from tweenrt.runtime.engines.engine_file import EngineInfo, unpack
from tweenrt.runtime.onnx_file import OnnxFile
from tweenrt.runtime.serving.served import OPEN, Port, Served, ServedBy, Step
from tweenrt.runtime.session import ENGINE_ENDING

_TYPES = {"FLOAT": "FP32", "FLOAT16": "FP16", "BFLOAT16": "BF16", "DOUBLE": "FP64"}
_TENSORRT = "tensorrt"


def models_of(path: Path) -> list[Served]:
    """What a server runs for the graph, split export or engine at `path`: parts before the ensemble that needs them.

    Raises:
        GraphError: a file is missing, damaged, not ours, or the half of a network.
        EngineError: an engine is damaged, or cannot be served.
        MissingExtraError: the package ``onnx`` is not installed.
    """
    if path.is_dir():
        return _of_folder(path)
    if path.suffix == ENGINE_ENDING:
        return [_of_engine(path)]
    model, info = _of_graph(path, path.stem)
    _expect_pair(info, path)
    return [model]


def _of_graph(path: Path, name: str) -> tuple[Served, GraphInfo]:
    file = OnnxFile.load(path, extra="triton", why="Writing a model repository")
    held = {initializer.name for initializer in file.model.graph.initializer}
    model = Served(
        name,
        ServedBy.ONNXRUNTIME,
        [_port(value) for value in file.model.graph.input if value.name not in held],
        [_port(value) for value in file.model.graph.output],
        _parameters(file.info, file.sha256),
        file.serialised,
    )
    return model, file.info


def _of_folder(folder: Path) -> list[Served]:
    """The two halves of a network, and an ensemble that runs them like a whole one."""
    first_kind = Kind.FLOW if (folder / f"{Kind.FLOW.value}.onnx").is_file() else Kind.ENCODER
    kinds = (first_kind, Kind.REFINE if first_kind is Kind.FLOW else Kind.SYNTHESIS)
    found = [_of_graph(folder / f"{kind.value}.onnx", f"{folder.name}-{kind.value}") for kind in kinds]
    (first, first_info), (second, second_info) = found
    if (first_info.kind, second_info.kind) != kinds or first_info.pair_id != second_info.pair_id:
        raise GraphError(f"{folder}: its two graphs come from different exports; export them with --kind split")
    return [first, second, _ensemble(folder.name, first, second, second_info)]


def _ensemble(name: str, first: Served, second: Served, info: GraphInfo) -> Served:
    steps = _steps(first, second, info)
    made = {tensor for step in steps[:-1] for tensor in step.outputs.values()}
    needed = {
        step.inputs[port.name]: port
        for step, model in zip(steps, [first] * (len(steps) - 1) + [second], strict=True)
        for port in model.inputs
        if step.inputs[port.name] not in made
    }
    whole = replace(info, kind=Kind.PAIR, pair_id="", reuse=Reuse.NONE)
    sha256 = hashlib.sha256(first.content + second.content).hexdigest()
    return Served(
        name,
        ServedBy.ENSEMBLE,
        [replace(port, name=tensor) for tensor, port in needed.items()],
        second.outputs,
        _parameters(whole, sha256),
        steps=steps,
    )


def _steps(first: Served, second: Served, info: GraphInfo) -> list[Step]:
    """First the features of both frames, or what depends on both; then the picture."""
    outputs = [port.name for port in first.outputs]
    if info.reuse is Reuse.FRAME:
        before = [
            Step(first.name, {"frame": f"frame{side}"}, {o: f"feature{side}_{i}" for i, o in enumerate(outputs)})
            for side in (0, 1)
        ]
    else:
        before = [Step(first.name, {port.name: port.name for port in first.inputs}, {o: o for o in outputs})]
    return [*before, Step(second.name, _same(second.inputs), _same(second.outputs))]


def _same(ports: Sequence[Port]) -> dict[str, str]:
    return {port.name: port.name for port in ports}


def _of_engine(path: Path) -> Served:
    """The plan alone: a server knows nothing of our header, so what it guards against goes into the parameters."""
    header, plan = unpack(path.read_bytes(), str(path))
    if header.flavour != _TENSORRT:
        raise EngineError(
            f"{path}: an engine for {header.flavour} cannot be served, Triton has a backend for TensorRT only; build "
            "it with --flavour tensorrt, or serve the graph"
        )
    info = header.graph_info(str(path))
    _expect_pair(info, path)
    guarded = {"tensorrt": header.tensorrt, "device": _device(header), "plugins": " ".join(sorted(header.plugins))}
    profiles = _profiles(header)
    return Served(
        path.stem,
        ServedBy.TENSORRT,
        [_engine_port(name, shapes, info) for name, shapes in header.inputs.items()],
        [_engine_port("frame_t", header.inputs["frame0"], info)],
        _parameters(info, hashlib.sha256(plan).hexdigest())
        | {PREFIX + name: value for name, value in guarded.items() if value},
        plan,
        most=max((shapes[-1][0] for shapes in profiles), default=None),
        profiles=max(1, len(profiles)),
        warnings=_engine_warnings(path, header),
    )


def _engine_warnings(path: Path, header: EngineInfo) -> list[str]:
    alone = (
        f"{path}: the plan is served without our header, so that nothing refuses it on another GPU or TensorRT; it was "
        f"built with TensorRT {header.tensorrt} for {_device(header)}"
    )
    plugins = (
        f"{path}: it runs our plugins ({', '.join(header.plugins)}); start the server with "
        "--backend-config=tensorrt,plugins=PATH, where PATH is tweenrt.plugins.library_path()"
    )
    return [alone, plugins] if header.plugins else [alone]


def _device(header: EngineInfo) -> str:
    return header.device or " ".join(header.targets) or "every GPU of its flavour"


def _profiles(header: EngineInfo) -> list[Any]:
    """The least, best and most shape of ``frame0`` in each profile; none where its shape is fixed."""
    shapes: Any = header.inputs["frame0"]
    return [] if isinstance(shapes[0], int) else list(shapes)


def _engine_port(name: str, shapes: Any, info: GraphInfo) -> Port:
    frame = name.startswith("frame")
    kind = "UINT8" if frame and info.io is FrameIO.UINT8 else "FP32"
    if isinstance(shapes[0], int):
        return Port(name, kind, tuple(shapes))
    sizes = [{shape[axis] for profile in shapes for shape in profile} for axis in range(len(shapes[0][0]))]
    return Port(name, kind, (OPEN, *(size.pop() if len(size) == 1 else OPEN for size in sizes[1:])))


def _port(value: Any) -> Port:
    onnx = require("onnx", extra="triton", why="Writing a model repository")
    tensor = value.type.tensor_type
    name = onnx.TensorProto.DataType.Name(tensor.elem_type)
    axes = tuple(OPEN if axis.dim_param or not axis.dim_value else axis.dim_value for axis in tensor.shape.dim)
    return Port(value.name, _TYPES.get(name, name), axes)


def _parameters(info: GraphInfo, sha256: str) -> dict[str, str]:
    return {name: value for name, value in info.to_metadata().items() if value} | {f"{PREFIX}file_sha256": sha256}


def _expect_pair(info: GraphInfo, path: Path) -> None:
    if info.kind is not Kind.PAIR:
        raise GraphError(
            f"{path}: expected a 'pair' graph, found '{info.kind.value}'; give the folder that holds it and its other "
            "half as ONNX files"
        )
