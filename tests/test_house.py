"""The house itself: layering, public names, sizes, what the README promises, what the wheel holds."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import tweenrt

ROOT = Path(__file__).parents[1]
ROOMS = ("export", "plugins", "runtime", "calibration", "cli")
MAY_IMPORT = {
    "tweenrt": set(),
    "plugins": set(),
    "export": {"plugins"},
    "runtime": {"plugins"},
    "calibration": {"plugins", "runtime"},
    "cli": {"export", "plugins", "runtime", "calibration"},
}
LINKS = {("tweenrt", room) for room in ROOMS}
PUBLIC_NAMES = {ROOT / "tweenrt" / "__init__.py", ROOT / "tweenrt" / "vapoursynth.py"}
"""Files that only give a name of another room a shorter path."""
FILE_LINES = {".py": 400, ".cu": 500, ".cuh": 500, ".cpp": 500, ".h": 500, ".hpp": 500}
FUNCTION_LINES = 40
MEDIAN_FUNCTION_LINES = 10


def sources(*suffixes: str) -> list[Path]:
    """Every file of ours with one of these endings, tests and benchmarks included."""
    folders = ("tweenrt", *ROOMS, "tests", "benchmarks", "examples")
    found = (p for folder in folders for p in (ROOT / folder).rglob("*") if p.suffix in suffixes)
    return sorted(p for p in found if p.relative_to(ROOT).parts[:2] not in LINKS)


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0]


def imported(path: Path) -> dict[str, bool]:
    """Name of every module that a file imports → whether at module level."""
    tree = ast.parse(path.read_text())
    top = {id(node) for node in tree.body}
    found: dict[str, bool] = {}
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{a.name}" for a in node.names)]
        for name in names:
            found[name] = found.get(name, False) or id(node) in top
    return found


def package_files() -> list[Path]:
    return [p for p in sources(".py") if room_of(p) in MAY_IMPORT]


@pytest.mark.parametrize("path", package_files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_arrows_point_one_way(path: Path) -> None:
    room = room_of(path)
    allowed = MAY_IMPORT[room] | {room}
    for name, at_top in imported(path).items():
        parts = name.split(".")
        if parts[0] == "tweenrt" and len(parts) > 1 and parts[1] in ROOMS:
            assert parts[1] in allowed or path in PUBLIC_NAMES, f"{path}: {room} must not import {name}"
        if parts[0] in ("tensorrt", "tensorrt_rtx"):
            assert room != "export" or not at_top, f"{path}: export must not import TensorRT at module level"
        if parts[0] in ("torch", "onnx", "onnxscript"):
            to_build_engines = room == "runtime" and parts[0] == "onnx" and not at_top
            assert room not in ("runtime", "tweenrt") or to_build_engines, f"{path}: {room} must not import {name}"
            assert room != "cli" or not at_top, f"{path}: the command line must start without {name}"


def test_the_runtime_loads_without_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None; sys.modules['onnx'] = None\n"
        "import tweenrt.runtime, tweenrt.cli; from tweenrt import Interpolator\n"
        "assert 'tweenrt.export.spec' not in sys.modules, 'the runtime pulled in the exporter'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT.parent)


def test_the_command_line_starts_with_nothing_but_the_runtime() -> None:
    absent = ("torch", "onnx", "av", "openvino", "matplotlib", "tensorrt", "tensorrt_rtx", "cuda", "tritonclient")
    code = f"import sys; sys.modules.update(dict.fromkeys({absent})); import tweenrt.cli.app"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT.parent)


def test_public_names() -> None:
    assert sorted(tweenrt.__all__) == ["Interpolator", "TweenrtError", "__version__"]
    assert tweenrt.Interpolator.__name__ == "Interpolator"
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        tweenrt.nonsense  # noqa: B018


@pytest.mark.parametrize("path", sources(*FILE_LINES), ids=lambda p: str(p.relative_to(ROOT)))
def test_files_stay_small(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= FILE_LINES[path.suffix], f"{path}: {lines} lines; make it two files with better names"


def function_lengths() -> dict[str, int]:
    """Function → lines of its body, docstring not counted."""
    lengths = {}
    for path in package_files():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                first = body[0].lineno if body else node.lineno
                lengths[f"{path.relative_to(ROOT)}:{node.name}"] = (node.end_lineno or first) - first + 1
    return lengths


def test_functions_stay_short() -> None:
    lengths = function_lengths()
    long = {name: n for name, n in lengths.items() if n > FUNCTION_LINES}
    assert not long, f"over {FUNCTION_LINES} lines: {long}"
    median = sorted(lengths.values())[len(lengths) // 2]
    assert median <= MEDIAN_FUNCTION_LINES, f"the median function has {median} lines"


def test_the_changelog_and_the_version_agree() -> None:
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert "## Unreleased" in changelog or f"## {version.group(1)}" in changelog


def documents() -> list[Path]:
    folders = ("", "docs", "examples", *ROOMS)
    return sorted(p for f in folders for p in (ROOT / f).glob("*.md" if f in ("", "docs", "examples") else "**/*.md"))


@pytest.mark.parametrize("path", documents(), ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text()):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (path.parent / target).exists(), f"{path}: the link {target} leads nowhere"


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_the_readme_names_commands_that_exist() -> None:
    from tweenrt.cli import commands

    text = (ROOT / "README.md").read_text()
    verbs = commands()
    shell = "\n".join(re.findall(r"```(?:sh|console)\n(.*?)```", text, re.DOTALL))
    used = set(re.findall(r"^(?:\$ )?tweenrt ([a-z]+)", shell, re.MULTILINE))
    assert used, "the README shows no command"
    assert used <= set(verbs), f"the README uses {used - set(verbs)}"
    assert set(re.findall(r"^(?:\$ )?make ([a-z]+)", shell, re.MULTILINE)) <= make_targets()
    for verb, flags in re.findall(r"^(?:\$ )?tweenrt ([a-z]+)(.*(?:\\\n.*)*)", shell, re.MULTILINE):
        unknown = set(re.findall(r"(--[a-z0-9-]+)", flags)) - verbs[verb]
        assert not unknown, f"`tweenrt {verb}` has no {unknown}"
    assert {"make demo", "make test"} <= set(re.findall(r"make [a-z]+", text))


def test_ci_runs_the_readme_s_test_command() -> None:
    assert "make test" in (ROOT / ".ci" / "run").read_text()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The file names in a wheel built from this tree."""
    out = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(out),
        ".",
    ]
    subprocess.run(command, check=True, cwd=ROOT)
    (path,) = out.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def test_the_wheel_holds_every_module_once_and_nothing_else(wheel: list[str]) -> None:
    modules = [n for n in wheel if n.endswith(".py")]
    expected = {
        f"tweenrt/{p.relative_to(ROOT)}" if room_of(p) != "tweenrt" else str(p.relative_to(ROOT))
        for p in package_files()
    }
    assert len(modules) == len(set(modules))
    assert set(modules) == expected
    stray = [n for n in wheel if n.split("/")[0] not in ("tweenrt",) and ".dist-info/" not in n]
    assert not stray, f"outside the package: {stray}"
    assert "tweenrt/py.typed" in wheel
