"""Engine files: what was written comes back, and nothing else is taken for an engine."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.engines import INFO

from tweenrt.errors import EngineError
from tweenrt.runtime.engines.engine_file import EngineInfo, pack, read_info, unpack

PLAN = bytes(range(256)) * 3
ENGINE = EngineInfo(
    graph=INFO.to_metadata(),
    graph_sha256="ab" * 32,
    flavour="tensorrt-rtx",
    tensorrt="1.7.1",
    targets=("sm86", "sm89"),
    plugins={"WarpBlend": 1},
    inputs={"x": [1, 3, 64, 96]},
)


def test_header_and_plan_come_back() -> None:
    assert unpack(pack(ENGINE, PLAN), "e") == (ENGINE, PLAN)
    assert ENGINE.graph_info("e") == INFO


def test_the_header_is_read_without_the_plan(tmp_path: Path) -> None:
    path = tmp_path / "e.engine"
    path.write_bytes(pack(ENGINE, PLAN)[:-100])
    assert read_info(path) == ENGINE


def test_every_changed_byte_is_noticed() -> None:
    content = pack(ENGINE, PLAN)
    for place in range(len(content)):
        broken = bytearray(content)
        broken[place] ^= 0x10
        with pytest.raises(EngineError):
            unpack(bytes(broken), "e")


def test_every_missing_or_added_byte_is_noticed() -> None:
    content = pack(ENGINE, PLAN)
    for length in range(len(content)):
        with pytest.raises(EngineError):
            unpack(content[:length], "e")
    with pytest.raises(EngineError, match=f"should hold {len(content)} bytes, it holds {len(content) + 1}"):
        unpack(content + b"x", "e")


def test_a_foreign_plan_is_refused_with_the_reason() -> None:
    with pytest.raises(EngineError, match="expected an engine built by tweenrt; a plan of another tool is code"):
        unpack(b"ftrt" + bytes(100), "e")


def test_what_cannot_be_read_is_reported(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"cannot read the engine \(No such file"):
        read_info(tmp_path / "absent.engine")
    (tmp_path / "short").write_bytes(b"TWEENRTE")
    with pytest.raises(EngineError, match="expected an engine built by tweenrt"):
        read_info(tmp_path / "short")
