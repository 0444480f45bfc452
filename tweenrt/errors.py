"""Every exception tweenrt raises on purpose, and the exit code each one becomes on the command line.

TweenrtError                 exit 1: the work failed
├── UsageError               exit 2: the request or an input is wrong
│   ├── CheckpointError      a weights file that does not fit the model
│   ├── GraphError           an ONNX file that is damaged, not ours, or of the wrong kind
│   ├── EngineError          an engine that is damaged, not ours, or built for something else
│   ├── VideoError           a video or image sequence that cannot be read
│   └── MissingExtraError    an optional package is needed; the message names the extra
├── OutputError              exit 1: the result could not be written
├── BackendError             exit 1: the executing library failed
├── DownloadError            exit 1: weights could not be fetched
└── GateError                exit 3: a quality or parity gate was not met

Each message says what was expected, what came, and what to do.
"""

from __future__ import annotations

import importlib
from types import ModuleType


class TweenrtError(Exception):
    """Root of the tree; `exit_code` is what the command line returns for it."""

    exit_code = 1


class UsageError(TweenrtError):
    """The request or an input is wrong; nothing was started."""

    exit_code = 2


class CheckpointError(UsageError):
    """A weights file that cannot be read or does not fit the model."""


class GraphError(UsageError):
    """An ONNX file that is damaged, does not carry our metadata, or is of the wrong kind."""


class EngineError(UsageError):
    """An engine file that is damaged, not ours, or built for another TensorRT or GPU."""


class VideoError(UsageError):
    """A video or image sequence that cannot be decoded."""


class MissingExtraError(UsageError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str, why: str) -> None:
        super().__init__(f"{why} needs the package '{package}': pip install 'tweenrt[{extra}]'")


class OutputError(TweenrtError):
    """The result could not be written; nothing was left under the final name."""


class BackendError(TweenrtError):
    """The library that executes the network failed."""


class DownloadError(TweenrtError):
    """Weights could not be fetched or do not have the expected checksum."""


class GateError(TweenrtError):
    """A parity or quality gate was not met; nothing was written."""

    exit_code = 3


def require(package: str, *, extra: str, why: str) -> ModuleType:
    """Import an optional package or say which extra brings it.

    Args:
        package: import name, such as ``"torch"``.
        extra: the extra of this project that installs it.
        why: what needs it, as the start of a sentence ("Exporting a network").

    Raises:
        MissingExtraError: the package is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MissingExtraError(package, extra, why) from error
