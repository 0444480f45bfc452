"""Find what a source file uses of TensorRT: every attribute of TensorRT's objects, and the calls with their arguments.

TensorRT has no types for the type checker, so its objects are ``Any`` in our annotations. What each such name stands
for is said by `Roles`; what is made from it is followed through assignments, loops, calls and attributes with the help
of the table of TensorRT's interface.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from support.tensorrt_table import MODULE, Api

Roles = Mapping[str, "str | None"]
"""Name → class in the table, or None for what is not TensorRT's. ``x`` is a variable or parameter, ``.x`` an attribute
of an object of ours, ``x()`` what a function of ours returns. Of a list, the class of what it holds.
"""

_LEAVES = ast.Return | ast.Raise | ast.Continue | ast.Break
_BRANCHES = ast.If | ast.While | ast.IfExp
_COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


class How(Enum):
    """What is done with a member; ASK is by ``hasattr``, or by ``getattr`` with a default."""

    READ = "read"
    WRITE = "write"
    CALL = "call"
    OVERRIDE = "override"
    ASK = "ask"


@dataclass(frozen=True)
class Use:
    """One use of a member.

    Attributes:
        place: file and line.
        owner: class in the table; "" for the module.
        member: its name.
        how: what is done with it.
        places: arguments by place, of a call; parameters, of a method that overrides one; None for any number.
        names: arguments by name, of a call.
        facts: conditions that hold where it is used, as source text.
    """

    place: str
    owner: str
    member: str
    how: How
    places: int | None
    names: frozenset[str]
    facts: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.place}: {self.owner or 'the module'}.{self.member} ({self.how.value})"


@dataclass(frozen=True)
class _Known:
    """What an expression stands for: an object of a class of the table, or the class itself."""

    owner: str
    is_class: bool = False


def undeclared(path: Path, roles: Roles) -> list[str]:
    """The names that a file annotates as ``Any``, as keys of `Roles`, that have no role."""
    keys = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.arg) and _is_any(node.annotation):
            keys.add(node.arg)
        elif isinstance(node, ast.FunctionDef) and _is_any(node.returns):
            keys.add(f"{node.name}()")
        elif isinstance(node, ast.AnnAssign) and _is_any(node.annotation):
            keys.add("." + ast.unparse(node.target).rpartition(".")[-1])
    return sorted(keys - roles.keys())


def uses(path: Path, api: Api, roles: Roles) -> list[Use]:
    """Everything that a file uses of TensorRT."""
    reader = _Reader(path.name, api, roles)
    reader.visit(ast.parse(path.read_text()))
    return reader.found


def _is_any(annotation: ast.expr | None) -> bool:
    text = ast.unparse(annotation) if annotation else ""
    return bool(re.search(r"\bAny\b", re.sub(r"(dtype|NDArray)\[Any\]", "", text)))


class _Reader:
    """Reads a file from top to bottom, and keeps what names stand for and which conditions hold."""

    def __init__(self, name: str, api: Api, roles: Roles) -> None:
        self.found: list[Use] = []
        self._name, self._api, self._roles = name, api, roles
        self._kinds: dict[str, _Known | None] = {}
        self._facts: list[str] = []
        self._called: set[ast.expr] = set()

    # What expressions stand for

    def _kind(self, node: ast.expr) -> _Known | None:
        if isinstance(node, ast.Name):
            return self._kinds.get(node.id)
        if isinstance(node, ast.Attribute):
            return self._of_member(self._kind(node.value), node.attr)
        if isinstance(node, ast.Call):
            return self._of_call(node)
        if isinstance(node, ast.Subscript | ast.NamedExpr):
            return self._kind(node.value)
        parts = [node.body, node.orelse] if isinstance(node, ast.IfExp) else getattr(node, "values", [])
        return next((kind for part in parts if part and (kind := self._kind(part))), None)

    def _role(self, key: str) -> _Known | None:
        owner = self._roles.get(key)
        return None if owner is None else _Known(owner)

    def _of_member(self, base: _Known | None, member: str) -> _Known | None:
        if base is None:
            return self._role(f".{member}")
        inside = f"{base.owner}.{member}".lstrip(".")
        if inside in self._api.classes:
            return _Known(inside, is_class=True)
        result = base.owner if base.is_class else self._api.result(base.owner, member)
        return _Known(result) if result else None

    def _of_call(self, node: ast.Call) -> _Known | None:
        if asked := _asked(node):
            return self._of_member(self._kind(node.args[0]), asked)
        base = self._kind(node.func.value) if isinstance(node.func, ast.Attribute) else None
        called = self._kind(node.func) if base or isinstance(node.func, ast.Name) else None
        return _Known(called.owner) if called else self._role(ast.unparse(node.func).rpartition(".")[-1] + "()")

    # What names stand for, and which conditions hold, from one statement to the next

    def visit(self, node: ast.AST) -> None:
        """Note what `node` and all inside it use."""
        if isinstance(node, ast.ClassDef):
            self._visit_class(node)
        elif isinstance(node, ast.FunctionDef | ast.Lambda):
            self._visit_function(node)
        elif isinstance(node, _BRANCHES):
            self._visit_branches(node)
        elif isinstance(node, _COMPREHENSIONS):
            self._visit_comprehension(node)
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr):
            self._visit_assignment(node)
        elif isinstance(node, ast.For | ast.comprehension):
            self._visit_loop(node)
        elif isinstance(node, ast.BoolOp):
            self._visit_terms(node)
        else:
            self._note(node)
            self._visit_all(ast.iter_child_nodes(node))
            if isinstance(node, ast.withitem) and node.optional_vars:
                self._bind(node.optional_vars, None)

    def _visit_all(self, nodes: Iterator[ast.AST] | list[ast.stmt] | list[ast.expr]) -> None:
        for node in nodes:
            self.visit(node)
            if isinstance(node, ast.If) and isinstance(node.body[-1], _LEAVES):
                self._facts += _facts(node.test, holds=False)

    @contextmanager
    def _assuming(self, facts: list[str]) -> Iterator[None]:
        before = self._facts
        self._facts = before + facts
        yield
        self._facts = before

    @contextmanager
    def _scope(self) -> Iterator[None]:
        before = dict(self._kinds)
        with self._assuming([]):
            yield
        self._kinds = before

    def _visit_function(self, node: ast.FunctionDef | ast.Lambda) -> None:
        with self._scope():
            for each in ast.walk(node.args):
                if isinstance(each, ast.arg):
                    self._kinds[each.arg] = self._of_parameter(each)
            self._visit_all(node.body if isinstance(node, ast.FunctionDef) else [node.body])

    def _of_parameter(self, node: ast.arg) -> _Known | None:
        if node.annotation and ast.unparse(node.annotation) == "ModuleType":
            return _Known(MODULE)
        return self._role(node.arg) if _is_any(node.annotation) else None

    def _visit_branches(self, node: ast.If | ast.While | ast.IfExp) -> None:
        self.visit(node.test)
        for holds, branch in ((True, node.body), (False, node.orelse)):
            with self._assuming(_facts(node.test, holds=holds)):
                self._visit_all(branch if isinstance(branch, list) else [branch])

    def _visit_terms(self, node: ast.BoolOp) -> None:
        with self._assuming([]):
            for term in node.values:
                self.visit(term)
                self._facts += _facts(term, holds=isinstance(node.op, ast.And))

    def _visit_loop(self, node: ast.For | ast.comprehension) -> None:
        self.visit(node.iter)
        self._bind(node.target, self._kind(node.iter))
        with self._assuming([]):
            self._visit_all(node.body if isinstance(node, ast.For) else node.ifs)

    def _visit_comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        with self._scope():
            for generator in node.generators:
                self.visit(generator)
            self._visit_all([node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt])

    def _visit_assignment(self, node: ast.Assign | ast.AnnAssign | ast.NamedExpr) -> None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            self.visit(target)
        if node.value is None:
            return
        self.visit(node.value)
        for target in targets:
            pairs = [(target, node.value)]
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = list(zip(target.elts, node.value.elts, strict=True))
            for one, value in pairs:
                self._bind(one, self._kind(value))

    def _bind(self, target: ast.expr, kind: _Known | None) -> None:
        if isinstance(target, ast.Attribute) and target.attr == "__class__" and kind:
            self._kinds[ast.unparse(target.value)] = _Known(kind.owner)
        self._kinds |= {name: kind or self._role(name) for name in _names(target)}

    # What is used

    def _note(self, node: ast.AST) -> None:
        if isinstance(node, ast.Call):
            self._note_call(node)
        elif isinstance(node, ast.Attribute) and node not in self._called and (base := self._kind(node.value)):
            self._add(node, base.owner, node.attr, How.WRITE if isinstance(node.ctx, ast.Store) else How.READ)

    def _note_call(self, node: ast.Call) -> None:
        called = self._kind(node.func)
        base = self._kind(node.func.value) if isinstance(node.func, ast.Attribute) else None
        if asked := _asked(node):
            if of := self._kind(node.args[0]):
                asks = ast.unparse(node.func) == "hasattr" or len(node.args) == 3
                self._add(node, of.owner, asked, How.ASK if asks else How.READ)
        elif called and called.is_class:
            self._add(node, called.owner, "__init__", How.CALL, node)
        elif base and isinstance(node.func, ast.Attribute):
            self._called.add(node.func)
            self._add(node, base.owner, node.func.attr, How.CALL, node)

    def _visit_class(self, node: ast.ClassDef) -> None:
        """What a class made from one of TensorRT's overrides, and what its methods use."""
        for base in (kind for one in node.bases if (kind := self._kind(one))):
            for method in (each for each in node.body if isinstance(each, ast.FunctionDef)):
                if not method.name.startswith("_"):
                    self._add(method, base.owner, method.name, How.OVERRIDE, method)
        self._visit_all(ast.iter_child_nodes(node))

    def _add(self, node: ast.AST, owner: str, member: str, how: How, shape: ast.AST | None = None) -> None:
        if how is How.CALL or not member.startswith("__"):
            place = f"{self._name}:{getattr(node, 'lineno', 0)}"
            self.found.append(Use(place, owner, member, how, *_arguments(shape), tuple(self._facts)))


