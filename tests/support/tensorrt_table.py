"""The Python interface of the TensorRT versions that we support, looked up in tests/runtime/tensorrt_api.json.

The table: class → member → its form, or form → versions where not all versions that have the class agree. A form is

* ``(a, b=) -> T``: a method with its parameters, ``=`` for those that may be left out, and what it returns if
  that is a class of TensorRT's; alternatives are separated by ``|``;
* ``property T`` or ``property T, writable``;
* ``= 3``: a value of an enumeration, and ``= 3 T`` where another place names it;
* ``class``, and for the whole class under the name ``""``: ``class``, ``class BASE`` or ``enum``.

Versions are written as ``10.3.0..10.16.1 11.4.0``: all of the table's from the first to the second, and a third. The
class ``""`` has the names of the module itself. `support.tensorrt_api` writes the table.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TABLE = Path(__file__).parents[1] / "runtime" / "tensorrt_api.json"
MODULE = ""
"""The name in the table of the module itself."""
SELF = ""
"""The name in a class's part of the class itself."""

Members = dict[str, "str | dict[str, str]"]
"""Member → form, or form → versions."""
Versions = tuple[str, ...]


@dataclass(frozen=True)
class Signature:
    """What one way to call a method takes.

    Attributes:
        parameters: in order.
        optional: those that may be left out.
    """

    parameters: tuple[str, ...]
    optional: frozenset[str]

    @classmethod
    def of(cls, form: str) -> Signature:
        """The signature in ``(a, b=)``."""
        found = re.findall(r"(\w+)(=?)", form[: form.index(")")])
        return cls(tuple(name for name, _ in found), frozenset(name for name, default in found if default))

    def takes(self, places: int, names: frozenset[str]) -> bool:
        """Whether a call with so many arguments by place and these by name fits."""
        by_place, free = set(self.parameters[:places]), set(self.parameters[places:])
        needed = set(self.parameters) - self.optional
        return places <= len(self.parameters) and names <= free and needed <= by_place | names


@dataclass(frozen=True)
class Api:
    """The table.

    Attributes:
        versions: from the oldest to the newest, TensorRT-RTX last.
        classes: class → member → form → versions.
    """

    versions: Versions
    classes: dict[str, dict[str, dict[str, Versions]]]

    def forms(self, owner: str, member: str) -> dict[str, str]:
        """Version → form of a member of a class or of its bases, for the versions that have it."""
        kinds = self.classes[owner].get(SELF, {})
        if "enum" in kinds and member in ("name", "value"):
            return dict.fromkeys(kinds["enum"], "property")
        found = {version: form for form, held in self.classes[owner].get(member, {}).items() for version in held}
        for base in self._bases(owner) if member != SELF else ():
            found = {**self.forms(base, member), **found}
        return {version: found[version] for version in self.versions if version in found}

    def result(self, owner: str, member: str) -> str | None:
        """The class of TensorRT's that a method returns, or that a property is or has many of."""
        words = [word for form in self.forms(owner, member).values() for word in re.findall(r"[\w.]+", form)]
        kept = (word for word in reversed(words) if word in self.classes)
        return next(kept, None)

    def _bases(self, owner: str) -> set[str]:
        return {kind.split()[1] for kind in self.classes[owner].get(SELF, {}) if kind.startswith("class ")}


def signatures(form: str) -> list[Signature]:
    """The ways to call what has this form; none for what is no method."""
    return [Signature.of(one.strip()) for one in form.split("|")] if form.startswith("(") else []


@cache
def table() -> Api:
    """The committed table."""
    stored = json.loads(TABLE.read_text())
    versions = tuple(stored["versions"])
    classes = {}
    for owner, members in stored["classes"].items():
        kinds = _by_form(members.get(SELF, "module"), versions, versions)
        having = tuple(version for version in versions if any(version in held for held in kinds.values()))
        classes[owner] = {member: _by_form(forms, having, versions) for member, forms in members.items()}
    return Api(versions, classes)


def _by_form(forms: str | dict[str, str], having: Versions, versions: Versions) -> dict[str, Versions]:
    if isinstance(forms, str):
        return {forms: having}
    return {form: tuple(v for part in held.split() for v in _range(part, versions)) for form, held in forms.items()}


def _range(part: str, versions: Versions) -> Versions:
    first, _, last = part.partition("..")
    return versions[versions.index(first) : versions.index(last or first) + 1]
