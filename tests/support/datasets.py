"""Tiny datasets, laid out on the disk as the originals unpack."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from support.clips import moving

HEIGHT, WIDTH = 24, 32
Picture = NDArray[np.uint8]
SNU = ("easy", "medium", "hard", "extreme")


@dataclass(frozen=True)
class Triple:
    """What a sample must hold: a frame, the one that is held out, and the next one."""

    name: str
    frame0: Picture
    truth: Picture
    frame1: Picture
    group: str = ""


class Pictures:
    """Random pictures whose values are multiples of 32, so that blends at k/8 of halved ones are whole numbers."""

    def __init__(self, height: int = HEIGHT, width: int = WIDTH) -> None:
        self._rng = np.random.default_rng(0)
        self._shape = (height, width, 3)

    def save(self, path: Path) -> Picture:
        """Make one and write it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = (self._rng.integers(0, 8, self._shape) * 32).astype(np.uint8)
        Image.fromarray(picture).save(path)
        return picture

    def triple(self, name: str, paths: list[Path], group: str = "") -> Triple:
        """Write three: frame0, truth, frame1."""
        return Triple(name, *(self.save(path) for path in paths), group)


def vimeo90k(root: Path) -> list[Triple]:
    names, pictures = ["00001/0389", "00002/0001"], Pictures()
    base = root / "vimeo_triplet"
    found = [
        pictures.triple(n, [base / "sequences" / n / f"{i}.png" for i in ("im1", "im2", "im3")])
        for n in [*names, "00003/0007"]
    ]
    (base / "tri_testlist.txt").write_text("\n".join(names) + "\n\n")
    (base / "tri_trainlist.txt").write_text("00003/0007\n")
    return found[:2]


def septuplets(root: Path) -> dict[str, Picture]:
    """Image → picture of the one septuplet that the list names."""
    base, pictures = root / "vimeo_septuplet", Pictures()
    found = {f"im{i}": pictures.save(base / "sequences" / "00001/0001" / f"im{i}.png") for i in range(1, 8)}
    (base / "sep_testlist.txt").write_text("00001/0001\n")
    return found


def ucf101(root: Path) -> list[Triple]:
    base, pictures = root / "ucf101_interp_ours", Pictures()
    files = ("frame_00.png", "frame_01_gt.png", "frame_02.png")
    found = [pictures.triple(n, [base / n / f for f in files]) for n in ("1", "11", "101")]
    pictures.save(base / "11" / "frame_01_ours.png")
    return found


def snu_film(root: Path, prefix: str = "data/SNU-FILM/test") -> list[Triple]:
    """One clip of 24 frames; the lists' steps are 1, 2, 4 and 8 frames."""
    folder, pictures = root / "test" / "GOPRO_test" / "GOPR0384_11_00", Pictures()
    frames = {n: pictures.save(folder / f"{n:06d}.png") for n in range(1, 25)}
    found = []
    for group, step in zip(SNU, (1, 2, 4, 8), strict=True):
        names = [f"{prefix}/GOPRO_test/GOPR0384_11_00/{n:06d}.png" for n in (4, 4 + step, 4 + 2 * step)]
        (root / f"test-{group}.txt").write_text(" ".join(names) + "\n")
        name = f"GOPRO_test/GOPR0384_11_00/{4 + step:06d}"
        found.append(Triple(name, frames[4], frames[4 + step], frames[4 + 2 * step], group))
    return found


def middlebury(root: Path, scenes: tuple[str, ...] = ("Beanbags", "Venus")) -> list[Triple]:
    pictures = Pictures()
    found = []
    for name in scenes:
        data = root / "other-data" / name
        paths = [data / "frame10.png", root / "other-gt-interp" / name / "frame10i11.png", data / "frame11.png"]
        found.append(pictures.triple(name, paths))
    return found


def x4k(root: Path) -> dict[str, list[Picture]]:
    """Clip → its 33 frames."""
    pictures = Pictures()
    clips = ("Type1/TEST01", "Type2/TEST06")
    return {c: [pictures.save(root / "test" / c / f"{n:04d}.png") for n in range(33)] for c in clips}


def xiph(root: Path, count: int = 6, *, folders: bool = False) -> dict[str, list[Picture]]:
    """Clip → its frames, 64×48 pixels, numbered from 1."""
    pictures = Pictures(48, 64)
    between = "/" if folders else "-"
    clips = ("BoxingPractice", "Tango")
    return {c: [pictures.save(root / f"{c}{between}{n:03d}.png") for n in range(1, count + 1)] for c in clips}


def clip(root: Path, count: int) -> list[Picture]:
    """A folder of images: motion without a cut, in multiples of 8."""
    root.mkdir(parents=True)
    images = [image // 8 * 8 for image in moving(count, HEIGHT, WIDTH)]
    for number, image in enumerate(images):
        Image.fromarray(image).save(root / f"{number}.png")
    return images
