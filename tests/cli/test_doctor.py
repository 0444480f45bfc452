"""`tweenrt doctor`."""

from __future__ import annotations

import json
import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from support.cli import run

from tweenrt import cache
from tweenrt.runtime import doctor
from tweenrt.runtime.gpu import Gpu, Gpus


def test_json_says_what_works_and_why_the_rest_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "not" / "made"))
    result = run("doctor", "--json")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    backends = {b["name"]: b for b in report["backends"]}
    assert backends["onnxruntime"]["usable"]
    assert set(backends) == {"onnxruntime", "tensorrt", "tensorrt-rtx", "openvino", "cuda"}
    assert all(b["usable"] or b["detail"] for b in report["backends"])
    assert {p["name"]: p["version"] for p in report["packages"]}["numpy"]
    assert report["encoders"]["ffv1"]
    assert report["gpus"]["found"] or report["gpus"]["detail"]
    assert report["cache"] == str(tmp_path / "not" / "made")
    assert report["cache_free_bytes"] > 0
    assert not (tmp_path / "not").exists()


def test_the_tables_name_extras_in_full() -> None:
    result = run("doctor")
    assert result.exit_code == 0
    assert "ran a test model on the CPU" in result.stdout
    if "tensorrt-rtx   no" in result.stdout:
        assert "pip install 'tweenrt[tensorrt-rtx]'" in result.stdout


def _does_not_load(*_: object, **__: object) -> object:
    raise OSError("libgomp.so.1 is missing")


def _computes_nonsense(*_: object, **__: object) -> object:
    return types.SimpleNamespace(run=lambda *_: [np.zeros(2)])


@pytest.mark.parametrize(
    ("session", "why"),
    [
        (_does_not_load, r"OSError: libgomp\.so\.1"),
        (_computes_nonsense, r"gave \[0\.0, 0\.0\]"),
    ],
    ids=["does-not-load", "computes-nonsense"],
)
def test_a_broken_installation_is_1_and_says_why(session: object, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", types.SimpleNamespace(InferenceSession=session))
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: name == "onnxruntime" or None)
    (status,) = (b for b in doctor.examine().backends if b.name == "onnxruntime")
    assert status.installed
    assert not status.usable
    assert re.search(why, status.detail)
    result = run("doctor")
    assert result.exit_code == 1
    assert "no backend can run a network" in result.stderr


@pytest.mark.parametrize(("built", "kernels"), [(True, "with our kernels"), (False, "make plugins")])
def test_a_gpu_backend_needs_a_gpu_and_tells_of_our_kernels(
    built: bool, kernels: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda _: object())
    monkeypatch.setattr(doctor.library, "is_built", lambda: built)
    status = doctor._gpu_backend("tensorrt", Gpus((Gpu("a GPU", "sm87"),), ""))
    assert status.usable
    assert status.detail.startswith("a GPU (sm87); ")
    assert kernels in status.detail
    without = doctor._gpu_backend("tensorrt", Gpus((), "no NVIDIA driver"))
    assert (without.installed, without.usable, without.detail) == (True, False, "no NVIDIA driver")
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None if name == "cuda" else object())
    assert not doctor._gpu_backend("tensorrt", Gpus((Gpu("a GPU", "sm87"),), "")).installed
