"""What `peers.py` compares: graphs through the runtime, and the network in PyTorch."""

from __future__ import annotations

import json
import tempfile
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
import record
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tweenrt.export.checkpoint import Loaded

Frame = NDArray[np.uint8]
HALF = [Fraction(1, 2)]


class Contender(ABC):
    """A clip and something that draws between its frames. The clip goes round, so that any number of steps fit."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.clip = moving_clip(*size)
        self._position = 0

    @abstractmethod
    def between(self, frame0: Frame, frame1: Frame, times: Sequence[Fraction]) -> list[Frame]:
        """The new frames of one interval, [H,W,3] uint8."""

    def step(self, times: Sequence[Fraction]) -> tuple[float, float]:
        """(wall, cpu) seconds of the clip's next interval."""
        first, second = (self.clip[(self._position + k) % len(self.clip)] for k in (0, 1))
        self._position += 1
        return record.timed(lambda: self.between(first, second, times))

    def draw(self) -> Frame:
        """The middle of the first interval."""
        return self.between(self.clip[0], self.clip[1], HALF)[0]

    def peak_mb(self) -> float:
        """Peak resident memory of this process so far. `getrusage` would count its parent's before the start."""
        line = next(v for v in Path("/proc/self/status").read_text().splitlines() if v.startswith("VmHWM"))
        return int(line.split()[1]) / 1000


class Graphs(Contender):
    """An exported graph, or a folder of two, through `Interpolator` on one backend."""

    def __init__(self, graph: Path, size: tuple[int, int], backend: str, threads: int) -> None:
        from tweenrt.runtime import Backend, Interpolator

        super().__init__(size)
        self._graph, self._threads = graph, threads
        self._interpolator = Interpolator.open(graph, Backend(backend), threads=threads)
        self._last: tuple[Frame, Any] | None = None

    def between(self, frame0: Frame, frame1: Frame, times: Sequence[Fraction]) -> list[Frame]:
        """See `Contender.between`. What was prepared for the last interval's second frame is used again."""
        known = self._last is not None and self._last[0] is frame0
        first = self._last[1] if known and self._last else self._interpolator.prepare(frame0)
        second = self._interpolator.prepare(frame1)
        self._last = (frame1, second)
        return list(self._interpolator.between(first, second, times))

    def operators(self) -> dict[str, float]:
        """Kind of operator → per cent of the time in operators of ONNX Runtime, the largest eight, for one frame."""
        graph = self._graph / "synthesis.onnx" if self._graph.is_dir() else self._graph
        return profile(graph, self.clip, self._threads)


class Eager(Contender):
    """The network in PyTorch.

    Args:
        weights: a RIFE 4.25 checkpoint.
        size: of the frames.
        way: ``eager``, ``channels_last`` or ``compiled`` (channels_last, by `torch.compile`, for this one size).
        threads: of the CPU.
    """

    def __init__(self, weights: Path, size: tuple[int, int], way: str, threads: int) -> None:
        import torch

        from tweenrt.export import registry
        from tweenrt.export.checkpoint import load_checkpoint

        super().__init__(size)
        torch.set_num_threads(threads)
        self._spec = registry.get("rife-4.25")
        self._format = torch.contiguous_format if way == "eager" else torch.channels_last
        network = load_checkpoint(self._spec, weights).network.to(memory_format=self._format)
        self._network = torch.compile(network, dynamic=False) if way == "compiled" else network

    def between(self, frame0: Frame, frame1: Frame, times: Sequence[Fraction]) -> list[Frame]:
        """See `Contender.between`."""
        import torch

        height, width = frame0.shape[:2]
        with torch.inference_mode():
            pair = [self._tensor(frame) for frame in (frame0, frame1)]
            drawn = [self._network(*pair, torch.full((1, 1, 1, 1), float(t))) for t in times]
            pictures = [(d[0, :, :height, :width].clamp(0, 1) * 255).round().to(torch.uint8) for d in drawn]
        return [p.permute(1, 2, 0).contiguous().numpy() for p in pictures]

    def _tensor(self, frame: Frame) -> Any:
        import torch

        tensor = torch.from_numpy(frame).permute(2, 0, 1)[None].float() / 255
        bottom, right = (-side % self._spec.divisor for side in frame.shape[:2])
        padded = torch.nn.functional.pad(tensor, (0, right, 0, bottom))
        return padded.contiguous(memory_format=self._format)


