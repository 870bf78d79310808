"""Comparisons of a schema key with a value, as SQL on the text that stands for it: exact, whatever its size."""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING, Any, Final, cast

from scidb.filters import KeyInFilter
from scidb.store.duck.compare import float_up_to, with_bound
from scidb.store.duck.sql import Condition, quote
from scidb.store.duck.types import fitting_text

if TYPE_CHECKING:
    from scidb.filters import Op, Value
    from scidb.store.filter_checks import KeyLeaf
    from scidb.store.model import SchemaKey

__all__ = ["test_key"]

_EXACTLY: Final = {"==": "=", "!=": "<>"}


def test_key(key: SchemaKey, leaf: KeyLeaf) -> Condition:
    """Return the condition of a leaf on its key in a location ``s``: never NULL, and false where it is not set."""
    name = f"s.{quote(key.name)}"
    if isinstance(leaf, KeyInFilter):
        texts = [text for value in leaf.values if (text := _text(key, value)) is not None]
        test = (
            Condition([f"{name} IN (SELECT unnest(CAST(? AS VARCHAR[])))"], [texts]) if texts else _always(held=False)
        )
    elif leaf.op in _EXACTLY:
        text = _text(key, leaf.value)
        test = _always(held=leaf.op == "!=") if text is None else Condition([f"{name} {_EXACTLY[leaf.op]} ?"], [text])
    else:
        test = _ordered(key, name, leaf.op, leaf.value)
    return Condition([f"({name} IS NOT NULL AND coalesce({test.text()}, FALSE))"], test.parameters)


def _always(*, held: bool) -> Condition:
    return Condition(["TRUE" if held else "FALSE"])


def _text(key: SchemaKey, value: Value) -> str | None:
    """Return the text of the key's value that equals this one; None if there is none."""
    if isinstance(value, int | float) and key.value_type in ("int", "float"):
        number = _integer(value) if key.value_type == "int" else _float(value)
        return None if number is None else fitting_text(key, number)
    return fitting_text(key, value)


def _integer(value: float) -> int | None:
    return int(value) if isinstance(value, int) or value.is_integer() else None


def _float(value: float) -> float | None:
    below, is_equal = float_up_to(value)
    return below if is_equal else None


def _ordered(key: SchemaKey, name: str, op: Op, value: Value) -> Condition:
    match key.value_type:
        case "int":
            return _integers(name, op, cast("float", value))
        case "float":
            bound, is_equal = float_up_to(cast("float", value))
            sign = with_bound(op, is_below_all=False, is_equal=is_equal)
            return Condition([f"CAST({name} AS DOUBLE) {sign} CAST(? AS DOUBLE)"], [bound])
        case "str":
            return Condition([f"{name} {op} ?"], [value])
        case "date":
            return Condition([f"{name} {op} ?"], [cast("dt.date", value).isoformat()])
        case "datetime":
            return Condition([f"{_INSTANT.format(name)} {op} ?"], [_instant(cast("dt.datetime", value))])
    return _always(held=False)  # a key without a type has no values


def _integers(name: str, op: Op, value: float) -> Condition:
    if value in (math.inf, -math.inf):
        return _always(held=(value > 0) == (op in ("<", "<=")))
    # What is below an integer: x <= 2.5 is x < 3, and so is x < 2.5.
    bound = math.ceil(value) if op in ("<", ">=") else math.floor(value) + 1
    text = str(bound)
    if bound < 0:
        below = f"starts_with({name}, '-') AND (length({name}) > ? OR (length({name}) = ? AND {name} > ?))"
    else:
        below = f"starts_with({name}, '-') OR length({name}) < ? OR (length({name}) = ? AND {name} < ?)"
    return Condition([f"({below})" if op in ("<", "<=") else f"NOT ({below})"], [len(text), len(text), text])


# A time as text of one length, in UTC, with what tells the zone behind it: the order of texts is that of key values.
_INSTANT: Final = (
    "(rpad(replace({0}, '+00:00', '') || CASE WHEN contains({0}, '.') THEN '' ELSE '.' END, 26, '0') || "
    "CASE WHEN ends_with({0}, '+00:00') THEN '1' ELSE '0' END)"
)


def _instant(value: dt.datetime) -> str:
    plain: Any = value if value.tzinfo is None else value.astimezone(dt.UTC)
    return f"{plain.replace(tzinfo=None).isoformat(timespec='microseconds')}{int(value.tzinfo is not None)}"
