"""The source text that is really running: found once, proved by recompiling, and kept.

A file may be edited after it was imported. So every text of a file that was ever seen is a candidate, and
the right one is the one that compiles to the running code object.
"""

from __future__ import annotations
import __future__ as future

import ast
import functools
import hashlib
import linecache
import os
import textwrap
import tokenize
import warnings
from collections import deque
from dataclasses import dataclass
from types import CodeType
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from scidb.hashing.canonical.encode import canonical_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scidb.hashing.code.astdump import FunctionNode, UnitNode

__all__ = ["Located", "bytecode_digest", "class_nodes", "locate", "remember", "text_digest"]

_FUTURE: Final = functools.reduce(
    lambda flags, name: flags | getattr(future, name).compiler_flag, future.all_feature_names, 0
)
_TEXTS_KEPT: Final = 16  # of one file, the newest; code that was located keeps its own text anyway

T = TypeVar("T")
_Signature: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Located:
    """A function or class in a text that compiles to what is running."""

    node: UnitNode
    text: str
    line: int
    owner: ast.ClassDef | None = None


class _Tree:
    """The definitions in one text, by where they stand."""

    def __init__(self, text: str) -> None:
        self.functions: dict[tuple[int, str], list[tuple[FunctionNode, ast.ClassDef | None]]] = {}
        self.classes: dict[str, list[ast.ClassDef]] = {}
        self._collect(ast.parse(text))

    def _collect(self, module: ast.Module) -> None:
        pending: list[tuple[ast.AST, str, ast.ClassDef | None]] = [(module, "", None)]
        while pending:
            node, prefix, owner = pending.pop()
            if isinstance(node, ast.ClassDef):
                self.classes.setdefault(prefix + node.name, []).append(node)
                prefix, owner = f"{prefix}{node.name}.", node
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                name = "<lambda>" if isinstance(node, ast.Lambda) else node.name
                self.functions.setdefault((_first_line(node), name), []).append((node, owner))
                prefix, owner = f"{prefix}{name}.<locals>.", None
            below = [(child, prefix, owner) for child in ast.iter_child_nodes(node)]
            pending.extend(reversed(below))


class _Codes:
    """The code objects to which one text compiles."""

    def __init__(self, module: CodeType) -> None:
        self._exact = {code: code for code in _nested(module)}

    @functools.cached_property
    def _anywhere(self) -> dict[str, CodeType]:
        return {bytecode_digest(code): code for code in self._exact}

    def same(self, code: CodeType) -> CodeType | None:
        # An edit elsewhere in the file may have shifted it.
        return self._exact.get(code) or self._anywhere.get(bytecode_digest(code))


class _Text:
    """One text of one file."""

    def __init__(self, filename: str, text: str) -> None:
        self.filename = filename
        self.text = text
        self._codes: dict[int, _Codes | None] = {}  # by the future features in force

    def find(self, code: CodeType) -> Located | None:
        flags = code.co_flags & _FUTURE
        if flags not in self._codes:
            self._codes[flags] = self._compiled(flags)
        codes = self._codes[flags]
        same = codes.same(code) if codes else None
        if same is None or self.tree is None:
            return None
        candidates = self.tree.functions.get((same.co_firstlineno, same.co_name), [])
        if len(candidates) > 1:
            candidates = _narrowest(candidates, same)
        return self._located(*candidates[0]) if candidates else None

    def classes(self, qualname: str) -> list[Located]:
        return [self._located(node) for node in self.tree.classes.get(qualname, ())] if self.tree else []

    @functools.cached_property
    def tree(self) -> _Tree | None:
        return _unless_broken(lambda: _Tree(self.text))

    def _compiled(self, flags: int) -> _Codes | None:
        # The running interpreter's optimisation level is compile's default.
        return _unless_broken(lambda: _Codes(compile(self.text, self.filename, "exec", flags, dont_inherit=True)))

    def _located(self, node: UnitNode, owner: ast.ClassDef | None = None) -> Located:
        if isinstance(node, ast.Lambda):  # its lines may hold half of something else
            return Located(node, ast.get_source_segment(self.text, node) or "", node.lineno, owner)
        lines = self.text.split("\n")[_first_line(node) - 1 : node.end_lineno]
        return Located(node, textwrap.dedent("\n".join(lines)), node.lineno, owner)


