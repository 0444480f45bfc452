"""The NVIDIA GPUs of this machine, asked of the driver itself, so that no package is needed."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache

_NAME_LENGTH = 256
_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR


@dataclass(frozen=True)
class Gpu:
    """One GPU.

    Attributes:
        name: as the driver calls it.
        architecture: compute capability, such as ``sm87``.
    """

    name: str
    architecture: str

    def __str__(self) -> str:
        return f"{self.name} ({self.architecture})"


@dataclass(frozen=True)
class Gpus:
    """What the driver shows; `detail` says why there is none."""

    found: tuple[Gpu, ...]
    detail: str


@cache
def find_gpus() -> Gpus:
    """Every GPU that the driver shows to this process, in its order."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return Gpus((), "no NVIDIA driver: libcuda.so.1 is not there")
    status = driver.cuInit(0)
    count = ctypes.c_int()
    if status or driver.cuDeviceGetCount(ctypes.byref(count)):
        return Gpus((), f"the NVIDIA driver is there but finds no usable GPU (cuInit returned {status})")
    found = tuple(_describe(driver, index) for index in range(count.value))
    return Gpus(found, "" if found else "the NVIDIA driver shows no GPU")


def _describe(driver: ctypes.CDLL, index: int) -> Gpu:
    name = ctypes.create_string_buffer(_NAME_LENGTH)
    driver.cuDeviceGetName(name, _NAME_LENGTH, index)
    numbers = [ctypes.c_int(), ctypes.c_int()]
    for number, attribute in zip(numbers, (_MAJOR, _MINOR), strict=True):
        driver.cuDeviceGetAttribute(ctypes.byref(number), attribute, index)
    major, minor = (number.value for number in numbers)
    return Gpu(name.value.decode(errors="replace"), f"sm{major}{minor}")
