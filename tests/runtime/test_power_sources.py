"""Sensors of Jetsons and counters of processors as trees of files, NVML as a module: what is read, and what is not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from tweenrt.runtime.gpu import Gpu, Gpus
from tweenrt.runtime.profiling import power_sources
from tweenrt.runtime.profiling.power import Unavailable, Unit
from tweenrt.runtime.profiling.power_sources import find_sources, gpu, jetson, processor


def tree(root: Path, folder: str, **files: str) -> Path:
    """Files of the kernel in `folder`; underscores stay, values end with a line break as the kernel's do."""
    place = root / folder
    place.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (place / name).write_text(f"{content}\n")
    return place


def sensor(root: Path, number: int, rails: dict[int, tuple[str, int, int]]) -> None:
    """An INA3221: channel → label, millivolts, milliamperes."""
    files = {"name": "ina3221"}
    for k, (label, volts, amperes) in rails.items():
        files |= {f"in{k}_label": label, f"in{k}_input": str(volts), f"curr{k}_input": str(amperes)}
    tree(root, f"class/hwmon/hwmon{number}", **files, in7_label="sum of shunt voltages", in7_input="760")


def test_orin_nano_is_covered_by_its_input(tmp_path: Path) -> None:
    sensor(tmp_path, 1, {1: ("VDD_IN", 5000, 1200), 2: ("VDD_CPU_GPU_CV", 4960, 500), 3: ("VDD_SOC", 4960, 250)})
    tree(tmp_path, "class/hwmon/hwmon0", name="pwmfan", in1_label="VIN", in1_input="1", curr1_input="1")
    found = jetson(tmp_path)
    assert found.unit is Unit.WATTS
    assert found.total == ("VDD_IN",)
    assert found.covers == "the board's input VDD_IN"
    assert found.read() == pytest.approx({"VDD_IN": 6.0, "VDD_CPU_GPU_CV": 2.48, "VDD_SOC": 1.24})


def test_agx_orin_is_covered_by_the_sum_of_its_rails(tmp_path: Path) -> None:
    sensor(tmp_path, 3, {1: ("VDD_GPU_SOC", 19000, 1000), 2: ("VDD_CPU_CV", 19000, 500), 3: ("VIN_SYS_5V0", 5000, 900)})
    sensor(tmp_path, 4, {1: ("NC", 0, 0), 2: ("VDDQ_VDD2_1V8AO", 5000, 100), 3: ("NC", 0, 0)})
    found = jetson(tmp_path)
    assert found.total == ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0", "VDDQ_VDD2_1V8AO")
    assert found.covers == "the sum of VDD_GPU_SOC, VDD_CPU_CV, VIN_SYS_5V0, VDDQ_VDD2_1V8AO"
    assert sum(found.read().values()) == pytest.approx(19.0 + 9.5 + 4.5 + 0.5)


def test_thor_has_a_sensor_at_its_input_that_tells_microwatts(tmp_path: Path) -> None:
    sensor(tmp_path, 2, {1: ("VDD_GPU", 12000, 1000), 2: ("VDD_CPU_SOC_MSS", 12000, 500), 3: ("VIN_SYS_5V0", 5000, 9)})
    tree(tmp_path, "class/hwmon/hwmon5", name="ina238", power1_input="23400000", in1_input="19000", curr1_input="1")
    found = jetson(tmp_path)
    assert found.total == ("VIN",)
    assert found.read()["VIN"] == pytest.approx(23.4)
    assert found.read()["VDD_GPU"] == pytest.approx(12.0)


def test_channels_that_are_off_or_fail_are_left_out(tmp_path: Path) -> None:
    sensor(tmp_path, 1, {1: ("VDD_IN", 5000, 1200), 2: ("VDD_SOC", 5000, 100), 3: ("VDD_CPU", 5000, 100)})
    tree(tmp_path, "class/hwmon/hwmon1", in2_enable="0")
    (tmp_path / "class/hwmon/hwmon1/curr3_input").unlink()
    assert list(jetson(tmp_path).read()) == ["VDD_IN"]


def test_a_rail_that_goes_away_later(tmp_path: Path) -> None:
    sensor(tmp_path, 1, {1: ("VDD_IN", 5000, 1200)})
    found = jetson(tmp_path)
    (tmp_path / "class/hwmon/hwmon1/in1_input").write_text("")
    with pytest.raises(Unavailable, match=r"in1_input cannot be read \(could not convert"):
        found.read()


