"""The VapourSynth filter, `interpolate`; see docs/hosts-vapoursynth.md."""

from __future__ import annotations

from tweenrt.runtime.vapoursynth import interpolate

__all__ = ["interpolate"]
