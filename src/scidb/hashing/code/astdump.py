"""Write a syntax tree as text that only says what the code does, in every Python alike.

Positions, docstrings, bare strings, ``pass``, empty fields, type parameters and annotations of functions
are left out. Any change of a rule changes fingerprints: it needs a new `DUMP_VERSION`.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Final, TypeAlias

from scidb.hashing.code.steps import texts

if TYPE_CHECKING:
    from scidb.hashing.code.steps import Steps

__all__ = [
    "DUMP_VERSION",
    "Classify",
    "Decorator",
    "FunctionNode",
    "UnitNode",
    "constant_text",
    "counting",
    "counting_of_class",
    "dump",
    "dump_part",
    "merged_texts",
]

DUMP_VERSION: Final = "scidb-ast/1"

FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
UnitNode: TypeAlias = FunctionNode | ast.ClassDef


class Decorator(Enum):
    """What a decorator means for the text of the function beneath it."""

    OWN = "own"  # SciDB's: not part of the code
    NEUTRAL = "neutral"  # part of the code, but never reads annotations
    FOREIGN = "foreign"  # part of the code, and may read annotations


Classify: TypeAlias = Callable[[ast.expr], Decorator]

_LEFT_OUT: Final = frozenset({"ctx", "type_comment", "type_params", "type_ignores", "simple"})
_DEFINITIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def dump(unit: UnitNode, classify: Classify) -> str:
    """Return the text of a function or class, without its own name.

    The unit's default values are left out, because they count by value; so are a class's methods and
    inner classes, which are units of their own.
    """
    return "".join(texts(_Dumper(classify).unit(unit)))


def dump_part(part: object, classify: Classify, *, in_class: bool = False) -> str:
    """Return the text of anything inside a unit, by which two parts can be compared."""
    return "".join(texts(_Dumper(classify).part(part, in_class=in_class)))


class _Dumper:
    def __init__(self, classify: Classify) -> None:
        self._classify = classify

    def unit(self, unit: UnitNode) -> Steps:
        yield f"{DUMP_VERSION} "
        if isinstance(unit, ast.ClassDef):
            yield self._class(unit, unit_itself=True)
        else:
            yield self._function(unit, unit_itself=True)

    def part(self, item: object, *, in_class: bool = False) -> Steps:
        if isinstance(item, ast.Constant):
            yield constant_text(item.value)
        elif isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield self._function(item)
        elif isinstance(item, ast.ClassDef):
            yield self._class(item)
        elif isinstance(item, ast.AnnAssign) and not in_class:
            yield self._local_annotation(item)
        elif isinstance(item, ast.JoinedStr):
            yield "(JoinedStr"
            yield self._list(merged_texts(item.values))
            yield ")"
        elif isinstance(item, ast.AST):
            yield self._node(item, in_class=in_class)
        elif isinstance(item, list):
            yield self._list(item, in_class=in_class)
        else:
            yield constant_text(item)

    def _node(self, node: ast.AST, *, in_class: bool) -> Steps:
        yield f"({type(node).__name__}"
        for name, value in ast.iter_fields(node):
            kept = counting(value) if isinstance(value, list) else value
            if name in _LEFT_OUT or kept is None or kept == []:
                continue
            yield f" {name}="
            yield self.part(kept, in_class=in_class)
        yield ")"

    def _list(self, items: list[object], *, in_class: bool = False) -> Steps:
        yield "["
        for item in items:
            yield self.part(item, in_class=in_class)
            yield " "
        yield "]"

    def _local_annotation(self, node: ast.AnnAssign) -> Steps:
        # In a function `x: int = 1` does what `x = 1` does, while a bare `x: int` makes x local.
        if node.value is None:
            yield "(Declare target="
            yield self.part(node.target)
            yield ")"
            return
        yield "(Assign targets=["
        yield self.part(node.target)
        yield " ] value="
        yield self.part(node.value)
        yield ")"

    def _decorators(self, decorators: list[ast.expr]) -> Steps:
        kept: list[object] = [item for item in decorators if self._classify(item) is not Decorator.OWN]
        if kept:
            yield " decorators="
            yield self._list(kept)

    def _function(self, node: FunctionNode, *, unit_itself: bool = False) -> Steps:
        yield f"({type(node).__name__}"
        annotated = False
        if not isinstance(node, ast.Lambda):
            if not unit_itself:
                yield f" name={json.dumps(node.name)}"
            yield self._decorators(node.decorator_list)
            annotated = any(self._classify(item) is Decorator.FOREIGN for item in node.decorator_list)
        yield " args="
        yield self._arguments(node.args, annotated=annotated, defaults=not unit_itself)
        if annotated and not isinstance(node, ast.Lambda) and node.returns is not None:
            yield " returns="
            yield self.part(node.returns)
        yield " body="
        yield self.part(counting(node.body) if isinstance(node.body, list) else node.body)
        yield ")"

    def _arguments(self, args: ast.arguments, *, annotated: bool, defaults: bool) -> Steps:
        yield "("
        for kind in ("posonlyargs", "args", "vararg", "kwonlyargs", "kwarg"):
            found = getattr(args, kind)
            if not found:
                continue
            yield f" {kind}=["
            for arg in found if isinstance(found, list) else [found]:
                yield json.dumps(arg.arg)
                if annotated and arg.annotation is not None:
                    yield ":"
                    yield self.part(arg.annotation)
                yield " "
            yield "]"
        if defaults:
            yield " defaults="
            yield self._list(list(args.defaults))
            yield " kw_defaults="
            yield self._list(list(args.kw_defaults))
        yield ")"

    def _class(self, node: ast.ClassDef, *, unit_itself: bool = False) -> Steps:
        yield "(ClassDef"
        if not unit_itself:
            yield f" name={json.dumps(node.name)}"
        yield self._decorators(node.decorator_list)
        for name, value in (("bases", node.bases), ("keywords", node.keywords)):
            if value:
                yield f" {name}="
                yield self._list(list(value))
        yield " body="
        yield self._list(counting_of_class(node) if unit_itself else counting(node.body), in_class=True)
        yield ")"


def counting_of_class(node: ast.ClassDef) -> list[object]:
    """Return the statements of a class's body that are part of its own unit."""
    return [statement for statement in counting(node.body) if not isinstance(statement, _DEFINITIONS)]


