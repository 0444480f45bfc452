"""What was measured of a graph on frames, as a file that another run can use again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

import tweenrt
from tweenrt.calibration.int8.scales import Method
from tweenrt.calibration.ranges import Range
from tweenrt.errors import UsageError
from tweenrt.runtime.output import write_whole

_FORMAT = 1


@dataclass(frozen=True)
class Measured:
    """One tensor.

    Attributes:
        thresholds: for each method the largest absolute value that is to be represented.
        factors: what each channel is multiplied by first, [channels]; None for 1.
    """

    thresholds: dict[Method, float]
    factors: NDArray[np.float32] | None

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        factors = None if self.factors is None else self.factors.tolist()
        return {method.value: limit for method, limit in self.thresholds.items()} | {"factors": factors}


@dataclass(frozen=True)
class Calibration:
    """What was measured of the graphs of a network.

    Attributes:
        graphs: file name → sha256.
        frames_sha256: of the frames that it was measured on.
        samples: how many frames were drawn.
        tensors: file name → tensor that a layer reads → what was measured.
        ranges: file name → any tensor → its range.
        versions: of what measured.
    """

    graphs: dict[str, str]
    frames_sha256: str
    samples: int
    tensors: dict[str, dict[str, Measured]]
    ranges: dict[str, dict[str, Range]]
    versions: dict[str, str]

    def save(self, path: Path) -> None:
        """Write it as JSON, complete or not at all."""
        write_whole(path, (json.dumps(self._facts(), indent=1) + "\n").encode())

    def _facts(self) -> dict[str, Any]:
        tensors = {graph: {name: one.facts() for name, one in of.items()} for graph, of in self.tensors.items()}
        return {
            "format": _FORMAT,
            "versions": self.versions,
            "graphs": self.graphs,
            "frames_sha256": self.frames_sha256,
            "samples": self.samples,
            "tensors": tensors,
            "ranges": {graph: {name: (r.least, r.most) for name, r in of.items()} for graph, of in self.ranges.items()},
        }

    @classmethod
    def load(cls, path: Path, graphs: dict[str, str]) -> Calibration:
        """Read `path`, which must be of `graphs` (file name → sha256).

        Raises:
            UsageError: it cannot be read, has another format, or is of other graphs.
        """
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
            if facts["format"] != _FORMAT:
                raise UsageError(
                    f"{path}: expected a calibration of format {_FORMAT}, got {facts['format']}; measure again"
                )
            found = cls(
                {name: str(sha256) for name, sha256 in facts["graphs"].items()},
                facts["frames_sha256"],
                facts["samples"],
                _tensors(facts),
                {graph: {name: Range(*r) for name, r in of.items()} for graph, of in facts["ranges"].items()},
                facts["versions"],
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                f"{path}: expected a calibration written by `tweenrt quantize`, it cannot be read ({error!r}); delete "
                "it to measure again"
            ) from error
        if sorted(found.graphs.values()) != sorted(graphs.values()):
            raise UsageError(
                f"{path}: it was measured on other graphs ({', '.join(found.graphs)}); give another name, or delete it "
                "to measure again"
            )
        return found


def versions() -> dict[str, str]:
    """Of what measures."""
    return {"tweenrt": tweenrt.__version__, "onnxruntime": onnxruntime.__version__, "numpy": np.__version__}


def _tensors(facts: dict[str, Any]) -> dict[str, dict[str, Measured]]:
    return {graph: {name: _measured(one) for name, one in of.items()} for graph, of in facts["tensors"].items()}


def _measured(facts: dict[str, Any]) -> Measured:
    factors = None if facts["factors"] is None else np.array(facts["factors"], np.float32)
    return Measured({method: float(facts[method.value]) for method in Method}, factors)
