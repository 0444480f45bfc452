"""Frames of a live source in, frames for a screen or a stream out, within a deadline: the push side."""

from __future__ import annotations

from tweenrt.runtime.live.asynchronous import AsyncLive
from tweenrt.runtime.live.clock import Clock
from tweenrt.runtime.live.live import Live
from tweenrt.runtime.live.report import Deadline, LiveReport

__all__ = ["AsyncLive", "Clock", "Deadline", "Live", "LiveReport"]
