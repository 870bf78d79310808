"""Comparisons of a stored column with a value, as SQL that is exact: no side is rounded to the type of the other.

A value that the column's type does not have is replaced by the greatest one below it: of integers, ``x > 2.5`` is
``x > 2``, and ``x < 2.5`` is ``x <= 2``.
"""

from __future__ import annotations

import datetime as dt
import math
import sys
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from scidb.filters import InFilter, MissingFilter
from scidb.store.duck.sql import Condition, quote

if TYPE_CHECKING:
    from scidb.filters import Op, Value
    from scidb.store.duck.types import Column
    from scidb.store.filter_checks import VariableLeaf

__all__ = ["float_up_to", "is_given", "test", "with_bound"]

_EPOCH: Final = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - of times without a zone
_MICROSECOND: Final = dt.timedelta(microseconds=1)
_COARSE: Final = {"s": 10**6, "ms": 10**3, "us": 1}
_LONG: Final = (-(2**63), 2**63 - 1)


def is_given(column: Column) -> str:
    """Return the condition that a column ``t`` has a value; NaN is none."""
    name = f"t.{quote(column.name)}"
    return f"({name} IS NOT NULL AND NOT isnan({name}))" if _is_float(column) else f"({name} IS NOT NULL)"


def test(column: Column, leaf: VariableLeaf) -> Condition:
    """Return the condition of a leaf on a column ``t`` of its kind: never NULL, and false for what is missing."""
    condition = Condition()
    given = is_given(column)
    if isinstance(leaf, MissingFilter):
        condition.add(f"NOT {given}" if leaf.missing else given)
        return condition
    condition.add(given)
    expression, kind = _operand(column)
    if isinstance(leaf, InFilter):
        below = [_greatest_up_to(column, value) for value in leaf.values]
        values = [value for value, is_equal in below if is_equal]
        if values:
            condition.add(f"{expression} IN (SELECT unnest(CAST(? AS {kind}[])))", values)
        else:
            condition.add("FALSE")
        return condition
    bound, is_equal = _greatest_up_to(column, leaf.value)
    op = with_bound(leaf.op, is_below_all=bound is None, is_equal=is_equal)
    if isinstance(op, bool):
        condition.add("TRUE" if op else "FALSE")
    else:
        condition.add(f"{expression} {op} CAST(? AS {kind})", bound)
    return condition


def with_bound(op: Op, *, is_below_all: bool, is_equal: bool) -> str | bool:
    """Return the operator for the greatest value up to the given one, or the answer itself."""
    if is_equal:
        return {"==": "=", "!=": "<>"}.get(op, op)
    if op in ("==", "!="):
        return op == "!="
    if is_below_all:
        return op in (">", ">=")
    return "<=" if op in ("<", "<=") else ">"


def _is_float(column: Column) -> bool:
    return bool(pa.types.is_floating(column.arrow))


def _operand(column: Column) -> tuple[str, str]:
    """Return what is compared, and its type."""
    name = f"t.{quote(column.name)}"
    if _is_float(column):
        return f"CAST({name} AS DOUBLE)", "DOUBLE"
    if column.arrow == pa.timestamp("ns"):
        return f"epoch_ns({name})", "BIGINT"  # the years of this type are fewer than those of a datetime
    return name, column.duck


def _greatest_up_to(column: Column, value: Value) -> tuple[Any, bool]:
    """Return the greatest value of a column's type up to this one, None if all are above, and whether it is equal."""
    kind = column.arrow
    if isinstance(value, int | float) and not isinstance(value, bool):
        if _is_float(column):
            return float_up_to(value)
        bits = kind.bit_width
        return _integer_up_to(
            value, *((0, 2**bits - 1) if str(kind)[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1))
        )
    if isinstance(value, dt.datetime):
        since = (value - _EPOCH) // _MICROSECOND
        if kind.unit == "ns":
            return _integer_up_to(since * 1000, *_LONG)
        floored = since - since % _COARSE[kind.unit]
        return _EPOCH + floored * _MICROSECOND, floored == since
    return value, True


def _integer_up_to(value: float, least: int, greatest: int) -> tuple[int | None, bool]:
    if value < least:
        return None, False
    if value > greatest:
        return greatest, False
    below = math.floor(value)
    return below, below == value


def float_up_to(value: float) -> tuple[float, bool]:
    """Return the greatest double up to a number, and whether it is equal."""
    try:
        near = float(value)
    except OverflowError:
        return (sys.float_info.max if value > 0 else -math.inf), False
    below = math.nextafter(near, -math.inf) if near > value else near
    return below, below == value
