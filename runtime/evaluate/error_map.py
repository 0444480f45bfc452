"""Pictures of drawn frames beside the truth and what differs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tweenrt.errors import OutputError
from tweenrt.runtime.evaluate.pixels import unit
from tweenrt.runtime.evaluate.run import Row, draw
from tweenrt.runtime.evaluate.sample import Sample
from tweenrt.runtime.frames import Frame
from tweenrt.runtime.ready import FrameDrawer, PreparedT
from tweenrt.runtime.video.still import write_png

GAIN = 8
"""The error is shown this many times as large: white is a difference of 32 levels of 255 or more."""


def write_error_maps(
    rows: Sequence[Row],
    samples: Iterable[Sample],
    network: FrameDrawer[PreparedT],
    folder: Path,
    *,
    integers: bool = False,
) -> None:
    """Draw the frames of `rows` again, and write a picture of each: truth, drawn frame, error, side by side.

    Files are named by the place of a row in `rows`, from 1, and the frame.

    Args:
        rows: which frames.
        samples: what the rows came from.
        network: draws the frames.
        folder: where the pictures go; it is made where there is none, and files of the same names are replaced.
        integers: see `draw`.

    Raises:
        OutputError: a picture cannot be written.
    """
    names = {row.key: f"{place:03d}-{_file_name(row)}.png" for place, row in enumerate(rows, 1)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror}); choose another folder") from error
    wanted = (sample for sample in samples if sample.key in names)
    for sample, drawn, _ in draw(wanted, network, integers=integers):
        write_png(folder / names.pop(sample.key), error_map(drawn, sample.truth.rgb))
        if not names:
            return


def error_map(drawn: Frame, truth: Frame) -> NDArray[np.uint8]:
    """Truth, drawn frame and the absolute difference times `GAIN`, [H,3W,3].

    Args:
        drawn: [H,W,3] RGB; uint8, uint16 or float32 (0..1).
        truth: of the same size; likewise.
    """
    one, other = unit(truth), unit(drawn)
    shown = np.concatenate([one, other, np.abs(one - other) * GAIN], axis=1)
    levels: NDArray[np.uint8] = np.rint(np.clip(shown, 0, 1) * 255).astype(np.uint8)
    return levels


def _file_name(row: Row) -> str:
    """Group and name, without what is no good in the name of a file."""
    return re.sub(r"[^\w.-]+", "_", f"{row.group}-{row.name}" if row.group else row.name)
