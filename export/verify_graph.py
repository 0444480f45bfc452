"""Compare a graph that lies on disk with the checkpoint it says it was made from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import onnx
import torch

from tweenrt.contract import FrameIO, GraphInfo
from tweenrt.errors import CheckpointError, GraphError, UsageError
from tweenrt.export import registry, weights
from tweenrt.export.checkpoint import Loaded, load_checkpoint, load_random
from tweenrt.export.exporter import FILE_NAMES, example_part
from tweenrt.export.network import GraphPart
from tweenrt.export.options import ExportOptions
from tweenrt.export.verify import Parity, compare_outputs

MOMENTS = (0.25, 0.5, 0.75)
"""Values of t that are compared, where t is an input."""

_USUAL_SIZE = (256, 448)
_RANDOM = "random:"


@dataclass(frozen=True)
class OutputParity:
    """One output of one graph at one moment, compared with the network.

    Attributes:
        graph: the file.
        output: name of the output.
        t: the moment, or None where the graph takes none.
        parity: the comparison.
    """

    graph: Path
    output: str
    t: float | None
    parity: Parity


def verify_graph(
    path: Path, checkpoints: Sequence[Path] = (), progress: Callable[[str], None] = lambda _: None
) -> list[OutputParity]:
    """Run a graph and the network it was made from on the same frames, for several t.

    Args:
        path: an ONNX file written by `tweenrt.export.exporter.export`, or a folder of them.
        checkpoints: the files it was exported from, its own first; not needed where the graph has random weights
            or weights that are in the cache.
        progress: told each step, one sentence.

    Returns:
        A line for each graph, moment and output. The caller looks at `Parity.passed`.

    Raises:
        GraphError: a file is missing, damaged, not ours, or halves of different exports share a folder.
        CheckpointError: the checkpoint is not the one the graph was made from.
        UsageError: a checkpoint is needed and was not given, or the graph is not FP32.
    """
    graphs = [_read(file) for file in _files(path)]
    if len({(info.weights_sha256, info.pair_id) for _, info, _ in graphs}) > 1:
        raise GraphError(f"{path}: its graphs come from different exports; export them together with --kind split")
    loaded = _network(graphs[0][1], path, checkpoints)
    lines: list[OutputParity] = []
    for file, info, model in graphs:
        progress(f"comparing {file.name} ({info.model}, {info.kind.value}) with the PyTorch network")
        for t, part in _examples(loaded, info, model):
            results = compare_outputs(part, part.run(), file)
            lines += [OutputParity(file, name, t, r) for name, r in zip(part.outputs, results, strict=True)]
    return lines


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = [path / name for name in FILE_NAMES.values() if (path / name).is_file()]
    if not found:
        raise GraphError(f"{path}: expected a folder with {', '.join(FILE_NAMES.values())}, found none of them")
    return found


def _read(path: Path) -> tuple[Path, GraphInfo, onnx.ModelProto]:
    """The file, its metadata and its model without looking at the weights."""
    if not path.is_file():
        raise GraphError(f"{path}: no such graph; make one with `tweenrt export MODEL -o {path}`")
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except Exception as error:  # the protobuf parser's exceptions share no base class with the checker's
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise GraphError(f"{path}: expected an ONNX file, could not read it as one ({reason})") from error
    info = GraphInfo.from_metadata({p.key: p.value for p in model.metadata_props}, str(path))
    if info.precision != "fp32":
        raise UsageError(f"{path}: expected an fp32 graph, got {info.precision}; verify the one it was converted from")
    return path, info, model


def _network(info: GraphInfo, path: Path, checkpoints: Sequence[Path]) -> Loaded:
    """The PyTorch network with the weights that `info` names."""
    spec = registry.get(info.model).at_flow_scale(info.flow_scale)
    if info.weights_sha256.startswith(_RANDOM):
        if checkpoints:
            raise UsageError(f"{path} was exported with {info.weights_sha256} weights; leave --weights out")
        return load_random(spec, int(info.weights_sha256.removeprefix(_RANDOM)))
    chosen = checkpoints or [file for file in [weights.cached(spec)] if file]
    if not chosen:
        raise UsageError(
            f"{path} was made from a checkpoint of {info.model} with sha256 {info.weights_sha256}; "
            f"give that file with --weights. {weights.where_to_get(spec)}"
        )
    loaded = load_checkpoint(spec, *chosen)
    if loaded.sha256 != info.weights_sha256:
        raise CheckpointError(
            f"{chosen[0]}: expected the checkpoint that {path} was made from (sha256 {info.weights_sha256}), got one "
            f"with sha256 {loaded.sha256}; give the right file with --weights, or export again"
        )
    return loaded


def _examples(loaded: Loaded, info: GraphInfo, model: onnx.ModelProto) -> list[tuple[float | None, GraphPart]]:
    """The part of the network that `model` holds, once for each moment."""
    batch, height, width = _sizes(info, model)
    options = ExportOptions((info.kind,), (height, width), batch, info.io)
    part = example_part(loaded, info.kind, options, (batch, height, width))
    if "t" not in part.example:
        return [(None, part)]
    shape = part.example["t"]
    return [(t, replace(part, example=part.example | {"t": torch.full_like(shape, t)})) for t in MOMENTS]


def _sizes(info: GraphInfo, model: onnx.ModelProto) -> tuple[int, int, int]:
    """N, H and W that the graph takes: its own where fixed, else one frame near `_USUAL_SIZE`."""
    dims = next(i.type.tensor_type.shape.dim for i in model.graph.input if i.name.startswith("frame"))
    rows, columns = (1, 2) if info.io is FrameIO.UINT8 else (2, 3)
    usual = [-(-size // info.divisor) * info.divisor for size in _USUAL_SIZE]
    if info.io is FrameIO.UINT8:
        usual = [size - 3 for size in usual]  # a size that the graph must pad and crop
    return (
        dims[0].dim_value or 1,
        dims[rows].dim_value or usual[0],
        dims[columns].dim_value or usual[1],
    )
