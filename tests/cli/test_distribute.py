"""`tweenrt distribute`: what it asks for, what it says, how it is stopped; and what the guide to clusters shows."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
from support import graphs
from support.cli import run
from support.clips import Clip, moving, seen

from tweenrt import cache
from tweenrt.runtime.jobs.folder import MANIFEST

GUIDE = Path(__file__).parents[2] / "docs" / "hosts-cluster.md"
RATE = Fraction(1, 25)
pytest.importorskip("distributed", reason="needs the extra cluster")


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return graphs.blend(tmp_path_factory.mktemp("graph") / "mix.onnx")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return Clip(moving(8), time_base=RATE).write(tmp_path / "in.mp4")


def commands(verb: str) -> list[list[str]]:
    """Every line of the guide that starts so, in words."""
    text = "\n".join(re.findall(r"```sh\n(.*?)```", GUIDE.read_text(), re.DOTALL)).replace("\\\n", " ")
    return [shlex.split(line) for line in text.splitlines() if line.startswith(f"{verb} ")]


def test_the_guide_s_commands_on_one_machine(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    graphs.blend(tmp_path / "rife.onnx")
    Clip(moving(5, seed=3), time_base=RATE).write(tmp_path / "second.mp4")
    local = [command for command in commands("tweenrt distribute") if "--workers" in command]
    assert len(local) == 2
    for _, *words in local:
        result = run(*["2" if word == "4" else word for word in words])
        assert result.exit_code == 0, result.stderr
        for line in result.stdout.splitlines():
            source = tmp_path / ("second.mp4" if "second" in line else "in.mp4")
            assert len(seen(tmp_path / line).times) == 2 * len(seen(source).times)
    assert sorted(p.name for p in (tmp_path / "smooth").iterdir()) == ["in.mp4", "second.mp4"]


def test_the_guide_s_commands_on_several_hosts(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    graphs.blend(tmp_path / "rife.onnx")
    ((_, *scheduler),), ((_, *worker),) = commands("dask scheduler"), commands("dask worker")
    (asked,) = [command for command in commands("tweenrt distribute") if "--cluster" in command]
    started = [scheduler, worker, worker]
    with _running(started) as address:
        result = run(*[address if word.startswith("tcp://") else word for word in asked[1:]])
    assert result.exit_code == 0, result.stderr
    assert len(seen(tmp_path / "out.mp4").times) == 16


class _running:  # noqa: N801
    """The guide's scheduler and workers, on this machine and a free port."""

    def __init__(self, commands: list[list[str]]) -> None:
        self._commands, self._jobs = commands, []  # type: ignore[var-annotated]

    def __enter__(self) -> str:
        info = Path("scheduler.json")
        for kind, *words in self._commands:
            command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--scheduler-file", str(info)]
            command += ["--host", "127.0.0.1", "--no-dashboard"]
            command += ["--port", "0"] if kind == "scheduler" else []
            command += [word for word in words if not word.startswith("tcp://")]
            self._jobs.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
            while not info.exists():
                time.sleep(0.05)
        return str(json.loads(info.read_text())["address"])

    def __exit__(self, *_: object) -> None:
        for job in reversed(self._jobs):
            job.terminate()
        for job in self._jobs:
            job.wait(60)


def test_the_summaries_are_json(clip: Path, graph: Path, tmp_path: Path) -> None:
    options = ["--model", graph, "--workers", "1", "--fps", "60", "--lossless", "--json", "--set", "gain=0.5"]
    result = run("distribute", clip, "--out", tmp_path / "out.mkv", *options, "--jobs", tmp_path / "kept")
    assert result.exit_code == 0, result.stderr
    (summary,) = json.loads(result.stdout)
    assert (summary["target"], summary["source_frames"], summary["output_frames"]) == (
        str(tmp_path / "out.mkv"),
        8,
        20,  # 8/25 s at 60 a second: 19.2
    )
    assert f"finished jobs are kept in {tmp_path / 'kept'}" in result.stderr
    assert any("milliseconds" in warning for warning in summary["warnings"])
    assert not (tmp_path / "kept").exists()


