"""What docs/hosts-*.md shows works as it stands there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from support import graphs, toy
from support.cli import run

from tweenrt import cache

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


@pytest.fixture(autouse=True)
def _in_a_folder_with_a_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    graphs.blend(tmp_path / "rife.onnx")


def test_the_python_page(capsys: pytest.CaptureFixture[str]) -> None:
    """The blocks are one program, each going on where the one before ends."""
    names: dict[str, Any] = {}
    said = []
    for block in blocks("hosts-python.md", "python"):
        exec(compile(block, "hosts-python.md", "exec"), names)  # noqa: S102
        said.append(capsys.readouterr().out.splitlines())
    assert [len(lines) > 0 for lines in said] == [False, True, True, True, True, False]
    assert said[1] == [f"(360, 640, 3) {float(level)}" for level in (10, 15, 20, 25, 30, 35, 40, 45, 50, 50)]
    assert said[2][0] == "0.0 source"
    assert said[3][-1].startswith("Spread(count=")
    assert said[4][-1].endswith("source")
    assert names["drawn"].data_ptr() == names["middle"].ctypes.data


def test_the_export_command_and_a_client(monkeypatch: pytest.MonkeyPatch) -> None:
    toy.register(monkeypatch, toy.SPEC)
    (command,) = blocks("hosts-vapoursynth.md", "sh")
    program, *words = shlex.split(command)
    assert program == "tweenrt"
    result = run(*(("toy-blend" if word == "rife-4.25" else word) for word in words), "--random-weights", "1")
    assert result.exit_code == 0, result.stderr
    names: dict[str, Any] = {}
    exec(blocks("hosts-vapoursynth.md", "python")[1], names)  # noqa: S102
    assert names["drawn"].shape == (1, 3, 360, 640)