def _arguments(shape: ast.AST | None) -> tuple[int | None, frozenset[str]]:
    """How many arguments by place, None for any number, and which by name."""
    if isinstance(shape, ast.FunctionDef):
        return len(shape.args.args) - 1, frozenset()
    if not isinstance(shape, ast.Call) or any(isinstance(argument, ast.Starred) for argument in shape.args):
        return None, frozenset()
    own = ast.unparse(shape.func).endswith(".__init__")
    return len(shape.args) - own, frozenset(word.arg or "**" for word in shape.keywords)


def _names(target: ast.expr) -> list[str]:
    """The variables that an assignment to `target` sets."""
    if isinstance(target, ast.Tuple):
        return [name for element in target.elts for name in _names(element)]
    return [target.id] if isinstance(target, ast.Name) else []


def _asked(node: ast.Call) -> str:
    """The name in ``hasattr(x, "name")`` and ``getattr(x, "name")``; ``<expression>`` where it is none."""
    if not isinstance(node.func, ast.Name) or node.func.id not in ("hasattr", "getattr"):
        return ""
    name = node.args[1]
    return str(name.value) if isinstance(name, ast.Constant) else f"<{ast.unparse(name)}>"


def _facts(test: ast.expr, *, holds: bool) -> list[str]:
    """What is so where `test` is true, or where it is false, as source text."""
    if isinstance(test, ast.BoolOp):
        sure = isinstance(test.op, ast.And) is holds
        return [fact for value in test.values for fact in _facts(value, holds=holds)] if sure else []
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return _facts(test.operand, holds=not holds)
    if isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.IsNot):
        return _facts(ast.Compare(test.left, [ast.Is()], test.comparators), holds=not holds)
    return [ast.unparse(test) if holds else f"not {ast.unparse(test)}"]
