"""Facts of the machine from a tree of files, what is said about a disturbed one, and memory."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tweenrt.runtime.profiling.machine import Machine, Memory, resident_bytes, throttle_count


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {
        "proc/cpuinfo": "processor\t: 0\nmodel name\t: ARMv8 Processor rev 1\nprocessor\t: 1\nmodel name\t: other\n",
        "sys/firmware/devicetree/base/model": "NVIDIA Jetson AGX Orin Developer Kit\0",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "schedutil\n",
        "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "3\n",
        "sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count": "4\n",
        "var/lib/nvpmodel/status": "pmode:0002\n",
        "proc/self/status": "Name:\tpython\nVmHWM:\t   2048 kB\nVmRSS:\t    1024 kB\n",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def test_a_jetson(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (0.1, 9.0, 9.0))
    here = Machine.here(root)
    assert here.processor == "ARMv8 Processor rev 1"
    assert here.board == "NVIDIA Jetson AGX Orin Developer Kit"
    assert (here.governor, here.power_mode, here.throttled) == ("schedutil", "0002", 7)
    assert here.load_average == 0.1
    assert {"numpy", "onnxruntime"} <= set(here.packages)
    assert here.warnings(7) == ["the processor's clock varies: governor 'schedutil', 'performance' would hold it"]


def test_what_disturbs_is_said(root: Path) -> None:
    quiet = replace(Machine.here(root), governor="performance", load_average=0.9, processors=4, throttled=None)
    assert quiet.warnings(None) == quiet.warnings(5) == []
    (busy,) = replace(quiet, load_average=1.1).warnings(None)
    assert busy.startswith("other programs were running: load average 1.10 on 4 processors")
    assert replace(quiet, throttled=3).warnings(5) == ["the processor slowed down for heat 2 times meanwhile"]


def test_a_machine_that_tells_nothing(tmp_path: Path) -> None:
    here = Machine.here(tmp_path)
    assert (here.board, here.governor, here.power_mode, here.throttled) == ("", "", "", None)
    assert throttle_count(tmp_path) is None


def test_memory_of_this_process(root: Path) -> None:
    assert resident_bytes(root) == (1024 * 1024, 2048 * 1024)
    before, _ = resident_bytes()
    held = np.ones(64 << 20, np.uint8)
    after, peak = resident_bytes()
    assert after - before > 0.9 * held.nbytes
    assert peak >= after
    assert Memory(100, 150, 175, 200).growth == 75
