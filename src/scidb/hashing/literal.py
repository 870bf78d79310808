"""Values as the text by which Python writes them, and back without running anything.

For the constants that a computation received or read: what was written can be made again, exactly, or not
at all. Whoever reads a text compares the hash of what it gives with the recorded one.
"""

from __future__ import annotations

import ast
import datetime as dt
import math
import pathlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["LONGEST", "literal_text", "literal_value"]

LONGEST: Final = 4096
"""Characters of a text at most; longer constants are data, and belong into a variable."""

_DEEPEST: Final = 50
_CONTAINERS: Final = (list, tuple, set, frozenset, dict)
_ATOMS: Final = frozenset({type(None), bool, int, float, complex, str, bytes, dt.date, dt.datetime, dt.timedelta})
_ITEMS: Final = LONGEST // 3  # an item takes three characters at least


def literal_text(value: object) -> str | None:
    """Return the text from which `literal_value` makes a value again; None where there is none, or a long one.

    Examples
    --------
    >>> literal_text({"order": 4, "band": (0.5, 20.0)})
    "{'order': 4, 'band': (0.5, 20.0)}"
    >>> literal_text(object()) is None
    True

    """
    if not _is_literal(value, 0):
        return None
    try:
        text = repr(value)
    except ValueError:  # an integer beyond Python's limit of digits
        return None
    return text if len(text) <= LONGEST else None


def _is_literal(value: Any, depth: int) -> bool:
    kind = type(value)
    if kind in _ATOMS or issubclass(kind, pathlib.PurePath):
        return not isinstance(value, str | bytes) or len(value) <= LONGEST
    if kind not in _CONTAINERS or depth > _DEEPEST or len(value) > _ITEMS:
        return False
    return all(_is_literal(item, depth + 1) for item in (*value, *(value.values() if kind is dict else ())))


def literal_value(text: str) -> Any:
    """Make a value from its text; nothing is looked up or run.

    Examples
    --------
    >>> literal_value("{'order': 4, 'band': (0.5, inf)}")
    {'order': 4, 'band': (0.5, inf)}

    Raises
    ------
    ValueError
        When the text is none of a value that can be made so.

    """
    if len(text) > LONGEST:
        raise ValueError(f"a text of {len(text)} characters, where {LONGEST} are the limit")
    try:
        return _value(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, TypeError, OverflowError, RecursionError, MemoryError) as error:
        raise ValueError(f"{text[:60]!r} cannot be made into a value again") from error


def _value(node: ast.expr) -> Any:  # noqa: PLR0911  (one line a kind)
    match node:
        case ast.Constant(value=value) if value is not ...:
            return value
        case ast.Name(id=name) if name in _NAMES:
            return _NAMES[name]
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            return _signed(sign, _value(operand))
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as operator, right=right):
            return _complex(_value(left), operator, _value(right))
        case ast.List(elts=items):
            return [_value(item) for item in items]
        case ast.Tuple(elts=items):
            return tuple(_value(item) for item in items)
        case ast.Set(elts=items):
            return {_value(item) for item in items}
        case ast.Dict(keys=keys, values=values) if None not in keys:
            return {_value(key): _value(value) for key, value in zip(keys, values, strict=True) if key is not None}
        case ast.Call(func=function, args=arguments, keywords=keywords):
            return _made(ast.unparse(function), [_value(one) for one in arguments], keywords)
    raise ValueError(f"no literal: {ast.unparse(node)[:60]}")


def _signed(sign: ast.unaryop, number: Any) -> Any:
    if type(number) not in {int, float, complex}:
        raise ValueError("a sign belongs to a number")
    return -number if isinstance(sign, ast.USub) else number


def _complex(real: Any, operator: ast.operator, imaginary: Any) -> complex:
    if type(real) not in {int, float} or type(imaginary) is not complex or imaginary.real != 0:
        raise ValueError("a sum that is no complex number")
    return complex(real, imaginary.imag if isinstance(operator, ast.Add) else -imaginary.imag)


def _made(name: str, arguments: list[Any], keywords: list[ast.keyword]) -> Any:
    make = _MAKERS.get(name)
    if make is None:
        raise ValueError(f"{name} is nothing that can be made here")
    return make(*arguments, **{str(keyword.arg): _value(keyword.value) for keyword in keywords})


def _scalar(kind: type[np.generic]) -> Callable[[Any], Any]:
    def make(value: Any) -> Any:
        if type(value) not in {bool, int, float, complex, str}:
            raise ValueError("a numpy scalar is made of a number or a text")
        return kind(value)

    return make


_NAMES: Final[Mapping[str, object]] = {"nan": math.nan, "inf": math.inf}
_MAKERS: Final[Mapping[str, Callable[..., Any]]] = {
    "set": set,
    "frozenset": frozenset,
    "datetime.date": dt.date,
    "datetime.datetime": dt.datetime,
    "datetime.timedelta": dt.timedelta,
    **{name: getattr(pathlib, name) for name in ("PurePosixPath", "PureWindowsPath", type(pathlib.Path()).__name__)},
    **{
        f"np.{name}": _scalar(kind)
        for kind in (*np.sctypeDict.values(),)
        if issubclass(kind, np.number | np.bool_ | np.str_)
        for name in {kind.__name__, kind.__name__.removesuffix("_")}
    },
}
