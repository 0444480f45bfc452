"""What is drawn and measured is what a plain computation gives, with any network and backend; nothing is done twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import datasets, graphs
from support import metrics as plain
from support.clips import Blend

from tweenrt.contract import TimeInput
from tweenrt.errors import BackendError, UsageError
from tweenrt.runtime import Backend, Interpolator
from tweenrt.runtime.evaluate.benchmarks import BENCHMARKS, open_series
from tweenrt.runtime.evaluate.dataset import Dataset
from tweenrt.runtime.evaluate.metrics import Metric
from tweenrt.runtime.evaluate.run import Row, draw, evaluate
from tweenrt.runtime.openvino_session import is_installed

MAKERS: dict[Dataset, Callable[[Path], Any]] = {
    Dataset.VIMEO90K: datasets.vimeo90k,
    Dataset.VIMEO90K_SEPTUPLET: datasets.septuplets,
    Dataset.UCF101: datasets.ucf101,
    Dataset.SNU_FILM: datasets.snu_film,
    Dataset.MIDDLEBURY: datasets.middlebury,
    Dataset.XIPH: datasets.xiph,
    Dataset.X4K: datasets.x4k,
    Dataset.VIDEO: lambda root: datasets.clip(root / "clip", 7),
}
BACKENDS = [
    Backend.ONNXRUNTIME,
    pytest.param(Backend.OPENVINO, marks=pytest.mark.skipif(not is_installed(), reason="needs OpenVINO")),
]


class Mix(Blend):
    """`Blend` without rounding, for frames in float32."""

    def between(self, frame0: np.ndarray, frame1: np.ndarray, times: list[Fraction], **around: Any) -> list[np.ndarray]:
        self.asked += times
        self.around.append((around["before"], around["after"]))
        return [((1 - float(t)) * frame0.astype(np.float64) + float(t) * frame1).astype(np.float32) for t in times]


def rows_of(dataset: Dataset, root: Path, network: Any, metrics: tuple[Metric, ...], **options: Any) -> list[Row]:
    where = root / "clip" if dataset is Dataset.VIDEO else root
    return list(evaluate(open_series(dataset, where).iterate(), network, metrics, **options))


def by_hand(dataset: Dataset, root: Path) -> list[dict[Metric, float]]:
    """The rounded figures of a plain blend, from the pixels in the files."""
    where = root / "clip" if dataset is Dataset.VIDEO else root
    found = []
    for sample in open_series(dataset, where).iterate():
        frames = [f.rgb.astype(np.float64) for f in (sample.frame0, sample.frame1, sample.truth)]
        a, b, truth = (f / 255 if sample.truth.rgb.dtype == np.uint8 else f for f in frames)
        blend = (1 - float(sample.t)) * a + float(sample.t) * b
        levels = np.rint(blend * 255).astype(np.uint8)
        psnr = plain.psnr(levels / 255, truth)
        found.append({Metric.PSNR: psnr, Metric.SSIM: plain.ssim(levels / 255, truth)})
    return found


@pytest.mark.parametrize("dataset", MAKERS)
def test_every_layout_gives_the_figures_that_are_computed_by_hand(dataset: Dataset, tmp_path: Path) -> None:
    MAKERS[dataset](tmp_path)
    expected = by_hand(dataset, tmp_path)
    rows = rows_of(dataset, tmp_path, Mix(), (Metric.PSNR, Metric.SSIM))
    assert len(rows) == len(expected) > 0
    for row, figures in zip(rows, expected, strict=True):
        assert row.values[Metric.PSNR] == pytest.approx(figures[Metric.PSNR], abs=1e-9)
        assert row.values[Metric.SSIM] == pytest.approx(figures[Metric.SSIM], abs=1e-9)
        assert row.seconds >= 0


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dataset", [Dataset.VIMEO90K, Dataset.SNU_FILM, Dataset.MIDDLEBURY, Dataset.VIDEO])
def test_graphs_give_the_same_figures_on_every_backend(dataset: Dataset, backend: Backend, tmp_path: Path) -> None:
    MAKERS[dataset](tmp_path)
    expected = by_hand(dataset, tmp_path)
    with Interpolator.open(graphs.blend(tmp_path / "blend.onnx"), backend, threads=1) as network:
        rows = rows_of(dataset, tmp_path, network, (Metric.PSNR, Metric.SSIM, Metric.PSNR_FLOAT))
    for row, figures in zip(rows, expected, strict=True):
        assert row.values[Metric.PSNR] == pytest.approx(figures[Metric.PSNR], abs=1e-9)
        assert row.values[Metric.SSIM] == pytest.approx(figures[Metric.SSIM], abs=1e-9)
        assert row.values[Metric.PSNR_FLOAT] == pytest.approx(figures[Metric.PSNR], abs=1e-4)


def test_the_papers_figures_on_a_triplet(tmp_path: Path) -> None:
    triple, *_ = datasets.vimeo90k(tmp_path)
    row, *_ = rows_of(Dataset.VIMEO90K, tmp_path, Mix(), BENCHMARKS[Dataset.VIMEO90K].metrics)
    drawn = (triple.frame0.astype(np.float64) + triple.frame1) / 2 / 255
    assert row.values == {
        Metric.PSNR: pytest.approx(plain.psnr(drawn, triple.truth / 255), abs=1e-9),
        Metric.PSNR_FLOAT: pytest.approx(plain.psnr(drawn, triple.truth / 255), abs=1e-5),
        Metric.SSIM_MATLAB_FLOAT: pytest.approx(plain.ssim_matlab(drawn, triple.truth / 255), abs=1e-7),
    }


@pytest.mark.parametrize(("dataset", "metric"), [(Dataset.MIDDLEBURY, Metric.IE), (Dataset.XIPH, Metric.SSIM_UNIFORM)])
def test_what_only_some_papers_take(dataset: Dataset, metric: Metric, tmp_path: Path) -> None:
    MAKERS[dataset](tmp_path)
    sample = next(open_series(dataset, tmp_path).iterate())
    drawn = (sample.frame0.rgb // 2 + sample.frame1.rgb // 2).astype(np.uint8)
    truth = sample.truth.rgb
    expected = plain.error(drawn, truth) if metric is Metric.IE else plain.ssim_uniform(drawn / 255, truth / 255)
    assert metric in BENCHMARKS[dataset].metrics
    assert rows_of(dataset, tmp_path, Mix(), (metric,))[0].values[metric] == pytest.approx(expected, abs=1e-9)


def test_graphs_that_take_bytes(tmp_path: Path) -> None:
    datasets.x4k(tmp_path)
    samples = [s for s in open_series(Dataset.X4K, tmp_path).iterate() if s.t == Fraction(1, 2)]
    with Interpolator.open(graphs.blend_bytes(tmp_path / "blend.onnx"), Backend.ONNXRUNTIME) as network:
        found = list(draw(samples, network, integers=True))
        rows = list(evaluate(samples, network, (Metric.PSNR, Metric.PSNR_FLOAT), integers=True))
    assert {drawn.dtype for _, drawn, _ in found} == {np.dtype(np.uint8)}
    assert [row.group for row in rows] == ["4k", "4k", "2k", "2k"]
    assert all(row.values[Metric.PSNR] == row.values[Metric.PSNR_FLOAT] for row in rows)
    sample, drawn, _ = found[2]
    around = [np.rint(frame.rgb * 255) for frame in (sample.frame0, sample.frame1)]
    assert np.array_equal(drawn, np.rint(sum(around) / 2)), "float frames are rounded for it"


def test_every_frame_is_prepared_once_and_moments_are_drawn_together(tmp_path: Path) -> None:
    datasets.x4k(tmp_path)
    network = Mix()
    calls: list[int] = []
    between = network.between
    network.between = lambda a, b, times, **more: calls.append(len(times)) or between(a, b, times, **more)
    assert len(rows_of(Dataset.X4K, tmp_path, network, (Metric.PSNR,))) == 28
    assert calls == [7] * 4
    assert network.prepared == 8


def test_midpoint_networks_halve(tmp_path: Path) -> None:
    datasets.x4k(tmp_path)
    fixed = graphs.save(
        tmp_path / "mean.onnx",
        f"""{graphs.HEAD} mean (float[N,3,H,W] frame0, float[N,3,H,W] frame1) => (float[N,3,H,W] frame_t) {{
            sum = Add (frame0, frame1)
            half = Constant <value_floats = [0.5]> ()
            frame_t = Mul (sum, half)
        }}""",
        replace(graphs.INFO, t=TimeInput.FIXED),
    )
    expected = by_hand(Dataset.X4K, tmp_path)
    with Interpolator.open(fixed, Backend.ONNXRUNTIME) as network:
        rows = rows_of(Dataset.X4K, tmp_path, network, (Metric.PSNR,))
        datasets.clip(tmp_path / "clip", 4)
        with pytest.raises(UsageError, match="draws midpoints only"):
            list(evaluate(open_series(Dataset.VIDEO, tmp_path / "clip", every=3).iterate(), network, (Metric.PSNR,)))
    assert [row.values[Metric.PSNR] for row in rows] == pytest.approx([f[Metric.PSNR] for f in expected], abs=1e-9)


def test_what_is_done_is_not_drawn_again(tmp_path: Path) -> None:
    datasets.x4k(tmp_path)
    network = Mix()
    everything = rows_of(Dataset.X4K, tmp_path, network, (Metric.PSNR,))
    done = {row.key for row in everything[:10]}
    again = Mix()
    rest = rows_of(Dataset.X4K, tmp_path, again, (Metric.PSNR,), done=done)
    assert [(row.key, row.values) for row in rest] == [(row.key, row.values) for row in everything[10:]]
    assert len(network.asked) == 28
    assert again.asked == network.asked[10:]


def test_finished_frames_are_not_even_read(tmp_path: Path) -> None:
    datasets.vimeo90k(tmp_path)
    done = {("", "00001/0389")}
    for image in (tmp_path / "vimeo_triplet" / "sequences" / "00001").rglob("*.png"):
        image.write_bytes(b"no picture")
    (row,) = rows_of(Dataset.VIMEO90K, tmp_path, Mix(), (Metric.PSNR,), done=done)
    assert row.name == "00002/0001"


def test_networks_of_four_frames_get_neighbours(tmp_path: Path) -> None:
    images = datasets.septuplets(tmp_path)
    network = Mix()
    network.neighbours = True
    rows_of(Dataset.VIMEO90K_SEPTUPLET, tmp_path, network, (Metric.PSNR,))
    ((before, after),) = network.around
    assert before == pytest.approx(images["im1"] / 255, abs=1e-7)
    assert after == pytest.approx(images["im7"] / 255, abs=1e-7)
    plain_network = Mix()
    rows_of(Dataset.VIMEO90K_SEPTUPLET, tmp_path, plain_network, (Metric.PSNR,))
    assert (plain_network.prepared, plain_network.around) == (2, [(None, None)])


def test_values_that_are_no_numbers_end_it(tmp_path: Path) -> None:
    datasets.vimeo90k(tmp_path)
    network = Mix()
    network.between = lambda frame0, *_, **__: [np.full_like(frame0, np.nan)]
    with pytest.raises(BackendError, match="drew 00001/0389 with values that are no numbers"):
        rows_of(Dataset.VIMEO90K, tmp_path, network, (Metric.PSNR,))
