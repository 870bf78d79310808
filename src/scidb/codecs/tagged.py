"""Values as JSON text: plain where JSON is exact, else an object with one telling key.

``{"a": [1, 2.5, null]}`` stays as it is; a tuple is ``{"$tuple": [...]}``, NaN ``{"$float": "nan"}``.
A dict with keys that JSON lacks, or that could be taken for a tag, is ``{"$dict": [[key, value], ...]}``.
What has columns (arrays, tables) is kept beside the text as a numbered part: ``{"$part": 0}``.
"""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from scidb.codecs.base import unsupported
from scidb.codecs.leaves import ARRAYS, has_columns
from scidb.codecs.literals import LITERALS, UNTAG_LITERALS, is_int64, is_utf8, numpy_to_json
from scidb.codecs.objects import PUT_TOGETHER, take_apart
from scidb.exceptions import UnsupportedValueError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

__all__ = [
    "Part",
    "from_json",
    "from_text",
    "has_parts",
    "inside",
    "is_int64",
    "is_utf8",
    "path_text",
    "to_json",
    "to_text",
]

DEEPEST: Final = 100
"""Levels of nesting; a value that holds itself is deeper than any."""


class Part(NamedTuple):
    """A value inside another that is stored beside its JSON text, and the way to it."""

    value: Any
    path: str


_Path: TypeAlias = "tuple[_Path | None, object, int, list[Part] | None] | None"
# The place around it, the key that leads on from there, the depth, and what takes the parts; without
# that, values which need to be parts are refused.


