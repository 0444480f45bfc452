"""Engine files: a TensorRT plan behind a header that says what it is, for whom it was built and from which graph.

A plan is executable code for one TensorRT version and one kind of GPU. The header lets us refuse one that was built for
another, was damaged, or is not ours at all, before TensorRT sees it. Layout, little-endian:

    0   8   magic ``TWEENRTE``
    8   4   length of the header text in bytes
   12   8   length of the plan in bytes
   20   32  SHA-256 of the header text and the plan
   52   …   header text: JSON, UTF-8
    …   …   plan
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import tweenrt
from tweenrt.contract import GraphInfo
from tweenrt.errors import EngineError

MAGIC = b"TWEENRTE"
_PREFIX = struct.Struct("<8sIQ32s")
_LONGEST_HEADER = 1 << 24
_REBUILD = "build it again with `tweenrt build`"


@dataclass(frozen=True)
class EngineInfo:
    """What the header says.

    Attributes:
        graph: metadata of the graph, as in the ONNX file (`GraphInfo.to_metadata`).
        graph_sha256: of the ONNX file.
        flavour: ``tensorrt`` or ``tensorrt-rtx``.
        tensorrt: its version, such as ``10.16.2``.
        device: the GPU it was built on, such as ``NVIDIA H200 (sm90)``; empty if built for `targets`.
        targets: architectures that it was built for, such as ``["sm86", "sm89"]``.
        portable: it runs on every GPU since Ampere.
        plugins: our ops in it that run as plugins: op → nodes.
        plugins_sha256: of the plugin library it was built with; empty if no plugin is in it.
        inputs: name → the least, best and most shape of each profile, or the one fixed shape.
        options: what else was asked for.
        tweenrt: the version that built it.
    """

    graph: Mapping[str, str]
    graph_sha256: str
    flavour: str
    tensorrt: str
    device: str = ""
    targets: tuple[str, ...] = ()
    portable: bool = False
    plugins: Mapping[str, int] = field(default_factory=dict)
    plugins_sha256: str = ""
    inputs: Mapping[str, object] = field(default_factory=dict)
    options: Mapping[str, object] = field(default_factory=dict)
    tweenrt: str = tweenrt.__version__

    def graph_info(self, where: str) -> GraphInfo:
        """The graph's metadata, parsed.

        Raises:
            GraphError: it is from a version that this one does not know.
        """
        return GraphInfo.from_metadata(self.graph, where)


def pack(info: EngineInfo, plan: bytes) -> bytes:
    """The engine file of `plan`."""
    text = json.dumps(asdict(info), sort_keys=True).encode()
    digest = hashlib.sha256(text + plan).digest()
    return _PREFIX.pack(MAGIC, len(text), len(plan), digest) + text + plan


def unpack(content: bytes, where: str) -> tuple[EngineInfo, bytes]:
    """Header and plan of an engine file.

    Args:
        content: the file's bytes.
        where: its name, for messages.

    Raises:
        EngineError: it is no engine file of ours, or it is damaged.
    """
    if not content.startswith(MAGIC):
        raise EngineError(
            f"{where}: expected an engine built by tweenrt; a plan of another tool is code of unknown origin and "
            f"is not loaded. {_REBUILD.capitalize()}"
        )
    if len(content) < _PREFIX.size:
        raise EngineError(f"{where}: the engine file is cut off in its header; {_REBUILD}")
    _, header_length, plan_length, digest = _PREFIX.unpack_from(content)
    expected = _PREFIX.size + header_length + plan_length
    if header_length > _LONGEST_HEADER or len(content) != expected:
        raise EngineError(f"{where}: the engine file should hold {expected} bytes, it holds {len(content)}; {_REBUILD}")
    body = content[_PREFIX.size :]
    if hashlib.sha256(body).digest() != digest:
        raise EngineError(f"{where}: the engine file is damaged (its checksum does not match); {_REBUILD}")
    return _read_header(body[:header_length], where), body[header_length:]


def read_info(path: Path) -> EngineInfo:
    """The header of the engine at `path`, without checking the plan.

    Raises:
        EngineError: it is missing, no engine file of ours, or its header is damaged.
    """
    try:
        with path.open("rb") as file:
            prefix = file.read(_PREFIX.size)
            if not prefix.startswith(MAGIC) or len(prefix) < _PREFIX.size:
                raise EngineError(f"{path}: expected an engine built by tweenrt; {_REBUILD}")
            length = min(_PREFIX.unpack(prefix)[1], _LONGEST_HEADER)
            return _read_header(file.read(length), str(path))
    except OSError as error:
        raise EngineError(f"{path}: cannot read the engine ({error.strerror}); {_REBUILD}") from error


def _read_header(text: bytes, where: str) -> EngineInfo:
    try:
        values = json.loads(text)
        values["targets"] = tuple(values["targets"])
        return EngineInfo(**values)
    except (ValueError, TypeError, KeyError) as error:
        raise EngineError(f"{where}: the engine's header cannot be read ({error}); {_REBUILD}") from error
