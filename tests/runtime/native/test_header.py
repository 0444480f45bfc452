"""The ABI: what the header says to compilers, what the library exports, and numbers that must never change."""

from __future__ import annotations

import ctypes
import json
import platform
import re
import shutil
from pathlib import Path

import pytest
from support.native_abi import HEADER, STRUCTURES, constants, library
from support.native_build import NATIVE, built, run

WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", f"-I{NATIVE / 'include'}")
LOADER = f"ld-linux-{platform.machine().replace('_', '-')}"
PINNED = json.loads((Path(__file__).parent / "abi.json").read_text())


def compiler(names: tuple[str, ...]) -> str:
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"needs {names[0]} (apt-get install clang)")
    return found


@pytest.mark.parametrize("compilers", [("gcc",), ("clang", "clang-14", "clang-16", "clang-19")], ids=lambda c: c[0])
@pytest.mark.parametrize(
    ("header", "standard"),
    [("tweenrt.h", "c11"), ("tweenrt.h", "c17"), ("tweenrt.h", "c++17"), ("tweenrt.hpp", "c++17")],
)
def test_headers_compile_without_a_warning(
    tmp_path: Path, compilers: tuple[str, ...], header: str, standard: str
) -> None:
    plus = standard.startswith("c++")
    source = tmp_path / f"it.{'cpp' if plus else 'c'}"
    source.write_text(f"#include <tweenrt/{header}>\n#include <tweenrt/{header}>\nint main(void) {{ return 0; }}\n")
    run([compiler(compilers), f"-std={standard}", "-x", "c++" if plus else "c", *WARNINGS, str(source)])


def exported(path: Path) -> list[str]:
    listing = run(["nm", "-D", "--defined-only", str(path)])
    return sorted(line.split()[-1] for line in listing.splitlines())


def test_the_library_exports_what_the_header_declares_and_nothing_else() -> None:
    declared = re.findall(r"^TWEENRT_EXPORT[^;(]*?(tweenrt_\w+)\(", HEADER.read_text(), re.MULTILINE)
    assert exported(built() / "libtweenrt.so") == sorted(declared) == PINNED["functions"]


def test_a_backend_exports_two_functions() -> None:
    assert exported(built() / "libtweenrt_onnxruntime.so") == ["tweenrt_module_interface", "tweenrt_module_open"]


def test_the_library_needs_no_library_of_a_backend() -> None:
    dynamic = run(["readelf", "-d", str(built() / "libtweenrt.so")])
    needed = re.findall(r"NEEDED.*\[(.+)\]", dynamic)
    assert {name.split(".so")[0] for name in needed} <= {"libstdc++", "libm", "libgcc_s", "libc", LOADER}
    assert "libtweenrt.so.1" in dynamic


def test_constants_stay_as_they_are() -> None:
    assert constants() == PINNED["constants"]
    assert library().tweenrt_abi_version() == PINNED["abi_version"]


@pytest.mark.parametrize("name", STRUCTURES)
def test_structures_stay_as_they_are(tmp_path: Path, name: str) -> None:
    """The compiler's layout is the pinned one, and so is that of the tests' own declarations."""
    pinned = PINNED["structures"][name]
    asserts = [f"_Static_assert(offsetof({name}, {m}) == {offset}, {m!r});" for m, offset in pinned["members"].items()]
    source = tmp_path / "layout.c"
    text = [*asserts, f"_Static_assert(sizeof({name}) == {pinned['size']}, {name!r});"]
    source.write_text("#include <tweenrt/tweenrt.h>\n" + "\n".join(text).replace("'", '"') + "\n")
    run(["gcc", "-std=c11", *WARNINGS, str(source)])
    ours = STRUCTURES[name]
    assert {field: getattr(ours, field).offset for field, *_ in ours._fields_} == pinned["members"]
    assert ctypes.sizeof(ours) == pinned["size"]


def test_the_version_is_the_project_s() -> None:
    root = NATIVE.parents[1]
    version = re.search(r'^version = "(.+)"$', (root / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    assert library().tweenrt_version_text().decode() == version.group(1)
    major, minor, patch = map(int, version.group(1).split("."))
    assert library().tweenrt_version() == major << 16 | minor << 8 | patch


def test_every_status_has_a_text_of_its_own() -> None:
    values = [value for name, value in constants().items() if name.startswith("STATUS_")]
    texts = {library().tweenrt_status_text(value) for value in values}
    assert len(texts) == len(values)
    assert {library().tweenrt_status_text(value) for value in (-1, len(values), 10**6)} == {b"unknown status"}
