"""Graphs and engines in, frames out: sessions, interpolator, timeline, scene cuts, video. Never imports torch."""

from __future__ import annotations

from tweenrt.runtime.cuda import Lane
from tweenrt.runtime.device_memory import DeviceArray
from tweenrt.runtime.distance import Region
from tweenrt.runtime.interpolator import Interpolator, PreparedFrame
from tweenrt.runtime.scene import SceneJudge
from tweenrt.runtime.session import Backend, Session, open_session
from tweenrt.runtime.stream import Origin, TimedFrame
from tweenrt.runtime.timeline import ByFactor, ToRate

__all__ = [
    "Backend",
    "ByFactor",
    "DeviceArray",
    "Interpolator",
    "Lane",
    "Origin",
    "PreparedFrame",
    "Region",
    "SceneJudge",
    "Session",
    "TimedFrame",
    "ToRate",
    "open_session",
]
