"""What differs between two texts of one function or class, edit by edit, as a person would say it.

It sees what `astdump` sees: whatever does not enter a fingerprint is no edit. Where two statements have too
little in common, they are shown whole.
"""

from __future__ import annotations

import ast
import difflib
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from scidb.hashing.code.astdump import Decorator, constant_text, counting, counting_of_class, dump_part, merged_texts
from scidb.hashing.code.reads import dotted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scidb.hashing.code.astdump import UnitNode

__all__ = ["Edit", "EditKind", "edits", "parse_unit"]

EditKind: TypeAlias = Literal[
    "constant",
    "name",
    "parameter",
    "operator",
    "expression",
    "statement",
    "order",
    "annotation",
    "decorator",
    "argument",
]

_SHOWN: Final = 60
_FEW: Final = 3  # more edits than this in one statement are harder to read than the statement itself
_DEFINITIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_OPERATORS: Final = (ast.operator, ast.unaryop, ast.cmpop, ast.boolop)
_HIDDEN: Final = frozenset({"ctx", "type_comment", "type_params", "type_ignores", "simple", "kind"})
_SYMBOLS: Final = {
    "Add": "+", "Sub": "-", "Mult": "*", "Div": "/", "FloorDiv": "//", "Mod": "%", "Pow": "**", "MatMult": "@",
    "LShift": "<<", "RShift": ">>", "BitOr": "|", "BitXor": "^", "BitAnd": "&", "Invert": "~", "Not": "not",
    "UAdd": "+", "USub": "-", "Eq": "==", "NotEq": "!=", "Lt": "<", "LtE": "<=", "Gt": ">", "GtE": ">=", "Is": "is",
    "IsNot": "is not", "In": "in", "NotIn": "not in", "And": "and", "Or": "or",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Edit:
    """One difference. `line` counts from the first of its text: the new one, or the old one where something went."""

    kind: EditKind
    before: str | None
    after: str | None
    line: int


def parse_unit(text: str) -> UnitNode | None:
    """Return the definition in a stored text, or None for a text that holds none."""
    for candidate in (text, f"({text})"):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the compiler, which the import gave already
                tree = ast.parse(candidate)
        except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last is the parser's word for too deep
            continue
        for statement in tree.body:
            if isinstance(statement, _DEFINITIONS):
                return statement
        return next((node for node in ast.walk(tree) if isinstance(node, ast.Lambda)), None)
    return None


def edits(old: UnitNode, new: UnitNode, own: tuple[Sequence[int], Sequence[int]] = ((), ())) -> list[Edit]:
    """Return what differs between two units; `own` numbers the decorators on either side that do not count.

    Examples
    --------
    >>> before, after = parse_unit("def f(x): return x * 0.2"), parse_unit("def f(x): return x * 0.3")
    >>> edits(before, after)
    [Edit(kind='constant', before='0.2', after='0.3', line=1)]

    """
    for annotated in (False, True):  # annotations of functions count rarely: only where nothing else differs
        try:
            found = _Comparison(annotated=annotated).units(old, new, own)
        except RecursionError:  # too deep to be shown; that it differs is known all the same
            return []
        if found:
            return _without_echoes(found)
    return []


class _Comparison:
    def __init__(self, *, annotated: bool) -> None:
        self._annotated = annotated

    def units(self, old: UnitNode, new: UnitNode, own: tuple[Sequence[int], Sequence[int]]) -> list[Edit]:
        if type(old) is not type(new):
            return [_shown("expression", old, new)]
        found = []
        if not isinstance(old, ast.Lambda) and not isinstance(new, ast.Lambda):
            pair = [
                [item for number, item in enumerate(node.decorator_list) if number not in left_out]
                for node, left_out in zip((old, new), own, strict=True)
            ]
            found += [_in_decorator(edit) for edit in self._sequence(pair[0], pair[1])]
        if isinstance(old, ast.ClassDef) and isinstance(new, ast.ClassDef):
            found += self._sequence(old.bases, new.bases) + self._sequence(old.keywords, new.keywords)
            bodies = counting_of_class(old), counting_of_class(new)
            return found + self._sequence(*bodies, in_class=True)
        return found + self._function(old, new, defaults=False)

    def _function(self, old: Any, new: Any, *, defaults: bool) -> list[Edit]:
        found = self._arguments(old, new, defaults=defaults)
        if isinstance(old, ast.Lambda):
            return found + self._nodes(old.body, new.body)
        if self._annotated:
            found += self._annotation(new, old.returns, new.returns)
        return found + self._sequence(counting(old.body), counting(new.body))

    def _arguments(self, old: Any, new: Any, *, defaults: bool) -> list[Edit]:
        found = []
        before, after = _parameters(old.args), _parameters(new.args)
        names = [name for name, _ in before], [name for name, _ in after]
        if names[0] != names[1]:
            alike = len(before) == len(after)
            changed = zip(*names, strict=True) if alike else [tuple(f"({', '.join(side)})" for side in names)]
            found += [Edit("parameter", left, right, new.lineno) for left, right in changed if left != right]
        elif self._annotated:
            for (_, left), (_, right) in zip(before, after, strict=True):
                found += self._annotation(new, left, right)
        if defaults:
            found += self._sequence(old.args.defaults, new.args.defaults)
            found += self._sequence(old.args.kw_defaults, new.args.kw_defaults)
        return found

    def _annotation(self, new: Any, left: ast.expr | None, right: ast.expr | None) -> list[Edit]:
        if not getattr(new, "decorator_list", ()) or self._dumped(left) == self._dumped(right):
            return []
        return [_shown("annotation", left, right, _line(right, new.lineno))]

    # -------------------------------------------------------------- nodes

    def _nodes(self, old: Any, new: Any, *, in_class: bool = False) -> list[Edit]:  # noqa: PLR0911  (one line a kind)
        if not in_class:
            old, new = _plain_assignment(old), _plain_assignment(new)
        number = _number(old), _number(new)
        if None not in number:
            return [] if number[0] == number[1] else [_shown("constant", old, new)]
        names = dotted(old), dotted(new)
        if names[0] is not None and names[1] is not None:
            return [] if names[0] == names[1] else [_renamed(names[0], names[1], _line(new))]
        if isinstance(old, _OPERATORS) and isinstance(new, _OPERATORS):
            return [] if type(old) is type(new) else [Edit("operator", _symbol(old), _symbol(new), 0)]
        if type(old) is not type(new):
            return [_shown(_whole(old, new), old, new)]
        if isinstance(old, str):
            return [] if old == new else [Edit("name", old, new, 0)]
        if isinstance(old, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            found = [] if isinstance(old, ast.Lambda) else self._sequence(old.decorator_list, new.decorator_list)
            return found + self._named(old, new) + self._function(old, new, defaults=True)
        if isinstance(old, ast.ClassDef):
            in_class = True
        if isinstance(old, ast.JoinedStr):
            return self._sequence(merged_texts(old.values), merged_texts(new.values))
        return self._fields(old, new, in_class=in_class)

    def _named(self, old: Any, new: Any) -> list[Edit]:
        before, after = getattr(old, "name", ""), getattr(new, "name", "")
        return [] if before == after else [Edit("name", before, after, _line(new))]

    def _fields(self, old: ast.AST, new: ast.AST, *, in_class: bool) -> list[Edit]:
        found: list[Edit] = []
        for name in old._fields:
            if name in _HIDDEN:
                continue
            left, right = getattr(old, name, None), getattr(new, name, None)
            if isinstance(left, list) and isinstance(right, list):
                inside = in_class and isinstance(old, ast.ClassDef)
                pair = [counting(items) for items in (left, right)]
                found += self._sequence(pair[0], pair[1], in_class=inside)
            elif isinstance(left, ast.AST) and isinstance(right, ast.AST):
                made = self._nodes(left, right, in_class=in_class and isinstance(old, ast.Expr))
                found += [replace(edit, kind="annotation") for edit in made] if name == "annotation" else made
            elif isinstance(left, str) and isinstance(right, str):
                if left != right:
                    found.append(Edit("name", left, right, _line(new)))
            elif left != right:
                return [_shown(_whole(old, new), old, new)]
        line = _line(new)
        found = [edit if edit.line else replace(edit, line=line) for edit in found]
        if len(found) > _FEW and isinstance(old, ast.stmt) and not hasattr(old, "body"):
            return [_shown("statement", old, new)]
        return found

    def _sequence(self, old: Sequence[Any], new: Sequence[Any], *, in_class: bool = False) -> list[Edit]:
        left, right = ([self._dumped(item, in_class=in_class) for item in items] for items in (old, new))
        found: list[Edit] = []
        removed: list[tuple[str, Edit]] = []
        added: list[tuple[str, Edit]] = []
        for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
            if tag == "equal":
                continue
            if tag == "replace" and i2 - i1 == j2 - j1:
                for before, after in zip(old[i1:i2], new[j1:j2], strict=True):
                    found += self._nodes(before, after, in_class=in_class)
            else:
                removed += [(text, _gone(item)) for text, item in zip(left[i1:i2], old[i1:i2], strict=True)]
                added += [(text, _come(item)) for text, item in zip(right[j1:j2], new[j1:j2], strict=True)]
        return found + _moved(removed, added)

    def _dumped(self, node: object, *, in_class: bool = False) -> str:
        sort = Decorator.FOREIGN if self._annotated else Decorator.NEUTRAL
        return dump_part(node, lambda _: sort, in_class=in_class)


def _moved(removed: list[tuple[str, Edit]], added: list[tuple[str, Edit]]) -> list[Edit]:
    """Say of what is both gone and new that it moved."""
    found = []
    left = dict(removed)
    for text, edit in added:
        if text in left:
            found.append(Edit("order", left.pop(text).before, edit.after, edit.line))
        else:
            found.append(edit)
    return [*left.values(), *found]


def _without_echoes(found: list[Edit]) -> list[Edit]:
    """Say a renaming once, and not again for every use of the name."""
    kept: dict[tuple[str, str | None, str | None, int], Edit] = {}
    parameters = {(edit.before, edit.after) for edit in found if edit.kind == "parameter"}
    for edit in found:
        if edit.kind == "name" and (edit.before, edit.after) in parameters:
            continue
        kept.setdefault((edit.kind, edit.before, edit.after, 0 if edit.kind == "name" else edit.line), edit)
    return list(kept.values())


# ---------------------------------------------------------------- what a node is, and how it is shown


def _number(node: object) -> str | None:
    """Return the identity of a constant; that of a number may have a sign."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        return f"-{constant_text(node.operand.value)}"
    return constant_text(node.value) if isinstance(node, ast.Constant) else None


def _plain_assignment(node: Any) -> Any:
    if not isinstance(node, ast.AnnAssign) or node.value is None:
        return node
    return ast.copy_location(ast.Assign(targets=[node.target], value=node.value), node)


def _renamed(old: tuple[str, ...], new: tuple[str, ...], line: int) -> Edit:
    if len(old) == len(new) and old[:-1] == new[:-1]:
        return Edit("name", old[-1], new[-1], line)
    return Edit("name", ".".join(old), ".".join(new), line)


def _parameters(args: ast.arguments) -> list[tuple[str, ast.expr | None]]:
    groups = (
        ("", [*args.posonlyargs], "/" if args.posonlyargs else ""),
        ("", args.args, ""),
        ("*", [args.vararg] if args.vararg else [], "*" if args.kwonlyargs and not args.vararg else ""),
        ("", args.kwonlyargs, ""),
        ("**", [args.kwarg] if args.kwarg else [], ""),
    )
    found: list[tuple[str, ast.expr | None]] = []
    for stars, members, mark in groups:
        found += [(f"{stars}{member.arg}", member.annotation) for member in members]
        found += [(mark, None)] if mark else []
    return found


def _in_decorator(edit: Edit) -> Edit:
    whole = edit.kind == "name" or edit.before is None or edit.after is None
    return replace(edit, kind="decorator" if whole else "argument")


def _whole(old: object, new: object) -> EditKind:
    return "statement" if isinstance(old, ast.stmt) or isinstance(new, ast.stmt) else "expression"


def _gone(node: object) -> Edit:
    return Edit(_whole(node, node), _text(node), None, _line(node))


def _come(node: object) -> Edit:
    return Edit(_whole(node, node), None, _text(node), _line(node))


def _shown(kind: EditKind, old: object, new: object, line: int | None = None) -> Edit:
    before, after = (None if node is None else _text(node) for node in (old, new))
    return Edit(kind, before, after, _line(new, _line(old)) if line is None else line)


def _symbol(node: ast.AST) -> str:
    return _SYMBOLS[type(node).__name__]


def _line(node: object, otherwise: int = 0) -> int:
    return getattr(node, "lineno", otherwise)


def _text(node: object) -> str:
    if not isinstance(node, ast.AST):  # a name, or the key that `**` has not
        return str(node or "**")
    first, *others = ast.unparse(node).split("\n")
    text = f"{first} …" if others else first
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
