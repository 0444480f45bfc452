"""Ctrl-C and SIGTERM while TensorRT really builds: it stops at its next step, and nothing is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support.engines import use_plugin_library, write_graph

from tweenrt import cache
from tweenrt.runtime.engines.build_progress import run_apart

WARP = (
    "g (float[1,4,16,24] x, float[1,2,16,24] flow) => "
    "(float[1,4,16,24] y) { w = tweenrt.BackwardWarp (x, flow)\n y = Relu (w) }"
)
# The signal comes to a thread of TensorRT's own choosing, and the main thread runs the handler: at once, if it waits.
MAIN = """
import os, signal, sys, threading, time
from tweenrt.cli import main
from tweenrt.runtime.engines import build_progress, builder
real = build_progress.progress_monitor
def monitor(module, progress):
    made = real(module, progress)
    inner = type(made).step_complete
    def step_complete(self, phase_name, step):
        global steps
        steps += 1
        if steps == 2:
            print("building", flush=True)
            deadline = time.monotonic() + 20
            while self.stopped is None and time.monotonic() < deadline:
                time.sleep(0.01)
            print("stopped", repr(self.stopped), flush=True)
        elif steps > 2:
            print("went on", flush=True)
        return inner(self, phase_name, step)
    type(made).step_complete = step_complete
    return made
steps = 0
builder.progress_monitor = monitor
sys.argv[0] = "tweenrt"
main()
"""


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_plugin_library(monkeypatch)
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_build(sent: signal.Signals, code: int, tmp_path: Path) -> None:
    graph, engine = write_graph(tmp_path, WARP), tmp_path / "x.engine"
    options = ["build", str(graph), "-o", str(engine), "--flavour", "tensorrt-rtx", "--target", "sm86"]
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "building\n"
    process.send_signal(sent)
    said, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    assert said.startswith("stopped ")
    assert "None" not in said
    assert "went on" not in said
    assert "interrupted; no unfinished output was left" in errors
    assert "Exception caught" not in errors
    left = [path.name for path in tmp_path.rglob("*") if path.is_file() and not path.name.endswith(".lock")]
    assert left == [graph.name]
    assert not list(tmp_path.rglob(".making-*"))


def test_work_apart_is_told_to_stop_and_waited_for() -> None:
    told, ended = threading.Event(), threading.Event()
    reasons: list[BaseException] = []

    def work() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        assert told.wait(20)
        ended.set()

    def stop(why: BaseException) -> None:
        reasons.append(why)
        told.set()

    with pytest.raises(KeyboardInterrupt):
        run_apart(work, stop)
    assert ended.is_set()
    assert [type(why) for why in reasons] == [KeyboardInterrupt]


def test_work_apart_gives_what_it_makes_and_raises_what_goes_wrong() -> None:
    assert run_apart(threading.current_thread, lambda _: None) is not threading.current_thread()
    with pytest.raises(ZeroDivisionError):
        run_apart(lambda: 1 // 0, lambda _: None)
