"""From a graph to a TensorRT plan: parse with our plugins, shape profiles, build."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tweenrt.errors import BackendError, GraphError, UsageError
from tweenrt.runtime.cuda import Lane
from tweenrt.runtime.engines.build_errors import MIB, why_not_built
from tweenrt.runtime.engines.build_progress import Progress, progress_monitor, run_apart
from tweenrt.runtime.engines.parse_errors import explain
from tweenrt.runtime.engines.sizes import SizeRange, fit
from tweenrt.runtime.engines.tensorrt import Flavour, Log, TensorRT, open_tensorrt
from tweenrt.runtime.onnx_file import OnnxFile


@dataclass(frozen=True)
class BuildOptions:
    """How a plan is built.

    Attributes:
        flavour: with which TensorRT.
        sizes: one profile each, for frames before they are padded; may be empty for a graph that leaves no more than
            the batch open.
        targets: architectures such as ``sm86`` to build for without a GPU (TensorRT-RTX); empty for this machine's.
        plugins: take our kernels where the graph has their ops; off, the graph's portable bodies are built.
        workspace_mib: memory that layers may use while they run; None for all there is.
        level: builder optimisation level, 0 (quickest build) to 5 (quickest engine); None for TensorRT's default.
        aux_streams: streams that layers may run on at the same time besides the main one; None for TensorRT's choice.
        portable: one plan for every GPU since Ampere, somewhat slower.
    """

    flavour: Flavour = Flavour.TENSORRT
    sizes: tuple[SizeRange, ...] = ()
    targets: tuple[str, ...] = ()
    plugins: bool = True
    workspace_mib: int | None = None
    level: int | None = None
    aux_streams: int | None = None
    portable: bool = False


@dataclass(frozen=True)
class Built:
    """A plan and what it is made of.

    Attributes:
        plan: TensorRT's serialised engine.
        layers: one line for each layer, as TensorRT describes it.
        plugin_nodes: how many layers are ours, by op.
        inputs: name → its fixed shape, or the least, best and most shape of each profile.
        timings: TensorRT's timing cache after the build; empty where it keeps none.
        warnings: what TensorRT warned of.
    """

    plan: bytes
    layers: tuple[str, ...]
    plugin_nodes: Mapping[str, int]
    inputs: Mapping[str, object]
    timings: bytes
    warnings: tuple[str, ...]


def build_plan(
    path: Path,
    options: BuildOptions,
    progress: Progress | None = None,
    timings: bytes = b"",
    gpu: int = 0,
) -> Built:
    """Build the graph at `path`, in a thread of its own.

    Args:
        path: an ONNX file written by tweenrt.
        options: how.
        progress: told how far the work is; it may end the build.
        timings: a timing cache of an earlier build on this GPU, which makes this one shorter.
        gpu: number of the GPU to build on, where there is one.

    Raises:
        GraphError: the graph cannot be parsed; the message names the node, its module and what to do.
        UsageError: sizes are missing or do not fit the graph, or an option does not fit the flavour.
        BackendError: TensorRT could not build it.
        KeyboardInterrupt: `progress` or Ctrl-C ended the build. So does what a handler of another signal raises.
    """
    trt = open_tensorrt(options.flavour)
    graph = OnnxFile.load(path)
    monitor = progress_monitor(trt.module, progress)

    def work() -> Built:
        if gpu:  # a new thread uses the first one
            Lane(gpu).activate()
        return _build(trt, graph, settled(graph, options), monitor, timings)

    return run_apart(work, monitor.stop)


def settled(graph: OnnxFile, options: BuildOptions) -> BuildOptions:
    """`options` as they are for `graph`, so that what asks for the same is the same.

    Raises:
        UsageError: sizes are missing, or options exclude each other.
    """
    if options.portable and options.targets:
        raise UsageError(
            f"targets ({', '.join(options.targets)}) and portable exclude each other: an engine is for the "
            "architectures that are named, or for every GPU since Ampere; leave --target or --portable out"
        )
    targets = sorted({name.lower() for name in options.targets}, key=lambda name: (len(name), name))
    return replace(options, sizes=fit(graph, options.sizes), targets=tuple(targets))


def _build(trt: TensorRT, graph: OnnxFile, options: BuildOptions, monitor: Any, timings: bytes) -> Built:
    provided = _load_plugins(trt) if options.plugins and graph.custom_ops else frozenset[str]()
    with trt.listening() as (logger, log):
        builder = trt.module.Builder(logger)
        network = _parse(trt, builder, graph, provided, log)
        check_sampling(trt, network, graph.path)
        config = _configure(trt, builder, graph, options)
        if trt.times_kernels:
            config.set_timing_cache(config.create_timing_cache(timings), False)
        config.progress_monitor = monitor
        plan = builder.build_serialized_network(network, config)
        timed = config.get_timing_cache() if trt.times_kernels else None
    monitor.raise_if_stopped()
    if plan is None:
        why = why_not_built(log.errors, options.workspace_mib)
        raise BackendError(f"{graph.path}: {trt.title} could not build it: {why}")
    ours = {op: count for op, count in graph.custom_ops.items() if op in provided}
    return Built(
        bytes(plan),
        tuple(log.layers),
        ours,
        _shapes(graph, options),
        bytes(timed.serialize()) if timed is not None else b"",
        tuple(log.warnings),
    )


def _parse(trt: TensorRT, builder: Any, graph: OnnxFile, provided: frozenset[str], log: Log) -> Any:
    """The network of `graph`, with our plugins for the ops `provided` and portable bodies for the others."""
    network = trt.network(builder)
    parser = trt.parser(network, builder.logger, prefer_plugins=bool(provided))
    content = graph.serialised if trt.overrides_bodies else graph.without_bodies(provided)
    if not parser.parse(content):
        raise GraphError(explain(graph, parser, log))
    return network


def check_sampling(trt: TensorRT, network: Any, path: Path) -> None:
    """Refuse a network that samples the nearest pixel where the graph says bilinear.

    Some parsers read the mode of newer ``GridSample`` operators as "nearest" without a word: pictures then jump by half
    a pixel. Every sampling layer of our networks is bilinear.

    Raises:
        GraphError: a layer is not.
    """
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        if layer.type != trt.module.LayerType.GRID_SAMPLE:
            continue
        layer.__class__ = trt.module.IGridSampleLayer
        if layer.interpolation_mode != trt.module.InterpolationMode.LINEAR:
            raise GraphError(
                f"{path}: {trt.title} reads the sampling layer {layer.name} as {layer.interpolation_mode.name}, not as "
                "bilinear; export the graph with tweenrt, which writes GridSample as every parser understands it"
            )


def _load_plugins(trt: TensorRT) -> frozenset[str]:
    """The ops that our library provides to `trt` from now on."""
    from tweenrt.plugins.library import load, provided

    load(trt.module)
    return provided(trt.module)


def _configure(trt: TensorRT, builder: Any, graph: OnnxFile, options: BuildOptions) -> Any:
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.module.ProfilingVerbosity.DETAILED
    trt.set_targets(config, options.targets)
    if options.workspace_mib is not None:
        config.set_memory_pool_limit(trt.module.MemoryPoolType.WORKSPACE, options.workspace_mib * MIB)
    if options.level is not None:
        config.builder_optimization_level = options.level
    if options.aux_streams is not None:
        config.max_aux_streams = options.aux_streams
    if options.portable:
        trt.set_portable(config)
    for sizes in options.sizes:
        config.add_optimization_profile(_profile(builder, graph, sizes))
    return config


def _profile(builder: Any, graph: OnnxFile, sizes: SizeRange) -> Any:
    profile = builder.create_optimization_profile()
    for name in graph.open_inputs:
        profile.set_shape(name, *_range(graph, name, sizes))
    return profile


def _range(graph: OnnxFile, name: str, sizes: SizeRange) -> list[tuple[int, ...]]:
    """The least, best and most shape of one input."""
    return [tuple(graph.size_of(axis, sizes.values(k)) for axis in graph.inputs[name]) for k in range(3)]


def _shapes(graph: OnnxFile, options: BuildOptions) -> dict[str, object]:
    return {
        name: [_range(graph, name, sizes) for sizes in options.sizes] if name in graph.open_inputs else list(axes)
        for name, axes in graph.inputs.items()
    }


__all__ = ["BuildOptions", "Built", "SizeRange", "build_plan", "check_sampling", "settled"]
