"""How long runs and layers take: what sessions that can measure it themselves offer to the profiler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True)
class RunTime:
    """One run.

    Attributes:
        host_ms: milliseconds from the call to the result, copies included.
        device_ms: milliseconds that the GPU worked on it; None where the CPU does the work.
    """

    host_ms: float
    device_ms: float | None


@dataclass(frozen=True)
class LayerTime:
    """One layer.

    Attributes:
        name: as the backend calls it, which begins with the module's path in graphs of ours.
        op: kind of layer; empty where the backend does not tell.
        milliseconds: mean over the runs.
    """

    name: str
    op: str
    milliseconds: float


@runtime_checkable
class TimesRuns(Protocol):
    """A session that measures the device's share of a run."""

    def run_timed(self, feeds: Mapping[str, Any]) -> RunTime:
        """Run once to the end."""


@runtime_checkable
class TimesLayers(Protocol):
    """A session that measures its layers."""

    def layer_times(self, feeds: Mapping[str, Any], runs: int) -> list[LayerTime]:
        """Mean time of every layer over `runs` runs."""
