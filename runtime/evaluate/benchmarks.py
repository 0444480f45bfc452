"""For each dataset the protocol of the field: which frames, at which size, measured how."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tweenrt.errors import UsageError
from tweenrt.runtime.evaluate import sequences, triplets
from tweenrt.runtime.evaluate.clip import open_clip
from tweenrt.runtime.evaluate.dataset import Dataset
from tweenrt.runtime.evaluate.entries import Entry, series_of
from tweenrt.runtime.evaluate.metrics import Metric
from tweenrt.runtime.evaluate.sample import Series


@dataclass(frozen=True)
class Benchmark:
    """The protocol of a dataset.

    Attributes:
        protocol: what is re-created from what, one sentence; part of a record's identity.
        layout: how the dataset unpacks.
        sizes: group → how many frames a complete dataset holds out; None where that is open.
        metrics: what is measured unless asked otherwise.
        published: those of its metrics that papers publish.
        neighbours: what networks of four frames get besides the pair, one clause.
        entries: finds the files of the groups that are wanted; None for a clip.
    """

    protocol: str
    layout: str
    sizes: Mapping[str, int | None]
    metrics: tuple[Metric, ...]
    published: tuple[Metric, ...]
    neighbours: str
    entries: Callable[[Path, Sequence[str]], list[Entry]] | None


_NONE = "the dataset has no frames around a pair, so the nearer frame of the pair stands for each"
_ROUND = (Metric.PSNR, Metric.SSIM)
_TRIPLET = (Metric.PSNR_FLOAT, Metric.SSIM_MATLAB_FLOAT)

BENCHMARKS: dict[Dataset, Benchmark] = {
    Dataset.VIMEO90K: Benchmark(
        "test triplets, the middle image from the outer two",
        triplets.VIMEO,
        {"": 3782},
        (Metric.PSNR, *_TRIPLET),
        _TRIPLET,
        _NONE,
        triplets.vimeo,
    ),
    Dataset.VIMEO90K_SEPTUPLET: Benchmark(
        "test septuplets, image 4 from 3 and 5",
        triplets.SEPTUPLET,
        {"": 7824},
        (Metric.PSNR, *_TRIPLET),
        _TRIPLET,
        "images 1 and 7",
        triplets.septuplets,
    ),
    Dataset.UCF101: Benchmark(
        "Deep Voxel Flow's triplets, frame 1 from 0 and 2, the whole picture",
        triplets.UCF101,
        {"": 379},
        (Metric.PSNR, *_TRIPLET),
        _TRIPLET,
        _NONE,
        triplets.ucf101,
    ),
    Dataset.SNU_FILM: Benchmark(
        "the triplets of the lists, the middle frame from the outer two",
        triplets.SNU_FILM,
        {"easy": 310, "medium": 310, "hard": 310, "extreme": 310},
        (Metric.PSNR, *_TRIPLET),
        _TRIPLET,
        "the frames one step further out where the clip has them, else the nearer frame of the pair",
        triplets.snu_film,
    ),
    Dataset.MIDDLEBURY: Benchmark(
        "the scenes of Other with a true middle frame, from frames 10 and 11",
        triplets.MIDDLEBURY,
        {"": 12},
        (Metric.PSNR, *_TRIPLET, Metric.IE),
        (Metric.IE,),
        "frames 09 and 12 where the scene has them, else the nearer frame of the pair",
        triplets.middlebury,
    ),
    Dataset.XIPH: Benchmark(
        "frames 2, 4 … 98 of the first 100 from their neighbours; 4k: the middle half of each side, 2k: halved sides",
        sequences.XIPH,
        {sequences.LARGE: 392, sequences.SMALL: 392},
        (Metric.PSNR, Metric.SSIM_UNIFORM),
        (Metric.PSNR, Metric.SSIM_UNIFORM),
        "the nearest odd frames of the clip, at its ends the nearer frame of the pair",
        sequences.xiph,
    ),
    Dataset.X4K: Benchmark(
        "X-TEST eightfold, frames 4, 8 … 28 from 0 and 32; 4k: as they are, 2k: halved sides",
        sequences.X4K,
        {sequences.LARGE: 105, sequences.SMALL: 105},
        (Metric.PSNR, Metric.SSIM_MATLAB),
        (Metric.PSNR, Metric.SSIM_MATLAB),
        _NONE,
        sequences.x4k,
    ),
    Dataset.VIDEO: Benchmark(
        "all frames between those that are kept",
        "a video, or a folder of images of one size",
        {"": None},
        _ROUND,
        (),
        "the nearest kept frames, at the ends of a scene the nearer frame of the pair",
        None,
    ),
}


def open_series(
    dataset: Dataset,
    root: Path,
    groups: Sequence[str] = (),
    *,
    every: int = 2,
    first: int = 0,
    across_cuts: bool = False,
) -> Series:
    """The samples of a dataset.

    Args:
        dataset: which one.
        root: its folder, or the folder that holds it; for `Dataset.VIDEO` a video or a folder of images.
        groups: the parts that are wanted; none for all.
        every: for `Dataset.VIDEO`, one frame of this many is kept.
        first: for `Dataset.VIDEO`, number of the first frame to use.
        across_cuts: for `Dataset.VIDEO`, look for no scene changes.

    Raises:
        UsageError: the dataset is not there, is incomplete, or has no such group.
        VideoError: the video cannot be read.
    """
    benchmark = BENCHMARKS[dataset]
    unknown = [group for group in groups if group not in benchmark.sizes or not group]
    if unknown:
        known = ", ".join(filter(None, benchmark.sizes)) or "none"
        raise UsageError(f"expected a subset of {dataset.value} ({known}), got {unknown[0]!r}")
    if not root.exists():
        raise UsageError(f"{root}: no such file or folder; expected layout: {benchmark.layout}")
    if benchmark.entries is None:
        return open_clip(root, every, first, across_cuts=across_cuts)
    wanted = [group for group in benchmark.sizes if not groups or group in groups]
    return series_of(benchmark.entries(root, wanted), benchmark.layout)
