"""`tweenrt convert`, and `tweenrt export --precision fp16`."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx
import pytest
from support import graphs, toy
from support.cli import run
from support.clips import Clip, moving
from support.mixed import graph, save

from tweenrt import cache
from tweenrt.contract import GraphInfo

LAYER = """
    g (float[N,3,H,W] frame0, float[N,3,H,W] frame1, float[N,1,1,1] t) => (float[N,3,H,W] frame_t) {
        both = Concat <axis = 1> (frame0, frame1)
        hidden = Conv <pads = [1, 1, 1, 1]> (both, w)
        scaled = Mul (hidden, gain)
        small = Mul (scaled, loss)
        residual = Conv <pads = [1, 1, 1, 1]> (small, v)
        frame_t = Add (frame0, residual) }"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return network(tmp_path / "fp32.onnx")


def network(path: Path, gain: float = 2.0) -> Path:
    rng = np.random.default_rng(1)
    weights = {"w": (rng.random((4, 6, 3, 3)) / 9).astype("f4"), "v": (rng.random((3, 4, 3, 3)) / 99).astype("f4")}
    return save(path, graph(LAYER, **weights, gain=gain, loss=1 / gain))


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    images = moving(4, 35, 53)
    return Clip(images, time_base=Fraction(1, 25), codec="ffv1", pix_fmt="yuv444p", options={}).write(
        tmp_path / "in.mkv"
    )


def info(path: Path) -> GraphInfo:
    return GraphInfo.from_metadata({p.key: p.value for p in onnx.load(path).metadata_props}, str(path))


def test_a_graph_is_converted_on_made_up_frames(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "fp16.onnx"
    result = run("convert", source, "--precision", "fp16", "-o", out)
    assert result.exit_code == 0, result.stderr
    rows = [line.split() for line in result.stdout.splitlines() if "fp16.onnx" in line]
    assert [row[1:3] for row in rows] == [["fp16", "4"], ["fp32", "1"], ["fp32", "1"]]
    assert "features: convolutions" in result.stdout
    assert f"{out}: 2 casts; of 326 FP16 weights" in result.stderr
    assert "PSNR against FP32: " in result.stderr
    assert info(out).precision == "fp16"


def test_a_graph_is_converted_on_the_frames_of_a_clip(source: Path, clip: Path, tmp_path: Path) -> None:
    result = run(
        "convert", source, "--precision", "fp16", "--frames", clip, "--pairs", "2", "-o", tmp_path / "fp16.onnx"
    )
    assert result.exit_code == 0, result.stderr
    assert "(pair 0, the worst)" in result.stderr or "(pair 1, the worst)" in result.stderr


def test_what_is_too_large_is_named(clip: Path, tmp_path: Path) -> None:
    source = network(tmp_path / "large.onnx", gain=6e4)
    result = run("convert", source, "--precision", "fp16", "--frames", clip, "-o", tmp_path / "fp16.onnx")
    assert result.exit_code == 0, result.stderr
    assert "warning: Mul stays FP32: gain reaches 6e+04" in result.stderr
    assert "warning: Mul stays FP32: scaled reaches " in result.stderr
    assert "range: values beyond 16376" in result.stdout
    assert "range: weights beyond 16376" in result.stdout


def test_many_that_are_too_large_are_counted(tmp_path: Path) -> None:
    chain = "\n".join(f"b{k + 1} = Mul (b{k}, one)" for k in range(12))
    text = f"""
        g (float[N,3,H,W] frame0, float[N,3,H,W] frame1, float[N,1,1,1] t) => (float[N,3,H,W] frame_t) {{
            a = Conv (frame0, w) b0 = Mul (a, gain) {chain} c = Mul (b12, loss) d = Conv (c, w)
            frame_t = Add (frame1, d) }}"""
    weights = {"w": np.full((3, 3, 1, 1), 0.3, "f4"), "gain": 1.6e4, "loss": 1 / 1.6e4, "one": 1.2}
    result = run(
        "convert", save(tmp_path / "g.onnx", graph(text, **weights)), "--precision", "fp16", "-o", tmp_path / "o.onnx"
    )
    assert result.exit_code == 0, result.stderr
    assert result.stderr.count("stays FP32") == 8
    assert "5 more nodes stay FP32 for the same reason" in result.stderr


def test_a_gate_that_is_not_met_is_3_and_writes_nothing(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "fp16.onnx"
    result = run("convert", source, "--precision", "fp16", "-o", out, "--min-psnr", "300")
    assert result.exit_code == 3
    assert "at least 300 dB were asked for. Nothing was written" in result.stderr
    assert list(out.parent.iterdir()) == []


def test_a_split_folder_is_converted(tmp_path: Path) -> None:
    source, out = graphs.blend_halves(tmp_path / "halves"), tmp_path / "fp16"
    result = run("convert", source, "--precision", "fp16", "-o", out)
    assert result.exit_code == 0, result.stderr
    assert {info(out / name).precision for name in ("encoder.onnx", "synthesis.onnx")} == {"fp16"}
    assert "encoder.onnx" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{source}", "-o", "{folder}"], "expected a file name such as"),
        (["{folder}", "-o", "{source}"], "expected a folder, found a file"),
        (["{source}", "-o", "{source}"], "this is the graph that is converted"),
        (["{absent}", "-o", "{source}"], "no such graph"),
        (["{folder}", "-o", "{absent}"], "expected encoder.onnx and synthesis.onnx"),
        (["{source}", "-o", "{absent}", "--frames", "{folder}"], "expected images"),
        (["{source}", "-o", "{absent}", "--pairs", "0"], "--pairs"),
    ],
)
def test_wrong_usage_is_2(arguments: list[str], message: str, source: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    places = {"source": source, "folder": tmp_path / "empty", "absent": tmp_path / "absent"}
    result = run("convert", "--precision", "fp16", *(a.format(**places) for a in arguments))
    assert result.exit_code == 2, result.stderr
    assert message in result.stderr
    assert not (tmp_path / "absent").exists()


@pytest.mark.parametrize("precision", [[], ["--precision", "fp32"], ["--precision", "int8"]])
def test_the_precision_must_be_said_and_known(precision: list[str], source: Path, tmp_path: Path) -> None:
    assert run("convert", source, *precision, "-o", tmp_path / "x.onnx").exit_code == 2


def test_an_fp16_graph_is_not_converted_again(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "fp16.onnx"
    assert run("convert", source, "--precision", "fp16", "-o", out).exit_code == 0
    result = run("convert", out, "--precision", "fp16", "-o", tmp_path / "twice.onnx")
    assert result.exit_code == 2
    assert "expected an fp32 graph, got fp16" in result.stderr


@pytest.mark.parametrize("kind", ["pair", "split"])
def test_export_writes_fp16_at_once(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    toy.register(monkeypatch, toy.SPEC)
    out = tmp_path / "made" / ("toy.onnx" if kind == "pair" else "toy")
    result = run("export", "toy-blend", "--random-weights", "3", "--kind", kind, "--precision", "fp16", "-o", out)
    assert result.exit_code == 0, result.stderr
    written = [Path(line) for line in result.stdout.splitlines()]
    assert written == ([out] if kind == "pair" else [out / "encoder.onnx", out / "synthesis.onnx"])
    assert {info(path).precision for path in written} == {"fp16"}
    assert list(out.parent.iterdir()) == [out]
    assert "max abs difference" in result.stderr
    assert "PSNR against FP32" in result.stderr
