"""Layer times joined with the network's modules, and with what each layer has to compute and to move."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tweenrt.errors import BackendError, TweenrtError
from tweenrt.runtime.estimate.devices import Precision
from tweenrt.runtime.estimate.graph_cost import Workload, cost, open_graphs
from tweenrt.runtime.estimate.roofline import Layer
from tweenrt.runtime.node_names import NodeNames
from tweenrt.runtime.onnx_file import OnnxFile
from tweenrt.runtime.timing import LayerTime, TimesLayers

TOP_LEVEL = "(top level)"
"""Nodes that belong to no module but the network itself."""
BACKEND = "(backend)"
"""Kernels that belong to no node of the graph: the backend added them, mostly to change a tensor's layout."""
_MASKED = "MaskedConv2d"
_MOVES = ("Reorder", "Reformat")  # in ONNX Runtime and OpenVINO; in TensorRT


@dataclass(frozen=True)
class LayerRow:
    """One layer.

    Attributes:
        part: the graph it is in.
        name: of the node, ``<module>/<operation>``; of a kernel without a node, its operation.
        op: kind of layer.
        module: dotted path of the module; `TOP_LEVEL` or `BACKEND` where there is none.
        ms: milliseconds in one run, mean.
        ms_per_interval: the same times how often its graph runs for each interval of the clip.
        share: of all layers' `ms_per_interval`, 0..1.
        gmacs: 1e9 multiplications with their additions, of mask-guided convolutions as if nothing were masked; None
            where none are counted (`runtime/estimate/graph_cost.py`).
        megabytes: 1e6 bytes that it has to move at least: its inputs, weights and outputs once.
        gmacs_per_second: what it reached; None for mask-guided convolutions, which leave out what is masked.
    """

    part: str
    name: str
    op: str
    module: str
    ms: float
    ms_per_interval: float
    share: float
    gmacs: float | None
    megabytes: float | None
    gmacs_per_second: float | None


@dataclass(frozen=True)
class ModuleTime:
    """A module with everything in it.

    Attributes:
        name: the last part of its path.
        ms_per_interval: of all its layers.
        share: of the whole, 0..1.
        children: the modules in it, the longest first.
    """

    name: str
    ms_per_interval: float
    share: float
    children: tuple[ModuleTime, ...]


@dataclass(frozen=True)
class LayerReport:
    """All layers of all graphs.

    Attributes:
        rows: the longest first.
        modules: the tree of modules, the longest first.
        runs: each time is the mean over so many runs.
        ms_per_run: graph → milliseconds of all its layers in one run.
        remarks: what is not there and why, in sentences.
    """

    rows: tuple[LayerRow, ...]
    modules: tuple[ModuleTime, ...]
    runs: int
    ms_per_run: dict[str, float]
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Subject:
    """One graph to look into.

    Attributes:
        part: which.
        session: what runs it.
        feeds: inputs for one run.
        runs_per_interval: how often it runs for each interval of the clip.
    """

    part: str
    session: object
    feeds: Mapping[str, object]
    runs_per_interval: float


@dataclass(frozen=True)
class _Graph:
    """What is known about one graph file."""

    layers: Mapping[str, Layer]
    source: Callable[[str], str]


def layer_report(
    graph: Path,
    size: tuple[int, int],
    subjects: Sequence[Subject],
    runs: int,
    progress: Callable[[str, int, int], object],
) -> LayerReport:
    """Time the layers of every graph.

    Args:
        graph: the ONNX file or folder; of engines, only the names that the backend gives are known.
        size: H and W of the frames.
        subjects: the graphs.
        runs: how many runs of each.
        progress: told what is being done, how many graphs are done, and how many there are.
    """
    known, remarks = _known(graph, size)
    rows: list[LayerRow] = []
    sums: dict[str, float] = {}
    for done, subject in enumerate(subjects):
        progress(f"timing the layers of {subject.part}", done, len(subjects))
        try:
            times = _times(subject, runs)
        except TweenrtError as error:
            remarks.append(f"{subject.part}: {error}")
            continue
        sums[subject.part] = sum(time.milliseconds for time in times)
        rows += [_row(subject, time, known.get(subject.part)) for time in times]
    total = sum(row.ms_per_interval for row in rows)
    rows = [replace(row, share=_share(row.ms_per_interval, total)) for row in rows]
    rows.sort(key=lambda row: -row.ms_per_interval)
    return LayerReport(tuple(rows), module_tree(rows), runs, sums, tuple(remarks))


