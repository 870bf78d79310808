"""JSON as it is written and read, and plain values in it: what JSON does not have stands under the name of its type."""

from __future__ import annotations

import collections.abc
import datetime as dt
import json
import math
import reprlib
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from scidb.exceptions import SerializationError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Json", "from_text", "misfit", "plain_from_json", "plain_to_json", "to_text"]

Json: TypeAlias = Any

_FINITE_LIMIT: Final = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def misfit(where: str, expected: str, data: Json) -> SerializationError:
    """Return the error for JSON types that are something else; `where` says where that was."""
    return SerializationError(
        f"{where} is {reprlib.repr(data)}, which is not {expected}. Client and server may be of different versions of "
        "SciDB.",
        where=where,
    )


def plain_to_json(value: object) -> Json:
    """Return a plain value as JSON types; what JSON does not have stands under the name of its type.

    Examples
    --------
    >>> plain_to_json((1, dt.date(2026, 1, 2)))
    {'tuple': [1, {'date': '2026-01-02'}]}

    """
    found: Json = repr(value)
    match value:
        case None | bool() | int() | str():
            found = value
        case float():
            found = value if math.isfinite(value) else {"float": repr(value)}
        case dt.datetime():
            found = {"datetime": value.isoformat()}
        case dt.date():
            found = {"date": value.isoformat()}
        case tuple():
            found = {"tuple": [plain_to_json(one) for one in value]}
        case list():
            found = [plain_to_json(one) for one in value]
        case collections.abc.Mapping():
            found = {"dict": [[plain_to_json(key), plain_to_json(one)] for key, one in value.items()]}
    return found


def plain_from_json(data: Json, where: str) -> Any:
    """Return the plain value that `plain_to_json` wrote.

    Raises
    ------
    SerializationError
        When it is something else.

    """
    if isinstance(data, list):
        return [plain_from_json(one, where) for one in data]
    if not isinstance(data, dict):
        return data
    try:
        [(tag, inner)] = data.items()
        return _TAGGED[tag](inner, where)
    except (LookupError, TypeError, ValueError) as error:
        raise misfit(where, "a value", data) from error


_TAGGED: Final[dict[str, Callable[[Any, str], Any]]] = {
    "float": lambda data, _: _FINITE_LIMIT[data],
    "date": lambda data, _: dt.date.fromisoformat(data),
    "datetime": lambda data, _: dt.datetime.fromisoformat(data),
    "tuple": lambda data, where: tuple(plain_from_json(one, where) for one in data),
    "dict": lambda data, where: {plain_from_json(key, where): plain_from_json(one, where) for key, one in data},
}


def to_text(data: Json) -> bytes:
    """Write JSON."""
    return _ENCODER.encode(data).encode("ascii")


def from_text(text: bytes | bytearray | memoryview, where: str) -> Json:
    """Read JSON.

    Raises
    ------
    SerializationError
        When it is none.

    """
    try:
        data = bytes(text)
        return _DECODER.decode(data.decode(json.detect_encoding(data), "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise SerializationError(f"{where} is not JSON: {error}.", where=where) from error


def _refuse_constant(name: str) -> Json:
    raise ValueError(f"{name} is no number of JSON")


# To make one for each text takes as long as a short text itself.
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)
