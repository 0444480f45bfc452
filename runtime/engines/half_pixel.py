"""The half-pixel self-test: what samples in a graph is built alone and run on the GPU, before its engine is handed out.

Some parsers read the mode of newer ``GridSample`` operators as "nearest" without a word, and pictures then jump by half
a pixel. `tweenrt.runtime.engines.builder.check_sampling` reads the mode of what the parser made of them; kernels of
ours have none, so that only running them tells.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tweenrt.errors import BackendError, GraphError, MissingExtraError
from tweenrt.runtime.cuda import Lane
from tweenrt.runtime.engines.engine_file import EngineInfo
from tweenrt.runtime.engines.engine_loader import Engine, load_plan
from tweenrt.runtime.engines.probes import Array, Probe, feeds_of, output_of, probe_model, probes
from tweenrt.runtime.engines.runner import Runner
from tweenrt.runtime.engines.tensorrt import open_tensorrt
from tweenrt.runtime.gpu import find_gpus
from tweenrt.runtime.onnx_file import OnnxFile

if TYPE_CHECKING:
    from tweenrt.runtime.engines.builder import BuildOptions, Built

_TOLERANCE = 0.1
"""Between two pixels of the probe's ramp the nearest one is off by 0.5 or more, and FP16 by 0.03 at most."""


def prove(graph: OnnxFile, options: BuildOptions, build: Callable[[Path, BuildOptions], Built], gpu: int = 0) -> bool:
    """Refuse a graph whose engine would sample the nearest pixel, by running all that samples in it.

    Args:
        graph: what an engine was built from.
        options: how it was built; the probe is built likewise.
        build: as `tweenrt.runtime.engines.builder.build_plan`.
        gpu: number of the GPU to run it on.

    Returns:
        Whether that was proved; False where nothing samples, or this machine has no GPU that runs such an engine.

    Raises:
        GraphError: an op samples the nearest pixel.
        BackendError: the probe cannot be built, or its run failed.
    """
    found = probes(graph) if _has_gpu(options, gpu) else []
    if not found:
        return False
    with tempfile.TemporaryDirectory(prefix="tweenrt-") as folder, closing(Lane(gpu)) as lane:
        path = Path(folder) / "half_pixel.onnx"
        path.write_bytes(probe_model(graph, found).SerializeToString())
        built = build(path, replace(options, sizes=()))
        engine = _loaded(graph, options, built, lane)
        results = _run(engine, found, lane, graph.path) if engine is not None else {}
    for number, probe in enumerate(found if results else ()):
        _check(graph, probe, results[output_of(number)], is_ours=probe.op in built.plugin_nodes)
    return bool(results)


def _has_gpu(options: BuildOptions, gpu: int) -> bool:
    there = find_gpus().found
    if gpu >= len(there):
        return False
    return not options.targets or there[gpu].architecture in {target.lower() for target in options.targets}


def _loaded(graph: OnnxFile, options: BuildOptions, built: Built, lane: Lane) -> Engine | None:
    """The probe on the GPU; None where this GPU, or a machine without the package for CUDA, runs no such engine."""
    trt = open_tensorrt(options.flavour)
    version = ".".join(map(str, trt.version))
    info = EngineInfo(graph.info.to_metadata(), graph.sha256, options.flavour.value, version, inputs=built.inputs)
    try:
        lane.activate()
        return load_plan(info, trt, built.plan, hashlib.sha256(built.plan).hexdigest(), graph.path)
    except (BackendError, MissingExtraError):
        return None


def _run(engine: Engine, found: Sequence[Probe], lane: Lane, path: Path) -> Mapping[str, Array]:
    runner = Runner(engine, 0, lane, path, "it runs once")
    feeds = {name: lane.upload(feed) for name, feed in feeds_of(found).items()}
    results = runner.run(feeds, {output_of(number): np.dtype(np.float32) for number in range(len(found))})
    return dict(zip(results, lane.download(list(results.values())), strict=True))


def _check(graph: OnnxFile, probe: Probe, result: Array, *, is_ours: bool) -> None:
    off = np.abs(result[probe.seen] - probe.expected)
    if (off <= _TOLERANCE).all():
        return
    where = np.unravel_index(int(np.nanargmax(np.where(np.isnan(off), np.inf, off))), off.shape)
    todo = (
        "build the plugin library again (`make plugins`)"
        if is_ours
        else "export the graph with this version of tweenrt, which writes GridSample as every parser understands it"
    )
    raise GraphError(
        f"{graph.path}: {probe.op} does not sample between pixels on this GPU: expected the mean of the neighbours, "
        f"{probe.expected[where]:g}, got {result[probe.seen][where]:g}, as the nearest pixel would give; {todo}"
    )


__all__ = ["prove"]
