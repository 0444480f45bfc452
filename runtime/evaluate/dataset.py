"""The names of the datasets; their protocols are in `benchmarks.py`, which needs the extra ``video``."""

from __future__ import annotations

from enum import Enum


class Dataset(str, Enum):
    """What a network is evaluated on."""

    VIMEO90K = "vimeo90k"
    VIMEO90K_SEPTUPLET = "vimeo90k-septuplet"
    UCF101 = "ucf101"
    SNU_FILM = "snu-film"
    MIDDLEBURY = "middlebury"
    XIPH = "xiph"
    X4K = "x4k"
    VIDEO = "video"
