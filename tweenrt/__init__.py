"""tweenrt: video frame interpolation from a trained checkpoint to real-time frames."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from tweenrt.errors import TweenrtError

if TYPE_CHECKING:
    from tweenrt.runtime.interpolator import Interpolator

__all__ = ["Interpolator", "TweenrtError", "__version__"]

try:
    __version__ = version("tweenrt")
except PackageNotFoundError:  # imported from a source tree that was never installed
    __version__ = "0+unknown"


def __getattr__(name: str) -> Any:
    """Load `Interpolator` on first use, so that `import tweenrt` costs nothing."""
    if name == "Interpolator":
        from tweenrt.runtime.interpolator import Interpolator

        return Interpolator
    raise AttributeError(f"module 'tweenrt' has no attribute {name!r}")
