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
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["LONGEST", "literal_text", "literal_value"]

LONGEST: Final = 4096
"""Characters of a text at most; longer constants are data, and belong into a variable."""

_DEEPEST: Final = 50
_CONTAINERS: Final = (list, tuple, set, frozenset, dict)
_ATOMS: Final = frozenset({type(None), bool, int, float, str, bytes, dt.date, dt.datetime, dt.timedelta})
_NUMBERS: Final = frozenset({bool, int, float})
_ITEMS: Final = 256  # of a container or an array; this is asked for at every call of a thunk


def literal_text(value: object) -> str | None:
    """Return the text from which `literal_value` makes a value again; None where there is none, or a long one.

    Examples
    --------
    >>> literal_text({"order": 4, "band": (0.5, 20.0)})
    "{'order': 4, 'band': (0.5, 20.0)}"
    >>> literal_text(object()) is None
    True

    """
    try:
        text = _text(value, 0)
    except ValueError:  # no literal, or an integer beyond Python's limit of digits
        return None
    return text if len(text) <= LONGEST else None


def _text(value: Any, depth: int) -> str:
    kind = type(value)
    if kind in _ATOMS or issubclass(kind, pathlib.PurePath):
        if isinstance(value, str | bytes) and len(value) > LONGEST:
            raise ValueError("too long")
        return repr(value)
    if kind is complex:
        return f"complex({value.real!r}, {value.imag!r})"  # its own text loses signs of zeros
    if kind in _NUMPY_NAMES:
        return f"np.{_NUMPY_NAMES[kind]}({_text(value.item(), depth)})"
    if kind is np.ndarray and value.dtype.kind in "biufc" and value.size <= _ITEMS:
        return f"np.array({_text(value.tolist(), depth)}, dtype={value.dtype.name!r})"
    if kind not in _CONTAINERS or depth > _DEEPEST or len(value) > _ITEMS:
        raise ValueError("no literal")
    return _container_text(value, kind, depth)


def _container_text(value: Any, kind: type, depth: int) -> str:
    if kind is not dict and _NUMBERS.issuperset(map(type, value)):
        return repr(value)
    if kind is dict:
        pairs = (f"{_text(key, depth + 1)}: {_text(item, depth + 1)}" for key, item in value.items())
        return f"{{{_joined(pairs)}}}"
    items = _joined(_text(item, depth + 1) for item in value)
    if kind is tuple:
        return f"({items},)" if len(value) == 1 else f"({items})"
    if kind is list:
        return f"[{items}]"
    return f"{kind.__name__}([{items}])" if kind is frozenset or not items else f"{{{items}}}"


def _joined(texts: Iterable[str]) -> str:
    """Join texts, unless they become too long, which is seen before all are made."""
    found, length = [], 0
    for text in texts:
        found.append(text)
        length += len(text) + 2
        if length > LONGEST:
            raise ValueError("too long")
    return ", ".join(found)


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
    if type(number) not in {int, float}:
        raise ValueError("a sign belongs to a number")
    return -number if isinstance(sign, ast.USub) else number


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


def _complex(real: Any, imaginary: Any) -> complex:
    if type(real) is not float or type(imaginary) is not float:
        raise ValueError("a complex number is made of two numbers")
    return complex(real, imaginary)


def _array(items: Any, dtype: str) -> Any:
    if dtype not in _NUMERIC:
        raise ValueError(f"an array of {dtype} is not made here")
    return np.array(items, dtype=dtype)


# By name; numpy has some of them under several.
_NUMERIC: Final = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64",
    "complex64", "complex128",
)  # fmt: skip
_SCALARS: Final[Mapping[str, type[np.generic]]] = {
    **{name: np.dtype(name).type for name in _NUMERIC},
    "bool_": np.bool_,
    "str_": np.str_,
}
_NUMPY_NAMES: Final = {kind: name for name, kind in _SCALARS.items()}
_NAMES: Final[Mapping[str, object]] = {"nan": math.nan, "inf": math.inf}
_MAKERS: Final[Mapping[str, Callable[..., Any]]] = {
    "complex": _complex,
    "set": set,
    "frozenset": frozenset,
    "datetime.date": dt.date,
    "datetime.datetime": dt.datetime,
    "datetime.timedelta": dt.timedelta,
    **{name: getattr(pathlib, name) for name in ("PurePosixPath", "PureWindowsPath", type(pathlib.Path()).__name__)},
    **{f"np.{name}": _scalar(kind) for name, kind in _SCALARS.items()},
    "np.array": _array,
}
