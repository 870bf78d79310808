"""Stored source texts as syntax trees: one text per module, and definitions without what is recorded by value."""

from __future__ import annotations

import ast
import copy
from typing import TYPE_CHECKING, Final, TypeAlias

from scidb.hashing.canonical.encode import canonical_hash
from scidb.hashing.code.astdump import Decorator, dump
from scidb.provenance.reproduction.calls import CannotRunError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from scidb.hashing.code.manifest import UnitEntry

__all__ = ["ModuleText", "bare_class", "bare_function", "names_in"]

Definition: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

_LONGEST_LAMBDA: Final = 2_000
_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_SHAPES: Final = frozenset({"n_outputs", "unpack_output", "unwrap", "generates_file"})


class ModuleText:
    """The stored definitions of one module, as one text under one name."""

    def __init__(self, filename: str) -> None:
        self.filename = filename
        self._parts: dict[int, str] = {}
        self._nodes: dict[int, ast.stmt] | None = None

    @property
    def text(self) -> str:
        """The whole text; each definition begins a line."""
        return "".join(f"{part}\n" for part in self._parts.values())

    def add(self, index: int, unit: UnitEntry, text: str) -> None:
        """Add the text of a function or class.

        Raises
        ------
        CannotRunError
            When it is no definition.

        """
        if unit.name.endswith("<lambda>"):
            self._parts[index] = f"_ = {_lambda_in(text, unit)}"
            return
        try:
            statements = ast.parse(text).body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise CannotRunError(f"the stored text of {unit.name} is no Python: {error}") from error
        if len(statements) != 1 or not isinstance(statements[0], Definition):
            raise CannotRunError(f"the stored text of {unit.name} is no single definition")
        self._parts[index] = text

    def node(self, index: int) -> ast.stmt:
        """Return the definition of a unit, with its place in the whole text."""
        if self._nodes is None:
            self._nodes = dict(zip(self._parts, ast.parse(self.text).body, strict=True))
        return self._nodes[index]


def _lambda_in(text: str, unit: UnitEntry) -> str:
    """Return the lambda in the lines around it, which may be half a statement."""
    text = text[:_LONGEST_LAMBDA]
    start = text.find("lambda")
    while start >= 0:
        for end in range(len(text), start, -1):
            if (found := _only_lambda(text[start:end])) is not None:
                digest = canonical_hash(["source", dump(found, lambda _: Decorator.FOREIGN)])
                if digest == unit.digest:
                    return f"({text[start:end]})"
        start = text.find("lambda", start + 1)
    raise CannotRunError(f"{unit.name} cannot be told from the stored lines around it")


def _only_lambda(text: str) -> ast.Lambda | None:
    try:
        node = ast.parse(f"({text})", mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return node if isinstance(node, ast.Lambda) else None


def names_in(node: ast.AST) -> set[str]:
    """Return the names that are read when a definition or an expression runs; the bodies of functions run later."""
    return set(_names(node))


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name):
        yield node.id
    for field, value in ast.iter_fields(node):
        if field in {"annotation", "returns"} or (field == "body" and isinstance(node, _FUNCTIONS)):
            continue
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, ast.AST):
                yield from _names(item)


def bare_function(
    node: ast.stmt, own: Collection[int] = (), *, decorated: bool = False
) -> tuple[ast.stmt, dict[str, str]]:
    """Return a copy of a function without default values and annotations, and the texts of its default values.

    Of its decorators it keeps SciDB's, at the places `own`, and the others only if it is to be `decorated`.
    """
    bare = copy.deepcopy(node)
    if isinstance(bare, ast.FunctionDef | ast.AsyncFunctionDef):
        bare.decorator_list = list(_decorators(bare.decorator_list, own, others=decorated))
        return bare, _without_defaults(bare)
    if isinstance(bare, ast.Assign) and isinstance(bare.value, ast.Lambda):
        return bare, _without_defaults(bare.value)
    raise CannotRunError(f"the stored text is no function: {ast.unparse(node)[:60]}")


def bare_class(
    node: ast.ClassDef, own: Mapping[str, Collection[int]]
) -> tuple[ast.ClassDef, dict[str, dict[str, str]]]:
    """Return a copy of a class whose methods have no default values, and the texts of these by method.

    SciDB's decorators of a method are at the places `own`.
    """
    bare = copy.deepcopy(node)
    texts: dict[str, dict[str, str]] = {}
    for method in bare.body:
        if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef):
            places = own.get(method.name, ())
            method.decorator_list = list(_decorators(method.decorator_list, places, others=True))
            texts[method.name] = _without_defaults(method)
    return bare, texts


def _decorators(written: list[ast.expr], own: Collection[int], *, others: bool) -> Iterator[ast.expr]:
    """Yield decorators; SciDB's with those options alone that decide how a call of the function looks."""
    for place, decorator in enumerate(written):
        if place not in own:
            if others:
                yield decorator
            continue
        if isinstance(decorator, ast.Call):
            decorator.keywords = [one for one in decorator.keywords if one.arg in _SHAPES]
        yield decorator


def _without_defaults(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> dict[str, str]:
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    given = positional[len(positional) - len(arguments.defaults) :]
    texts = {one.arg: ast.unparse(default) for one, default in zip(given, arguments.defaults, strict=True)}
    for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if default is not None:
            texts[one.arg] = ast.unparse(default)
    arguments.defaults = [ast.Constant(None) for _ in arguments.defaults]
    arguments.kw_defaults = [None if default is None else ast.Constant(None) for default in arguments.kw_defaults]
    for argument in (*positional, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg):
        if argument is not None:
            argument.annotation = None
    if not isinstance(function, ast.Lambda):
        function.returns = None
    return texts
