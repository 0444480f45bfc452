"""Each dataset, laid out as it unpacks, gives the samples of its protocol."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from support import datasets
from support.datasets import Triple

from tweenrt.errors import UsageError, VideoError
from tweenrt.runtime.evaluate.benchmarks import BENCHMARKS, open_series
from tweenrt.runtime.evaluate.dataset import Dataset
from tweenrt.runtime.evaluate.sample import Sample
from tweenrt.runtime.ready import HasPixels


def samples(dataset: Dataset, root: Path, *groups: str) -> list[Sample]:
    return list(open_series(dataset, root, groups).iterate())


def shows(frame: HasPixels | None, picture: np.ndarray) -> bool:
    return frame is not None and frame.rgb.dtype == picture.dtype and np.array_equal(frame.rgb, picture)


def expect(found: Sequence[Sample], triples: Sequence[Triple]) -> None:
    assert [(s.group, s.name) for s in found] == [(t.group, t.name) for t in triples]
    for sample, triple in zip(found, triples, strict=True):
        assert sample.t == Fraction(1, 2)
        assert shows(sample.frame0, triple.frame0)
        assert shows(sample.truth, triple.truth)
        assert shows(sample.frame1, triple.frame1)


def test_vimeo90k(tmp_path: Path) -> None:
    triples = datasets.vimeo90k(tmp_path)
    for root in (tmp_path, tmp_path / "vimeo_triplet"):
        found = samples(Dataset.VIMEO90K, root)
        expect(found, triples)
        assert {(s.before, s.after) for s in found} == {(None, None)}
    (tmp_path / "vimeo_triplet" / "sequences").rename(tmp_path / "vimeo_triplet" / "target")
    expect(samples(Dataset.VIMEO90K, tmp_path), triples)


def test_septuplets_have_neighbours(tmp_path: Path) -> None:
    images = datasets.septuplets(tmp_path)
    (sample,) = samples(Dataset.VIMEO90K_SEPTUPLET, tmp_path)
    assert sample.key == ("", "00001/0001")
    frames = (sample.before, sample.frame0, sample.truth, sample.frame1, sample.after)
    for name, frame in zip(("im1", "im3", "im4", "im5", "im7"), frames, strict=True):
        assert shows(frame, images[name])


def test_ucf101_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    triples = datasets.ucf101(tmp_path)
    expect(samples(Dataset.UCF101, tmp_path), triples)
    expect(samples(Dataset.UCF101, tmp_path / "ucf101_interp_ours"), triples)


@pytest.mark.parametrize("prefix", ["data/SNU-FILM/test", "test", "."])
def test_snu_film_lists_name_files_of_another_disk(prefix: str, tmp_path: Path) -> None:
    triples = datasets.snu_film(tmp_path, prefix)
    expect(samples(Dataset.SNU_FILM, tmp_path), triples)
    expect(samples(Dataset.SNU_FILM, tmp_path, "hard", "easy"), [triples[0], triples[2]])


def test_snu_film_lists_in_a_folder_of_their_own(tmp_path: Path) -> None:
    triples = datasets.snu_film(tmp_path / "SNU-FILM")
    (tmp_path / "SNU-FILM" / "eval_modes").mkdir()
    for group in datasets.SNU:
        shutil.move(tmp_path / "SNU-FILM" / f"test-{group}.txt", tmp_path / "SNU-FILM" / "eval_modes")
    expect(samples(Dataset.SNU_FILM, tmp_path), triples)
    expect(samples(Dataset.SNU_FILM, tmp_path / "SNU-FILM"), triples)


def test_snu_film_neighbours_are_as_far_away_as_the_pair_is_wide(tmp_path: Path) -> None:
    datasets.snu_film(tmp_path)
    easy, medium, hard, extreme = samples(Dataset.SNU_FILM, tmp_path)
    image = {n: tmp_path / "test" / "GOPRO_test" / "GOPR0384_11_00" / f"{n:06d}.png" for n in range(30)}
    assert (path_of(easy.before), path_of(easy.after)) == (image[2], image[8])
    assert (path_of(medium.before), path_of(medium.after)) == (None, image[12]), "4 - 4 is no frame of the clip"
    assert (path_of(hard.before), path_of(hard.after)) == (None, image[20])
    assert (extreme.before, extreme.after) == (None, None)


def path_of(frame: HasPixels | None) -> Path | None:
    return None if frame is None else frame._path  # type: ignore[attr-defined]


def test_middlebury_with_the_frames_around_where_a_scene_has_them(tmp_path: Path) -> None:
    triples = datasets.middlebury(tmp_path)
    pictures = datasets.Pictures()
    around = [pictures.save(tmp_path / "other-data" / "Beanbags" / f"frame{n}.png") for n in ("09", "12")]
    (tmp_path / "other-data" / "Army").mkdir()  # a scene without a true middle frame
    beans, venus = found = samples(Dataset.MIDDLEBURY, tmp_path)
    expect(found, triples)
    assert shows(beans.before, around[0])
    assert shows(beans.after, around[1])
    assert (venus.before, venus.after) == (None, None)


def test_x4k_is_eightfold_at_two_sizes(tmp_path: Path) -> None:
    clips = datasets.x4k(tmp_path)
    found = samples(Dataset.X4K, tmp_path)
    assert [(s.group, s.name) for s in found] == [
        (group, f"{clip}/{4 * k:04d}") for group in ("4k", "2k") for clip in clips for k in range(1, 8)
    ]
    for number, sample in enumerate(found[:14]):
        clip, k = clips[sample.name[:12]], number % 7 + 1
        assert sample.t == Fraction(k, 8)
        assert shows(sample.frame0, clip[0])
        assert shows(sample.truth, clip[4 * k])
        assert shows(sample.frame1, clip[32])
    small = found[14].truth.rgb
    means = clips["Type1/TEST01"][4].astype(np.float64).reshape(12, 2, 16, 2, 3).mean((1, 3)) / 255
    assert small.dtype == np.float32
    assert small == pytest.approx(means, abs=1e-7)


def test_moments_of_one_pair_share_its_frames(tmp_path: Path) -> None:
    datasets.x4k(tmp_path)
    found = samples(Dataset.X4K, tmp_path)
    assert len({id(s.frame0) for s in found[:7]}) == len({id(s.frame1) for s in found[:7]}) == 1
    assert found[6].frame0 is not found[7].frame0


@pytest.mark.parametrize("folders", [False, True])
def test_xiph_halved_and_cut_out(folders: bool, tmp_path: Path) -> None:
    clips = datasets.xiph(tmp_path, folders=folders)
    found = samples(Dataset.XIPH, tmp_path)
    stems = [f"{n:03d}" if folders else "{}-" + f"{n:03d}" for n in (2, 4)]
    names = [f"{clip}/{stem.format(clip)}" for clip in clips for stem in stems]
    assert [(s.group, s.name) for s in found] == [(group, name) for group in ("4k", "2k") for name in names]
    large, small = found[1], found[5]
    frames = clips["BoxingPractice"]
    assert shows(large.truth, frames[3][12:36, 16:48])
    assert shows(large.frame0, frames[2][12:36, 16:48])
    assert shows(large.before, frames[0][12:36, 16:48])
    assert large.after is None
    means = (frames[3].astype(int).reshape(24, 2, 32, 2, 3).sum((1, 3)) + 2) // 4
    assert shows(small.truth, means.astype(np.uint8))
    assert found[0].frame1 is found[1].frame0, "a frame between two samples is prepared once"


def test_xiph_takes_the_first_100_frames(tmp_path: Path) -> None:
    datasets.xiph(tmp_path / "netflix", 3)
    for clip in ("BoxingPractice", "Tango"):
        image = tmp_path / "netflix" / f"{clip}-001.png"
        for n in range(4, 105):
            shutil.copy(image, image.with_name(f"{clip}-{n:03d}.png"))
    series = open_series(Dataset.XIPH, tmp_path, ["2k"])
    assert series.sizes == {"2k": 98}
    assert [s.name[-3:] for s in series.iterate()][:49] == [f"{n:03d}" for n in range(2, 99, 2)]


def test_the_sizes_that_papers_use() -> None:
    """What the layouts say: 15 clips of 7 moments, 8 clips of 49 frames, at two sizes each."""
    assert BENCHMARKS[Dataset.X4K].sizes == {"4k": 15 * 7, "2k": 15 * 7}
    assert BENCHMARKS[Dataset.XIPH].sizes == {"4k": 8 * 49, "2k": 8 * 49}
    assert set(BENCHMARKS) == set(Dataset)


def test_pixels_are_read_when_they_are_wanted(tmp_path: Path) -> None:
    datasets.vimeo90k(tmp_path)
    for image in (tmp_path / "vimeo_triplet").rglob("*.png"):
        image.write_bytes(b"no picture")
    first, _ = samples(Dataset.VIMEO90K, tmp_path)
    with pytest.raises(VideoError, match=r"im2\.png: this image"):
        first.truth.rgb  # noqa: B018


def test_a_limit_counts_in_each_group(tmp_path: Path) -> None:
    datasets.x4k(tmp_path)
    series = open_series(Dataset.X4K, tmp_path).limited(3)
    assert series.sizes == {"4k": 3, "2k": 3}
    assert [(s.group, s.name[-4:]) for s in series.iterate()] == [
        (group, name) for group in ("4k", "2k") for name in ("0004", "0008", "0012")
    ]
    assert open_series(Dataset.X4K, tmp_path).limited(99).sizes == {"4k": 14, "2k": 14}


@pytest.mark.parametrize("dataset", [d for d in Dataset if d is not Dataset.VIDEO])
def test_a_wrong_root_says_what_was_expected(dataset: Dataset, tmp_path: Path) -> None:
    layout = BENCHMARKS[dataset].layout
    for root in (tmp_path, tmp_path / "absent"):
        with pytest.raises(UsageError) as caught:
            open_series(dataset, root)
        assert layout in str(caught.value)
        assert str(root) in str(caught.value)


def test_missing_images_are_found_before_anything_is_drawn(tmp_path: Path) -> None:
    datasets.vimeo90k(tmp_path)
    gone = tmp_path / "vimeo_triplet" / "sequences" / "00002/0001" / "im3.png"
    gone.unlink()
    with pytest.raises(UsageError, match=r"im3\.png: no such image; 1 of 6 that the dataset needs are missing"):
        open_series(Dataset.VIMEO90K, tmp_path)


def test_an_empty_list(tmp_path: Path) -> None:
    datasets.vimeo90k(tmp_path)
    (tmp_path / "vimeo_triplet" / "tri_testlist.txt").write_text("\n")
    with pytest.raises(UsageError, match="it names none"):
        open_series(Dataset.VIMEO90K, tmp_path)


def test_missing_parts_say_which(tmp_path: Path) -> None:
    datasets.snu_film(tmp_path)
    (tmp_path / "test-hard.txt").unlink()
    assert len(samples(Dataset.SNU_FILM, tmp_path, "easy")) == 1
    with pytest.raises(UsageError, match=r"expected to find test-hard\.txt"):
        open_series(Dataset.SNU_FILM, tmp_path)
    (tmp_path / "test-hard.txt").write_text("a.png b.png\n")
    with pytest.raises(UsageError, match=r"test-hard\.txt: expected three paths a line, got 'a\.png b\.png'"):
        open_series(Dataset.SNU_FILM, tmp_path)
    with pytest.raises(UsageError, match=r"expected a subset of snu-film \(easy, medium, hard, extreme\), got 'hrd'"):
        open_series(Dataset.SNU_FILM, tmp_path, ["hrd"])
    with pytest.raises(UsageError, match=r"expected a subset of ucf101 \(none\), got 'easy'"):
        open_series(Dataset.UCF101, tmp_path, ["easy"])


def test_clips_that_are_too_short(tmp_path: Path) -> None:
    datasets.x4k(tmp_path)
    (tmp_path / "test" / "Type2" / "TEST06" / "0032.png").unlink()
    with pytest.raises(UsageError, match="expected clips of 33 frames, found Type2/TEST06 with 32 frames"):
        open_series(Dataset.X4K, tmp_path)
    datasets.xiph(tmp_path / "netflix", 2)
    with pytest.raises(UsageError, match="clips of three images or more, found BoxingPractice with 2"):
        open_series(Dataset.XIPH, tmp_path)
