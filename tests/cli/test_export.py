"""`tweenrt export` and `tweenrt verify`."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from support import toy
from support.cli import run

from tweenrt import cache
from tweenrt.contract import GraphInfo
from tweenrt.export import exporter
from tweenrt.export.verify import Parity


@pytest.fixture(autouse=True)
def _toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    toy.register(monkeypatch, toy.SPEC)


def test_a_checkpoint_becomes_a_verified_graph(tmp_path: Path) -> None:
    weights, graph = toy.checkpoint(tmp_path / "toy.pkl"), tmp_path / "made" / "toy.onnx"
    result = run("export", "toy-blend", "--weights", weights, "--size", "64x96", "--batch", "1", "-o", graph)
    assert (result.exit_code, result.stdout) == (0, f"{graph}\n"), result.stderr
    assert "max abs difference" in result.stderr
    metadata = {p.key: p.value for p in onnx.load(graph).metadata_props}
    assert GraphInfo.from_metadata(metadata, "").weights_sha256 == toy.sha256(weights)
    verified = run("verify", graph, "--weights", weights)
    assert verified.exit_code == 0, verified.stderr
    assert verified.stdout.count("frame_t") == 3
    assert verified.stdout.count("ok") == 3
    assert run("verify", graph).exit_code == 2, "without its checkpoint it cannot be compared"


def test_a_split_of_any_size(tmp_path: Path) -> None:
    folder = tmp_path / "split"
    result = run("export", "toy-blend", "--random-weights", "3", "--kind", "split", "--dynamic", "-o", folder)
    assert result.exit_code == 0, result.stderr
    assert sorted(p.name for p in folder.iterdir()) == ["encoder.onnx", "synthesis.onnx"]
    assert run("verify", folder).exit_code == 0


def test_a_graph_that_differs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter, "compare_part", lambda *_: Parity(0.1, 20.0, 1e-4))
    result = run("export", "toy-blend", "--random-weights", "3", "--size", "64x96", "-o", tmp_path / "toy.onnx")
    assert result.exit_code == 3
    assert "max abs difference 1.00e-01 (at most 1e-04)" in result.stderr
    assert not list(tmp_path.glob("*.onnx"))


def test_verify_of_a_changed_graph_is_3(tmp_path: Path) -> None:
    graph = tmp_path / "toy.onnx"
    run("export", "toy-blend", "--random-weights", "3", "--size", "64x96", "-o", graph)
    model = onnx.load(graph)
    seed = next(p for p in model.metadata_props if p.key == "tweenrt.weights_sha256")
    seed.value = "random:4"
    onnx.save(model, graph)
    result = run("verify", graph)
    assert result.exit_code == 3
    assert "differs" in result.stdout
    assert "3 of 3 outputs differ" in result.stderr


def test_the_wrong_checkpoint_is_2_and_writes_nothing(tmp_path: Path) -> None:
    wrong = toy.checkpoint(tmp_path / "wrong.pkl", channels=6)
    result = run("export", "toy-blend", "--weights", wrong, "-o", tmp_path / "toy.onnx")
    assert result.exit_code == 2
    assert "misshapen" in result.stderr
    assert not (tmp_path / "toy.onnx").exists()


def test_weights_that_cannot_be_fetched_are_explained(tmp_path: Path) -> None:
    result = run("export", "toy-blend", "-o", tmp_path / "toy.onnx")
    assert result.exit_code == 2
    assert "Download toy.pkl" in result.stderr


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--precision", "int8"], "int8"),
        (["--size", "64x96", "--dynamic"], "one of the two"),
        (["--size", "big"], "expected HEIGHTxWIDTH"),
        (["--size", "60x96"], "use --size 64x96"),
        (["--weights", "a", "--random-weights", "1"], "not both"),
        (["--kind", "quarter"], "quarter"),
    ],
)
def test_wrong_usage_is_2(flags: list[str], message: str, tmp_path: Path) -> None:
    result = run("export", "toy-blend", "-o", tmp_path / "toy.onnx", *flags)
    assert result.exit_code == 2
    assert message in result.stderr


def test_an_output_of_the_wrong_sort_is_2(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert run("export", "toy-blend", "--random-weights", "1", "-o", tmp_path).exit_code == 2
    assert (
        run("export", "toy-blend", "--random-weights", "1", "--kind", "split", "-o", tmp_path / "file").exit_code == 2
    )


def test_an_output_that_cannot_be_written_is_1(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run("export", "toy-blend", "--random-weights", "1", "-o", tmp_path / "file" / "toy.onnx")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
