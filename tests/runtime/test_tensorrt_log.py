"""What TensorRT says goes to who listens, thread by thread."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX has packages for x86-64 only")

import tensorrt_rtx

from tweenrt.runtime.engines.tensorrt import Flavour, Log, TensorRT, open_tensorrt

SEVERITY = tensorrt_rtx.ILogger.Severity


@pytest.fixture
def trt() -> TensorRT:
    return open_tensorrt(Flavour.RTX)


def test_two_threads_that_overlap_hear_their_own(trt: TensorRT) -> None:
    """A begins, B begins, both are spoken to, A ends, B is spoken to again: as two builds do."""
    steps = threading.Barrier(2, timeout=10)

    def first() -> Log:
        with trt.listening() as (logger, log):
            steps.wait()  # A listens
            steps.wait()  # B listens
            logger.log(SEVERITY.ERROR, "error of A")
            logger.log(SEVERITY.WARNING, "warning of A")
            steps.wait()  # both have spoken
        steps.wait()  # A has ended
        return log

    def second() -> Log:
        steps.wait()
        with trt.listening() as (logger, log):
            steps.wait()
            logger.log(SEVERITY.ERROR, "error of B")
            steps.wait()
            steps.wait()
            logger.log(SEVERITY.ERROR, "another of B")
        return log

    with ThreadPoolExecutor(2) as pool:
        a, b = (each.result() for each in [pool.submit(first), pool.submit(second)])
    assert (a.errors, a.warnings) == (["error of A"], ["warning of A"])
    assert (b.errors, b.warnings) == (["error of B", "another of B"], [])


def test_who_listens_within_hears_it_and_then_the_one_around(trt: TensorRT) -> None:
    with trt.listening() as (logger, outer):
        with trt.listening() as (_, inner):
            logger.log(SEVERITY.ERROR, "within")
        logger.log(SEVERITY.ERROR, "around")
    logger.log(SEVERITY.ERROR, "nobody hears it")
    assert (inner.errors, outer.errors) == (["within"], ["around"])


def test_threads_of_tensorrt_are_heard(trt: TensorRT) -> None:
    """The builder works in threads of its own, where nobody of ours listens: what they say is lost on nobody."""
    with trt.listening() as (logger, log):
        thread = threading.Thread(target=logger.log, args=(SEVERITY.ERROR, "from a worker"))
        thread.start()
        thread.join()
    assert log.errors == ["from a worker"]


def test_real_failures_are_told_apart(trt: TensorRT) -> None:
    """Two plans that TensorRT refuses at the same time: each caller has a reason."""

    def refused(number: int) -> Any:
        logs: list[Log] = []
        for _ in range(20):
            with trt.listening() as (logger, log):
                assert trt.module.OnnxParser(network(trt, logger), logger).parse(f"no graph {number}".encode()) is False
            logs.append(log)
        return logs

    with ThreadPoolExecutor(2) as pool:
        for logs in pool.map(refused, range(2)):
            assert all(len(log.errors) == 1 for log in logs), [log.errors for log in logs]


def network(trt: TensorRT, logger: Any) -> Any:
    return trt.network(trt.module.Builder(logger))