def to_text(value: object, *keys: object, parts: list[Part] | None = None) -> str:
    """Return a value as JSON text from which `from_text` restores it; `keys` lead to it, for errors.

    Arrays and tables in it are appended to `parts`, and refused without that list.

    Examples
    --------
    >>> to_text({"a": [1, 2.5, None], "b": (1, float("nan"))})
    '{"a":[1,2.5,null],"b":{"$tuple":[1,{"$float":"nan"}]}}'
    >>> to_text([np.zeros(3), 1], parts=(found := []))
    '[{"$part":0},1]'
    >>> found
    [Part(value=array([0., 0., 0.]), path='[0]')]

    Raises
    ------
    UnsupportedValueError
        When the value, or something in it, has no exact form; ``path`` says where.

    """
    path: _Path = (None, None, 0, parts)
    for key in keys:
        path = _step(path, key)
    return json.dumps(to_json(value, path), separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def from_text(text: str, parts: Sequence[Any] = ()) -> Any:
    """Restore the value behind the text of `to_text`, given its parts.

    Examples
    --------
    >>> from_text('{"b":{"$tuple":[1,{"$float":"nan"}]}}')
    {'b': (1, nan)}

    """

    def untag(found: dict[str, Any]) -> Any:
        if len(found) == 1:
            ((key, content),) = found.items()
            if key.startswith("$"):
                return parts[content] if key == "$part" else _UNTAG[key](content)
        return found

    return json.loads(text, object_hook=untag)


def to_json(value: object, path: _Path = None) -> Any:
    """Return a value as JSON types; see `to_text`."""
    kind = type(value)
    if (tag := _CONTAINERS.get(kind)) is not None:
        return tag(value, path)
    try:
        if (literal := LITERALS.get(kind)) is not None:
            return literal(value)
        if isinstance(value, np.generic) and kind is not np.void:
            return numpy_to_json(value)
    except UnsupportedValueError as error:
        raise inside(error, _text(path)) from None
    if kind is np.void or (kind in ARRAYS and not has_columns(value.dtype)):  # type: ignore[attr-defined]
        return _pieces(value, path)
    parts = path[3] if path else None
    if parts is None:
        raise unsupported(f"an object of type {kind.__module__}.{kind.__qualname__}", _text(path))
    parts.append(Part(value, _text(path)))
    return {"$part": len(parts) - 1}


def from_json(data: Any) -> Any:
    """Restore the value behind the JSON types of `to_json`.

    Examples
    --------
    >>> from_json(to_json([(1, "a"), None]))
    [(1, 'a'), None]

    """
    return from_text(json.dumps(data))


def has_parts(value: object, depth: int = 0) -> bool:
    """Say whether a container holds something that is not JSON, though perhaps nothing that can be stored.

    Examples
    --------
    >>> has_parts({"a": [1, (2.5, None)]}), has_parts({"a": [1, np.zeros(3)]})
    (False, True)

    """
    if isinstance(value, dict):
        items = list(value.values())
    elif isinstance(value, list | tuple):
        items = list(value)
    elif isinstance(value, np.ndarray) and value.dtype.kind == "O" and type(value) is not np.ma.MaskedArray:
        items = np.asarray(value).reshape(-1).tolist()
    else:
        return _is_part(type(value))
    if depth > DEEPEST:
        return True  # it will be refused, and whoever holds itself twice is not looked through
    kinds = set(map(type, items))
    return any(_is_part(kind) or kind in _NESTING for kind in kinds) and any(
        has_parts(item, depth + 1) for item in items
    )


def _is_part(kind: type) -> bool:
    if kind in _CONTAINERS or kind in LITERALS:
        return False
    return kind is np.void or not issubclass(kind, np.generic)


def path_text(*keys: object) -> str:
    """Return how one would write the way to a part of a value.

    Examples
    --------
    >>> path_text("k", 2)
    '["k"][2]'

    """
    return "".join(f"[{json.dumps(key) if type(key) is str else repr(key)}]" for key in keys)


def inside(error: UnsupportedValueError, path: str) -> UnsupportedValueError:
    """Return the error for a part of a value as one for the whole, given the way to the part."""
    within = f"{path}{error.details.get('path', '')}"
    what = error.details.get("what")
    if isinstance(what, str):
        return unsupported(what, within)
    return UnsupportedValueError(f"{error} (At {path} inside the value.)", path=within)


# ------------------------------------------------------------------ containers


def _step(path: _Path, key: object) -> _Path:
    _, _, depth, parts = path or (None, None, 0, None)
    if depth >= DEEPEST:
        raise unsupported(f"a value nested deeper than {DEEPEST} levels, or holding itself", _text(path, 5))
    return (path, key, depth + 1, parts)


def _without_parts(path: _Path, key: object) -> _Path:
    # Arrays and tables cannot be members of a set or keys.
    step = _step(path, key)
    return step and (*step[:3], None)


def _text(path: _Path, first: int = DEEPEST) -> str:
    keys: list[object] = []
    while path and path[2]:
        parent, key, *_ = path
        keys.append(key)
        path = parent
    return path_text(*keys[::-1][:first]) + ("..." if len(keys) > first else "")


def _items(values: Collection[Any], path: _Path) -> list[Any]:
    kinds = set(map(type, values))
    if kinds == {float} and all(map(math.isfinite, values)):
        return list(values)
    if kinds == {int} and is_int64(min(values)) and is_int64(max(values)):
        return list(values)
    return [to_json(item, _step(path, position)) for position, item in enumerate(values)]


def _members(values: Collection[Any], path: _Path) -> list[Any]:
    # Sets have no order of their own: one text for equal sets.
    members = [to_json(item, _without_parts(path, item)) for item in values]
    return sorted(members, key=lambda member: json.dumps(member, sort_keys=True))


def _dict(value: dict[Any, Any], path: _Path) -> Any:
    if all(type(key) is str and not key.startswith("$") and is_utf8(key) for key in value):
        return {key: to_json(item, _step(path, key)) for key, item in value.items()}
    return {"$dict": _pairs(value, path)}


def _pairs(value: dict[Any, Any], path: _Path) -> list[Any]:
    return [[to_json(key, _without_parts(path, key)), to_json(item, _step(path, key))] for key, item in value.items()]


def _interval(value: pd.Interval, path: _Path) -> Any:
    ends = [to_json(value.left, _step(path, "left")), to_json(value.right, _step(path, "right"))]
    return {"$pd.interval": [*ends, value.closed]}


# ------------------------------------------------------------------ both ways by tag


def _pieces(value: Any, path: _Path) -> Any:
    """Return an array whose items have no columns as its pieces."""
    tag, said, pieces = take_apart(value)
    return {tag: [said, [to_json(piece, _step(path, *step) if step else path) for step, piece in pieces]]}


_CONTAINERS: Final[dict[type, Callable[[Any, _Path], Any]]] = {
    list: _items,
    dict: _dict,
    OrderedDict: lambda value, path: {"$ordered": _pairs(value, path)},
    tuple: lambda value, path: {"$tuple": _items(value, path)},
    set: lambda value, path: {"$set": _members(value, path)},
    frozenset: lambda value, path: {"$frozenset": _members(value, path)},
    slice: lambda value, path: {"$slice": _items((value.start, value.stop, value.step), path)},
    pd.Interval: _interval,
}
_NESTING: Final = frozenset({list, tuple, dict, OrderedDict})

_UNTAG: Final[dict[str, Callable[[Any], Any]]] = {
    **UNTAG_LITERALS,
    "$dict": lambda content: {key: item for key, item in content},  # noqa: C416 - pairs are lists
    "$ordered": lambda content: OrderedDict((key, item) for key, item in content),
    "$tuple": tuple,
    "$set": set,
    "$frozenset": frozenset,
    "$slice": lambda content: slice(*content),
    "$pd.interval": lambda content: pd.Interval(*content),
    **{tag: lambda content, make=make: make(*content) for tag, make in PUT_TOGETHER.items()},  # type: ignore[misc]
}
