"""Our code calls only what every supported TensorRT has, as far as the table of their interfaces tells.

The table is tensorrt_api.json beside this file; `support.tensorrt_api` writes it. What runs on some versions only has
to stand under a condition that `FACTS` knows.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from support import tensorrt_api
from support.tensorrt_table import MODULE, SELF, signatures, table
from support.tensorrt_uses import How, Use, undeclared, uses

from tweenrt.runtime.engines import tensorrt

ROOT = Path(__file__).parents[2]
FILES = (
    "plugins/library.py",
    "runtime/engines/build_progress.py",
    "runtime/engines/builder.py",
    "runtime/engines/engine_cache.py",
    "runtime/engines/engine_loader.py",
    "runtime/engines/execution.py",
    "runtime/engines/half_pixel.py",
    "runtime/engines/parse_errors.py",
    "runtime/engines/profiles.py",
    "runtime/engines/runner.py",
    "runtime/engines/tensorrt.py",
)
"""Every file that handles objects of TensorRT's."""

ROLES = {
    ".module": MODULE,
    "module": MODULE,
    "builder": "Builder",
    "network": "INetworkDefinition",
    "network()": "INetworkDefinition",
    "_parse()": "INetworkDefinition",
    "parser": "OnnxParser",
    "parser()": "OnnxParser",
    "error": "ParserError",
    "config": "IBuilderConfig",
    "_configure()": "IBuilderConfig",
    "_profile()": "IOptimizationProfile",
    "progress_monitor()": "IProgressMonitor",
    "monitor": "IProgressMonitor",
    "_deserialised()": "ICudaEngine",
    "_profiler()": "IProfiler",
    "logger": "ILogger",
    "_logger()": "ILogger",
    "severity": "ILogger.Severity",
    "engine": "ICudaEngine",
    "handle": "ICudaEngine",
    ".handle": "ICudaEngine",
    "context": "IExecutionContext",
    ".context": "IExecutionContext",
    "context()": "IExecutionContext",
    "creator": "IPluginCreatorV3One",
    "listening()": None,  # (logger, log)
    "_capabilities()": None,  # name → value
    "graph": None,  # a captured CUDA graph
    "_captured()": None,
    "._seen": None,
    ".where": None,  # the facts of an engine
}
"""What the names that are ``Any`` in those files stand for."""

OURS = {
    ("ILogger", "kept"),
    ("IProgressMonitor", "raise_if_stopped"),
    ("IProgressMonitor", "stop"),
    ("IProfiler", "totals"),
}
"""What our classes add to the TensorRT classes that they are made from."""

BY_NAME = {("TensorIOMode", "<mode>"): ("INPUT", "OUTPUT")}
"""The names that members looked up by a variable can have."""


def having(owner: str, member: str) -> set[str]:
    """The versions with this member."""
    return set(table().forms(owner, member))


RTX = {version for version in table().versions if version.startswith("rtx-")}
FACTS = {
    "self.flavour is Flavour.RTX": RTX,
    "self.overrides_bodies": having("OnnxParserFlag", "ENABLE_PLUGIN_OVERRIDE"),
    "known": having(MODULE, "ComputeCapability"),
}
"""Condition in our code → the versions in which it can be true."""


def problems(use: Use) -> list[str]:
    """What speaks against a use, version by version."""
    if (use.owner, use.member) in OURS:
        return []
    versions = [v for v in table().versions if all(v in FACTS.get(fact, table().versions) for fact in use.facts)]
    found = []
    for name in BY_NAME.get((use.owner, use.member), (use.member,)):
        forms = table().forms(use.owner, name)
        if use.how is How.ASK:
            found += [] if forms else [f"{use}: no version has it"]
        else:
            found += [f"{use}: {version} {why}" for version in versions if (why := _why_not(use, forms.get(version)))]
    return found


def _why_not(use: Use, form: str | None) -> str:
    if form is None:
        return "has no such member"
    if use.how is How.WRITE and not form.endswith("writable"):
        return f"has it as {form}, which cannot be set"
    if use.how is How.OVERRIDE and not any(len(way.parameters) == use.places for way in signatures(form)):
        return f"calls it as {form}"
    if use.how is How.CALL and not signatures(form):
        return f"has it as {form}, which cannot be called"
    fits = use.places is None or any(way.takes(use.places, use.names) for way in signatures(form))
    if use.how is How.CALL and not fits:
        return f"takes {form}"
    return ""


