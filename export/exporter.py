"""A network with weights becomes ONNX files: trace, attach op bodies, describe, check, compare, write."""

from __future__ import annotations

import hashlib
import inspect
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import onnx
import torch
from torch import Tensor

import tweenrt
from tweenrt.contract import FrameIO, GraphInfo, Kind, Reuse
from tweenrt.errors import GateError, UsageError
from tweenrt.export.axes import Axes
from tweenrt.export.checkpoint import Loaded
from tweenrt.export.frames import moving_frames, through_a_lens
from tweenrt.export.network import GraphPart
from tweenrt.export.options import ExportOptions, MaskedConv
from tweenrt.export.passes.attach_bodies import attach_bodies
from tweenrt.export.passes.expose_settings import expose_settings
from tweenrt.export.passes.fuse_warps import fuse_warps
from tweenrt.export.passes.name_axes import name_axes
from tweenrt.export.passes.name_modules import name_modules
from tweenrt.export.passes.slice_split import without_slice_split
from tweenrt.export.spec import ModelSpec
from tweenrt.export.uint8 import uint8_part
from tweenrt.export.verify import Parity, compare_part
from tweenrt.plugins.masked_conv2d.function import sparse

SPLIT = (Kind.ENCODER, Kind.SYNTHESIS)
FILE_NAMES = {kind: f"{kind.value}.onnx" for kind in Kind}
_EXAMPLE_SIDE = 3  # a dynamic axis is traced at three times the divisor: 1 would be specialised away
_DYNAMIC_BATCH = 3  # t = 1/4, 1/2, 3/4


@dataclass(frozen=True)
class Exported:
    """One written graph and how it compares with the PyTorch network."""

    path: Path
    info: GraphInfo
    parity: Parity


def export(
    loaded: Loaded, options: ExportOptions, out: Path, progress: Callable[[str], None] = lambda _: None
) -> list[Exported]:
    """Export the graphs that `options` names and write them.

    Args:
        loaded: the network with its weights.
        options: which graphs, of which sizes.
        out: a file for one graph; a folder for several, which get the names of `FILE_NAMES`.
        progress: told each step, one sentence.

    Raises:
        UsageError: the network has no such graph, or the size is not a multiple of its divisor.
        GateError: a graph computes something else than the network; nothing is written.
    """
    check_options(loaded.spec, options)
    pair_id = _pair_id(loaded, options) if len(options.kinds) > 1 else ""
    single = len(options.kinds) == 1
    folder = out.parent if single else out
    folder.mkdir(parents=True, exist_ok=True)
    results = []
    with tempfile.TemporaryDirectory(dir=folder, prefix=".tweenrt-") as scratch:
        for kind in options.kinds:
            path = Path(scratch) / FILE_NAMES[kind]
            results.append(_export_one(loaded, kind, options, pair_id, path, progress))
        return [_publish(r, out if single else out / r.path.name) for r in results]


