"""What ONNX Runtime writes down when it profiles: from its list of events to the time of each kernel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tweenrt.runtime.node_names import Kernel

_KERNEL = "_kernel_time"
_BRANCHING = ("If", "Loop", "Scan")
Event = Mapping[str, Any]


def kernel_times(events: Sequence[Event], skipped: int) -> list[Kernel]:
    """Mean milliseconds of every kernel in one run.

    Kernels inside a branch or loop are part of the node that branches, whose time holds theirs.

    Args:
        events: the file's content; times in microseconds.
        skipped: runs at the start that do not count.
    """
    runs = sorted((e for e in events if e["name"] == "model_run"), key=lambda e: e["ts"])
    counted = runs[skipped:]
    start = counted[0]["ts"]
    kernels = [e for e in events if e["cat"] == "Node" and e["name"].endswith(_KERNEL) and e["ts"] >= start]
    totals: dict[tuple[str, str], float] = {}
    for event in _outermost(kernels):
        key = event["name"].removesuffix(_KERNEL), event["args"]["op_name"]
        totals[key] = totals.get(key, 0.0) + event["dur"]
    return [Kernel(name, op, total / 1000 / len(counted)) for (name, op), total in totals.items()]


def _outermost(kernels: Iterable[Event]) -> list[Event]:
    """Those that do not run inside another, in the order in which they began."""
    found: list[Event] = []
    inside_until = -1
    for event in sorted(kernels, key=lambda e: (e["ts"], -e["dur"])):
        end = event["ts"] + event["dur"]
        if end <= inside_until:
            continue
        found.append(event)
        if event["args"]["op_name"] in _BRANCHING:
            inside_until = end
    return found


__all__ = ["kernel_times"]
