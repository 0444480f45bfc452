"""Read the Python interface of each TensorRT that we support from its package, and write it down as a table.

    python tests/support/tensorrt_api.py

writes tests/runtime/tensorrt_api.json again; needed when a version is added to `PACKAGES`. It downloads the bindings of
each version (1 MB each, no GPU library), puts libraries beside them that have nothing but the names of the functions
that they call, imports them, and notes every class with its members. It needs the network, x86-64 Linux, a C compiler
and a Python that each version has a package for. Tests read the table only, as `support.tensorrt_table` describes it.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.tensorrt_table import MODULE, SELF, TABLE, Members

PACKAGES = {
    "10.3.0": "tensorrt-cu12-bindings==10.3.0",
    "10.7.0": "tensorrt-cu12-bindings==10.7.0",
    "10.13.3": "tensorrt-cu12-bindings==10.13.3.9",
    "10.14.1": "tensorrt-cu12-bindings==10.14.1.48.post1",
    "10.15.1": "tensorrt-cu12-bindings==10.15.1.29",
    "10.16.1": "tensorrt-cu12-bindings==10.16.1.11",
    "11.0.0": "tensorrt-cu12-bindings==11.0.0.114",
    "11.4.0": "tensorrt-cu12-bindings==11.4.0.106",
    "rtx-1.7.1": "tensorrt-rtx-cu13-bindings==1.7.1.116",
}

Forms = dict[str, dict[str, str]]
"""Class → member → form, of one version."""

_LIBRARIES = ("nvinfer", "nvonnxparser", "nvinfer_plugin", "tensorrt_rtx", "tensorrt_onnxparser_rtx")
_MAJORS = (1, 10, 11)
_CALLED = (
    "createInferBuilder_INTERNAL",
    "createInferRefitter_INTERNAL",
    "createInferRuntime_INTERNAL",
    "createNvOnnxParserRefitter_INTERNAL",
    "createNvOnnxParser_INTERNAL",
    "getBuilderPluginRegistry",
    "getNvOnnxParserVersion",
    "getPluginRegistry",
    "initLibNvInferPlugins",
)
_SPECIAL = ("__init__", "__len__", "__getitem__", "__iter__")


def main() -> None:
    """Write the table; with ``--read MODULE`` print what one module has."""
    if sys.argv[1:2] == ["--read"]:
        print(json.dumps(read(importlib.import_module(sys.argv[2]))))
        return
    with tempfile.TemporaryDirectory() as folder:
        _make_libraries(Path(folder))
        found = {version: _read_package(package, Path(folder)) for version, package in PACKAGES.items()}
    TABLE.write_text(written(merge(found)))


def _make_libraries(folder: Path) -> None:
    """Libraries under the names of TensorRT's, with functions that return 0."""
    source = folder / "empty.c"
    source.write_text("".join(f"void *{name}(void) {{ return 0; }}\n" for name in _CALLED))
    for library in (f"lib{name}.so.{major}" for name in _LIBRARIES for major in _MAJORS):
        subprocess.run(["cc", "-shared", "-fPIC", "-o", str(folder / library), str(source)], check=True)


