"""What does libtweenrt cost beside the backend that it calls: the C functions, and the conversion of frames?

    python benchmarks/native_overhead.py [--rounds N]

Builds libtweenrt and native_overhead.cpp under build/native-benchmark, and writes results/native_overhead.json and .md.
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

import onnx
import onnxruntime
import record
from onnx import helper, parser

from tweenrt.contract import FrameIO, GraphInfo, Kind, Padding, TimeInput

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "native-benchmark"
NAME = "native_overhead"
SIZES = {"16x16": (16, 16), "480p": (480, 864), "1080p": (1088, 1920)}
LINES = {
    "direct": "ONNX Runtime's own functions",
    "draw_floats": "`tweenrt_draw`, three planes of floats",
    "draw_bytes": "`tweenrt_draw`, RGB8",
    "prepare_floats": "`tweenrt_prepare`, three planes of floats",
    "prepare_bytes": "`tweenrt_prepare`, RGB8",
}
INFO = GraphInfo("blend", Kind.PAIR, 16, Padding.ZEROS, TimeInput.INPUT, 2, FrameIO.FLOAT, "fp32", "random:0", "0.1.0")

_NOTES = """
A graph of three operators, frame0 + t * (frame1 - frame0), so that what surrounds the graph stands out. Microseconds of
processor time, one thread, median and quartiles of {rounds} rounds in which all take turns; sides that need no padding.

At 16x16 the difference between the first two lines is what the calls cost; at larger sizes it is that and the copy of
the result out of the tensor, limited to 0..1.

{machine}
"""


def graph(path: Path) -> Path:
    """Write the graph that is run."""
    picture = "float[N,3,H,W]"
    model = parser.parse_model(
        f"""<ir_version: 10, opset_import: ["": 18]>
        blend ({picture} frame0, {picture} frame1, float[N,1,1,1] t) => ({picture} frame_t)
        {{
            gap = Sub (frame1, frame0)
            part = Mul (gap, t)
            frame_t = Add (frame0, part)
        }}"""
    )
    helper.set_model_props(model, INFO.to_metadata())
    onnx.save(model, path)
    return path


def build() -> Path:
    """Compile the program."""
    native = ROOT / "runtime" / "native"
    options = ["-DCMAKE_BUILD_TYPE=Release", "-DTWEENRT_TENSORRT=OFF", "-DTWEENRT_EXAMPLES=OFF"]
    _run("cmake", "-S", native, "-B", BUILD, *options)
    _run("cmake", "--build", BUILD)
    fetched = BUILD / "onnxruntime-headers" / "usr" / "include" / "onnxruntime"
    include = ["-isystem", fetched if fetched.is_dir() else "/usr/include/onnxruntime", f"-I{native / 'include'}"]
    source, program = Path(__file__).with_suffix(".cpp"), BUILD / NAME
    linked = [f"-L{BUILD}", "-ltweenrt", "-ldl", f"-Wl,-rpath,{BUILD}"]
    _run("g++", "-std=c++17", "-O2", *include, source, *linked, "-o", program)
    return program


def measured(program: Path, size: tuple[int, int], rounds: int) -> dict[str, dict[str, float]]:
    """Name of a line → microseconds: lower quartile, median, upper quartile."""
    (library,) = (Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*")
    said = _run(program, graph(BUILD / "blend.onnx"), library, *size, rounds)
    rows = (line.split() for line in said.splitlines())
    return {name: dict(zip(("low", "median", "high"), map(float, times), strict=True)) for name, *times in rows}


def _run(*words: object) -> str:
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True).stdout


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=1000)
    rounds = options.parse_args().rounds
    program, machine = build(), record.machine(threads=1)
    found = {name: measured(program, size, rounds) for name, size in SIZES.items()}
    table = [["", *SIZES]]
    for line, title in LINES.items():
        cells = (found[size][line] for size in SIZES)
        table.append([title, *(f"{c['median']:.1f} ({c['low']:.1f} to {c['high']:.1f})" for c in cells)])
    notes = _NOTES.format(rounds=rounds, machine=record.describe(machine))
    facts = {"machine": machine, "rounds": rounds, "microseconds": found}
    record.write(NAME, facts, "What libtweenrt costs beside its backend", notes, table)


if __name__ == "__main__":
    main()
