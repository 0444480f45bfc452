"""Which networks exist: every file in ``export/models`` adds its own."""

from __future__ import annotations

import difflib
import importlib
import pkgutil

from tweenrt.errors import UsageError
from tweenrt.export.spec import ModelSpec

_SPECS: dict[str, ModelSpec] = {}


def register(*specs: ModelSpec) -> None:
    """Add networks; called once at the end of a file in ``export/models``.

    Raises:
        ValueError: a name is taken already.
    """
    for spec in specs:
        if _SPECS.get(spec.name, spec) is not spec:
            raise ValueError(f"the model name {spec.name!r} is registered twice")
        _SPECS[spec.name] = spec


def names() -> list[str]:
    """Every model name, sorted."""
    _load()
    return sorted(_SPECS)


def get(name: str) -> ModelSpec:
    """The spec of `name`.

    Raises:
        UsageError: no such model; the message offers near names.
    """
    _load()
    if name not in _SPECS:
        near = difflib.get_close_matches(name, _SPECS, n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ";"
        raise UsageError(f"no model is called {name!r}{hint} `tweenrt models` lists them all")
    return _SPECS[name]


def _load() -> None:
    models = importlib.import_module("tweenrt.export.models")
    for module in pkgutil.iter_modules(models.__path__):
        importlib.import_module(f"tweenrt.export.models.{module.name}")
