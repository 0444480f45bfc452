"""One part of the measurements, in a process of its own: a kernel that fails takes no other part with it.

    python benchmarks/gpu/measure.py {machine,speed,density,launches} FILE [--op OP] [--emulator]

Appends one JSON object a line to FILE as it goes. `plugins.py` runs this; by hand it serves profilers:
`ncu --kernel-name regex:warp python benchmarks/gpu/measure.py launches /dev/null`.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import formulations  # noqa: E402
import masked  # noqa: E402
import torch  # noqa: E402
import workloads  # noqa: E402
from timing import Place, Row, compared, difference  # noqa: E402

OPS = (*workloads.SIZES, *masked.OPS)
_GIGABYTE = 1 << 30
_SIDE = 8192  # of the matrices whose product shows what the tensor cores do


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("file", type=Path)
    parser.add_argument("--op", choices=OPS, action="append")
    parser.add_argument("--emulator", action="store_true")
    wanted = parser.parse_args()
    prepare()
    with wanted.file.open("a") as file:
        for row in TASKS[wanted.task](Place(wanted.emulator), wanted.op or OPS):
            file.write(json.dumps(row) + "\n")
            file.flush()


def prepare() -> None:
    """Lets cuDNN choose its fastest kernel, and keeps references in FP32."""
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.set_grad_enabled(False)


def machine(place: Place, _: object) -> Iterator[Row]:
    """What the GPU is, and what it reaches: the copy and the product that everything is held against."""
    row: Row = {"torch": torch.__version__, "torchvision": formulations.has_torchvision()}
    if not place.emulator:
        about = torch.cuda.get_device_properties(0)
        row |= {
            "gpu": about.name,
            "capability": f"{about.major}.{about.minor}",
            "multiprocessors": about.multi_processor_count,
            "memory_bytes": about.total_memory,
            "l2_bytes": getattr(about, "L2_cache_size", 0),
            "cuda_of_torch": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
        }
    row["empty"] = place.time(lambda: None)
    yield row | copied(place) | multiplied(place)


def copied(place: Place) -> Row:
    """Bandwidth of a copy from device memory to device memory, bytes read and bytes written."""
    count = _GIGABYTE if not place.emulator else 1 << 16
    source = torch.randint(0, 255, (count,), dtype=torch.uint8, device=place.device)
    target = torch.empty_like(source)
    took = place.time(lambda: target.copy_(source))
    return {"copy": took, "copy_gb_per_s": 2 * count / took["us"] / 1000}


def multiplied(place: Place) -> Row:
    """Rate of a product of FP16 matrices of noise."""
    side = _SIDE if not place.emulator else 64
    a, b = (workloads.noise(place, side, side) for _ in range(2))
    took = place.time(lambda: a @ b)
    return {"product": took, "product_tflops": 2 * side**3 / took["us"] / 1e6}


def speed(place: Place, ops: tuple[str, ...]) -> Iterator[Row]:
    """Every format and size of the ops."""
    for op in ops:
        for k, (form, sizes) in enumerate(_room_of(op).plan(op)):
            row: Row = {"op": op, "format": workloads.FORMATS[form], "sizes": sizes}
            try:
                row |= timed(place, _room_of(op).build(place, op, form, sizes), with_torch=form == workloads.HWC8)
            except Exception as error:  # noqa: BLE001  (the other sizes may work)
                row["failed"] = f"{type(error).__name__}: {error}"[:500]
            print(f"{op} {k}: {row.get('case', sizes)}, {row['format']}: {told(row)}", flush=True)
            yield row
            release()


def _room_of(op: str) -> ModuleType:
    """Where the workloads of an op are built."""
    return masked if op in masked.OPS else workloads


def timed(place: Place, work: workloads.Workload, with_torch: bool) -> Row:
    """Times of the kernel and of torch, after a look at whether the kernel is right at this size."""
    work.launch()
    row: Row = {"case": work.case, **difference(work.result(), work.expected())}
    row |= {"moved": work.moved, "operations": work.operations, **work.facts, "kernel": place.time(work.launch)}
    row["formulations"] = compared(place, work.formulations) if with_torch else []
    return row


def told(row: Row) -> str:
    """A row in a few words."""
    if "failed" in row:
        return f"FAILED: {row['failed'].splitlines()[0]}"
    return f"{row['kernel']['us']:.1f} us, error {row['error']:.1e}"


def density(place: Place, _: object) -> Iterator[Row]:
    """MaskedConv2d over the share of active tiles."""
    for row in masked.sweep(place):
        print(f"{row['layer']}: {row['active']:.0%} of the tiles: {row['kernel']['us']:.1f} us", flush=True)
        yield row
        release()


def launches(place: Place, ops: tuple[str, ...]) -> Iterator[Row]:
    """Every op in every format once, at a small and odd size, and nothing else on the GPU."""
    alone = Place(place.emulator, alone=True)
    for op in ops:
        for form in dict.fromkeys(form for form, _ in _room_of(op).plan(op)):
            sizes = masked.SMALL if op in masked.OPS else workloads.SMALL[op]
            _room_of(op).build(alone, op, form, sizes).launch()
            if not place.emulator:
                torch.cuda.synchronize()
            yield {"op": op, "format": workloads.FORMATS[form]}


def release() -> None:
    """Gives the memory of the last workload back."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


TASKS: dict[str, Callable[..., Iterator[Row]]] = {
    "machine": machine,
    "speed": speed,
    "density": density,
    "launches": launches,
}

if __name__ == "__main__":
    main()
