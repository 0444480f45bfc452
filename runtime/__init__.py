"""Graphs and engines in, frames out: sessions, interpolator, timeline, scene cuts, video. Never imports torch."""

from __future__ import annotations

from tweenrt.runtime.cuda import Lane
from tweenrt.runtime.device_memory import DeviceArray
from tweenrt.runtime.distance import Region
from tweenrt.runtime.interpolator import Interpolator, PreparedFrame
from tweenrt.runtime.session import Backend, Session, open_session

__all__ = ["Backend", "DeviceArray", "Interpolator", "Lane", "PreparedFrame", "Region", "Session", "open_session"]
