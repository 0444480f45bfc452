"""What those who take a graph apart want to know of it: its open axes, its custom ops, its bodies, its nodes' names."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

from tweenrt.contract import OP_DOMAIN, FrameIO, GraphInfo
from tweenrt.errors import GraphError, UsageError, require

Axis = int | str
"""A size, or a letter or part of one: ``"H"``, ``"W/16"``, ``"H*3/2"``."""
_PART = re.compile(r"([A-Z]+)(?:([*/])([\d/]+))?")


@dataclass(frozen=True)
class OnnxFile:
    """One graph, read with the package ``onnx``.

    Attributes:
        path: where it lies.
        model: the parsed ``ModelProto``.
        info: its tweenrt metadata.
    """

    path: Path
    model: Any
    info: GraphInfo

    @classmethod
    def load(cls, path: Path, *, extra: str = "tensorrt", why: str = "Building engines") -> OnnxFile:
        """Read `path`.

        Args:
            path: an ONNX file written by tweenrt.
            extra: the extra that brings the package ``onnx`` to who asks.
            why: what needs it, for the message.

        Raises:
            GraphError: it is missing, no ONNX file, or not ours.
            MissingExtraError: the package ``onnx`` is not installed.
        """
        onnx = require("onnx", extra=extra, why=why)
        if not path.is_file():
            raise GraphError(f"{path}: no such graph; make one with `tweenrt export MODEL -o {path}`")
        try:
            model = onnx.load(path)
        except Exception as error:  # protobuf's errors share no public base class
            raise GraphError(f"{path}: expected an ONNX file, it cannot be read ({error}); export it again") from error
        info = GraphInfo.from_metadata({p.key: p.value for p in model.metadata_props}, str(path))
        return cls(path, model, info)

    @cached_property
    def serialised(self) -> bytes:
        """The file's bytes."""
        return self.path.read_bytes()

    @cached_property
    def sha256(self) -> str:
        """Of the file."""
        return hashlib.sha256(self.serialised).hexdigest()

    @cached_property
    def inputs(self) -> dict[str, tuple[Axis, ...]]:
        """Inputs that must be given: name → axes."""
        held = {i.name for i in self.model.graph.initializer}
        return {i.name: _axes(i) for i in self.model.graph.input if i.name not in held}

    @cached_property
    def outputs(self) -> dict[str, tuple[Axis, ...]]:
        """What comes out: name → axes."""
        return {o.name: _axes(o) for o in self.model.graph.output}

    @property
    def open_inputs(self) -> dict[str, tuple[Axis, ...]]:
        """Inputs with an axis that is not fixed: name → axes."""
        return {name: axes for name, axes in self.inputs.items() if any(isinstance(a, str) for a in axes)}

    @property
    def letters(self) -> list[str]:
        """What is open, such as ``["H", "N", "W"]``."""
        named = {a for axes in self.open_inputs.values() for a in axes if isinstance(a, str)}
        return sorted({_PART.match(a)[1] for a in named if _PART.match(a)})  # type: ignore[index]

    @property
    def frame_size(self) -> tuple[int, int] | None:
        """H and W of the frames if they are fixed; None if they are open, or no input is a frame."""
        frame = next((axes for name, axes in self.inputs.items() if name.startswith("frame")), ())
        first = 1 if self.info.io is FrameIO.UINT8 else 2
        match frame[first : first + 2]:
            case (int(height), int(width)):
                return height, width
        return None

    @cached_property
    def custom_ops(self) -> Mapping[str, int]:
        """Our ops in the graph: op → nodes."""
        return Counter(node.op_type for node in self.model.graph.node if node.domain == OP_DOMAIN)

    def letters_for(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
        """What the open sizes are where the inputs have these shapes: letter → size."""
        pairs = ((axis, size) for name, axes in self.inputs.items() for axis, size in zip(axes, shapes[name]))  # noqa: B905
        return {axis: size for axis, size in pairs if isinstance(axis, str) and axis.isalpha()}

    def size_of(self, axis: Axis, letters: Mapping[str, int]) -> int:
        """The size of `axis` where the letters have these values.

        Raises:
            UsageError: a part of a size is no whole number.
        """
        if isinstance(axis, int):
            return axis
        letter, sign, number = _PART.fullmatch(axis).groups()  # type: ignore[union-attr]
        share = Fraction(number) if sign == "*" else 1 / Fraction(number or 1)
        size = letters[letter] * share
        if size.denominator != 1:
            raise UsageError(
                f"{self.info.model} takes frames whose sides are multiples of {self.info.divisor}, got "
                f"{letters['H']}x{letters['W']}; choose such a size (the runtime pads and crops)"
            )
        return int(size)

    def without_bodies(self, ops: Collection[str]) -> bytes:
        """The file's bytes without the portable bodies of `ops`, for parsers that would take them before plugins."""
        model = type(self.model)()
        model.CopyFrom(self.model)
        kept = [f for f in model.functions if f.domain != OP_DOMAIN or f.name not in ops]
        del model.functions[:]
        model.functions.extend(kept)
        return bytes(model.SerializeToString())


def _axes(value: Any) -> tuple[Axis, ...]:
    """The axes of a graph's input."""
    return tuple(d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim)
