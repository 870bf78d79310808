"""Values of keys: converted to the type of their key when that loses nothing, refused by name otherwise."""

from __future__ import annotations

import datetime as dt
import math
import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scidb.exceptions import SchemaKeyError
from scidb.hashing.inputs import preview

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scidb.store.model import KeyType, KeyValue

__all__ = ["convert_key", "infer_key_type", "key_values_within"]

_INTEGER_TEXT: Final = re.compile(r"0|-?[1-9][0-9]{0,999}")
_LONGEST_INTEGER: Final = 10**1_000
"""Of a key; Python refuses to write the text of a far longer one."""


def infer_key_type(key: str, value: object) -> KeyType:
    """Return the type that a first value gives to a key.

    Raises
    ------
    SchemaKeyError
        When the value cannot be the value of a key: None, NaN, bool, or anything but a number, text or date.

    """
    if type(value) is int and -(2**63) <= value < 2**63:
        return "int"
    value = _plain(key, value)
    for kind, name in (
        (str, "str"),
        (dt.datetime, "datetime"),
        (dt.date, "date"),
        (int, "int"),
        (float, "float"),
    ):
        if isinstance(value, kind):
            return name  # type: ignore[return-value]  # the literals stand in the line above
    raise AssertionError(value)  # pragma: no cover - _plain admits no other type


def convert_key(key: str, value: object, kind: KeyType | None) -> KeyValue:
    """Convert a key's value to the key's type if that loses nothing.

    Raises
    ------
    SchemaKeyError
        Naming key, value and type, when the conversion would change the value.

    Examples
    --------
    >>> convert_key("trial", 1.0, "int"), convert_key("trial", "7", "int"), convert_key("subject", 1, "str")
    (1, 7, '1')

    """
    if (kind == "str" and type(value) is str) or (kind == "int" and type(value) is int and -(2**63) <= value < 2**63):
        return value  # the overwhelmingly common case
    plain = _plain(key, value)
    converted = plain if kind is None else _CONVERT[kind](plain)
    if converted is None:
        zero = isinstance(plain, str) and plain.isdecimal()
        hint = " A leading zero would be lost; declare the key as str." if zero else ""
        raise SchemaKeyError(
            f"{key}={value!r} is not a value of the schema key {key!r}, whose type in this database is {kind}: "
            f"it cannot be converted without changing it.{hint}",
            key=key,
            value=str(value),
            value_type=kind,
        )
    return converted


def key_values_within(key: str, span: slice, kind: KeyType | None, values: Iterable[KeyValue]) -> tuple[KeyValue, ...]:
    """Return the values of a key from the start of a slice up to and including its stop, as ``.loc`` does.

    Either end may be open. Numbers go by size, texts by their characters, and a time without a zone counts as UTC.

    Raises
    ------
    SchemaKeyError
        When the slice has a step, or an end that is no value of the key.

    Examples
    --------
    >>> key_values_within("subject", slice(2, 5), "int", [1, 2, 5, 10])
    (2, 5)

    """
    if span.step is not None:
        raise SchemaKeyError(
            f"{key}={span!r}: a slice of key values has no step; name the values in a list, for example "
            f"{key}=range(0, 10, 2).",
            key=key,
        )
    first, last = (None if end is None else _order(convert_key(key, end, kind)) for end in (span.start, span.stop))
    return tuple(
        value
        for value in values
        if (first is None or first <= _order(value)) and (last is None or _order(value) <= last)
    )


def _order(value: KeyValue) -> Any:
    return value.replace(tzinfo=dt.UTC) if isinstance(value, dt.datetime) and value.tzinfo is None else value


def _plain(key: str, value: object) -> KeyValue:
    """Reduce numpy and pandas scalars to Python's, and refuse what no key can hold."""
    if isinstance(value, np.datetime64) and not np.isnat(value):
        value = _moment(key, value)
    elif isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, dt.datetime) and value == value:  # noqa: PLR0124 - NaT is a datetime that is not itself
        if getattr(value, "nanosecond", 0):
            raise _too_fine(key, value)
        plain = value if type(value) is dt.datetime else dt.datetime.fromisoformat(value.isoformat())
        return _in_utc(key, plain)
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= _LONGEST_INTEGER:
        raise SchemaKeyError(f"{key}=...: an integer of {value.bit_length()} bits is too long for a key.", key=key)
    if isinstance(value, str | int | dt.date) and not isinstance(value, bool | dt.datetime):
        return value
    if value is None or isinstance(value, bool | float | dt.datetime):
        raise SchemaKeyError(
            f"{key}={value!r}: a schema key needs a number, a text or a date. Leave the key out if it is not set.",
            key=key,
            value=str(value),
        )
    raise SchemaKeyError(
        f"{key}={preview(value)} of type {type(value).__name__} cannot be the value of a schema key: "
        "use a number, a text or a date.",
        key=key,
        value=preview(value),
    )


def _in_utc(key: str, value: dt.datetime) -> dt.datetime:
    """Return the one form of an instant, so that a place is the same in whatever zone somebody writes it."""
    if value.tzinfo is None:
        return value
    try:
        return value.astimezone(dt.UTC)
    except OverflowError:
        raise SchemaKeyError(
            f"{key}={value!r} is outside the range of datetimes in UTC.", key=key, value=str(value)
        ) from None


def _moment(key: str, value: np.datetime64) -> object:
    """Return a numpy time as Python's, which counts days or microseconds."""
    if np.datetime_data(value)[0] in ("Y", "M", "W", "D"):
        return value.astype("datetime64[D]").item()
    plain = value.astype("datetime64[us]")
    if plain != value:
        raise _too_fine(key, value)
    return plain.item()


def _too_fine(key: str, value: object) -> SchemaKeyError:
    return SchemaKeyError(
        f"{key}={value!s}: times of schema keys go down to microseconds. Round it, for example with "
        "Timestamp.round('us').",
        key=key,
        value=str(value),
    )


def _to_int(value: KeyValue) -> int | None:
    if isinstance(value, str):
        return int(value) if _INTEGER_TEXT.fullmatch(value) else None
    return int(value) if isinstance(value, int | float) and value == int(value) else None


def _to_float(value: KeyValue) -> float | None:
    if isinstance(value, str):
        if _INTEGER_TEXT.fullmatch(value):
            return _to_float(int(value))
        try:
            number = float(value)
        except ValueError:
            return None
        return number if repr(number) == value and math.isfinite(number) else None
    return float(value) if isinstance(value, int | float) and _exact_float(value) else None


def _exact_float(value: float) -> bool:
    try:
        return float(value) == value
    except OverflowError:
        return False


def _to_str(value: KeyValue) -> str | None:
    if isinstance(value, dt.date):
        return value.isoformat()
    return value if isinstance(value, str) else repr(value)


def _to_date(value: KeyValue) -> dt.date | None:
    if isinstance(value, str):
        try:
            return dt.date.fromisoformat(value)
        except ValueError:
            return None
    return value if type(value) is dt.date else None


def _to_datetime(value: KeyValue) -> dt.datetime | None:
    if isinstance(value, str):
        try:
            return _in_utc("", dt.datetime.fromisoformat(value))
        except (ValueError, SchemaKeyError):
            return None
    return value if isinstance(value, dt.datetime) else None


_CONVERT: Final[dict[KeyType, Callable[[KeyValue], KeyValue | None]]] = {
    "int": _to_int,
    "float": _to_float,
    "str": _to_str,
    "date": _to_date,
    "datetime": _to_datetime,
}


# ------------------------------------------------------------------ version keys
