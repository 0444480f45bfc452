"""Live runs inside asyncio: the event loop is never held up, and no thread is left."""

from __future__ import annotations

import asyncio
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import graphs
from support.fake_clock import FakeClock
from support.slow import SlowDrawer, flat

from tweenrt.runtime import Backend, Interpolator, Origin
from tweenrt.runtime.live import AsyncLive, Deadline, Live

Array = np.ndarray[Any, Any]


def test_asyncio_goes_on_while_a_frame_is_drawn() -> None:
    go = threading.Event()

    class Blocked(SlowDrawer):
        def between(self, *args: Any, **options: Any) -> list[Array]:
            assert go.wait(60), "the event loop was held up"
            return super().between(*args, **options)

    async def play() -> list[Origin]:
        async with AsyncLive(Live(Blocked(FakeClock(), 0.0), policy=Deadline.WAIT, paced=False, capacity=2)) as live:

            async def source() -> None:
                for k in range(5):
                    await live.push(flat(k), Fraction(k))
                live.finish()

            task = asyncio.create_task(source())
            asyncio.get_running_loop().call_later(0.01, go.set)
            origins = [frame.origin async for frame in live]
            await task
            assert live.report().received == 5
            return origins

    assert asyncio.run(play()) == [Origin.SOURCE, Origin.DRAWN] * 4 + [Origin.SOURCE] * 2


def test_a_closed_asyncio_run_draws_nothing_any_more() -> None:
    go = threading.Event()

    class Blocked(SlowDrawer):
        def between(self, *args: Any, **options: Any) -> list[Array]:
            self.busy = True
            assert go.wait(60), "the event loop was held up"
            return super().between(*args, **options)

    drawer = Blocked(FakeClock(), 0.0)

    async def play() -> None:
        async with AsyncLive(Live(drawer, paced=False)) as live:
            for k in range(2):
                await live.push(flat(k), Fraction(k))
            async for _ in live:
                break
            while not drawer.busy:
                await asyncio.sleep(0)
            asyncio.get_running_loop().call_later(0.01, go.set)
        assert not drawer.busy

    asyncio.run(play())


def test_a_cancelled_task_leaves_no_thread_behind(tmp_path: Path) -> None:
    graph = graphs.blend(tmp_path / "blend.onnx")
    blend = Interpolator.open(graph, Backend.ONNXRUNTIME)
    before = set(threading.enumerate())

    async def play() -> None:
        async with AsyncLive(Live(blend)) as live:
            await live.push(flat(0))
            async for _ in live:
                raise AssertionError("one frame alone is not shown")

    async def cancel() -> None:
        task = asyncio.create_task(play())
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert set(threading.enumerate()) <= before
