"""Engines that were built before: found by what they depend on, built once by one of several processes."""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tweenrt import cache
from tweenrt.errors import EngineError, OutputError, UsageError
from tweenrt.runtime.engines.build_progress import Progress
from tweenrt.runtime.engines.builder import BuildOptions, Built, build_plan, settled
from tweenrt.runtime.engines.engine_file import EngineInfo, pack, read_info, unpack
from tweenrt.runtime.engines.tensorrt import TensorRT, open_tensorrt
from tweenrt.runtime.gpu import Gpu, find_gpus
from tweenrt.runtime.onnx_file import OnnxFile

_KEY_LENGTH = 24
_ENDING = ".engine"
_TIMINGS = struct.Struct("<8s32s")
_TIMINGS_MAGIC = b"TWEENRTT"


@dataclass(frozen=True)
class Entry:
    """One engine in the cache; `info` is None where the file cannot be read, and `fault` says why.

    `used` is when it was last asked for, in seconds since the epoch.
    """

    path: Path
    bytes: int
    used: float
    info: EngineInfo | None
    fault: str = ""


def folder() -> Path:
    """Where engines are kept."""
    return cache.root() / "engines"


def engine_for(graph: Path, options: BuildOptions, progress: Progress | None = None, device: int | None = None) -> Path:
    """The engine of `graph`, built now unless one that fits is in the cache.

    It fits if it was built from these very bytes, with these options, this TensorRT, this plugin library and for this
    GPU. A damaged one is built again. Of several processes that want the same one, one builds it.

    Args:
        graph: an ONNX file of ours.
        options: how to build it.
        progress: told how far the work is; it may end the build.
        device: for which of this machine's GPUs, and on which it is built; None for the first, if there is one.

    Raises:
        As `build_plan` and `prove`; UsageError where there is no such GPU; OutputError where the cache cannot be
        written to.
    """
    trt = open_tensorrt(options.flavour)
    file = OnnxFile.load(graph)
    options = settled(file, options)
    info = _describe(trt, file, options, _gpu(options, device))
    target = folder() / f"{info.graph['tweenrt.model']}-{_key(info)}{_ENDING}"

    def make(path: Path) -> None:
        from tweenrt.runtime.engines.half_pixel import prove  # which loads engines, for which this file is needed

        timings, gpu = _timings_path(info), device or 0
        built = build_plan(graph, options, progress, read_timings(timings), gpu)
        prove(file, options, lambda probe, chosen: build_plan(probe, chosen, None, b"", gpu), gpu)
        write_timings(timings, built.timings)
        path.write_bytes(pack(_complete(info, built), built.plan))

    cache.make_once(target, make, is_whole)
    cache.touch(target)
    return target


def hand_out(engine: Path, destination: Path) -> None:
    """Copy an engine out of the cache; `destination` appears only when it is complete.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".tweenrt-") as scratch:
            shutil.copyfile(engine, Path(scratch) / destination.name).replace(destination)
    except OSError as error:
        raise OutputError(f"{destination}: cannot write the engine ({error.strerror})") from error


def is_whole(path: Path) -> bool:
    """Whether `path` is an engine of ours whose every byte is as it was written."""
    try:
        unpack(path.read_bytes(), str(path))
    except (OSError, EngineError):
        return False
    return True


def entries() -> list[Entry]:
    """Every engine in the cache, the last used first."""
    return sorted(_entries(), key=lambda entry: entry.used, reverse=True)


def read_timings(path: Path) -> bytes:
    """TensorRT's timing cache at `path`; empty where there is none or it is damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return b""
    if len(content) < _TIMINGS.size:
        return b""
    magic, digest = _TIMINGS.unpack_from(content)
    timings = content[_TIMINGS.size :]
    if magic != _TIMINGS_MAGIC or hashlib.sha256(timings).digest() != digest:
        return b""
    cache.touch(path)
    return timings


def write_timings(path: Path, timings: bytes) -> None:
    """Keep a timing cache at `path`; the last of several writers wins, and no reader sees half of one."""
    if not timings:
        return

    def make(made: Path) -> None:
        made.write_bytes(_TIMINGS.pack(_TIMINGS_MAGIC, hashlib.sha256(timings).digest()) + timings)

    cache.make_once(path, make, valid=lambda target: read_timings(target) == timings)


def plugins_sha256() -> str:
    """SHA-256 of the plugin library that is in use."""
    from tweenrt.plugins.library import library_path

    return hashlib.sha256(library_path().read_bytes()).hexdigest()


def _entries() -> Iterator[Entry]:
    for path in folder().glob(f"*{_ENDING}"):
        try:
            stat = path.stat()
        except FileNotFoundError:  # another process has removed it meanwhile
            continue
        try:
            yield Entry(path, stat.st_size, stat.st_mtime, read_info(path))
        except EngineError as error:
            yield Entry(path, stat.st_size, stat.st_mtime, None, str(error))


def _gpu(options: BuildOptions, device: int | None) -> Gpu | None:
    """The GPU to build for; None where the engine is for named architectures, or there is no GPU.

    Raises:
        UsageError: `device` is none of this machine's, or has no part in what is built.
    """
    gpus = find_gpus()
    if device is None:
        return gpus.found[0] if gpus.found and not options.targets else None
    if options.targets:
        raise UsageError(
            f"GPU {device} of this machine was asked for, and an engine for {', '.join(options.targets)}, which is "
            "built without a GPU; leave --device or --target out"
        )
    if not gpus.found:
        raise UsageError(
            f"GPU {device} was asked for: {gpus.detail}. Leave --device out; tensorrt-rtx builds without a GPU, for "
            "the architectures that --target names"
        )
    if device >= len(gpus.found):
        there = ", ".join(f"{number} is {gpu}" for number, gpu in enumerate(gpus.found))
        raise UsageError(f"GPU {device} was asked for, this machine has {len(gpus.found)}: {there}; choose one of them")
    return gpus.found[device]


def _describe(trt: TensorRT, graph: OnnxFile, options: BuildOptions, gpu: Gpu | None) -> EngineInfo:
    """All that decides what the engine will be, known before it is built."""
    asked = asdict(options)
    del asked["flavour"], asked["targets"], asked["portable"]
    return EngineInfo(
        graph=graph.info.to_metadata(),
        graph_sha256=graph.sha256,
        flavour=trt.flavour.value,
        tensorrt=".".join(map(str, trt.version)),
        device="" if gpu is None else str(gpu),
        targets=options.targets,
        portable=options.portable,
        plugins_sha256=plugins_sha256() if options.plugins and graph.custom_ops else "",
        options=json.loads(json.dumps(asked)),
    )


def _complete(info: EngineInfo, built: Built) -> EngineInfo:
    return EngineInfo(**(asdict(info) | {"plugins": dict(built.plugin_nodes), "inputs": dict(built.inputs)}))


def _key(info: EngineInfo) -> str:
    return hashlib.sha256(json.dumps(asdict(info), sort_keys=True).encode()).hexdigest()[:_KEY_LENGTH]


def _timings_path(info: EngineInfo) -> Path:
    where: dict[str, Any] = {"flavour": info.flavour, "tensorrt": info.tensorrt, "device": info.device}
    named = json.dumps(where | {"targets": info.targets}, sort_keys=True)
    return cache.root() / "timings" / f"{hashlib.sha256(named.encode()).hexdigest()[:_KEY_LENGTH]}.cache"
