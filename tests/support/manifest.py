"""The entries of the authors' checkpoints as facts: key → shape."""

from __future__ import annotations

import json
from pathlib import Path

MANIFESTS = Path(__file__).parent.parent / "manifests"


def shapes(name: str) -> dict[str, tuple[int, ...]]:
    """The manifest `name`, prefixes of data-parallel training removed."""
    content = json.loads((MANIFESTS / f"{name}.json").read_text())
    return {k.removeprefix("module."): tuple(v) for k, v in content["keys"].items()}
