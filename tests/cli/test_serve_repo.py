"""`tweenrt serve-repo`: what it writes and says; and what the guide to Triton shows, run as it stands there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from support import graphs
from support.cli import run
from support.clips import Clip, moving, seen

kserve = pytest.importorskip("support.kserve", reason="needs the extra triton", exc_type=ImportError)

GUIDE = Path(__file__).parents[2] / "docs" / "hosts-triton.md"


def commands(verb: str) -> list[list[str]]:
    """Every `tweenrt VERB` in the guide, without the word tweenrt."""
    text = "\n".join(re.findall(r"```sh\n(.*?)```", GUIDE.read_text(), re.DOTALL)).replace("\\\n", " ")
    return [shlex.split(line)[1:] for line in text.splitlines() if line.startswith(f"tweenrt {verb} ")]


def test_models_are_written_and_named(tmp_path: Path) -> None:
    graph, halves = graphs.blend(tmp_path / "mix.onnx"), graphs.blend_halves(tmp_path / "cut")
    options = ["--max-batch", "4", "--delay", "50", "--instances", "2", "--gpu", "0", "--gpu", "1"]
    result = run("serve-repo", graph, halves, "--out", tmp_path / "repo", *options)
    assert result.exit_code == 0, result.stderr
    names = ["mix", "cut-encoder", "cut-synthesis", "cut"]
    assert result.stdout.split() == [str(tmp_path / "repo" / name / "1") for name in names]
    assert "tritonserver --model-repository" in result.stderr
    config = kserve.read_config(tmp_path / "repo" / "mix")
    assert (config.max_batch_size, config.dynamic_batching.max_queue_delay_microseconds) == (4, 50)
    assert (config.instance_group[0].count, list(config.instance_group[0].gpus)) == (2, [0, 1])


def test_what_cannot_be_served_is_2(tmp_path: Path) -> None:
    result = run("serve-repo", tmp_path / "no.onnx", "-o", tmp_path / "repo")
    assert result.exit_code == 2
    assert "no such graph" in result.stderr
    assert not (tmp_path / "repo").exists()


def test_the_guide_s_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    graphs.blend(tmp_path / "rife.onnx")
    clip = Clip(moving(6)).write(tmp_path / "in.mp4")
    (serve,) = commands("serve-repo")
    assert run(*serve).exit_code == 0
    asks = commands("distribute")
    assert len(asks) == 2
    repository = kserve.Repository(tmp_path / "model_repository")
    with kserve.serve_http(repository) as http, kserve.serve_grpc(repository) as grpc:
        for ask in asks:
            here = {"http://gpu-host:8000": http, "grpc://gpu-host:8001": grpc, "grpc://other-host:8001": grpc}
            result = run(*[here.get(word, word) for word in ask])
            assert result.exit_code == 0, result.stderr
            target = Path(result.stdout.strip())
            assert len(seen(target).times) == 2 * len(seen(clip).times)
    assert not list(tmp_path.glob("*.jobs"))
