"""What the tests know about every network beyond its spec: its manifest, its golden output, its larger size.

To add a network, add a line. `tests/export/test_networks.py` runs every check on every line.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One network under test.

    Attributes:
        manifest: file in tests/manifests with the authors' keys and shapes; None where none exists.
        golden: file in tests/golden with outputs of the authors' code; None where there is no public code, or
            its licence keeps us from running it.
        large: H and W of the larger parity run.
        unused: prefixes of manifest entries that inference does not need.
    """

    manifest: str | None
    golden: str | None = None
    large: tuple[int, int] = (768, 1280)
    unused: tuple[str, ...] = ()


CASES: dict[str, Case] = {}
