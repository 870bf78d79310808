"""Scalars and containers as JSON text: plain where JSON is exact, else an object with one telling key.

``{"a": [1, 2.5, null]}`` stays as it is; a tuple is ``{"$tuple": [...]}``, NaN ``{"$float": "nan"}``.
A dict with keys that JSON lacks, or that could be taken for a tag, is ``{"$dict": [[key, value], ...]}``.
"""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import json
import math
import uuid
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import pandas as pd

from scidb.codecs.base import unsupported
from scidb.codecs.primitive import check_dtype, dtype_from_text, dtype_text
from scidb.codecs.zones import pandas_zone_from_json, pandas_zone_to_json, zone_from_json, zone_to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

__all__ = [
    "from_json",
    "from_text",
    "is_int64",
    "is_utf8",
    "path_text",
    "to_json",
    "to_text",
]

DEEPEST: Final = 100
"""Levels of nesting; a value that holds itself is deeper than any."""

_Path: TypeAlias = "tuple[_Path | None, object, int] | None"


def to_text(value: object, *keys: object) -> str:
    """Return a value as JSON text from which `from_text` restores it; `keys` lead to it, for errors.

    Examples
    --------
    >>> to_text({"a": [1, 2.5, None], "b": (1, float("nan"))})
    '{"a":[1,2.5,null],"b":{"$tuple":[1,{"$float":"nan"}]}}'

    Raises
    ------
    UnsupportedValueError
        When the value, or something in it, has no exact form; ``path`` says where.

    """
    path: _Path = None
    for key in keys:
        path = _step(path, key)
    return json.dumps(to_json(value, path), separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def from_text(text: str) -> Any:
    """Restore the value behind the text of `to_text`.

    Examples
    --------
    >>> from_text('{"b":{"$tuple":[1,{"$float":"nan"}]}}')
    {'b': (1, nan)}

    """
    return json.loads(text, object_hook=_untag)


def to_json(value: object, path: _Path = None) -> Any:
    """Return a value as JSON types; see `to_text`."""
    if value is None:
        return None
    tag = _TAGS.get(type(value))
    if tag is not None:
        return tag(value, path)
    if isinstance(value, np.generic):
        return _numpy(value, path)
    kind = type(value)
    raise unsupported(f"an object of type {kind.__module__}.{kind.__qualname__}", _text(path))


def from_json(data: Any) -> Any:
    """Restore the value behind the JSON types of `to_json`.

    Examples
    --------
    >>> from_json(to_json([(1, "a"), None]))
    [(1, 'a'), None]

    """
    return from_text(json.dumps(data))


def is_int64(value: int) -> bool:
    """Say whether an integer fits a 64-bit column."""
    return -(2**63) <= value < 2**63


def is_utf8(text: str) -> bool:
    """Say whether a text has no lone surrogates, which no UTF-8 column can hold."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def path_text(*keys: object) -> str:
    """Return how one would write the way to a part of a value.

    Examples
    --------
    >>> path_text("k", 2)
    '["k"][2]'

    """
    return "".join(f"[{json.dumps(key) if type(key) is str else repr(key)}]" for key in keys)


# ------------------------------------------------------------------ tagging


def _step(path: _Path, key: object) -> _Path:
    depth = path[2] + 1 if path else 1
    if depth > DEEPEST:
        raise unsupported(f"a value nested deeper than {DEEPEST} levels, or holding itself", _text(path, 5))
    return (path, key, depth)


def _text(path: _Path, first: int = DEEPEST) -> str:
    keys: list[object] = []
    while path:
        parent, key, _ = path
        keys.append(key)
        path = parent
    return path_text(*keys[::-1][:first]) + ("..." if len(keys) > first else "")


def _str(value: str, path: _Path) -> Any:  # noqa: ARG001
    return value if is_utf8(value) else {"$str": value.encode("utf-8", "surrogatepass").hex()}


def _int(value: int, path: _Path) -> Any:  # noqa: ARG001
    # Hexadecimal, because Python limits the length of decimal texts and other readers of JSON have 64 bits.
    return value if is_int64(value) else {"$int": hex(value)}


def _float(value: float, path: _Path) -> Any:  # noqa: ARG001
    return value if math.isfinite(value) else {"$float": repr(value)}


def _items(values: Collection[Any], path: _Path) -> list[Any]:
    kinds = set(map(type, values))
    if kinds == {float} and all(map(math.isfinite, values)):
        return list(values)
    if kinds == {int} and is_int64(min(values)) and is_int64(max(values)):
        return list(values)
    return [to_json(item, _step(path, position)) for position, item in enumerate(values)]


def _members(values: Collection[Any], path: _Path) -> list[Any]:
    # Sets have no order of their own: one text for equal sets.
    members = [to_json(item, _step(path, item)) for item in values]
    return sorted(members, key=lambda member: json.dumps(member, sort_keys=True))


def _dict(value: dict[Any, Any], path: _Path) -> Any:
    if all(type(key) is str and not key.startswith("$") and is_utf8(key) for key in value):
        return {key: to_json(item, _step(path, key)) for key, item in value.items()}
    return {"$dict": [[to_json(key, _step(path, key)), to_json(item, _step(path, key))] for key, item in value.items()]}


def _numpy(value: np.generic, path: _Path) -> Any:
    check_dtype(value.dtype, _text(path))
    if value.dtype.kind in "Mm":
        return {"$numpy": [dtype_text(value.dtype), int(value.view(np.int64))]}
    name = value.dtype.kind if value.dtype.kind in "US" else dtype_text(value.dtype)
    return {"$numpy": [name, to_json(value.item(), path)]}


def _datetime(value: dt.datetime, path: _Path) -> Any:
    wall = value.replace(tzinfo=None, fold=0).isoformat()
    return {"$datetime": [wall, value.fold, zone_to_json(value.tzinfo, _text(path))]}


def _complex(value: complex, path: _Path) -> Any:
    return {"$complex": [_float(value.real, path), _float(value.imag, path)]}


def _timestamp(value: pd.Timestamp, path: _Path) -> Any:
    moment = value.to_datetime64()
    return {"$timestamp": [int(moment.view(np.int64)), value.unit, pandas_zone_to_json(value.tz, _text(path))]}


_TAGS: Final[dict[type, Callable[[Any, _Path], Any]]] = {
    str: _str,
    bool: lambda value, _: value,
    int: _int,
    float: _float,
    list: _items,
    dict: _dict,
    tuple: lambda value, path: {"$tuple": _items(value, path)},
    set: lambda value, path: {"$set": _members(value, path)},
    frozenset: lambda value, path: {"$frozenset": _members(value, path)},
    complex: _complex,
    bytes: lambda value, _: {"$bytes": base64.b64encode(value).decode()},
    dt.date: lambda value, _: {"$date": value.isoformat()},
    dt.datetime: _datetime,
    dt.timedelta: lambda value, _: {"$timedelta": [value.days, value.seconds, value.microseconds]},
    decimal.Decimal: lambda value, _: {"$decimal": str(value)},
    uuid.UUID: lambda value, _: {"$uuid": str(value)},
    pd.Timestamp: _timestamp,
    pd.Timedelta: lambda value, _: {"$pd.timedelta": [int(value.to_timedelta64().view(np.int64)), value.unit]},
    type(pd.NaT): lambda _, __: {"$missing": "NaT"},
    type(pd.NA): lambda _, __: {"$missing": "NA"},
}


# ------------------------------------------------------------------ untagging


def _untag(found: dict[str, Any]) -> Any:
    if len(found) == 1:
        ((key, content),) = found.items()
        if key.startswith("$"):
            return _UNTAG[key](content)
    return found


def _untag_numpy(content: Sequence[Any]) -> np.generic:
    name, item = content
    dtype = dtype_from_text(name)
    scalar: np.generic = np.int64(item).view(dtype) if dtype.kind in "Mm" else dtype.type(item)
    return scalar


def _untag_datetime(content: Sequence[Any]) -> dt.datetime:
    wall, fold, zone = content
    return dt.datetime.fromisoformat(wall).replace(tzinfo=zone_from_json(zone), fold=fold)


def _untag_timestamp(content: Sequence[Any]) -> pd.Timestamp:
    number, unit, zone = content
    moment = pd.Timestamp(np.datetime64(number, unit))
    return moment if zone is None else moment.tz_localize("UTC").tz_convert(pandas_zone_from_json(zone))


_UNTAG: Final[dict[str, Callable[[Any], Any]]] = {
    "$str": lambda content: bytes.fromhex(content).decode("utf-8", "surrogatepass"),
    "$int": lambda content: int(content, 16),
    "$float": float,
    "$tuple": tuple,
    "$set": set,
    "$frozenset": frozenset,
    "$dict": lambda content: {key: item for key, item in content},  # noqa: C416 - pairs are lists
    "$complex": lambda content: complex(*content),
    "$bytes": base64.b64decode,
    "$date": dt.date.fromisoformat,
    "$datetime": _untag_datetime,
    "$timedelta": lambda content: dt.timedelta(*content),
    "$decimal": decimal.Decimal,
    "$uuid": uuid.UUID,
    "$numpy": _untag_numpy,
    "$timestamp": _untag_timestamp,
    "$pd.timedelta": lambda content: pd.Timedelta(np.timedelta64(*content)),
    "$missing": lambda content: {"NaT": pd.NaT, "NA": pd.NA}[content],
}
