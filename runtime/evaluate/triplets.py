"""Datasets that come as triplets: two frames and the one in the middle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tweenrt.errors import UsageError
from tweenrt.runtime.evaluate.entries import Entry, existing, place_of

VIMEO = "vimeo_triplet/{tri_testlist.txt, sequences/00001/0001/im1.png im2.png im3.png}"
SEPTUPLET = "vimeo_septuplet/{sep_testlist.txt, sequences/00001/0001/im1.png ... im7.png}"
UCF101 = "ucf101_interp_ours/<number>/{frame_00.png, frame_01_gt.png, frame_02.png}"
SNU_FILM = (
    "SNU-FILM/{test-easy.txt, test-medium.txt, test-hard.txt, test-extreme.txt, test/GOPRO_test, test/YouTube_test}"
)
MIDDLEBURY = "{other-data/<scene>/frame10.png frame11.png, other-gt-interp/<scene>/frame10i11.png}"


def vimeo(root: Path, groups: Sequence[str]) -> list[Entry]:
    """Vimeo90K, the triplets of the test list.

    Raises:
        UsageError: there is no such dataset in `root`.
    """
    del groups
    place = place_of(root, "vimeo_triplet", "tri_testlist.txt", VIMEO)
    # The archive of the test set alone names the folder otherwise.
    sequences = next((place / name for name in ("sequences", "target") if (place / name).is_dir()), place / "sequences")
    names = _lines(place / "tri_testlist.txt")
    return [_vimeo_entry(name, sequences / name, ("im1", "im3", "im2")) for name in names]


def septuplets(root: Path, groups: Sequence[str]) -> list[Entry]:
    """Vimeo90K, the septuplets of the test list: image 4 from 3 and 5, with 1 and 7 for networks of four frames.

    Raises:
        UsageError: there is no such dataset in `root`.
    """
    del groups
    place = place_of(root, "vimeo_septuplet", "sep_testlist.txt", SEPTUPLET)
    names = _lines(place / "sep_testlist.txt")
    files = ("im3", "im5", "im4", "im1", "im7")
    return [_vimeo_entry(name, place / "sequences" / name, files) for name in names]


def ucf101(root: Path, groups: Sequence[str]) -> list[Entry]:
    """The triplets of UCF101 that the authors of Deep Voxel Flow chose.

    Raises:
        UsageError: there is no such dataset in `root`.
    """
    del groups
    for place in (root, root / "ucf101_interp_ours"):
        folders = sorted((p.parent for p in place.glob("*/frame_01_gt.png")), key=lambda p: (len(p.name), p.name))
        if folders:
            return [Entry(p.name, p / "frame_00.png", p / "frame_02.png", p / "frame_01_gt.png") for p in folders]
    raise UsageError(f"{root}: expected folders with frame_01_gt.png in it; expected layout: {UCF101}")


def snu_film(root: Path, groups: Sequence[str]) -> list[Entry]:
    """SNU-FILM; each of `groups` is a list ``test-<group>.txt`` of three paths a line.

    The lists name the files as they lay on their authors' disk; what is found of a name under `root` counts.

    Raises:
        UsageError: a list is missing, or has a line that is no triplet.
    """
    entries = []
    for group in groups:
        name = f"test-{group}.txt"
        lists = [
            folder / name for folder in (root, root / "SNU-FILM", root / "eval_modes", root / "SNU-FILM/eval_modes")
        ]
        found = next((path for path in lists if path.is_file()), None)
        if found is None:
            raise UsageError(f"{root}: expected to find {name} in it; expected layout: {SNU_FILM}")
        base = found.parent.parent if found.parent.name == "eval_modes" else found.parent
        entries += [_snu_entry(base, line, group, found) for line in _lines(found)]
    return entries


def middlebury(root: Path, groups: Sequence[str]) -> list[Entry]:
    """The scenes of Middlebury's "Other" set whose true middle frame is public, with the frames around if present.

    Raises:
        UsageError: there is no such dataset in `root`.
    """
    del groups
    scenes = sorted(path.parent for path in root.glob("other-gt-interp/*/frame10i11.png"))
    if not scenes:
        raise UsageError(f"{root}: expected to find other-gt-interp in it; expected layout: {MIDDLEBURY}")
    return [_middlebury_entry(root / "other-data" / scene.name, scene / "frame10i11.png") for scene in scenes]


def _vimeo_entry(name: str, folder: Path, files: Sequence[str]) -> Entry:
    """`files`: the names of frame0, frame1, truth and, where there are, of the frames before and after."""
    frame0, frame1, truth, *around = (folder / f"{file}.png" for file in files)
    before, after = around or (None, None)
    return Entry(name, frame0, frame1, truth, before=before, after=after)


def _snu_entry(base: Path, line: str, group: str, source: Path) -> Entry:
    names = line.split()
    if len(names) != 3:
        raise UsageError(f"{source}: expected three paths a line, got {line!r}; fetch the list again")
    frame0, truth, frame1 = (_below(base, name) for name in names)
    before, after = _frames_around(frame0, frame1)
    folder = frame0.parent
    name = f"{folder.parent.name}/{folder.name}/{truth.stem}"
    return Entry(name, frame0, frame1, truth, before=before, after=after, group=group)


def _below(base: Path, listed: str) -> Path:
    """The file that `listed` means: the longest end of it that exists under `base` or its folder ``test``."""
    parts = Path(listed).parts
    places = (folder.joinpath(*parts[skip:]) for skip in range(len(parts)) for folder in (base, base / "test"))
    return next((place for place in places if place.is_file()), base / "test" / Path(*parts[-3:]))


def _frames_around(frame0: Path, frame1: Path) -> tuple[Path | None, Path | None]:
    """The frames as far before and after a pair as the two are apart, where the clip has them."""
    if not (frame0.stem.isdecimal() and frame1.stem.isdecimal()):
        return None, None
    first, second = int(frame0.stem), int(frame1.stem)
    numbers = (2 * first - second, 2 * second - first)
    before, after = (frame0.with_name(f"{n:0{len(frame0.stem)}d}{frame0.suffix}") for n in numbers)
    return existing(before), existing(after)


def _middlebury_entry(folder: Path, truth: Path) -> Entry:
    before, after = (existing(folder / f"frame{n}.png") for n in ("09", "12"))
    return Entry(folder.name, folder / "frame10.png", folder / "frame11.png", truth, before=before, after=after)


def _lines(path: Path) -> list[str]:
    """The lines of a list that say something."""
    return [line.strip() for line in path.read_text().splitlines() if line.strip()]
