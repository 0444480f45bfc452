"""Means, published figures, what must be known, and pictures of the worst frames."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import datasets
from support.clips import Blend
from support.graphs import INFO, blend, blend_halves

from tweenrt.contract import FrameIO
from tweenrt.errors import GraphError, OutputError, UsageError
from tweenrt.runtime import Backend
from tweenrt.runtime.evaluate.benchmarks import BENCHMARKS, open_series
from tweenrt.runtime.evaluate.dataset import Dataset
from tweenrt.runtime.evaluate.error_map import error_map, write_error_maps
from tweenrt.runtime.evaluate.job import Job, graph_sha256
from tweenrt.runtime.evaluate.metrics import Metric
from tweenrt.runtime.evaluate.published import published
from tweenrt.runtime.evaluate.report import report
from tweenrt.runtime.evaluate.run import Row, evaluate
from tweenrt.runtime.evaluate.summary import summarise, worst

PSNR, IE = Metric.PSNR, Metric.IE
TRAINED = replace(INFO, model="ifrnet", weights_sha256="ab12")


def row(group: str, name: str, seconds: float = 1.0, **values: float) -> Row:
    return Row(group, name, Fraction(1, 2), seconds, {Metric(metric): value for metric, value in values.items()})


ROWS = [
    row("hard", "a", 3.0, psnr_float=30.0, ssim_matlab_float=0.9),
    row("easy", "a", 1.0, psnr_float=40.0, ssim_matlab_float=1.0),
    row("hard", "b", 2.0, psnr_float=20.0, ssim_matlab_float=0.8),
    row("hard", "c", 9.0, psnr_float=math.inf, ssim_matlab_float=1.0),
]
SNU = Job(Path("g.onnx"), Dataset.SNU_FILM, Path("data"), (Metric.PSNR_FLOAT, Metric.SSIM_MATLAB_FLOAT))


def test_means_of_each_group_and_of_all() -> None:
    easy, hard, everything = summarise(ROWS, ["easy", "medium", "hard"])
    assert (easy.group, easy.count, easy.identical) == ("easy", 1, 0)
    assert hard.values == {Metric.PSNR_FLOAT: 25.0, Metric.SSIM_MATLAB_FLOAT: pytest.approx(0.9)}
    assert (hard.count, hard.identical, hard.seconds) == (3, 1, 3.0)
    assert (everything.group, everything.count, everything.seconds) == ("", 4, 2.5)
    assert everything.values[Metric.PSNR_FLOAT] == 30.0
    assert everything.values[Metric.SSIM_MATLAB_FLOAT] == pytest.approx(0.925)


def test_one_group_is_said_once_and_equal_frames_have_no_mean() -> None:
    (only,) = summarise([row("", "a", psnr=math.inf)], [""])
    assert (only.identical, only.values) == (1, {PSNR: math.inf})


def test_the_worst_rows_by_their_first_metric() -> None:
    rows = [row("", name, psnr=value) for name, value in (("a", 30.0), ("b", 20.0), ("c", math.inf))]
    assert [r.name for r in worst(rows, 2)] == ["b", "a"]
    assert [r.name for r in worst(rows, 9)] == ["b", "a", "c"]
    errors = [row("", name, ie=value) for name, value in (("a", 1.0), ("b", 2.0))]
    assert [r.name for r in worst(errors, 1)] == ["b"]


def test_published_figures_stand_beside_the_metric_they_belong_to() -> None:
    found = report(SNU, TRAINED, ROWS)
    easy, hard, everything = found.means
    assert found.beside(hard) == {Metric.PSNR_FLOAT: 30.41, Metric.SSIM_MATLAB_FLOAT: 0.9358}
    assert found.beside(easy) == {Metric.PSNR_FLOAT: 40.03, Metric.SSIM_MATLAB_FLOAT: 0.9905}
    assert found.beside(everything) == {}
    middlebury = Job(Path("g.onnx"), Dataset.MIDDLEBURY, Path("data"))
    shown = report(middlebury, TRAINED, [row("", "Venus", psnr=30.0, ie=2.0)])
    assert shown.beside(shown.means[0]) == {IE: 1.95}
    other = report(middlebury, TRAINED, [row("", "Venus", psnr=30.0)])
    assert other.beside(other.means[0]) == {}


def test_random_weights_have_no_published_figures() -> None:
    assert report(SNU, replace(TRAINED, weights_sha256="random:0"), ROWS).published == {}


def test_the_table_agrees_with_the_registry() -> None:
    from tweenrt.export import registry

    for name in registry.names():
        known = registry.get(name).published
        found = published(name, Dataset.VIMEO90K).get("")
        assert (known is None) == (found is None), name
        if known is not None and found is not None:
            assert (found.psnr, found.ssim, found.source) == (known.psnr, known.ssim, known.source)


def test_the_table_names_models_datasets_and_groups_that_exist() -> None:
    from tweenrt.export import registry
    from tweenrt.runtime.evaluate import published as module

    rows = json.loads(module._TABLE.read_text())
    keys = [(r["model"], r["dataset"], r["group"]) for r in rows]
    assert len(set(keys)) == len(keys)
    for r in rows:
        benchmark = BENCHMARKS[Dataset(r["dataset"])]
        assert r["model"] in registry.names()
        assert r["group"] in benchmark.sizes
        given = {family for family in ("psnr", "ssim", "ie") if r[family] is not None}
        assert given <= {metric.family for metric in benchmark.published}, "there is no metric to compare it with"
        assert r["psnr"] is None or 20 < r["psnr"] < 45
        assert r["ssim"] is None or 0.8 < r["ssim"] < 1


def test_what_the_reader_must_know() -> None:
    remarks = report(SNU, TRAINED, ROWS, ["from the series"]).remarks
    assert remarks == [
        "from the series",
        "easy: 1 of the 310 frames that papers take the mean over",
        "hard: 3 of the 310 frames that papers take the mean over",
        "hard: 1 frames equal the truth; their PSNR is infinite and not in the mean",
        "all: 1 frames equal the truth; their PSNR is infinite and not in the mean",
    ]
    (four, *_) = report(SNU, replace(TRAINED, model="dbvi-2x", frames=4), ROWS).remarks
    assert four.startswith("dbvi-2x looks at four frames; besides the pair it got: the frames one step further out")
    (rounded, *_) = report(SNU, replace(TRAINED, io=FrameIO.UINT8), ROWS).remarks
    assert "of rounded frames too" in rounded


def test_nothing_to_report() -> None:
    with pytest.raises(UsageError, match="data: no frame was held out; left out 1 of 1 intervals"):
        report(SNU, TRAINED, [], ["left out 1 of 1 intervals"])


def test_facts_are_json(tmp_path: Path) -> None:
    job = replace(SNU, graph=blend(tmp_path / "g.onnx"))
    facts = json.loads(json.dumps(report(job, TRAINED, ROWS).facts(), allow_nan=False))
    assert (facts["model"], facts["dataset"], facts["metrics"]) == (
        "ifrnet",
        "snu-film",
        [m.value for m in SNU.measured],
    )
    assert facts["graph_sha256"] == graph_sha256(job.graph)
    hard = facts["summary"][1]
    assert hard["published"] == {
        "psnr_float": 30.41,
        "ssim_matlab_float": 0.9358,
        "source": "EMA-VFI paper, table 1",
    }
    assert (hard["subset"], hard["frames"], hard["identical"], hard["psnr_float"]) == ("hard", 3, 1, 25.0)
    assert facts["summary"][2]["published"] is None
    assert facts["frames"][3] == {
        "subset": "hard",
        "frame": "c",
        "t": 0.5,
        "seconds": 9.0,
        "psnr_float": None,
        "ssim_matlab_float": 1.0,
    }


def test_the_identity_names_everything_that_rows_depend_on(tmp_path: Path) -> None:
    graph, other = blend(tmp_path / "a.onnx"), blend(tmp_path / "b.onnx", gain=2.0)
    job = Job(graph, Dataset.VIMEO90K, tmp_path)
    changed = [
        replace(job, graph=other),
        replace(job, dataset=Dataset.UCF101),
        replace(job, root=tmp_path / "other"),
        replace(job, metrics=(Metric.PSNR,)),
        replace(job, backend=Backend.OPENVINO),
        replace(job, iterations=3),
    ]
    identities = [json.dumps(j.identity()) for j in (job, *changed)]
    assert len(set(identities)) == len(identities)
    same = (replace(job, limit=3), replace(job, groups=("x",)), replace(job, metrics=job.benchmark.metrics))
    assert {json.dumps(j.identity()) for j in same} == {identities[0]}


def test_the_identity_of_a_video(tmp_path: Path) -> None:
    (tmp_path / "in.mkv").write_bytes(b"1234")
    job = Job(blend(tmp_path / "a.onnx"), Dataset.VIDEO, tmp_path / "in.mkv")
    first = job.identity()
    assert first["bytes"] == 4
    changed = (replace(job, every=3), replace(job, first=1), replace(job, across_cuts=True))
    assert all(j.identity() != first for j in changed)
    (tmp_path / "in.mkv").write_bytes(b"12345")
    assert job.identity() != first
    for options in ({"every": 3}, {"first": 1}, {"across_cuts": True}):
        with pytest.raises(UsageError, match="vimeo90k says itself which frames are held out"):
            Job(job.graph, Dataset.VIMEO90K, tmp_path, **options)
    with pytest.raises(UsageError, match="one frame of 2 or more, got 1"):
        replace(job, every=1)


def test_the_hash_of_a_split_graph_covers_both_files(tmp_path: Path) -> None:
    folder = blend_halves(tmp_path / "halves")
    first = graph_sha256(folder)
    (folder / "notes.txt").write_text("mine")
    assert graph_sha256(folder) == first
    blend_halves(folder, gain=2.0)
    assert graph_sha256(folder) != first
    with pytest.raises(GraphError, match="no such graph"):
        graph_sha256(tmp_path / "absent")


def test_error_maps_show_truth_drawing_and_error() -> None:
    truth = np.full((2, 3, 3), 100, np.uint8)
    drawn = np.full((2, 3, 3), 103 / 255, np.float32)
    drawn[0, 0] = 0.0
    shown = error_map(drawn, truth)
    assert shown.shape == (2, 9, 3)
    assert (shown[:, :3] == 100).all()
    assert (shown[1, 3:6] == 103).all()
    assert (shown[1, 6:] == 24).all(), "eight times as large"
    assert (shown[0, 6] == 255).all(), "and no larger than white"


def test_pictures_of_the_worst_frames(tmp_path: Path) -> None:
    triples = {t.group: t for t in datasets.snu_film(tmp_path)}
    series = open_series(Dataset.SNU_FILM, tmp_path)
    network = Blend()
    rows = worst(list(evaluate(series.iterate(), network, (PSNR,), integers=True)), 2)
    asked = len(network.asked)
    write_error_maps(rows, series.iterate(), network, tmp_path / "maps" / "deep", integers=True)
    assert len(network.asked) == asked + 2, "only those are drawn again"
    files = sorted((tmp_path / "maps" / "deep").iterdir())
    assert [f.name for f in files] == [
        f"{place:03d}-{r.group}-GOPRO_test_GOPR0384_11_00_{r.name[-6:]}.png" for place, r in enumerate(rows, 1)
    ]
    for file, r in zip(files, rows, strict=True):
        picture, triple = np.asarray(Image.open(file)), triples[r.group]
        drawn = (triple.frame0 // 2 + triple.frame1 // 2).astype(int)
        assert np.array_equal(picture[:, :32], triple.truth)
        assert np.array_equal(picture[:, 32:64], drawn)
        assert np.array_equal(picture[:, 64:], np.minimum(np.abs(drawn - triple.truth) * 8, 255))


def test_pictures_that_cannot_be_written(tmp_path: Path) -> None:
    datasets.vimeo90k(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be made"):
        write_error_maps([], [], Blend(), tmp_path / "file" / "maps")
