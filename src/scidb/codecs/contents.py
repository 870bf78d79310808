"""What a stored value looks like to a filter: its columns, their physical names, and what they compare with.

Filters compare what stands in the columns of a store, which is not always what it stands for: a duration is an
integer there, a zoned time an instant in UTC.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

if TYPE_CHECKING:
    from scidb.filters import Kind, Value

__all__ = ["Compared", "Contents", "StoredColumn", "dtype_compared", "items", "physical_value", "plain_label", "single"]

_DAY: Final = dt.timedelta(days=1)
_UNITS: Final = {
    "D": _DAY, "h": dt.timedelta(hours=1), "m": dt.timedelta(minutes=1), "s": dt.timedelta(seconds=1),
    "ms": dt.timedelta(milliseconds=1), "us": dt.timedelta(microseconds=1),
}  # fmt: skip
_EPOCH: Final = dt.date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Compared:
    """What the values of a physical column are compared with.

    A `kind` of None: nothing but missing values stand in it. `unit` says what the integers of a column count,
    where it holds days or durations as such. Not `ordered`: its values are equal or not, and no more.
    """

    kind: Kind | None
    unit: str = ""
    ordered: bool = True


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """One column as a person names it, its physical name, and what it compares with; None: with nothing."""

    label: object
    name: str
    compared: Compared | None


@dataclass(frozen=True, slots=True)
class Contents:
    """What there is to compare in a value.

    A ``single`` value and the ``items`` of a 1-D array or Series have one column, a ``table`` has its own. Of
    any ``other`` value, nothing can be compared.
    """

    form: Literal["single", "items", "table", "other"]
    columns: tuple[StoredColumn, ...] = ()
    hidden: tuple[str, ...] = ()  # physical columns that are none of the value's, such as those of an index


def single(compared: Compared | None, name: str = "value") -> Contents:
    """Return the contents of a single value."""
    return Contents("single", (StoredColumn(None, name, compared),))


def items(compared: Compared | None, name: str = "value", hidden: tuple[str, ...] = ()) -> Contents:
    """Return the contents of a value with one column of items."""
    return Contents("items", (StoredColumn(None, name, compared),), hidden)


def dtype_compared(dtype: np.dtype[Any]) -> Compared | None:
    """Return what values of a dtype of numpy are compared with, as they are stored.

    Examples
    --------
    >>> dtype_compared(np.dtype("f4")), dtype_compared(np.dtype("m8[ms]")), dtype_compared(np.dtype("c8"))
    (Compared(kind='number', unit='', ordered=True), Compared(kind='timedelta', unit='ms', ordered=True), None)

    """
    if dtype.kind in "Mm":
        unit, count = np.datetime_data(dtype)
        return _TIMES.get(f"{dtype.kind}{unit}") if count == 1 else None
    return next((Compared(kind) for kinds, kind in _KINDS if dtype.kind in kinds), None)


_KINDS: Final[tuple[tuple[str, Kind], ...]] = (("b", "bool"), ("iuf", "number"), ("UT", "text"))
_TIMES: Final = {
    "MD": Compared("date", "D"),
    **{f"M{unit}": Compared("datetime") for unit in ("s", "ms", "us", "ns")},
    **{f"m{unit}": Compared("timedelta", unit) for unit in (*_UNITS, "ns")},
}


def physical_value(value: Value, compared: Compared) -> Value:
    """Return a value of a filter as it would stand in such a column.

    Examples
    --------
    >>> physical_value(dt.timedelta(seconds=2), Compared("timedelta", "ms"))
    2000
    >>> physical_value(dt.datetime(2026, 1, 2, tzinfo=dt.UTC), Compared("datetime with a time zone"))
    datetime.datetime(2026, 1, 2, 0, 0)

    """
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).replace(tzinfo=None) if value.tzinfo else value
    if isinstance(value, dt.date) and compared.unit == "D":
        return (value - _EPOCH).days
    if isinstance(value, dt.timedelta):
        if compared.unit == "ns":
            return value // _UNITS["us"] * 1_000
        whole, rest = divmod(value, _UNITS[compared.unit])
        return value / _UNITS[compared.unit] if rest else whole
    return value


def plain_label(label: object) -> object:
    """Return the label of a column as Python has it."""
    return label.item() if isinstance(label, np.generic) else label