def powercap(root: Path, zone: str, name: str, energy: int) -> None:
    tree(root, f"class/powercap/{zone}", name=name, energy_uj=str(energy), max_energy_range_uj="262143328850")


def test_packages_and_memory_but_not_what_is_in_them(tmp_path: Path) -> None:
    powercap(tmp_path, "intel-rapl:0", "package-0", 5_000_000)
    powercap(tmp_path, "intel-rapl:0:0", "core", 4_000_000)
    powercap(tmp_path, "intel-rapl:0:1", "dram", 1_000_000)
    powercap(tmp_path, "intel-rapl:1", "package-1", 7_500_000)
    powercap(tmp_path, "intel-rapl:1:0", "dram", 2_000_000)
    powercap(tmp_path, "intel-rapl:2", "psys", 90_000_000)
    found = processor(tmp_path)
    assert found.unit is Unit.JOULES
    assert found.read() == {"package-0": 5.0, "dram-0": 1.0, "package-1": 7.5, "dram-1": 2.0}
    assert found.total == tuple(found.read())
    assert found.turns_over["package-0"] == pytest.approx(262143.32885)


def test_counters_that_only_root_may_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    powercap(tmp_path, "intel-rapl:0", "package-0", 1)
    plain = Path.read_text

    def read_text(file: Path, *how: str, **named: str) -> str:
        if file.name == "energy_uj":
            raise PermissionError(13, "Permission denied")
        return plain(file, *how, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "read_text", read_text)
    with pytest.raises(
        Unavailable, match=r"energy_uj may not be read; let this user, with `sudo chmod a\+r .*energy_uj`"
    ):
        processor(tmp_path)


class NvmlError(Exception):
    """As pynvml's."""


def nvml(
    energy: Callable[[object], int] | None, power: Callable[[object], int] | None, count: int = 1
) -> SimpleNamespace:
    def refuse(_: object) -> int:
        raise NvmlError("Not Supported")

    return SimpleNamespace(
        NVMLError=NvmlError,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: count,
        nvmlDeviceGetHandleByIndex=lambda number: f"handle {number}",
        nvmlDeviceGetName=lambda _: "NVIDIA H200",
        nvmlDeviceGetTotalEnergyConsumption=energy or refuse,
        nvmlDeviceGetPowerUsage=power or refuse,
    )


def test_a_gpu_that_counts_energy() -> None:
    found = gpu(nvml(lambda _: 123_456, lambda _: 700_000), 0)
    assert (found.unit, found.name, found.covers) == (Unit.JOULES, "NVML 0", "the GPU NVIDIA H200")
    assert found.read() == {"gpu": 123.456}


def test_a_gpu_that_tells_its_power_only() -> None:
    found = gpu(nvml(None, lambda _: 71_500), 0)
    assert (found.unit, found.read()) == (Unit.WATTS, {"gpu": 71.5})


def test_a_jetson_s_driver_tells_neither() -> None:
    with pytest.raises(Unavailable, match="the driver says Not Supported"):
        gpu(nvml(None, None), 0)


def test_every_gpu_is_a_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power_sources, "find_gpus", lambda: Gpus((Gpu("NVIDIA H200", "sm90"),), ""))
    monkeypatch.setitem(sys.modules, "pynvml", nvml(lambda _: 1000, None, count=2))
    sensor(tmp_path, 1, {1: ("VDD_IN", 5000, 1200)})
    found, absent = find_sources(tmp_path)
    assert [source.name for source in found] == ["Jetson", "NVML 0", "NVML 1"]
    assert [(one.source, one.joules_per_frame) for one in absent] == [("RAPL", None)]


def test_what_is_absent_has_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power_sources, "find_gpus", lambda: Gpus((), "no NVIDIA driver: libcuda.so.1 is not there"))
    found, absent = find_sources(tmp_path)
    assert found == []
    reasons = {one.source: str(one.reason) for one in absent}
    assert reasons["Jetson"].startswith("no INA3221 or INA238 sensors")
    assert reasons["NVML"] == "no NVIDIA driver: libcuda.so.1 is not there"
    assert reasons["RAPL"].startswith("no RAPL counters")


def test_a_gpu_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power_sources, "find_gpus", lambda: Gpus((Gpu("NVIDIA H200", "sm90"),), ""))
    monkeypatch.setitem(sys.modules, "pynvml", None)
    _, absent = find_sources(tmp_path)
    assert "pip install 'tweenrt[report]'" in next(str(one.reason) for one in absent if one.source == "NVML")
