"""Where power can be read: sensors of a Jetson, NVIDIA's driver, counters of the processor.

* A Jetson has INA3221 sensors, and Thor an INA238 at its input. The kernel shows them under ``class/hwmon`` as
  ``in<k>_input`` in millivolts and ``curr<k>_input`` in milliamperes (kernel documentation: hwmon/ina3221), an INA238
  also as ``power1_input`` in microwatts. ``tegrastats`` reads the same files.
* NVML tells the energy that a GPU has used since the driver was loaded, in millijoules, from Volta on; else its power,
  in milliwatts, which from Ampere on is a mean over a second. On a Jetson it tells neither.
* RAPL counts the energy of a processor, in microjoules, under ``class/powercap`` (kernel documentation:
  power/powercap). Since 2020 kernels let only root read it, because it gives secrets away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tweenrt.errors import MissingExtraError, require
from tweenrt.runtime.gpu import find_gpus
from tweenrt.runtime.profiling.power import Energy, PowerSource, Unavailable, Unit

_SYS = Path("/sys")
_SENSORS = ("ina3221", "ina238")
_CHANNELS = (1, 2, 3)
_NOT_CONNECTED = ("", "NC")
_WHOLE_INPUT = ("VIN", "VDD_IN", "5V_IN", "POM_5V_IN")
"""Rails that all others of the board are fed from, by the names that NVIDIA's device trees give them."""

Watts = Callable[[], float]


def find_sources(root: Path = _SYS) -> tuple[list[PowerSource], list[Energy]]:
    """Every source that can be read here, and for each kind that cannot, why.

    Args:
        root: where the kernel shows its devices.
    """
    kinds: dict[str, Callable[[], Sequence[PowerSource]]] = {
        "Jetson": lambda: [jetson(root)],
        "NVML": _gpus,
        "RAPL": lambda: [processor(root)],
    }
    found: list[PowerSource] = []
    absent: list[Energy] = []
    for name, make in kinds.items():
        try:
            found += make()
        except Unavailable as error:  # noqa: PERF203  (three turns)
            absent.append(Energy(name, reason=str(error)))
    return found, absent


def jetson(root: Path = _SYS) -> PowerSource:
    """The supply rails of a Jetson.

    Boards without a sensor at their input (AGX Orin, AGX Xavier) are covered by the sum of their rails. What is fed
    from a rail that is measured too would count twice in that sum; every rail is reported, so that it can be taken off.

    Raises:
        Unavailable: there are no such sensors.
    """
    rails: dict[str, Watts] = {}
    for chip in sorted((root / "class" / "hwmon").glob("hwmon*")):
        rails |= {rail: watts for rail, watts in _rails(chip).items() if _answers(watts)}
    if not rails:
        raise Unavailable("no INA3221 or INA238 sensors: this is no Jetson, or they cannot be read")
    whole = tuple(rail for rail in _WHOLE_INPUT if rail in rails)[:1]
    covers = f"the board's input {whole[0]}" if whole else f"the sum of {', '.join(rails)}"
    return PowerSource(
        "Jetson", covers, Unit.WATTS, whole or tuple(rails), lambda: {rail: watts() for rail, watts in rails.items()}
    )


def processor(root: Path = _SYS) -> PowerSource:
    """The energy counters of an Intel or AMD processor (RAPL): of its packages, and of the memory.

    Raises:
        Unavailable: there are none, or this user may not read them.
    """
    zones = sorted((root / "class" / "powercap").glob("intel-rapl:*"))
    files = {_zone_name(zone): zone / "energy_uj" for zone in zones if _is_wanted(zone)}
    if not files:
        raise Unavailable("no RAPL counters: the processor or its virtual machine shows none")

    def read() -> dict[str, float]:
        return {rail: _number(file) / 1e6 for rail, file in files.items()}

    read()
    ranges = {rail: _number(file.with_name("max_energy_range_uj")) / 1e6 for rail, file in files.items()}
    return PowerSource("RAPL", f"the processor: {', '.join(files)}", Unit.JOULES, tuple(files), read, ranges)


