"""One model of a repository: what a server runs, what goes in and out, and what it says about itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

OPEN = -1
"""A size that is open, as servers write it."""


class ServedBy(str, Enum):
    """What executes a model: the name of a backend or platform of Triton."""

    ONNXRUNTIME = "onnxruntime"
    TENSORRT = "tensorrt"
    ENSEMBLE = "ensemble"

    @property
    def file(self) -> str:
        """What the file in a version's folder is called; empty where there is none."""
        return {ServedBy.ONNXRUNTIME: "model.onnx", ServedBy.TENSORRT: "model.plan"}.get(self, "")


@dataclass(frozen=True)
class Port:
    """An input or output.

    Attributes:
        name: in the graph.
        type: ``FP32``, ``FP16``, ``UINT8`` and so on, as `model_config.proto` has it after ``TYPE_``.
        axes: sizes from N on; `OPEN` where they are open.
    """

    name: str
    type: str
    axes: tuple[int, ...]


@dataclass(frozen=True)
class Step:
    """One model that an ensemble runs.

    Attributes:
        model: its name.
        inputs: its input → tensor of the ensemble.
        outputs: its output → tensor of the ensemble.
    """

    model: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]


@dataclass(frozen=True)
class Served:
    """One model.

    Attributes:
        name: of its folder.
        by: what executes it.
        inputs: what goes in.
        outputs: what comes out.
        parameters: what it says about itself; a client reads the graph's metadata from it.
        content: the file of a version; empty for an ensemble.
        most: most frames in one batch that it was built for; None where it takes any number.
        profiles: optimisation profiles of a plan.
        steps: what an ensemble runs.
        warnings: what who serves it should know, in sentences.
    """

    name: str
    by: ServedBy
    inputs: Sequence[Port]
    outputs: Sequence[Port]
    parameters: Mapping[str, str]
    content: bytes = field(default=b"", repr=False)
    most: int | None = None
    profiles: int = 1
    steps: Sequence[Step] = ()
    warnings: Sequence[str] = ()

    @property
    def batches(self) -> bool:
        """Whether several requests can be put together: N is open in everything that goes in and out."""
        return all(port.axes[:1] == (OPEN,) for port in (*self.inputs, *self.outputs))