@pytest.mark.parametrize("name", FILES)
def test_every_use_fits_every_version(name: str) -> None:
    found = uses(ROOT / name, table(), ROLES)
    wrong = [text for use in found for text in problems(use)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", FILES)
def test_every_object_of_tensorrt_s_is_known_as_such(name: str) -> None:
    missing = undeclared(ROOT / name, ROLES)
    assert not missing, f"{name}: say in ROLES what {', '.join(missing)} stands for"


def test_every_file_that_handles_tensorrt_is_read() -> None:
    handles = re.compile(r"\btrt\.module\b|\btrt: ModuleType|import tensorrt|open_tensorrt\(")
    paths = (path for room in ("calibration", "plugins", "runtime", "cli") for path in (ROOT / room).rglob("*.py"))
    found = {str(path.relative_to(ROOT)) for path in paths if handles.search(path.read_text())}
    assert found <= set(FILES), f"add {found - set(FILES)} to FILES"


def test_nothing_is_excused_that_is_not_used() -> None:
    found = [use for name in FILES for use in uses(ROOT / name, table(), ROLES)]
    facts = {fact for use in found for fact in use.facts}
    used = {(use.owner, use.member) for use in found}
    assert facts >= FACTS.keys()
    assert used >= OURS | BY_NAME.keys()


def test_severities_have_the_numbers_that_the_log_sorts_by() -> None:
    numbers = {"INTERNAL_ERROR": 0, "ERROR": tensorrt._ERROR, "WARNING": tensorrt._WARNING, "VERBOSE": 4}
    for name, number in numbers.items():
        assert table().forms("ILogger.Severity", name) == dict.fromkeys(table().versions, f"= {number}")


HEAD = "def f(module: ModuleType, builder: Any, network: Any, config: Any, context: Any, engine: Any):\n    "
MISTAKES = {
    "config.set_flag(module.BuilderFlag.FP16)": "11.0.0 has no such member",
    "builder.platform_has_fast_fp16": "11.4.0 has no such member",
    "engine.create_execution_context_without_device_memory()": "11.0.0 has no such member",
    "context.execute_async_v2([], 0)": "10.3.0 has no such member",
    "config.int8_calibrator = None": "11.0.0 has no such member",
    "create = module.IInt8EntropyCalibrator2": "11.0.0 has no such member",
    "flags = 1 << int(module.NetworkDefinitionCreationFlag.EXPLICIT_BATCH)": "11.0.0 has no such member",
    "config.set_compute_capability(1, 0)": "11.4.0 has no such member",
    "config.set_timing_cache(config.create_timing_cache(b''))": "takes (cache, ignore_mismatch)",
    "context.set_input_shape(tensor='x', shape=(1,))": "takes (name, shape)",
    "module.Builder()": "takes (logger)",
    "network.num_layers = 1": "cannot be set",
    "network.num_layers()": "cannot be called",
    "for i in [0]:\n        layer = network.get_layer(i)\n        layer.precision": "11.0.0 has no such member",
    "[network.get_input(i).is_shape for i in [0]]": "no such member",
    "class M(module.IProgressMonitor):\n        def phase_begin(self, name): pass": "no such member",
    "class M(module.IProgressMonitor):\n        def step_complete(self, phase_name): pass": "calls it as",
    "hasattr(config, 'set_computing_capability')": "no version has",
    "if not known:\n        config.num_compute_capabilities = 1": "10.3.0 has no such member",
    "getattr(module.BuilderFlag, 'FP16')": "11.0.0 has no such member",
    "(lambda: builder.max_batch_size)()": "no such member",
    "for i in [0]:\n        if not known:\n            continue\n    config.num_compute_capabilities": "no such member",
    "self.flavour is Flavour.RTX or config.get_compute_capability(0)": "11.4.0 has no such member",
}


@pytest.mark.parametrize("statement", MISTAKES)
def test_mistakes_are_found(statement: str, tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    path.write_text(HEAD + statement)
    found = [text for use in uses(path, table(), ROLES) for text in problems(use)]
    assert any(MISTAKES[statement] in text for text in found), found


SOUND = (
    "if self.flavour is Flavour.RTX:\n        config.num_compute_capabilities = 1",
    "if self.flavour is not Flavour.RTX:\n        return\n    config.set_compute_capability(1, 0)",
    "found = self.flavour is Flavour.RTX and config.get_compute_capability(0)",
    "getattr(module, 'ComputeCapability', None)",
    "layer = network.get_layer(0)\n    layer.__class__ = module.IGridSampleLayer\n    layer.interpolation_mode.name",
    "context.set_input_shape(name='x', shape=(1,))",
    "(runs := engine.create_execution_context()).set_input_shape(*['x', (1,)])",
)


@pytest.mark.parametrize("statement", SOUND)
def test_sound_code_passes(statement: str, tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    path.write_text(HEAD + statement)
    found = uses(path, table(), ROLES)
    assert found
    assert not [text for use in found for text in problems(use)]


def test_names_that_may_be_tensorrt_s_must_be_told(tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    path.write_text("def f(refitter: Any, shape: np.dtype[Any]) -> Any:\n    kept: dict[str, Any] = {}\n")
    assert undeclared(path, ROLES) == [".kept", "f()", "refitter"]


def test_the_table_says_what_the_installed_package_has() -> None:
    module = pytest.importorskip("tensorrt_rtx_bindings", reason="TensorRT-RTX has packages for x86-64 only")
    version = f"rtx-{module.__version__.rpartition('.')[0]}"
    if version not in table().versions:
        pytest.skip(f"the table is of {', '.join(RTX)}, installed is {version}")
    for owner, members in tensorrt_api.read(importlib.import_module("tensorrt_rtx_bindings")).items():
        stored = {name: table().forms(owner, name).get(version) for name in members}
        assert stored == members, owner
    assert table().forms("ICudaEngine", SELF).keys() == set(table().versions)


def test_the_documentation_names_the_versions_that_are_checked() -> None:
    text = (ROOT / "docs" / "deploy-on-jetson.md").read_text()
    said = re.search(r"fits the interface of TensorRT ([\d., and]+\d)\s", text)
    checked = [version for version in table().versions if version not in RTX]
    assert said is not None
    assert re.findall(r"[\d.]+\d", said[1]) == checked
    rows = [row.split("|") for row in text.splitlines() if re.match(r"\| \d", row)]
    meant = {row[5].strip() for row in rows if row[7].strip() != "no" and not row[7].strip().startswith("no,")}
    series = {version.rpartition(".")[0] for version in checked}
    assert {".".join(version.split(".")[:2]) for version in meant} <= series
