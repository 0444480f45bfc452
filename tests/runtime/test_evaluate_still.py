"""Single images: PNG files come out as another reader sees them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tweenrt.errors import OutputError, UsageError, VideoError
from tweenrt.runtime.video.still import read_image, write_png

PIXELS = np.random.default_rng(1).integers(0, 256, (35, 53, 3), dtype=np.uint8)


@pytest.mark.parametrize("kind", ["RGB", "RGBA", "L", "P", "1", "gamma"])
def test_every_kind_of_png_is_read_exactly(kind: str, tmp_path: Path) -> None:
    picture = Image.fromarray(PIXELS)
    stored = picture if kind == "gamma" else picture.quantize(99) if kind == "P" else picture.convert(kind)
    path = tmp_path / "a%03d.png"  # no pattern: a name
    stored.save(path, **({"gamma": 0.45455} if kind == "gamma" else {}))
    found = read_image(path)
    assert found.dtype == np.uint8
    assert np.array_equal(found, np.asarray(stored.convert("RGB")))


def test_sixteen_bits_stay(tmp_path: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (8, 9), dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    found = read_image(tmp_path / "deep.png")
    assert found.dtype == np.uint16
    assert np.array_equal(found, deep[..., None].repeat(3, 2))


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "out.png"
    for pixels in (PIXELS, 255 - PIXELS[:, :51]):
        write_png(path, pixels)
        assert np.array_equal(np.asarray(Image.open(path)), pixels)
        assert np.array_equal(read_image(path), pixels)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.png"]


def write_and_read(path: Path) -> bytes:
    write_png(path, PIXELS)
    return path.read_bytes()


def test_what_cannot_be_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="no such image"):
        read_image(tmp_path / "absent.png")
    with pytest.raises(VideoError, match="expected an image"):
        read_image(tmp_path / "clip.mp4")
    whole = write_and_read(tmp_path / "whole.png")
    for content in (b"", b"no picture", whole[: len(whole) // 2]):
        (tmp_path / "broken.png").write_bytes(content)
        with pytest.raises(VideoError, match=r"broken\.png: this image"):
            read_image(tmp_path / "broken.png")
    with pytest.raises(OutputError):
        write_png(tmp_path / "absent" / "out.png", PIXELS)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        write_png(tmp_path / "folder.png", PIXELS)