def moving_clip(height: int, width: int, count: int = 5) -> list[Frame]:
    """Frames of a textured scene in motion, [H,W,3] uint8; the same in every process."""
    from tweenrt.export.frames import moving_frames, through_a_lens

    frames = through_a_lens(moving_frames(height, width, count))
    return [np.ascontiguousarray((f.transpose(1, 2, 0) * 255).round().astype(np.uint8)) for f in frames]


def psnr(one: Frame, other: Frame) -> float:
    """In dB for a peak of 255; 99 for identical pictures."""
    error = float(np.mean((one.astype(np.float64) - other) ** 2))
    return 99.0 if error == 0 else round(10 * float(np.log10(255**2 / error)), 1)


def export_all(model: str, folder: Path, weights: Path | None) -> Path:
    """Write ``split/``, ``pair.onnx`` and ``plain.onnx`` with every size open; returns the checkpoint."""
    from tweenrt.contract import Kind
    from tweenrt.export import registry
    from tweenrt.export.checkpoint import load_checkpoint
    from tweenrt.export.exporter import export
    from tweenrt.export.options import ExportOptions
    from tweenrt.export.weights import fetch

    spec = registry.get(model)
    checkpoint = weights or fetch(spec, print)
    loaded = load_checkpoint(spec, checkpoint)
    export(loaded, ExportOptions((Kind.ENCODER, Kind.SYNTHESIS)), folder / "split", print)
    export(loaded, ExportOptions((Kind.PAIR,)), folder / "pair.onnx", print)
    _export_plain(loaded, folder / "plain.onnx")
    return checkpoint


def _export_plain(loaded: Loaded, path: Path) -> None:
    """As a user would export the network: our ops are traced down to `grid_sample` instead of becoming nodes."""
    from tweenrt.contract import Kind
    from tweenrt.export.exporter import export
    from tweenrt.export.options import ExportOptions

    with ExitStack() as patched:
        for op in ("backward_warp", "warp_blend", "warp_resize"):
            patched.enter_context(mock.patch(f"tweenrt.plugins.{op}.reference.exporting", return_value=False))
        export(loaded, ExportOptions((Kind.PAIR,)), path, print)


def profile(graph: Path, clip: list[Frame], threads: int) -> dict[str, float]:
    """See `Graphs.operators`."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        feeds = {v.name: _feed(v, clip) for v in session.get_inputs()}
        for _ in range(3):
            session.run(None, feeds)
        events = json.loads(Path(session.end_profiling()).read_text())
    spent: Counter[str] = Counter()
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            spent[event["args"]["op_name"]] += event["dur"]
    return {op: round(100 * v / spent.total(), 1) for op, v in spent.most_common(8)}


def _feed(value: Any, clip: list[Frame]) -> NDArray[np.float32]:
    """An input of the right shape: a padded frame, t = 1/2, or noise for features."""
    height, width = (-(-side // 64) * 64 for side in clip[0].shape[:2])
    if value.name == "t":
        return np.full((1, 1, 1, 1), 0.5, np.float32)
    if value.name.startswith("frame"):
        frame = clip[int(value.name[-1])].transpose(2, 0, 1)[None].astype(np.float32) / 255
        return np.pad(frame, ((0, 0), (0, 0), (0, height - frame.shape[2]), (0, width - frame.shape[3])))
    noise = np.random.default_rng(0).standard_normal((1, value.shape[1], height, width))
    return noise.astype(np.float32) * np.float32(0.1)