def module_tree(rows: Iterable[LayerRow]) -> tuple[ModuleTime, ...]:
    """The modules that `rows` belong to, by the dots in their paths; what is in none, by the kind of layer."""
    parts = [(_path(row), row.ms_per_interval) for row in rows]
    return _branches(parts, sum(ms for _, ms in parts))


def _path(row: LayerRow) -> list[str]:
    return [row.module, row.op or row.name] if row.module in (TOP_LEVEL, BACKEND) else row.module.split(".")


def _branches(parts: list[tuple[list[str], float]], total: float) -> tuple[ModuleTime, ...]:
    groups: dict[str, list[tuple[list[str], float]]] = {}
    for path, ms in parts:
        if path:
            groups.setdefault(path[0], []).append((path[1:], ms))
    found = []
    for name, inside in groups.items():
        ms = sum(each for _, each in inside)
        found.append(ModuleTime(name, ms, _share(ms, total), _branches(inside, total)))
    return tuple(sorted(found, key=lambda module: -module.ms_per_interval))


def _times(subject: Subject, runs: int) -> list[LayerTime]:
    if not isinstance(subject.session, TimesLayers):
        raise BackendError("its backend does not tell the times of layers")
    return subject.session.layer_times(subject.feeds, runs)


def _row(subject: Subject, time: LayerTime, graph: _Graph | None) -> LayerRow:
    name = (graph.source(time.name) if graph else "") or time.name
    layer = graph.layers.get(name) if graph and not _moves_only(time) else None
    gmacs = layer.macs / 1e9 if layer else None
    masked = _MASKED in name
    return LayerRow(
        part=subject.part,
        name=name or time.op,
        op=time.op,
        module=name.rpartition("/")[0] or (TOP_LEVEL if name else BACKEND),
        ms=time.milliseconds,
        ms_per_interval=time.milliseconds * subject.runs_per_interval,
        share=0.0,
        gmacs=gmacs,
        megabytes=layer.moved_bytes / 1e6 if layer else None,
        gmacs_per_second=gmacs / time.milliseconds * 1000 if gmacs and time.milliseconds and not masked else None,
    )


def _moves_only(time: LayerTime) -> bool:
    """Whether it changes a tensor's layout for the layer that it is named after."""
    return any(text.startswith(_MOVES) for text in (time.name, time.op))


def _known(graph: Path, size: tuple[int, int]) -> tuple[dict[str, _Graph], list[str]]:
    """Graph by graph what layers have to do; and why that is not known."""
    found: dict[str, _Graph] = {}
    remarks: list[str] = []
    if not (any(graph.glob("*.onnx")) if graph.is_dir() else graph.suffix == ".onnx"):
        return found, ["an engine does not say what its layers have to compute; for that, profile the graph"]
    try:
        files = open_graphs(graph)
    except TweenrtError as error:
        return found, [f"layers are not joined with the graph: {error}"]
    for file in files:
        try:
            layers = cost(file, Workload(size, Precision(file.info.precision))).layers
        except TweenrtError as error:
            layers = ()
            remarks.append(f"{file.info.kind.value}: what its layers have to compute is not known: {error}")
        found[file.info.kind.value] = _Graph({layer.name: layer for layer in layers}, _source(file))
    return found, remarks


def _source(file: OnnxFile) -> Callable[[str], str]:
    return NodeNames(file.model).source


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


__all__ = ["BACKEND", "TOP_LEVEL", "LayerReport", "LayerRow", "ModuleTime", "Subject", "layer_report", "module_tree"]