def _unless_broken(make: Callable[[], T]) -> T | None:
    """Return what is made of a text, or None for one that was edited into something that is no module."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the import gave the compiler's warnings already
        try:
            return make()
        except (SyntaxError, ValueError, RecursionError):
            return None


def _narrowest(
    candidates: list[tuple[FunctionNode, ast.ClassDef | None]], code: CodeType
) -> list[tuple[FunctionNode, ast.ClassDef | None]]:
    """Keep, of several functions that begin on one line, the smallest around all of the code's positions."""
    spans = [
        (line, column, end_line, end_column)
        for line, end_line, column, end_column in code.co_positions()
        if line is not None and end_line is not None and column is not None and end_column is not None
        if (line, column) != (end_line, end_column)
    ]
    around = [
        (node.end_lineno or 0, (node.end_col_offset or 0) - node.col_offset, number)
        for number, (node, _) in enumerate(candidates)
        if all(
            (node.lineno, node.col_offset) <= (line, column)
            and (end_line, end_column) <= (node.end_lineno or 0, node.end_col_offset or 0)
            for line, column, end_line, end_column in spans
        )
    ]
    return [candidates[number] for _, _, number in sorted(around)]


def _first_line(node: UnitNode) -> int:
    decorators = [] if isinstance(node, ast.Lambda) else node.decorator_list
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)


# ---------------------------------------------------------------- texts that were seen

_texts: dict[str, deque[_Text]] = {}
_signatures: dict[str, _Signature] = {}


def remember(filename: str) -> None:
    """Keep the text of a file as it is now, unless that was done since it last changed."""
    try:
        stat = os.stat(filename)  # noqa: PTH116  (called for every decorated function)
        signature = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if _signatures.get(filename) == signature:
            return
        with tokenize.open(filename) as file:
            text = file.read()
    except (OSError, SyntaxError, UnicodeDecodeError, ValueError):
        return  # not a file, or not Python: there is nothing to keep
    _signatures[filename] = signature
    _keep(filename, text)


def _keep(filename: str, text: str) -> None:
    known = _texts.setdefault(filename, deque(maxlen=_TEXTS_KEPT))
    if all(other.text != text for other in known):
        known.append(_Text(filename, text))


def _candidates(filename: str) -> Iterator[_Text]:
    seen = list(_texts.get(filename, ()))
    yield from reversed(seen)
    remember(filename)
    if filename not in _signatures:  # a notebook cell, or an interactive line, lives in linecache alone
        text = "".join(linecache.getlines(filename))
        if text:
            _keep(filename, text)
    yield from (text for text in _texts.get(filename, ()) if text not in seen)


def locate(code: CodeType) -> Located | None:
    """Return the definition whose recompilation equals a running code object; None if it cannot be had."""
    for text in _candidates(code.co_filename):
        found = text.find(code)
        if found is not None:
            return found
    return None


def class_nodes(filename: str, qualname: str) -> Iterator[Located]:
    """Yield the classes of that name in the known texts of a file, newest text and last definition first."""
    for text in _candidates(filename):
        yield from reversed(text.classes(qualname))


def text_digest(text: str) -> str:
    """Return the SHA-256 of a source text, under which it is stored."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


# ---------------------------------------------------------------- bytecode


def bytecode_digest(code: CodeType) -> str:
    """Return what a code object does, without where it stands; valid within one version of Python."""
    return canonical_hash(_items(code))


def _items(code: CodeType) -> list[Any]:
    return [
        code.co_name,
        [code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags],
        code.co_code,
        code.co_exceptiontable,
        [code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars],
        [_constant(constant) for constant in code.co_consts],
    ]


def _constant(value: object) -> list[Any]:
    if isinstance(value, CodeType):
        return ["code", _items(value)]
    if isinstance(value, tuple | frozenset):  # may hold an ellipsis deep inside
        parts = [_constant(item) for item in value]
        return ["tuple", parts] if isinstance(value, tuple) else ["frozenset", sorted(map(canonical_hash, parts))]
    return ["..."] if value is ... else ["value", value]