def test_what_exists_can_be_left_out(clip: Path, graph: Path, tmp_path: Path) -> None:
    (tmp_path / "out.mp4").write_text("mine")
    command = ["distribute", clip, "-o", tmp_path / "out.mp4", "--model", graph, "--workers", "1"]
    refused = run(*command)
    assert (refused.exit_code, "exists already" in refused.stderr) == (2, True)
    left = run(*command, "--skip-existing")
    assert (left.exit_code, left.stdout) == (0, "")
    assert "is left as it is" in left.stderr
    assert (tmp_path / "out.mp4").read_text() == "mine"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "expected one of --server, --cluster and --workers, got none"),
        (["--workers", "2", "--cluster", "tcp://h:1"], "got --cluster and --workers"),
        (["--server", "http://h:1", "--set", "a=1"], "--set and --backend are the server's own business"),
        (["--server", "host"], "expected the address of a server"),
        (["--workers", "1", "--factor", "2", "--fps", "60"], "exclude each other"),
        (["--workers", "1", "--fps", "fast"], "--fps: expected a frame rate"),
        (["--workers", "1", "--encoder-option", "tune"], "expected KEY=VALUE"),
        (["--workers", "1", "--streams", "some"], "--streams: expected all or fitting or none"),
        (["--workers", "1", "--set", "gain=loud"], "expected a number after '='"),
    ],
)
def test_wrong_usage(flags: list[str], message: str, clip: Path, graph: Path, tmp_path: Path) -> None:
    result = run("distribute", clip, "-o", tmp_path / "out.mp4", "--model", graph, *flags)
    assert result.exit_code == 2, result.stderr
    assert message in result.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.mp4"]


@pytest.fixture
def long_run(graph: Path, tmp_path: Path) -> Iterator[list[str]]:
    clip = Clip(moving(24, 96, 128), time_base=RATE).write(tmp_path / "in.mp4")
    words = ["distribute", clip, "-o", tmp_path / "out.mp4", "--model", graph, "--workers", "2", "--factor", "24"]
    yield [sys.executable, "-m", "tweenrt.cli", *map(str, words), "--job-size", "1", "--preset", "ultrafast"]
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_ctrl_c_stops_all_processes_and_the_same_command_goes_on(long_run: list[str], tmp_path: Path) -> None:
    """The signal goes to the whole group, as from a terminal."""
    kept, job = tmp_path / "out.mp4.jobs", _started(long_run, tmp_path)
    os.killpg(job.pid, signal.SIGINT)
    _, said = job.communicate(timeout=60)
    assert job.returncode == 130, said
    assert "interrupted" in said
    assert "Traceback" not in said
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.mp4", kept.name]
    before = {path: path.stat().st_mtime_ns for path in kept.glob("*.nut")}
    assert len(before) >= 2
    _expect_no_process(job.pid)
    _resumed(long_run, tmp_path, before)


def test_a_killed_run_goes_on(long_run: list[str], tmp_path: Path) -> None:
    kept, job = tmp_path / "out.mp4.jobs", _started(long_run, tmp_path)
    os.killpg(job.pid, signal.SIGKILL)
    job.communicate(timeout=60)
    for part in tmp_path.glob(".out.mp4*"):
        part.unlink()  # nobody was left to remove it
    _resumed(long_run, tmp_path, {path: path.stat().st_mtime_ns for path in _finished(kept)})


def _started(command: list[str], folder: Path) -> subprocess.Popen[str]:
    """The run, with two jobs done."""
    job = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while len(_finished(folder / "out.mp4.jobs")) < 2:
        assert job.poll() is None
        time.sleep(0.01)
    return job


def _finished(kept: Path) -> list[Path]:
    """The files of finished jobs. One that is not yet listed when the run is killed counts as not done."""
    manifest = kept / MANIFEST
    listed = manifest.read_text() if manifest.is_file() else ""
    return [path for path in kept.glob("*.nut") if path.stem in listed]


def _expect_no_process(group: int) -> None:
    """Every process of the group ends, the workers among them."""
    for _ in range(600):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail(f"processes of the group {group} live on")


def _resumed(command: list[str], folder: Path, before: dict[Path, int]) -> None:
    """The same command again uses what is there; the next files that it keeps are others."""
    job = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while len(_finished(folder / "out.mp4.jobs")) < len(before) + 1 and job.poll() is None:
        time.sleep(0.01)
    now = {path: path.stat().st_mtime_ns for path in before if path.exists()}
    _, said = job.communicate(timeout=120)
    assert job.returncode == 0, said
    assert now == before or not now
    assert len(seen(folder / "out.mp4").times) == 24 * 24
    assert sorted(p.name for p in folder.iterdir()) == ["in.mp4", "out.mp4"]