def counting(items: Sequence[object]) -> list[object]:
    """Leave out what does nothing: bare strings, which documentation is, and ``pass``."""
    return [item for item in items if not _has_no_effect(item)]


def _has_no_effect(item: object) -> bool:
    if isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant):
        return isinstance(item.value.value, str)
    return isinstance(item, ast.Pass)


def merged_texts(values: list[ast.expr]) -> list[object]:
    """Join neighbouring texts of an f-string, which Pythons cut differently."""
    merged: list[object] = []
    for value in values:
        if not (isinstance(value, ast.Constant) and isinstance(value.value, str)):
            merged.append(value)
            continue
        if merged and isinstance(merged[-1], ast.Constant):
            merged[-1] = ast.Constant(f"{merged[-1].value!s}{value.value}")
        elif value.value:
            merged.append(value)
    return merged


def constant_text(value: object) -> str:  # noqa: PLR0911  (one line a type)
    """Write a constant so that no two of different type or value look alike."""
    if value is None or isinstance(value, bool):
        return str(value)
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, int):
        return f"i{value:x}"
    if isinstance(value, float):
        return f"f{value.hex()}"
    if isinstance(value, complex):
        return f"c{value.real.hex()},{value.imag.hex()}"
    if isinstance(value, bytes):
        return f"b{value.hex()}"
    if value is ...:
        return "..."
    raise AssertionError(f"a parsed module cannot hold a constant of type {type(value).__name__}")
