"""The queue between threads is bounded, ends, and lets both sides go."""

from __future__ import annotations

import threading

import pytest

from tweenrt.runtime.channel import Channel, ChannelClosed


def test_items_arrive_in_order_and_end() -> None:
    channel: Channel[int] = Channel(2)

    def produce() -> None:
        for i in range(50):
            channel.put(i)
        channel.finish()

    thread = threading.Thread(target=produce)
    thread.start()
    assert list(channel) == list(range(50))
    thread.join()


def test_a_full_channel_holds_the_producer_back() -> None:
    channel: Channel[int] = Channel(3)
    put: list[int] = []

    def produce() -> None:
        for i in range(100):
            try:
                channel.put(i)
            except ChannelClosed:
                return
            put.append(i)

    thread = threading.Thread(target=produce)
    thread.start()
    consumer = iter(channel)
    assert next(consumer) == 0
    thread.join(0.2)
    assert thread.is_alive()
    assert len(put) <= 4
    channel.close()
    thread.join()


def test_closing_frees_a_waiting_consumer() -> None:
    channel: Channel[int] = Channel(1)
    timer = threading.Timer(0.05, channel.close)
    timer.start()
    with pytest.raises(ChannelClosed):
        next(iter(channel))
    timer.join()
