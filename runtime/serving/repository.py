"""A model repository for NVIDIA Triton Inference Server.

Source: Triton's user guide ("Model Repository", "Model Configuration", "Ensemble Models") and its
``model_config.proto``, which the package ``tritonclient`` carries.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from tweenrt.errors import UsageError
from tweenrt.runtime.output import writing
from tweenrt.runtime.serving.config import NAME, ServingOptions, config_text, expect_same_form
from tweenrt.runtime.serving.served import Served


def write_repository(folder: Path, models: Sequence[Served], options: ServingOptions) -> list[Path]:
    """Write models into a repository; those that are there already get one more version.

    Every model, and every version, appears under its name when it is complete.

    Args:
        folder: the repository; it is made where there is none.
        models: what to serve.
        options: how.

    Returns:
        The folder of the new version of each model.

    Raises:
        UsageError: a model of that name is there with other inputs or outputs, or a name is given twice.
        OutputError: the folder cannot be written.
        MissingExtraError: the package ``tritonclient`` is not installed.
    """
    names = [model.name for model in models]
    if len(set(names)) < len(names):
        raise UsageError(f"expected models of different names, got {', '.join(names)}; rename a file or folder")
    for model in models:
        if (folder / model.name).exists():
            expect_same_form(model, options, folder / model.name / NAME)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".tweenrt-") as scratch:
            return [_write(folder, model, options, Path(scratch)) for model in models]


def _write(folder: Path, model: Served, options: ServingOptions, scratch: Path) -> Path:
    new = scratch / model.name
    version = _next_version(folder / model.name)
    (new / str(version)).mkdir(parents=True)
    if model.by.file:
        (new / str(version) / model.by.file).write_bytes(model.content)
    (new / NAME).write_text(config_text(model, options), encoding="utf-8")
    target = folder / model.name
    if target.exists():
        (new / str(version)).replace(target / str(version))
        (new / NAME).replace(target / NAME)
    else:
        new.replace(target)
    return target / str(version)


def _next_version(model: Path) -> int:
    versions = [int(entry.name) for entry in model.glob("*") if entry.name.isdigit()]
    return max(versions, default=0) + 1
