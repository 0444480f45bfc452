"""The graph contract: what an ONNX file of ours says about itself in its metadata.

`export` writes it and `runtime` reads it, so it lives below both. Every property is stored under the
prefix ``tweenrt.`` in the file's ``metadata_props``; the file needs nothing else to be run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import Enum
from fractions import Fraction

from tweenrt.errors import GraphError

PREFIX = "tweenrt."
OP_DOMAIN = "tweenrt"
OP_VERSION = 1


class Kind(str, Enum):
    """What part of a network a graph holds."""

    PAIR = "pair"
    ENCODER = "encoder"
    SYNTHESIS = "synthesis"
    FLOW = "flow"
    REFINE = "refine"


class TimeInput(str, Enum):
    """How a network is told which moment to draw."""

    INPUT = "input"  # a scalar t in (0, 1), shape [N,1,1,1]
    FIXED = "fixed:0.5"  # the midpoint only; the graph has no input t
    MAP = "map"  # a distance per pixel, shape [N,1,H,W]


class FrameIO(str, Enum):
    """How frames enter and leave a graph."""

    FLOAT = "float"  # [N,3,H,W] RGB, 0..1, H and W multiples of the divisor
    UINT8 = "uint8"  # [N,H,W,3] RGB, 0..255, any H and W; the graph pads and crops


class Reuse(str, Enum):
    """How long the outputs of an encoder graph stay valid."""

    NONE = "none"  # the network has no encoder graph
    FRAME = "frame"  # one frame's features serve both pairs that the frame is part of
    PAIR = "pair"  # features depend on both frames of a pair; they serve every t of that pair


class Padding(str, Enum):
    """How a frame is grown to a multiple of the divisor: what fills it, and on which sides."""

    ZEROS = "zeros:bottom-right"
    REPLICATE = "replicate:centred"
    REFLECT = "reflect:centred"
    REFLECT_BOTTOM_RIGHT = "reflect:bottom-right"

    @property
    def fill(self) -> str:
        """``"zeros"``, ``"replicate"`` or ``"reflect"``."""
        return self.value.split(":")[0]

    def amounts(self, size: int, divisor: int) -> tuple[int, int]:
        """Pixels to add before and after one axis of `size` pixels."""
        # This also runs on symbolic sizes, so every quotient here is of positive numbers: ONNX rounds towards zero,
        # Python down, and the tracer takes ``(padded - size) // 2`` apart into a negative quotient.
        padded = (size + divisor - 1) // divisor * divisor
        before = (padded + size) // 2 - size if self.value.endswith("centred") else 0
        return before, padded - size - before


@dataclass(frozen=True)
class GraphInfo:
    """The metadata of one graph.

    Attributes:
        model: name in the registry, such as ``"rife-4.25"``.
        kind: which part of the network the graph holds.
        divisor: H and W of float frames are multiples of this.
        padding: how the network's authors pad frames to the divisor.
        t: how the network is told the moment.
        frames: frames the network looks at, 2 or 4.
        io: how frames enter and leave.
        precision: ``"fp32"``, ``"fp16"`` or ``"int8"``.
        weights_sha256: of the checkpoint file, or ``random:<seed>``.
        version: the tweenrt version that wrote the graph.
        pair_id: the same in an encoder and the synthesis graph that belongs to it, else empty.
        reuse: how long encoder features stay valid.
        flow_scale: flow was looked for on frames that are so many times as large, 1 or less.
    """

    model: str
    kind: Kind
    divisor: int
    padding: Padding
    t: TimeInput
    frames: int
    io: FrameIO
    precision: str
    weights_sha256: str
    version: str
    pair_id: str = ""
    reuse: Reuse = Reuse.NONE
    flow_scale: float = 1.0

    def padded(self, size: tuple[int, int]) -> tuple[int, int]:
        """H and W of what the network is given for frames of `size` = (H, W) pixels."""
        height, width = (side + sum(self.padding.amounts(side, self.divisor)) for side in size)
        return height, width

    def to_metadata(self) -> dict[str, str]:
        """The properties to store, prefix included."""
        items = ((f.name, getattr(self, f.name)) for f in fields(self))
        return {PREFIX + name: str(v.value if isinstance(v, Enum) else v) for name, v in items}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], where: str) -> GraphInfo:
        """Read the properties of the file `where`.

        Raises:
            GraphError: a property is missing or has a value this version does not know.
        """
        values = {k.removeprefix(PREFIX): v for k, v in metadata.items() if k.startswith(PREFIX)}
        if not values:
            raise GraphError(
                f"{where}: expected an ONNX file written by tweenrt, found none of its metadata; "
                "make one with `tweenrt export MODEL -o FILE`"
            )
        try:
            return cls(
                model=values["model"],
                kind=Kind(values["kind"]),
                divisor=int(values["divisor"]),
                padding=Padding(values["padding"]),
                t=TimeInput(values["t"]),
                frames=int(values["frames"]),
                io=FrameIO(values["io"]),
                precision=values["precision"],
                weights_sha256=values["weights_sha256"],
                version=values["version"],
                pair_id=values.get("pair_id", ""),
                reuse=Reuse(values.get("reuse", "none")),
                flow_scale=float(values.get("flow_scale", "1.0")),
            )
        except (KeyError, ValueError) as error:
            raise GraphError(
                f"{where}: its tweenrt metadata is incomplete or from another version ({error}); "
                "export the graph again with this version"
            ) from error


SIZES = {"480p": (480, 854), "720p": (720, 1280), "1080p": (1080, 1920), "1440p": (1440, 2560), "2160p": (2160, 3840)}
"""(height, width) in pixels of frames that have a name."""


def parse_size(text: str) -> tuple[int, int]:
    """Read ``HxW``, or a name of `SIZES`, as (height, width) in pixels.

    Raises:
        ValueError: the text is neither a name nor two positive whole numbers with an ``x`` between them.
    """
    if text.lower() in SIZES:
        return SIZES[text.lower()]
    height, _, width = text.lower().partition("x")
    if not (height.isdigit() and width.isdigit() and int(height) and int(width)):
        raise ValueError(f"expected HEIGHTxWIDTH in pixels such as 720x1280, or {', '.join(SIZES)}, got {text!r}")
    return int(height), int(width)


def parse_rate(text: str) -> Fraction:
    """Read a frame rate, ``60``, ``59.94`` or ``24000/1001``, exactly.

    Raises:
        ValueError: the text is not a positive number or ratio.
    """
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise ValueError(f"expected a frame rate such as 60 or 24000/1001, got {text!r}") from error
    if rate <= 0:
        raise ValueError(f"expected a frame rate above 0, got {text!r}")
    return rate