def check_options(spec: ModelSpec, options: ExportOptions) -> None:
    """Refuse what `spec` cannot be exported as.

    Raises:
        UsageError: a kind that the network does not have, or a size off its divisor.
    """
    for kind in options.kinds:
        if kind not in spec.kinds:
            have = ", ".join(k.value for k in spec.kinds)
            raise UsageError(f"{spec.name} has no '{kind.value}' graph; it has {have}")
    if options.io is FrameIO.UINT8 and options.size is None and options.kinds != (Kind.PAIR,):
        raise UsageError("--io uint8 with encoder and synthesis graphs needs a fixed --size")
    if options.size and options.io is FrameIO.FLOAT and any(s % spec.divisor for s in options.size):
        height, width = (-(-s // spec.divisor) * spec.divisor for s in options.size)
        raise UsageError(
            f"{spec.name} takes frames whose sides are multiples of {spec.divisor}, got "
            f"{options.size[0]}x{options.size[1]}; use --size {height}x{width} (the runtime pads and crops), "
            "or --io uint8, which pads inside the graph"
        )


def trace(
    loaded: Loaded,
    part: GraphPart,
    outputs: tuple[Tensor, ...],
    axes: Axes,
    masked_conv: MaskedConv = MaskedConv.DENSE,
) -> onnx.ModelProto:
    """The ONNX model of `part`, traced with its example, with warps fused, axes named and bodies attached.

    Args:
        loaded: the network, for its opset.
        part: what to trace.
        outputs: what `part` gives for its example.
        axes: which sizes are dynamic.
        masked_conv: the body of mask-guided convolutions.
    """
    with _quiet(), without_slice_split(), torch.no_grad():
        program = torch.onnx.export(
            part.module,
            tuple(part.example.values()),
            dynamo=True,
            opset_version=loaded.spec.opset,
            dynamic_shapes=_dynamic_shapes(part, axes) if axes.dynamic else None,
            input_names=list(part.example),
            output_names=list(part.outputs),
            verbose=False,
        )
    if program is None:
        raise AssertionError("torch.onnx.export with dynamo=True always returns a program")
    fuse_warps(program.model)
    named = part.example | dict(zip(part.outputs, outputs, strict=True))
    names = {name: axes.names(tensor) for name, tensor in named.items()}
    model = expose_settings(name_modules(program.model_proto), part.settings)
    chosen = {"MaskedConv2d": sparse(loaded.spec.opset)} if masked_conv is MaskedConv.GATHER else {}
    return name_axes(attach_bodies(model, chosen), names)


def _dynamic_shapes(part: GraphPart, axes: Axes) -> tuple[object, ...]:
    """For every input of `part`, which axes follow N, H and W, as the torch exporter wants it."""
    found: tuple[object, ...] = tuple(axes.dims(tensor) for tensor in part.example.values())
    named = _named_arguments(part.module)
    return found if named is None else (*found[:named], found[named:])


def _named_arguments(module: torch.nn.Module) -> int | None:
    """How many inputs come before ``*args`` in the module's forward, None where it has no ``*args``."""
    kinds = [p.kind for p in inspect.signature(module.forward).parameters.values()]
    return kinds.index(inspect.Parameter.VAR_POSITIONAL) if inspect.Parameter.VAR_POSITIONAL in kinds else None


def _export_one(
    loaded: Loaded,
    kind: Kind,
    options: ExportOptions,
    pair_id: str,
    path: Path,
    progress: Callable[[str], None],
) -> Exported:
    spec = loaded.spec
    sizes = example_sizes(spec, options)
    part = example_part(loaded, kind, options, sizes)
    outputs = part.run()
    progress(f"tracing {spec.name} ({kind.value})")
    model = trace(loaded, part, outputs, Axes.of(sizes, options, spec), options.masked_conv)
    info = describe(spec, kind, options, loaded.sha256, pair_id)
    onnx.helper.set_model_props(model, info.to_metadata())
    model.producer_name, model.producer_version = "tweenrt", tweenrt.__version__
    progress("checking the graph")
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    progress("comparing it with the PyTorch network")
    parity = compare_part(part, outputs, path)
    if not parity.passed:
        raise GateError(f"{spec.name} ({kind.value}): {parity}. The graph was not written; please report this")
    return Exported(path, info, parity)


def example_sizes(spec: ModelSpec, options: ExportOptions) -> tuple[int, int, int]:
    """N, H and W to trace with."""
    height, width = options.size or (
        _EXAMPLE_SIDE * max(spec.divisor, 32),
        (_EXAMPLE_SIDE + 1) * max(spec.divisor, 32),
    )
    return options.batch or _DYNAMIC_BATCH, height, width


def example_part(loaded: Loaded, kind: Kind, options: ExportOptions, sizes: tuple[int, int, int]) -> GraphPart:
    """The part to export with example inputs of `sizes` = (N, H, W)."""
    batch, height, width = sizes
    count = loaded.spec.frames
    sequence = torch.from_numpy(through_a_lens(moving_frames(height, width, batch + count - 1)))
    frames = tuple(sequence[k : k + batch].clone() for k in range(count))
    t = torch.linspace(0.0, 1.0, batch + 2)[1:-1].reshape(batch, 1, 1, 1)
    if options.io is FrameIO.UINT8:
        return uint8_part(loaded, kind, frames, t)
    return loaded.network.part(kind, frames, t)


def describe(spec: ModelSpec, kind: Kind, options: ExportOptions, sha256: str, pair_id: str) -> GraphInfo:
    """The metadata of one graph."""
    return GraphInfo(
        model=spec.name,
        kind=kind,
        divisor=1 if options.io is FrameIO.UINT8 else spec.divisor,
        padding=spec.padding,
        t=spec.t,
        frames=spec.frames,
        io=options.io,
        precision="fp32",
        weights_sha256=sha256,
        version=tweenrt.__version__,
        pair_id=pair_id,
        reuse=spec.reuse if kind in SPLIT else Reuse.NONE,
        flow_scale=spec.flow_scale,
    )


def _pair_id(loaded: Loaded, options: ExportOptions) -> str:
    spec = loaded.spec
    text = "|".join((spec.name, str(spec.flow_scale), loaded.sha256, repr(options), tweenrt.__version__))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _publish(result: Exported, final: Path) -> Exported:
    result.path.replace(final)
    return replace(result, path=final)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back the exporter's own chatter: its remarks on packages we do not use and on its internals."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


__all__ = ["SPLIT", "ExportOptions", "Exported", "export"]
