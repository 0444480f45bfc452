"""The compiled plugin library: what it exports, what it was compiled to, how Python finds it."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest
from support import toolkit

from tweenrt.errors import UsageError
from tweenrt.plugins import OPS, library, library_path

ARCHITECTURES = (75, 80, 86, 87, 89, 90, 100, 110, 120)
WITHOUT_KERNEL = {"WindowAttention"}
SUMS = "normalise"  # its FP32 sums, one more a pixel than there are channels, are not aligned to 16 bytes
TENSOR_CORE_KERNELS = ("deform_conv2d", "masked_conv2d")


def symbols(*options: str) -> set[str]:
    done = subprocess.run(
        ["nm", "-D", *options, str(toolkit.plugin_library())], capture_output=True, text=True, check=True
    )
    return {line.split()[-1].split("@")[0] for line in done.stdout.splitlines() if line}


@cache
def disassembled(*options: str) -> str:
    command = [str(toolkit.disassembler()), *options, str(toolkit.plugin_library())]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def by_kernel(text: str) -> dict[str, str]:
    """Mangled name of every kernel → what follows it in cuobjdump's output."""
    parts = re.split(r"^\s*Function\s*:?\s*(\w+):?\s*$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_it_exports_our_functions_only() -> None:
    exported = symbols("--defined-only")
    assert {"getCreators", "setLoggerFinder", "tweenrt_plugins_last_error"} <= exported
    assert not {name for name in exported if not name.startswith("tweenrt_")} - {"getCreators", "setLoggerFinder"}


def test_it_links_neither_tensorrt_nor_a_shared_cuda_runtime() -> None:
    needed = symbols("--undefined-only")
    assert not {name for name in needed if re.search(r"plugin|logger|infer|^cuda|^cu[A-Z]", name, re.IGNORECASE)}


def test_every_op_but_those_named_has_a_plugin() -> None:
    listed = set(re.findall(r"^TWEENRT_OP\((\w+)\)", (toolkit.ROOT / "plugins" / "ops.inc").read_text(), re.MULTILINE))
    assert listed == set(OPS) - WITHOUT_KERNEL


def test_every_architecture_is_inside_without_spills_or_local_memory() -> None:
    usage = disassembled("-res-usage")
    assert {int(a) for a in re.findall(r"^arch = sm_(\d+)", usage, re.MULTILINE)} == set(ARCHITECTURES)
    kernels = re.findall(r"Function (\w+):\s*\n\s*REG:(\d+) STACK:(\d+) SHARED:\d+ LOCAL:(\d+)", usage)
    assert len(kernels) > 10 * len(ARCHITECTURES)
    offenders = {name: (stack, local) for name, _, stack, local in kernels if int(stack) or int(local)}
    assert not offenders


def test_the_newest_architecture_is_inside_as_ptx_too() -> None:
    assert f"sm_{ARCHITECTURES[-1]}" in disassembled("-lptx")


@pytest.mark.parametrize("architecture", [75, 87, 120])
def test_kernels_use_wide_loads_and_tensor_cores(architecture: int) -> None:
    code = by_kernel(disassembled("-sass", "-arch", f"sm_{architecture}"))
    fast = {name: text for name, text in code.items() if "hwc8" in name}
    assert len(fast) >= 5
    for name, text in fast.items():
        wide = re.search(r"\bLDG\.E\S*\.128|\bLDGSTS\.E\S*\.128", text)
        assert wide or SUMS in name, f"{name} has no 16-byte load"
        assert "STG.E.128" in text or "STG.E.EF.128" in text, f"{name} has no 16-byte store"
    for op in TENSOR_CORE_KERNELS:
        assert any(op in name and "HMMA" in text for name, text in code.items()), f"{op} uses no tensor core"
    assert (architecture >= 80) == any("LDGSTS" in text for text in code.values())
    assert not [name for name, text in code.items() if re.search(r"\b(LDL|STL)\b", text)]


def test_the_environment_may_name_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(library.VARIABLE, str(tmp_path / "absent.so"))
    with pytest.raises(UsageError, match=r"absent\.so, which is no file"):
        library_path()
    (tmp_path / "absent.so").touch()
    assert library_path() == tmp_path / "absent.so"


def test_a_library_that_was_not_built_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(library.VARIABLE, raising=False)
    monkeypatch.setattr(library, "_PLACES", (tmp_path,))
    with pytest.raises(UsageError, match="run 'make plugins'"):
        library_path()
