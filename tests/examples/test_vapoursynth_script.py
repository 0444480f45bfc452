"""The script in docs/hosts-vapoursynth.md works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from support import graphs

PAGE = Path(__file__).parents[2] / "docs" / "hosts-vapoursynth.md"

vs = pytest.importorskip(
    "vapoursynth", reason="VapourSynth is not installed; its wheels are for CPython 3.12 and later"
)


def test_the_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    graphs.blend(tmp_path / "rife.onnx")
    (script, *_) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    source = 'vs.core.bs.VideoSource("clip.mp4")'  # a plugin that is not part of VapourSynth
    assert source in script
    stand_in = "vs.core.std.BlankClip(format=vs.YUV420P8, width=64, height=48, length=3, fpsnum=30)"
    exec(script.replace(source, stand_in), {})  # noqa: S102
    clip = vs.get_output(0).clip
    assert (clip.num_frames, clip.fps, clip.format.name) == (6, 60, "YUV420P8")
    assert np.asarray(clip.get_frame(1)[0]).shape == (48, 64)
    vs.clear_outputs()
