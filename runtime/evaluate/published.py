"""What was published for a network on a dataset: the table `published.json` beside this file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tweenrt.runtime.evaluate.dataset import Dataset

_TABLE = Path(__file__).with_name("published.json")


@dataclass(frozen=True)
class Published:
    """Figures for one network on one part of a dataset, from weights and code of its authors.

    Attributes:
        psnr: dB; None where it was not published.
        ssim: likewise.
        ie: mean difference in levels of 255, likewise.
        source: who published it, and what was done otherwise than here.
    """

    psnr: float | None
    ssim: float | None
    ie: float | None
    source: str


def published(model: str, dataset: Dataset) -> dict[str, Published]:
    """Group → figures; empty where nothing is on record.

    Args:
        model: a name of the registry.
        dataset: what it was evaluated on.
    """
    rows = json.loads(_TABLE.read_text(encoding="utf-8"))
    wanted = [row for row in rows if (row["model"], row["dataset"]) == (model, dataset.value)]
    return {row["group"]: Published(row["psnr"], row["ssim"], row["ie"], row["source"]) for row in wanted}