def gpu(nvml: Any, number: int) -> PowerSource:
    """One GPU, asked of NVIDIA's driver.

    Args:
        nvml: the module ``pynvml``, initialised.
        number: of the GPU, in NVML's order, which is that of the PCI bus.

    Raises:
        Unavailable: the driver tells neither energy nor power of this GPU.
    """
    handle = nvml.nvmlDeviceGetHandleByIndex(number)
    title = nvml.nvmlDeviceGetName(handle)
    covers = f"the GPU {title.decode() if isinstance(title, bytes) else title}"

    def read(ask: Callable[[Any], int]) -> dict[str, float]:
        try:
            return {"gpu": ask(handle) / 1000}
        except nvml.NVMLError as error:
            raise Unavailable(f"{covers}: the driver says {error}") from error

    unit, ask = Unit.JOULES, nvml.nvmlDeviceGetTotalEnergyConsumption
    try:
        read(ask)
    except Unavailable:
        unit, ask = Unit.WATTS, nvml.nvmlDeviceGetPowerUsage
        read(ask)
    return PowerSource(f"NVML {number}", covers, unit, ("gpu",), lambda: read(ask))


def _gpus() -> list[PowerSource]:
    shown = find_gpus()
    if not shown.found:
        raise Unavailable(shown.detail)
    try:
        nvml = require("pynvml", extra="report", why="Measuring the power of an NVIDIA GPU")
    except MissingExtraError as error:
        raise Unavailable(str(error)) from error
    try:
        nvml.nvmlInit()
        return [gpu(nvml, number) for number in range(nvml.nvmlDeviceGetCount())]
    except nvml.NVMLError as error:
        raise Unavailable(f"NVML says {error}") from error


def _rails(chip: Path) -> dict[str, Watts]:
    """Rail → what gives its power in watts, of one sensor; nothing for other devices."""
    if not _text(chip / "name").startswith(_SENSORS):
        return {}
    if (chip / "power1_input").exists():
        label = _text(chip / "in1_label") or _WHOLE_INPUT[0]
        return {label: lambda: _number(chip / "power1_input") / 1e6}
    labels = {k: _text(chip / f"in{k}_label") for k in _CHANNELS}
    return {label: _product(chip, k) for k, label in labels.items() if _is_connected(chip, k, label)}


def _is_connected(chip: Path, channel: int, label: str) -> bool:
    return label not in _NOT_CONNECTED and _text(chip / f"in{channel}_enable") != "0"


def _answers(watts: Watts) -> bool:
    """Whether a sensor gives a figure: channels without a resistor are there and fail."""
    try:
        watts()
    except Unavailable:
        return False
    return True


def _product(chip: Path, channel: int) -> Watts:
    volts, amperes = chip / f"in{channel}_input", chip / f"curr{channel}_input"
    return lambda: _number(volts) * _number(amperes) / 1e6


def _is_wanted(zone: Path) -> bool:
    """Packages, and their memory, which does not belong to them; cores do, and ``psys`` would be all of it again."""
    name = _text(zone / "name")
    return name.startswith("package") or name == "dram"


def _zone_name(zone: Path) -> str:
    name = _text(zone / "name")
    package = zone.name.split(":")[1]
    return name if name.startswith("package") else f"{name}-{package}"


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _number(file: Path) -> float:
    try:
        return float(file.read_text(encoding="utf-8"))
    except PermissionError as error:
        raise Unavailable(
            f"{file} may not be read; let this user, with `sudo chmod a+r {file}`, or run as root"
        ) from error
    except (OSError, ValueError) as error:
        raise Unavailable(f"{file} cannot be read ({error})") from error


__all__ = ["find_sources", "gpu", "jetson", "processor"]