def _read_package(package: str, libraries: Path) -> Forms:
    """What the module of `package` has, imported in a process of its own."""
    folder = libraries / package
    download = ["download", "--quiet", "--no-deps", "--dest", str(folder), package]
    subprocess.run([sys.executable, "-m", "pip", *download], check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    (module,) = (path.parent.name for path in folder.glob("*_bindings/__init__.py"))
    environment = {**os.environ, "LD_LIBRARY_PATH": str(libraries), "PYTHONPATH": str(folder)}
    command = [sys.executable, "-W", "ignore", __file__, "--read", module]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    found: Forms = json.loads(done.stdout)
    return found


def read(module: ModuleType) -> Forms:
    """Every class of `module` with its members."""
    found: Forms = {MODULE: {}}
    for name, value in sorted(vars(module).items()):
        if name.startswith("_") or isinstance(value, ModuleType):
            continue
        found[MODULE][name] = _form(name, value, module)
        if isinstance(value, type):
            found |= _read_class(name, value, module)
    return found


def _read_class(name: str, kind: type, module: ModuleType) -> Forms:
    """A class, and those that are inside it."""
    values = getattr(kind, "__members__", None)
    if values is not None:
        return {name: {SELF: "enum"} | {each: f"= {int(value)}" for each, value in values.items()}}
    base = kind.__mro__[1].__name__
    found = {name: {SELF: f"class {base}" if hasattr(module, base) else "class"}}
    for each, value in sorted(vars(kind).items()):
        if each.startswith("_") and each not in _SPECIAL:
            continue
        form = _form(each, value, module)
        if form:
            found[name][each] = form
        if isinstance(value, type):
            found |= _read_class(f"{name}.{each}", value, module)
    return found


def _form(name: str, value: Any, module: ModuleType) -> str:
    """The form of a member; empty for the constructor of a class that only TensorRT makes."""
    if isinstance(value, type):
        return "class"
    if isinstance(value, property):
        kept = _mentioned(value.fget.__doc__ or "", module)
        return f"property{kept and ' ' + kept}{', writable' if value.fset is not None else ''}"
    if isinstance(value, staticmethod):
        value = value.__func__
    if callable(value):
        return " | ".join(dict.fromkeys(_signatures(name, value, module)))
    kind = type(value)
    return f"= {int(value)} {kind.__qualname__}" if hasattr(kind, "__members__") else "property"


def _signatures(name: str, method: Any, module: ModuleType) -> list[str]:
    """What a method's documentation begins with, ``name(self: T, a: int = 1) -> T``, as forms."""
    if isinstance(method, FunctionType):
        return [f"({', '.join(inspect.signature(method).parameters)})"]
    start = rf"^(?:\d+\. )?{re.escape(name)}(?=\()(?!\(\*args, \*\*kwargs\)$)"
    found = []
    for match in re.finditer(start, method.__doc__ or "", re.MULTILINE):
        arguments, rest = _bracket(method.__doc__[match.end() :])
        parameters = [_parameter(text) for text in _parted(arguments) if text and not text.startswith("self:")]
        kept = _mentioned(rest.split("\n", 1)[0], module)
        found.append(f"({', '.join(parameters)}){kept and ' -> ' + kept}")
    return found


def _parameter(text: str) -> str:
    """``a`` of ``a: int``, ``a=`` of ``a: int = 1``."""
    return re.split(r"[:=\s]", text, maxsplit=1)[0] + ("=" if " = " in text else "")


def _bracket(text: str) -> tuple[str, str]:
    """What is inside the bracket that `text` begins with, and what is behind it."""
    depth = 0
    for place, letter in enumerate(text):
        depth += _deeper(letter)
        if depth == 0:
            return text[1:place], text[place + 1 :]
    raise ValueError(f"expected a closing bracket in {text[:80]!r}")


def _parted(text: str) -> list[str]:
    """`text` cut at its commas that are in no bracket."""
    parts, depth = [""], 0
    for letter in text:
        depth += _deeper(letter)
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def _deeper(letter: str) -> int:
    return (letter in "([{<") - (letter in ")]}>")


def _mentioned(text: str, module: ModuleType) -> str:
    """The class of `module` that the type behind the arrow in `text` names; empty if it names none."""
    package = module.__name__.removesuffix("_bindings")
    names = re.findall(r"[\w.]+", text.rsplit("->", 1)[-1]) if "->" in text else []
    inside = (name.removeprefix(f"{package}_bindings.{package}.") for name in names)
    return next((name for name in inside if isinstance(getattr(module, name.split(".")[0], None), type)), "")


def merge(found: dict[str, Forms]) -> dict[str, Members]:
    """Class → member → its form, or form → versions where not all versions that have the class agree."""
    owners = sorted({owner for forms in found.values() for owner in forms})
    return {owner: _merge({version: forms.get(owner, {}) for version, forms in found.items()}) for owner in owners}


def _merge(members: dict[str, dict[str, str]]) -> Members:
    versions = list(members)
    having = [version for version in versions if members[version]]
    merged: Members = {}
    for member in sorted({name for forms in members.values() for name in forms}):
        by_form: dict[str, list[str]] = {}
        for version in having:
            if member in members[version]:
                by_form.setdefault(members[version][member], []).append(version)
        agreed = list(by_form.values()) == [versions if member == SELF else having]
        ranges = {form: _ranges(held, versions) for form, held in by_form.items()}
        merged[member] = next(iter(ranges)) if agreed else ranges
    return merged


def _ranges(held: list[str], versions: list[str]) -> str:
    """Versions as ``first..last`` where they follow each other."""
    runs: list[list[str]] = []
    for version in held:
        if runs and versions.index(version) == versions.index(runs[-1][-1]) + 1:
            runs[-1].append(version)
        else:
            runs.append([version])
    return " ".join(run[0] if len(run) == 1 else f"{run[0]}..{run[-1]}" for run in runs)


def written(classes: dict[str, Members]) -> str:
    """The table as text, a line for each member."""
    about = "written by tests/support/tensorrt_api.py; tests/support/tensorrt_table.py says how to read it"
    lines = [f'{{"about": "{about}",', f'"versions": {json.dumps(PACKAGES, indent=1)},', '"classes": {']
    for owner, members in classes.items():
        rows = [f"  {json.dumps(member)}: {json.dumps(forms)}" for member, forms in members.items()]
        lines += [f" {json.dumps(owner)}: {{", ",\n".join(rows), " },"]
    return "\n".join([*lines[:-1], " }", "}}", ""])


if __name__ == "__main__":
    main()
