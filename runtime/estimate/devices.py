"""What GPUs can do at most: the table that estimates are made from, `devices.json` beside this file."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass, fields
from enum import Enum
from functools import cache
from pathlib import Path

from tweenrt.errors import UsageError

_TABLE = Path(__file__).with_name("devices.json")


class Precision(str, Enum):
    """How numbers are kept between layers and multiplied."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"

    @property
    def size(self) -> int:
        """Bytes of a number."""
        return {Precision.FP32: 4, Precision.FP16: 2, Precision.INT8: 1}[self]


@dataclass(frozen=True)
class Device:
    """One GPU or module, at the clocks its data sheet states.

    All rates are dense: what a data sheet gives with structured sparsity is halved. A multiplication and its addition
    are two operations. GeForce cards may run above their stated boost clock by some per cent.

    Attributes:
        name: as the command line takes it, such as ``"orin-agx"``.
        title: as people say it, with the power mode where that decides the clocks.
        memory_gb: size of its memory in 1e9 bytes.
        bandwidth_gbs: of that memory, 1e9 bytes a second.
        fp32_tflops: of the CUDA cores, 1e12 operations a second.
        tf32_tflops: of the tensor cores on FP32 numbers, rounded to TF32.
        fp16_tflops: of the tensor cores on FP16 numbers, summed in FP32.
        fp16_sums_fp16_tflops: the same, summed in FP16; twice as fast on GeForce.
        int8_tops: of the tensor cores on INT8 numbers.
        source: where the figures are from, and which of them are computed.
    """

    name: str
    title: str
    memory_gb: float
    bandwidth_gbs: float
    fp32_tflops: float
    tf32_tflops: float
    fp16_tflops: float
    fp16_sums_fp16_tflops: float
    int8_tops: float
    source: str

    def matrix_rate(self, precision: Precision) -> float:
        """The most operations a second that convolutions and matrix products can reach.

        TensorRT may take TF32 for FP32 networks, and FP16 sums for FP16 ones where that is faster, so a bound has to
        allow both.
        """
        tera = {
            Precision.FP32: max(self.fp32_tflops, self.tf32_tflops),
            Precision.FP16: max(self.fp16_tflops, self.fp16_sums_fp16_tflops),
            Precision.INT8: self.int8_tops,
        }
        return tera[precision] * 1e12


@cache
def devices() -> dict[str, Device]:
    """Every device of the table by its name, in the order of the table."""
    names = [field.name for field in fields(Device)]
    rows = json.loads(_TABLE.read_text(encoding="utf-8"))
    return {row["name"]: Device(**{name: row[name] for name in names}) for row in rows}


def device(name: str) -> Device:
    """The device called `name`.

    Raises:
        UsageError: the table has no such device; the message lists all.
    """
    found = devices()
    if name not in found:
        near = difflib.get_close_matches(name.lower(), found, n=2)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise UsageError(f"no device is called {name!r}; {hint}there are {', '.join(found)}")
    return found[name]
