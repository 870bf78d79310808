"""Values in filters: which there are, of which kind each is, and how JSON holds them exactly."""

from __future__ import annotations

import datetime as dt
import math
import operator
import reprlib
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

import numpy as np

from scidb.exceptions import FilterError, SerializationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = [
    "COMPARE",
    "Kind",
    "Op",
    "Value",
    "kind_of",
    "normal_value",
    "normal_values",
    "value_from_json",
    "value_to_json",
]

Value: TypeAlias = bool | int | float | str | dt.date | dt.datetime | dt.timedelta
Kind: TypeAlias = Literal["bool", "number", "text", "date", "datetime", "datetime with a time zone", "timedelta"]

Op: TypeAlias = Literal["==", "!=", "<", "<=", ">", ">="]

COMPARE: Final[dict[Op, Callable[[Any, Any], bool]]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
"""What the operators do to Python values, which compare exactly."""

_MOST_BITS: Final = 4_096
"""Of an integer; Python refuses to write the text of a far longer one."""

_MICROSECOND: Final = dt.timedelta(microseconds=1)


def kind_of(value: Value) -> Kind:
    """Say what a value can be compared with: values of its own kind.

    Examples
    --------
    >>> kind_of(1), kind_of(1.5), kind_of(True)
    ('number', 'number', 'bool')

    """
    if isinstance(value, dt.datetime):
        return "datetime" if value.tzinfo is None else "datetime with a time zone"
    kind: Kind = _KINDS[type(value)]
    return kind


_KINDS: Final[dict[type, Any]] = {
    bool: "bool", int: "number", float: "number", str: "text", dt.date: "date", dt.timedelta: "timedelta",
}  # fmt: skip


def normal_value(value: object) -> Value:
    """Return a value as plain Python has it: one for all that are equal.

    Raises
    ------
    FilterError
        When it is missing, or of a type that cannot be compared.

    Examples
    --------
    >>> normal_value(np.float32(0.5)), normal_value(-0.0)
    (0.5, 0.0)

    """
    plain = _plain(value)
    match plain:
        case bool() | None:
            pass
        case int() if plain.bit_length() > _MOST_BITS:
            raise FilterError(f"An integer of {plain.bit_length()} bits is too long for a filter.")
        case float():
            plain = None if math.isnan(plain) else plain + 0.0
        case str():
            check_text("A value", plain)
        case dt.datetime():
            plain = plain.replace(fold=0) if plain.tzinfo is None else _in_utc(plain)
    if plain is None:
        raise FilterError(
            f"Nothing equals a missing value, so a filter cannot compare with {value!r}. To find what is missing, or "
            "what is not, use isna() or notna().",
        )
    return plain


def normal_values(values: Iterable[object]) -> tuple[Value, ...]:
    """Return values each once and in order, so that equal sets are one.

    Raises
    ------
    FilterError
        When one cannot be compared, or they are of several kinds.

    Examples
    --------
    >>> normal_values(["R", "L", "R"]), normal_values([2.0, 1, 2])
    (('L', 'R'), (1, 2))

    """
    if isinstance(values, str | bytes) or not hasattr(values, "__iter__"):
        raise FilterError(f"isin() takes a list of values, not {values!r}: for one value, [{values!r}].")
    normal = [normal_value(value) for value in values]
    kinds = sorted({kind_of(value) for value in normal})
    if len(kinds) > 1:
        raise FilterError(
            f"The values {normal!r} are of several kinds ({', '.join(kinds)}), which cannot all be compared with one "
            "column. Give values of one kind."
        )
    # Of 1 and 1.0, which are equal, the integer stays.
    ordered: list[Any] = sorted(normal, key=lambda value: (value, isinstance(value, float)))
    return tuple(dict.fromkeys(ordered))


def check_text(what: str, text: object) -> None:
    """Refuse what is no text, or one with lone surrogates, which nothing stored can equal."""
    if not isinstance(text, str):
        raise FilterError(f"{what} in a filter is a text, not {text!r} ({type(text).__name__}).")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise FilterError(f"{what} in a filter cannot hold lone surrogates, which are no characters: {text!r}.")


def _plain(value: object) -> Value | None:
    """Return a Python value, or None for a missing one."""
    if isinstance(value, np.generic):
        return _plain_numpy(value)
    if value is None or type(value).__name__ == "NAType":
        return None
    if isinstance(value, float | dt.date | dt.timedelta) and value != value:  # noqa: PLR0124 - NaN, NaT
        return None
    if getattr(value, "nanosecond", 0) or getattr(value, "nanoseconds", 0):  # of pandas
        raise _too_fine(value)
    if type(value) in _KINDS or type(value) is dt.datetime:
        return cast("Value", value)
    for kind, convert in _BASES.items():
        if isinstance(value, kind):
            return convert(value)
    raise FilterError(
        f"A filter compares with a bool, number, text, date, datetime or timedelta; {value!r} "
        f"({type(value).__name__}) is none. For several values, use isin([...])."
    )


def _plain_numpy(value: np.generic) -> Value | None:
    if isinstance(value, np.datetime64 | np.timedelta64):
        if np.isnat(value):
            return None
        plain = value.item() if isinstance(value.item(), dt.date | dt.timedelta) else value.astype(_microseconds(value))
        if isinstance(plain, np.generic):
            if plain != value:
                raise _too_fine(value)
            plain = plain.item()
        if not isinstance(plain, dt.date | dt.timedelta):
            raise FilterError(f"{value!r} is outside the range of Python's own datetimes.")
        return plain
    return _plain(value.item()) if not isinstance(value.item(), np.generic) else _refuse(value)


def _microseconds(value: np.datetime64 | np.timedelta64) -> str:
    return "datetime64[us]" if isinstance(value, np.datetime64) else "timedelta64[us]"


def _refuse(value: object) -> Value:
    raise FilterError(f"A filter cannot compare with {value!r} ({type(value).__name__}); give a Python float.")


def _too_fine(value: object) -> FilterError:
    return FilterError(f"{value!r} is finer than a microsecond, which a filter cannot compare with. Round it.")


def _python_datetime(value: dt.datetime) -> dt.datetime:
    return dt.datetime.combine(value.date(), value.timetz())


# What classes derived from Python's own become: an enumeration, a Timestamp.
_BASES: Final[dict[type, Callable[[Any], Value]]] = {
    int: int,
    float: float,
    str: str.__str__,
    dt.datetime: _python_datetime,
    dt.timedelta: lambda value: dt.timedelta(value.days, value.seconds, value.microseconds),
}


def _in_utc(value: dt.datetime) -> dt.datetime:
    try:
        return value.astimezone(dt.UTC)
    except OverflowError:
        raise FilterError(f"{value!r} is outside the range of datetimes in UTC.") from None


# ------------------------------------------------------------------ JSON


def value_to_json(value: Value) -> object:
    """Return JSON that `value_from_json` turns into the same value."""
    match value:
        case dt.datetime():
            return {"datetime": value.isoformat()}
        case dt.date():
            return {"date": value.isoformat()}
        case dt.timedelta():
            return {"microseconds": value // _MICROSECOND}
        case float() if math.isinf(value):
            return {"float": "inf" if value > 0 else "-inf"}
    return value


def value_from_json(data: object) -> Value:
    """Return the value of a JSON form.

    Raises
    ------
    SerializationError
        When it is none.

    """
    try:
        match data:
            case bool() | int() | float() | str():
                value: Value = data
            case {"datetime": str(text), **rest} if not rest:
                value = dt.datetime.fromisoformat(text)
            case {"date": str(text), **rest} if not rest:
                value = dt.date.fromisoformat(text)
            case {"microseconds": int(number), **rest} if not rest and not isinstance(number, bool):
                value = dt.timedelta(microseconds=number)
            case {"float": "inf" | "-inf" as text, **rest} if not rest:
                value = float(text)
            case _:
                raise SerializationError(f"This is no value of a filter: {reprlib.repr(data)}.")
    except (ValueError, OverflowError) as error:
        raise SerializationError(f"This is no value of a filter: {reprlib.repr(data)} ({error}).") from error
    return normal_value(value)
