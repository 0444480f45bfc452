"""Where the compiled plugin library lies, and how it enters TensorRT."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from types import ModuleType

from tweenrt.errors import BackendError, UsageError
from tweenrt.plugins.ops import OPS

LIBRARY = "libtweenrt_plugins.so"
VARIABLE = "TWEENRT_PLUGINS"
"""Environment variable with the path of the library, for one that lies elsewhere."""

_RTX_NAME = "libtweenrt_rtx_name.so"
_HERE = Path(__file__).resolve().parent
_PLACES = (_HERE / "lib", _HERE.parent / "build" / "plugins")  # of an installed wheel; of a checkout


def library_path() -> Path:
    """The compiled plugin library, ``libtweenrt_plugins.so``.

    Raises:
        UsageError: it was not built, or the environment variable ``TWEENRT_PLUGINS`` names no file.
    """
    named = os.environ.get(VARIABLE)
    if named:
        if not Path(named).is_file():
            raise UsageError(f"{VARIABLE} names {named}, which is no file; let it name a {LIBRARY}, or unset it")
        return Path(named)
    for place in _PLACES:
        if (place / LIBRARY).is_file():
            return place / LIBRARY
    raise UsageError(
        f"the plugin library {LIBRARY} was not built; run 'make plugins' in a checkout (it needs CMake and nvcc), or "
        f"let {VARIABLE} name one that was built elsewhere; `tweenrt build --no-plugins` does without our kernels"
    )


def is_built() -> bool:
    """Whether there is a library to load."""
    try:
        library_path()
    except UsageError:
        return False
    return True


def load(trt: ModuleType) -> Path:
    """Register our ops with TensorRT; a second call does nothing.

    Args:
        trt: the module ``tensorrt`` or ``tensorrt_rtx``.

    Returns:
        The library that holds them.

    Raises:
        UsageError: the library was not built.
        BackendError: TensorRT does not take it.
    """
    path = library_path()
    registry = trt.get_plugin_registry()
    if provided(trt):
        return path
    if trt.__name__ == "tensorrt_rtx":
        _name_tensorrt_rtx(path.parent / _RTX_NAME)
    registry.load_library(str(path))
    if not provided(trt):
        raise BackendError(
            f"{trt.__name__} {trt.__version__} did not accept {path}; it takes plugins since TensorRT 10.3 and "
            "TensorRT-RTX 1.7. If yours is newer, build the library again with its headers (TENSORRT_ROOT)"
        )
    return path


def provided(trt: ModuleType) -> frozenset[str]:
    """The ops of ours that TensorRT has plugins for: all that the library holds after `load`, none before.

    Args:
        trt: the module ``tensorrt`` or ``tensorrt_rtx``.
    """
    registered = {creator.name for creator in trt.get_plugin_registry().all_creators}
    return frozenset(registered & set(OPS))


def last_error() -> str:
    """Why one of our plugins refused a node, in this thread; empty if none did.

    TensorRT's parsers report only that a plugin failed, and TensorRT-RTX gives plugins no logger.

    Raises:
        UsageError: the library was not built.
    """
    text = ctypes.CDLL(str(library_path())).tweenrt_plugins_last_error
    text.restype = ctypes.c_char_p
    return (text() or b"").decode()


def _name_tensorrt_rtx(helper: Path) -> None:
    """Make ``libtensorrt_rtx.so`` a known name: the parser asks for it, and the pip package has only ``.so.1``."""
    try:
        ctypes.CDLL("libtensorrt_rtx.so")
    except OSError:
        ctypes.CDLL(str(helper))
