"""JSON lines: one object a line, numbers as numbers, times as ISO text, what is not finite as null."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import math
import sys
from collections.abc import Mapping
from functools import singledispatch
from types import NoneType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["jsonable", "print_json_lines"]


def print_json_lines(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print one JSON object a line, as they come."""
    escaped = (sys.stdout.encoding or "").lower() != "utf-8"  # elsewhere a letter could be lost
    for row in rows:
        print(json.dumps(jsonable(row), ensure_ascii=escaped, allow_nan=False))


def jsonable(value: Any) -> Any:
    """Return a value as JSON types.

    Examples
    --------
    >>> import datetime, numpy
    >>> jsonable({"x": numpy.float32(0.5), "nan": float("nan"), "day": datetime.date(2026, 1, 2)})
    {'x': 0.5, 'nan': None, 'day': '2026-01-02'}

    """
    return _json(value)


@singledispatch
def _json(value: Any) -> Any:
    """Return a value of numpy or pandas as JSON types, and what is unknown as text."""
    import numpy as np
    import pandas as pd

    if isinstance(value, pd.DataFrame):  # so that pd.DataFrame(**it) brings it back
        rows = value.itertuples(index=False, name=None)
        return {"columns": _json(value.columns), "index": _json(value.index), "data": [_json(row) for row in rows]}
    if isinstance(value, pd.Series):
        return {"name": _json(value.name), "index": _json(value.index), "data": _json(value.tolist())}
    if isinstance(value, np.datetime64 | np.timedelta64):
        return None if np.isnat(value) else str(value)
    if isinstance(value, np.ndarray) and value.ndim and value.dtype.kind in "mM":
        return [_json(item) for item in value]
    if isinstance(value, np.ndarray | np.generic | pd.Index):
        plain = value[()] if isinstance(value, np.ndarray) and value.dtype.kind in "mM" else value.tolist()
        # An extended float has no Python form: numpy gives it back as it is.
        return str(value) if type(plain) is type(value) else _json(plain)
    return None if value is pd.NA else str(value)


@_json.register(NoneType | bool | int | str)
def _same(value: bool | int | str | None) -> bool | int | str | None:
    return value


@_json.register
def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


@_json.register
def _exact(value: decimal.Decimal) -> int | float | None:
    # SQL gives the sum of integers as a decimal.
    if value.is_finite() and value == value.to_integral_value():
        return int(value)
    return _number(float(value))


@_json.register(dt.date | dt.time)
def _moment(value: dt.date | dt.time) -> str | None:
    return value.isoformat() if value == value else None  # noqa: PLR0124 - NaT


@_json.register(bytes | bytearray)
def _bytes(value: bytes | bytearray) -> str:
    return value.hex()


@_json.register(Mapping)
def _object(value: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(key): _json(item) for key, item in value.items()}


@_json.register(list | tuple | set | frozenset)
def _array(value: Iterable[Any]) -> list[Any]:
    return [_json(item) for item in value]
